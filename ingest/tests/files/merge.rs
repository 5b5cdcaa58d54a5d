//! Plain tables become one ordered stream, and reading goes on exactly where it stopped.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ingest::files::{ColumnOverride, TableFile, TableFiles, infer};
use ingest::{Delivery, Error, Source};
use relational::{Cell, Change, EventTime, Key, Op, Position, Schema, Stage, Value};

const DAY: i64 = EventTime::DAY;

/// Customers (no time), terminals (unsorted times) and payments (sorted, a late label, one bad line).
fn tables(directory: &Path) -> Vec<TableFile> {
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).expect("written");
        vec![path]
    };
    let payments = "id,customer,terminal,at,fraud\n\
        1,1,7,2020-01-02,0\n2,2,8,2020-01-03,1\n3,1,8,oops,0\n4,2,7,2020-01-05,\n5,1,7,2020-01-05,1\n6,1,7,2020-01-09,0\n";
    vec![
        TableFile {
            table: "payments".into(),
            paths: file("payments.csv", payments),
            key: vec!["id".into()],
            time: Some("at".into()),
            foreign_keys: vec![
                (vec!["customer".into()], "customers".into()),
                (vec!["terminal".into()], "terminals".into()),
            ],
            columns: BTreeMap::from([
                ("fraud".into(), ColumnOverride { arrives_after: Some(2 * DAY), ..ColumnOverride::default() }),
                ("at".into(), ColumnOverride { data_type: Some(relational::DataType::Date), ..Default::default() }),
            ]),
            ..TableFile::default()
        },
        TableFile {
            table: "customers".into(),
            paths: file("customers.csv", "id,city\n2,Oslo\n1,Rome\n"),
            key: vec!["id".into()],
            ..TableFile::default()
        },
        TableFile {
            table: "terminals".into(),
            paths: file("terminals.csv", "id,since\n7,2020-01-05\n8,2020-01-01\n"),
            key: vec!["id".into()],
            time: Some("since".into()),
            ..TableFile::default()
        },
    ]
}

fn open(tables: &[TableFile]) -> (TableFiles, Arc<Schema>) {
    let schema = Arc::new(infer(tables).expect("a schema"));
    (TableFiles::open(tables, Arc::clone(&schema)).expect("opened"), schema)
}

fn poll(source: &mut TableFiles, limit: usize) -> Delivery {
    source.poll(limit, Duration::ZERO).expect("polled")
}

fn shown(schema: &Schema, change: &Change) -> String {
    let Op::Upsert(cells) = &change.op else { return "?".into() };
    let cells = cells.iter().map(|cell| match cell {
        Cell::Value(value) => value.to_string(),
        Cell::Unchanged => "=".into(),
    });
    let cells: Vec<String> = cells.collect();
    format!("{} {} [{}] {}", schema.table(change.table).name, change.key, cells.join(" "), change.known)
}

#[test]
fn all_tables_come_in_one_order() {
    let directory = tempfile::tempdir().expect("a folder");
    let (mut source, schema) = open(&tables(directory.path()));
    assert_eq!(source.progress(), (0, Some(10)));
    let delivery = poll(&mut source, 100);
    let shown: Vec<String> = delivery.changes.iter().map(|change| shown(&schema, change)).collect();
    let expected = [
        "customers 2 [2 Oslo] beginning",
        "customers 1 [1 Rome] beginning",
        "terminals 8 [8 2020-01-01] 2020-01-01T00:00:00Z",
        "payments 1 [1 1 7 2020-01-02 null] 2020-01-02T00:00:00Z",
        "payments 2 [2 2 8 2020-01-03 null] 2020-01-03T00:00:00Z",
        "payments 1 [= = = = 0] 2020-01-04T00:00:00Z",
        "payments 2 [= = = = 1] 2020-01-05T00:00:00Z",
        "terminals 7 [7 2020-01-05] 2020-01-05T00:00:00Z",
        "payments 4 [4 2 7 2020-01-05 null] 2020-01-05T00:00:00Z",
        "payments 5 [5 1 7 2020-01-05 null] 2020-01-05T00:00:00Z",
        "payments 5 [= = = = 1] 2020-01-07T00:00:00Z",
        "payments 6 [6 1 7 2020-01-09 null] 2020-01-09T00:00:00Z",
        "payments 6 [= = = = 0] 2020-01-11T00:00:00Z",
    ];
    assert_eq!(shown, expected);
    assert!(delivery.caught_up);
    assert_eq!(source.progress(), (10, Some(10)));
}

#[test]
fn a_record_that_does_not_fit_is_kept_as_it_came() {
    let directory = tempfile::tempdir().expect("a folder");
    let (mut source, _) = open(&tables(directory.path()));
    let [letter] = &poll(&mut source, 100).dead_letters[..] else { panic!("one dead letter") };
    assert_eq!(letter.position, Position { topic: "payments.csv".into(), partition: 0, offset: 2 });
    assert_eq!(letter.stage, Stage::Fit);
    assert_eq!(letter.reason, "column `at`: `oops` is not a date (for example 2010-12-01)");
    assert_eq!(letter.value.as_deref(), Some(b"3,1,8,oops,0".as_slice()));
}

/// Everything, poll by poll.
fn rest(source: &mut TableFiles, limit: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    loop {
        deliveries.push(poll(source, limit));
        if deliveries.last().is_some_and(|delivery| delivery.caught_up) {
            return deliveries;
        }
    }
}

fn everything(deliveries: &[Delivery]) -> (Vec<Change>, usize) {
    let changes = deliveries.iter().flat_map(|delivery| delivery.changes.clone()).collect();
    (changes, deliveries.iter().map(|delivery| delivery.dead_letters.len()).sum())
}

#[test]
fn reading_goes_on_exactly_from_every_position() {
    let directory = tempfile::tempdir().expect("a folder");
    let tables = tables(directory.path());
    let (mut source, schema) = open(&tables);
    let deliveries = rest(&mut source, 1);
    let mut positions: BTreeMap<Arc<str>, Position> = BTreeMap::new();
    for (index, delivery) in deliveries.iter().enumerate() {
        positions.extend(delivery.next.iter().map(|position| (Arc::clone(&position.topic), position.clone())));
        let mut resumed = TableFiles::open(&tables, Arc::clone(&schema)).expect("opened");
        let positions: Vec<Position> = positions.values().cloned().collect();
        resumed.seek(&positions).expect("sought");
        let expected = everything(&deliveries[index + 1..]);
        assert_eq!(everything(&rest(&mut resumed, 3)), expected, "after {positions:?}");
    }
}

#[test]
fn only_positions_that_moved_are_told() {
    let directory = tempfile::tempdir().expect("a folder");
    let (mut source, _) = open(&tables(directory.path()));
    let topics: Vec<String> = poll(&mut source, 3).next.iter().map(ToString::to_string).collect();
    assert_eq!(topics, ["customers[0]@2", "terminals[0]@1"]);
    assert_eq!(poll(&mut source, 0).next, []);
}

#[test]
fn a_store_that_is_ahead_of_the_files_is_refused() {
    let directory = tempfile::tempdir().expect("a folder");
    let (mut source, _) = open(&tables(directory.path()));
    let ahead = Position { topic: "customers".into(), partition: 0, offset: 3 };
    assert!(matches!(source.seek(&[ahead]), Err(Error::Position { available: 2, .. })));
}

#[test]
fn rows_without_a_key_are_named_by_their_number_over_all_files() {
    let directory = tempfile::tempdir().expect("a folder");
    let paths = ["a.csv", "b.tsv"].map(|name| directory.path().join(name));
    std::fs::write(&paths[0], "x,y\n1,2\n3,4\n").expect("written");
    std::fs::write(&paths[1], "y\tx\n6\t5\n").expect("written");
    let table = TableFile { table: "t".into(), paths: paths.into(), ..TableFile::default() };
    let (mut source, _) = open(&[table]);
    let changes = poll(&mut source, 10).changes;
    let last = changes.last().expect("three changes");
    assert_eq!(last.key, Key::single(Value::Int(2)));
    assert_eq!(last.op, Op::Upsert([5, 6].map(|number| Cell::Value(Value::Int(number))).into()));
    assert_eq!(last.position, Position { topic: "b.tsv".into(), partition: 0, offset: 0 });
    assert_eq!(last.known, EventTime::MIN);
}
