//! Every record of real captures (Debezium for PostgreSQL 3.7, Kafka Connect 4.3) decodes as it should. The captures lie
//! in the folder that `FORESHORE_DATA` names; without it these tests say so and end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ingest::coerce::EpochUnit;
use ingest::decode::{ColumnHint, Format, Learned, Mapping, Tables, learn};
use ingest::ndjson::ChangeFiles;
use ingest::{Delivery, Source};
use relational::{
    Cell, Change, Column, ColumnId, DataType, Decimal, EventTime, Key, Op, Schema, Table, TableId, Value,
};

const CUST: [(&str, DataType); 16] = [
    ("id", DataType::Int),
    ("name", DataType::Text),
    ("price", DataType::Decimal),
    ("amt", DataType::Decimal),
    ("ts", DataType::Time),
    ("tstz", DataType::Time),
    ("d", DataType::Date),
    ("tm", DataType::Int),
    ("b", DataType::Bool),
    ("u", DataType::Text),
    ("j", DataType::Text),
    ("by", DataType::Bytes),
    ("f8", DataType::Float),
    ("i8", DataType::Int),
    ("arr", DataType::List),
    ("extra", DataType::Text),
];

/// The capture of this name; `None` without the data folder.
fn capture(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("FORESHORE_DATA") else {
        eprintln!("skipped: FORESHORE_DATA names no folder with debezium-records");
        return None;
    };
    Some(PathBuf::from(folder).join("debezium-records").join(format!("{name}.jsonl")))
}

fn table(name: &str, columns: &[(&str, DataType)]) -> Table {
    let columns = columns.iter().map(|(name, data_type)| Column::new(*name, *data_type)).collect();
    Table { name: name.into(), columns, key: vec![ColumnId(0)], time: None }
}

/// The tables of the captures, declared as a config for records without a schema has to.
fn tables() -> Arc<Tables> {
    let definitions = vec![
        table("cust", &CUST),
        table("full_t", &[("id", DataType::Int), ("name", DataType::Text), ("big", DataType::Text)]),
        table("toast_t", &[("id", DataType::Int), ("n", DataType::Int), ("big", DataType::Text)]),
        table("hb", &[("id", DataType::Int), ("t", DataType::Time)]),
    ];
    let mut hints = vec![ColumnHint::default(); 5];
    hints[2].scale = Some(2);
    hints[4].unit = Some(EpochUnit::Micros);
    let schema = Arc::new(Schema::new(definitions, Vec::new()).expect("valid schema"));
    let mapping = |table| Mapping {
        table: TableId(table),
        topic: None,
        format: Format::Debezium,
        hints: if table == 0 { hints.clone() } else { Vec::new() },
    };
    Arc::new(Tables::new(schema, (0..4).map(mapping).collect()).expect("valid tables"))
}

fn decoded(name: &str) -> Option<Delivery> {
    let mut source = ChangeFiles::open(&[capture(name)?], None, tables()).expect("the capture is there");
    let delivery = source.poll(1_000, Duration::ZERO).expect("readable");
    assert!(delivery.caught_up);
    assert_eq!(delivery.dead_letters, [], "every record of {name} is understood");
    Some(delivery)
}

/// How many changes of each kind a table has: snapshot rows, upserts, deletes.
fn kinds(delivery: &Delivery) -> BTreeMap<u16, [usize; 3]> {
    let mut kinds: BTreeMap<u16, [usize; 3]> = BTreeMap::new();
    for change in &delivery.changes {
        let kind = match change.op {
            Op::Snapshot(_) => 0,
            Op::Upsert(_) => 1,
            Op::Delete => 2,
            Op::Truncate => panic!("the captures hold no truncation"),
        };
        kinds.entry(change.table.0).or_default()[kind] += 1;
    }
    kinds
}

fn set_aside(delivery: &Delivery) -> BTreeMap<&str, u64> {
    delivery.set_aside.iter().copied().collect()
}

fn of(delivery: &Delivery, table: u16, id: i64) -> Vec<&Change> {
    let key = Key::single(Value::Int(id));
    delivery.changes.iter().filter(|change| change.table == TableId(table) && change.key == key).collect()
}

fn cells(change: &Change) -> &[Cell] {
    match &change.op {
        Op::Upsert(cells) | Op::Snapshot(cells) => cells,
        other => panic!("no row: {other:?}"),
    }
}

fn decimal(unscaled: i128, scale: i8) -> Cell {
    Cell::Value(Value::Decimal(Decimal { unscaled, scale }))
}

#[test]
fn captures_with_and_without_schemas_are_understood_whole() {
    for (name, heartbeats, transactions, beats) in
        [("s1-json-with-schema", 22, 60, [1, 15, 0]), ("s2-json-bare", 21, 58, [1, 19, 0])]
    {
        let Some(delivery) = decoded(name) else { return };
        let aside = set_aside(&delivery);
        let expected = [("heartbeat", heartbeats), ("message", 1), ("tombstone", 3), ("transaction", transactions)];
        assert_eq!(aside, expected.into_iter().collect(), "{name}");
        let found = kinds(&delivery);
        assert_eq!((found[&0], found[&1], found[&2]), ([2, 6, 2], [1, 2, 1], [1, 2, 0]), "{name}");
        assert_eq!(found[&3].iter().sum::<usize>(), beats.iter().sum::<usize>(), "{name}");
        assert!(delivery.reached.is_some_and(|reached| reached > EventTime(1_795_536_500_000_000)), "{name}");
    }
}

#[test]
fn both_captures_say_the_same_of_the_same_rows() {
    let (Some(schemed), Some(bare)) = (decoded("s1-json-with-schema"), decoded("s2-json-bare")) else { return };
    let rows = |delivery: &Delivery| -> Vec<_> {
        let ours = delivery.changes.iter().filter(|change| change.table.0 < 3);
        ours.map(|change| (change.table, change.key.clone(), change.op.clone())).collect()
    };
    assert_eq!(rows(&schemed), rows(&bare));
}

#[test]
fn every_type_comes_out_exact() {
    for name in ["s1-json-with-schema", "s2-json-bare"] {
        let Some(delivery) = decoded(name) else { return };
        let first = of(&delivery, 0, 1)[0];
        assert_eq!(first.known, EventTime::MIN, "a snapshot row of a table without a time");
        let expected = [
            Cell::Value(Value::Int(1)),
            Cell::Value(Value::text("ann")),
            decimal(1234, 2),
            decimal(1_234_567_890_123_456_789, 9),
            Cell::Value(Value::Time(EventTime::parse("2024-01-02 03:04:05.123456").expect("valid"))),
            Cell::Value(Value::Time(EventTime::parse("2024-01-02 01:04:05.123456").expect("valid"))),
            Cell::Value(Value::Date(19_724)),
            Cell::Value(Value::Int(11_045_678_901)),
            Cell::Value(Value::Bool(true)),
            Cell::Value(Value::text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
            Cell::Value(Value::text(r#"{"a": 1}"#)),
            Cell::Value(Value::Bytes(vec![0xde, 0xad, 0xbe, 0xef].into())),
            Cell::Value(Value::Float(1.5)),
            Cell::Value(Value::Int(9_007_199_254_740_993)),
            Cell::Value(Value::List([1, 2, 3].map(Value::Int).to_vec().into())),
            Cell::Value(Value::Null),
        ];
        assert_eq!(cells(first), expected, "{name}");
        let bob = cells(of(&delivery, 0, 2)[0]);
        assert_eq!(bob[2], decimal(-1, 2));
        assert!(matches!(&bob[12], Cell::Value(Value::Float(float)) if float.is_nan()), "{name}");
        assert_eq!(cells(of(&delivery, 0, 1)[1])[2], decimal(9_999_999_999, 2));
    }
}

#[test]
fn a_changed_key_is_a_delete_and_an_insert() {
    let Some(delivery) = decoded("s2-json-bare") else { return };
    let old = of(&delivery, 0, 3);
    assert!(matches!(old.last(), Some(Change { op: Op::Delete, .. })));
    let new = of(&delivery, 0, 33);
    assert_eq!(cells(new[0])[1], Cell::Value(Value::text("cy")));
    assert_eq!(old.last().map(|change| change.known), Some(new[0].known), "both at the commit");
}

#[test]
fn what_was_not_read_stays_as_it_was() {
    let Some(delivery) = decoded("s1-json-with-schema") else { return };
    let versions = of(&delivery, 2, 1);
    assert_eq!(cells(versions[1])[1..], [Cell::Value(Value::Int(2)), Cell::Unchanged]);
    assert!(matches!(&cells(versions[2])[2], Cell::Value(Value::Text(text)) if text.len() == 6_400));
    let updated = of(&delivery, 0, 10);
    assert_eq!(cells(updated[1])[15], Cell::Unchanged, "the column came later");
    assert_eq!(updated.last().map(|change| cells(change)[15].clone()), Some(Cell::Value(Value::text("e"))));
}

#[test]
fn nulls_that_the_converter_replaced_are_as_it_wrote_them() {
    let (Some(replaced), Some(kept)) = (decoded("j4-json-nulls-as-default"), decoded("j5-json-nulls-kept")) else {
        return;
    };
    let extra = |delivery: &Delivery| cells(of(delivery, 0, 90)[0])[15].clone();
    assert_eq!(extra(&replaced), Cell::Value(Value::text("dflt")));
    assert_eq!(extra(&kept), Cell::Value(Value::Null));
    let Some(exactly_once) = decoded("j6-json-exactly-once") else { return };
    assert_eq!(of(&exactly_once, 0, 91).len(), 1);
    assert_eq!(set_aside(&exactly_once)["transaction"], 2);
}

/// The table that a topic of the capture holds.
fn learnt(name: &str, topic: &str) -> Option<Learned> {
    let records = ChangeFiles::sample(&[capture(name)?], None, 1_000).expect("readable").records;
    let records: Vec<_> = records.iter().filter(|record| &*record.origin.topic == topic).collect();
    learn(&records.iter().map(|record| record.as_record()).collect::<Vec<_>>())
}

#[test]
fn a_table_is_learnt_from_its_records() {
    let Some(learned) = learnt("s1-json-with-schema", "s1.inv.cust") else { return };
    let found: Vec<_> = learned.columns.iter().map(|column| (column.name.as_str(), column.data_type)).collect();
    assert_eq!(found, CUST);
    assert_eq!((learned.table.as_str(), learned.key.as_slice()), ("cust", ["id".to_owned()].as_slice()));
    assert_eq!(learned.defaults, ["extra"], "where the converter may hide a null");
    let guessed = learnt("s2-json-bare", "s2.inv.toast_t").expect("rows");
    let found: Vec<_> = guessed.columns.iter().map(|column| (column.name.as_str(), column.data_type)).collect();
    assert_eq!(found, [("id", DataType::Int), ("n", DataType::Int), ("big", DataType::Text)]);
}

#[test]
fn reading_goes_on_at_any_line() {
    let Some(path) = capture("s2-json-bare") else { return };
    let whole = decoded("s2-json-bare").expect("there").changes;
    let mut first = ChangeFiles::open(std::slice::from_ref(&path), None, tables()).expect("the capture is there");
    let head = first.poll(60, Duration::ZERO).expect("readable");
    assert!(!head.caught_up);
    let mut second = ChangeFiles::open(&[path], None, tables()).expect("the capture is there");
    second.seek(&head.next).expect("the file is whole");
    let tail = second.poll(1_000, Duration::ZERO).expect("readable");
    assert_eq!([head.changes, tail.changes].concat(), whole);
}
