//! Files as they are found: marks, broken lines, any order of rows, many batches.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampSecondArray};
use ingest::Source;
use ingest::files::{TableFile, TableFiles, infer};
use parquet::arrow::ArrowWriter;
use relational::{Change, DeadLetter, Position};

fn timed(path: &Path) -> [TableFile; 1] {
    [TableFile {
        table: "t".into(),
        paths: vec![path.to_owned()],
        key: vec!["id".into()],
        time: Some("at".into()),
        ..TableFile::default()
    }]
}

fn rest(source: &mut TableFiles) -> (Vec<Change>, Vec<DeadLetter>) {
    let delivery = source.poll(usize::MAX, Duration::ZERO).expect("polled");
    assert!(delivery.caught_up);
    (delivery.changes, delivery.dead_letters)
}

fn open(tables: &[TableFile]) -> TableFiles {
    TableFiles::open(tables, Arc::new(infer(tables).expect("a schema"))).expect("opened")
}

#[test]
fn broken_lines_are_refused_one_by_one() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("t.csv");
    let mut text = b"\xEF\xBB\xBFid,at,note\r\n1,2020-01-01,a\r\n2,2020-01-02\r\n".to_vec();
    text.extend(b"3,2020-01-03,\xFF\r\n,2020-01-04,b\r\n5,,c\r\n6,2020-01-06,\"d\r\ne\"");
    std::fs::write(&path, text).expect("written");
    let (changes, letters) = rest(&mut open(&timed(&path)));
    let keys: Vec<String> = changes.iter().map(|change| change.key.to_string()).collect();
    assert_eq!(keys, ["1", "6"]);
    let reasons: Vec<String> = letters
        .iter()
        .map(|letter| format!("{} {} {}", letter.position.offset, letter.stage.name(), letter.reason))
        .collect();
    let expected = [
        "1 decode the line has 2 fields but the header 3 columns",
        "2 decode column `note`: `\u{FFFD}` is not UTF-8; convert the file to UTF-8",
        "3 fit column `id` is empty, but it is part of the key of table `t`",
        "4 fit column `at` is empty, but it is the time of table `t`",
    ];
    assert_eq!(reasons, expected);
    assert_eq!(letters[0].value.as_deref(), Some(b"2,2020-01-02".as_slice()));
    assert_eq!(letters[1].value.as_deref(), Some(b"3,2020-01-03,\xFF".as_slice()));
}

const ROWS: i64 = 20_000;

/// A Parquet file of rows with these ids; each row's time is its id in seconds.
fn write(path: &Path, ids: impl Iterator<Item = i64> + Clone) {
    let columns: [(&str, ArrayRef); 3] = [
        ("at", Arc::new(TimestampSecondArray::from_iter_values(ids.clone()))),
        ("id", Arc::new(Int64Array::from_iter_values(ids.clone()))),
        ("note", Arc::new(StringArray::from_iter_values(ids.map(|id| format!("note {}", id % 7))))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let file = std::fs::File::create(path).expect("created");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
}

/// The changes, without where they stood.
fn content(changes: &[Change]) -> Vec<Change> {
    let nowhere = Position { topic: "".into(), partition: 0, offset: 0 };
    changes.iter().map(|change| Change { position: nowhere.clone(), ..change.clone() }).collect()
}

#[test]
fn the_order_of_the_rows_in_the_file_does_not_matter() {
    let directory = tempfile::tempdir().expect("a folder");
    let (sorted, mixed) = (directory.path().join("sorted.parquet"), directory.path().join("mixed.parquet"));
    write(&sorted, 0..ROWS);
    // 7,919 shares no factor with 20,000, so that every row comes once.
    write(&mixed, (0..ROWS).map(|row| row * 7_919 % ROWS));
    let (streamed, _) = rest(&mut open(&timed(&sorted)));
    let (held, _) = rest(&mut open(&timed(&mixed)));
    assert_eq!(streamed.len(), 20_000);
    assert!(streamed.is_sorted_by_key(|change| change.known));
    assert!(content(&streamed) == content(&held));
}

#[test]
fn reading_goes_on_in_the_midst_of_a_batch() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("t.parquet");
    for ids in [(0..ROWS).collect::<Vec<_>>(), (0..ROWS).rev().collect()] {
        write(&path, ids.into_iter());
        let (all, _) = rest(&mut open(&timed(&path)));
        for offset in [0, 1, 8_191, 8_192, 12_345, ROWS] {
            let mut source = open(&timed(&path));
            source.seek(&[Position { topic: "t".into(), partition: 0, offset }]).expect("sought");
            let place = usize::try_from(offset).expect("small");
            assert!(rest(&mut source).0 == all[place..], "from {offset}");
        }
    }
}
