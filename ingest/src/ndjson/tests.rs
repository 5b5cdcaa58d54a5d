use std::io::Write;

use relational::Value;

use super::*;
use crate::fixture::tables;

const LINES: &str = r#"{"topic":"a.t","partition":2,"offset":9,"timestamp":5,"headers":{"h":"x"},"key":"1","value":"{\"name\":\"a\"}"}

{"topic":"a.t","key":{"hex":"7b226964223a327d"},"value":{"id":2,"name":"b"}}
{"id":3}
not json
{"topic":"a.t","partition":0,"offset":1,"tstype":"create","ts":7,"headers":["h","x"],"key":"4","payload":"{}"}
"#;

fn open(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> ChangeFiles {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("writable");
    ChangeFiles::open(&[path], Some("b.t"), tables()).expect("readable")
}

fn read(source: &mut ChangeFiles) -> Delivery {
    source.poll(1_000, Duration::ZERO).expect("readable")
}

fn ids(delivery: &Delivery) -> Vec<Value> {
    delivery.changes.iter().flat_map(|change| change.key.values().to_vec()).collect()
}

#[test]
fn lines_are_whole_records_or_bare_values() {
    let folder = tempfile::tempdir().expect("a folder");
    let delivery = read(&mut open(&folder, "a.jsonl", LINES.as_bytes()));
    assert_eq!(ids(&delivery), [1, 2, 3, 4].map(Value::Int));
    assert_eq!(delivery.changes[0].known, EventTime(5_000));
    assert_eq!(delivery.changes[3].known, EventTime(7_000));
    assert_eq!(delivery.changes[0].position.offset, 0);
    assert_eq!(delivery.changes[3].position.offset, 5);
    assert!(delivery.caught_up);
}

#[test]
fn a_bad_line_is_a_dead_letter_with_its_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let delivery = read(&mut open(&folder, "a.jsonl", LINES.as_bytes()));
    let [letter] = delivery.dead_letters.as_slice() else { panic!("{delivery:?}") };
    assert!(
        letter.reason.starts_with("line 5 of `") && letter.reason.contains("a.jsonl`: not a JSON object"),
        "{letter:?}"
    );
    assert_eq!(letter.value.as_deref(), Some(b"not json".as_slice()));
}

#[test]
fn headers_are_kept_in_both_layouts() {
    let position = Position { topic: "f".into(), partition: 0, offset: 0 };
    for line in [LINES.lines().next(), LINES.lines().last()] {
        let record =
            record(line.expect("a line").as_bytes(), position.clone(), None).expect("readable").expect("a record");
        assert_eq!(record.headers, [("h".to_owned(), Some(b"x".to_vec()))]);
    }
}

#[test]
fn compressed_files_read_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = read(&mut open(&folder, "a.jsonl", LINES.as_bytes()));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(LINES.as_bytes()).expect("in memory");
    let zstd = zstd::encode_all(LINES.as_bytes(), 0).expect("in memory");
    for (name, bytes) in [("a.jsonl.gz", gzip.finish().expect("in memory")), ("a.jsonl.zst", zstd)] {
        assert_eq!(ids(&read(&mut open(&folder, name, &bytes))), ids(&plain), "{name}");
    }
}

#[test]
fn reading_goes_on_exactly_where_it_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut whole = open(&folder, "a.jsonl", LINES.as_bytes());
    let all = ids(&read(&mut whole));
    for cut in 0..=7 {
        let mut first = open(&folder, "a.jsonl", LINES.as_bytes());
        let mut seen = Vec::new();
        let mut next = Vec::new();
        for _ in 0..cut {
            let delivery = first.poll(1, Duration::ZERO).expect("readable");
            seen.extend(ids(&delivery));
            next = if delivery.next.is_empty() { next } else { delivery.next };
        }
        let mut second = open(&folder, "a.jsonl", LINES.as_bytes());
        second.seek(&next).expect("there");
        seen.extend(ids(&read(&mut second)));
        assert_eq!(seen, all, "cut after {cut}");
    }
}

#[test]
fn a_file_that_has_become_shorter_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut source = open(&folder, "a.jsonl", b"{\"id\":1}\n");
    let topic = source.files[0].name.clone();
    source.seek(&[Position { topic, partition: 0, offset: 5 }]).expect("known when reading");
    let refused = source.poll(10, Duration::ZERO).expect_err("too short").to_string();
    assert!(refused.contains("stands at 5") && refused.contains("only 1 records"), "{refused}");
}

#[test]
fn what_is_wrong_with_a_line_is_told() {
    let position = Position { topic: "f".into(), partition: 0, offset: 0 };
    let why = |line: &str| record(line.as_bytes(), position.clone(), None).expect_err("refused");
    assert!(why("{\"id\":1}").contains("no topic is set"));
    assert!(why(r#"{"topic":1,"value":"x"}"#).contains("field `topic`"));
    assert!(why(r#"{"topic":"a","value":{"hex":"0"}}"#).contains("`{\"hex\":\"0\"}` is not hexadecimal"));
    assert!(why(r#"{"topic":"a","value":"x","headers":7}"#).contains("field `headers`"));
}
