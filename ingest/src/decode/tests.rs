//! One record in, what it says out.

mod debezium;
mod learning;
mod rows;
mod total;
mod types;

use std::sync::Arc;

use relational::{
    Cell, Change, Column, ColumnId, DataType, EventTime, Key, Op, Position, Schema, Table, TableId, Value,
};

use super::*;

/// Table `orders`: a key, a text, a decimal and a time; fed by `shop.public.orders`.
fn orders(format: Format) -> Tables {
    let columns = vec![
        Column::new("id", DataType::Int),
        Column::new("name", DataType::Text),
        Column::new("price", DataType::Decimal),
        Column::new("at", DataType::Time),
    ];
    tables(columns, &[0], Some(3), format)
}

fn tables(columns: Vec<Column>, key: &[u16], time: Option<u16>, format: Format) -> Tables {
    let key = key.iter().copied().map(ColumnId).collect();
    let table = Table { name: "orders".into(), columns, key, time: time.map(ColumnId) };
    let schema = Arc::new(Schema::new(vec![table], Vec::new()).expect("valid schema"));
    let hints = vec![ColumnHint::default(), ColumnHint::default(), ColumnHint { scale: Some(2), unit: None }];
    Tables::new(schema, vec![Mapping { table: TableId(0), topic: None, format, hints }]).expect("valid tables")
}

const TOPIC: &str = "shop.public.orders";

/// The time of all records in these tests that have no other.
const STAMP: EventTime = EventTime(1_700_000_000_000_000);

fn on(tables: &Tables, topic: &str, key: Option<&str>, value: Option<&str>) -> Result<Decoded, Refusal> {
    with_headers(tables, topic, key, value, &[])
}

fn with_headers(
    tables: &Tables,
    topic: &str,
    key: Option<&str>,
    value: Option<&str>,
    headers: &[(&str, &str)],
) -> Result<Decoded, Refusal> {
    let position = Position { topic: topic.into(), partition: 3, offset: 7 };
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), Some(value.as_bytes().to_vec()))).collect();
    let record = Record {
        origin: &position,
        position: &position,
        timestamp: Some(STAMP),
        key: key.map(str::as_bytes),
        value: value.map(str::as_bytes),
        headers: &headers,
    };
    decode(tables, &record)
}

/// The one change that a record makes.
fn change(tables: &Tables, key: Option<&str>, value: Option<&str>) -> Change {
    match on(tables, TOPIC, key, value) {
        Ok(Decoded::Changes { mut changes, .. }) if changes.len() == 1 => changes.remove(0),
        other => panic!("not one change: {other:?}"),
    }
}

fn reason(tables: &Tables, key: Option<&str>, value: Option<&str>) -> String {
    on(tables, TOPIC, key, value).expect_err("refused").reason
}

fn kind(decoded: Result<Decoded, Refusal>) -> &'static str {
    match decoded {
        Ok(Decoded::SetAside { kind, .. }) => kind,
        other => panic!("not set aside: {other:?}"),
    }
}

fn cells(change: &Change) -> &[Cell] {
    match &change.op {
        Op::Upsert(cells) | Op::Snapshot(cells) => cells,
        other => panic!("no row: {other:?}"),
    }
}

fn int_key(number: i64) -> Key {
    Key::single(Value::Int(number))
}

fn text(text: &str) -> Cell {
    Cell::Value(Value::text(text))
}

const NULL: Cell = Cell::Value(Value::Null);
