//! A small database with every kind of table and foreign key, and random changes to it.

use std::sync::Arc;

use relational::{
    AsOf, Cell, Change, Column, ColumnId, DataType, EventTime, ForeignKey, ForeignKeyId, Key, Op, Position, RowKey,
    Schema, Sequence, Table, TableId, Value, Window,
};

use super::Numbers;

pub(crate) const PEOPLE: TableId = TableId(0);
pub(crate) const PLACES: TableId = TableId(1);
pub(crate) const PAYMENTS: TableId = TableId(2);
pub(crate) const NOTES: TableId = TableId(3);

/// People point at each other, payments at people and, by two columns, at places. Notes have no key.
pub(crate) fn schema() -> Arc<Schema> {
    let table = |name: &str, columns: &[(&str, DataType)], key: &[u16], time: Option<u16>| Table {
        name: name.into(),
        columns: columns.iter().map(|(name, data_type)| Column::new(*name, *data_type)).collect(),
        key: key.iter().copied().map(ColumnId).collect(),
        time: time.map(ColumnId),
    };
    use DataType::{Bool, Float, Int, Text, Time};
    let tables = vec![
        table("people", &[("id", Int), ("friend", Int), ("name", Text)], &[0], None),
        table("places", &[("a", Int), ("b", Text), ("opened", Time)], &[0, 1], Some(2)),
        table(
            "payments",
            &[("id", Int), ("person", Int), ("a", Int), ("b", Text), ("amount", Float), ("at", Time), ("bad", Bool)],
            &[0],
            Some(5),
        ),
        table("notes", &[("person", Int), ("at", Time), ("stars", Int)], &[], Some(1)),
    ];
    let link = |child: TableId, columns: &[u16], parent: TableId| ForeignKey {
        child,
        columns: columns.iter().copied().map(ColumnId).collect(),
        parent,
    };
    let links = vec![
        link(PEOPLE, &[1], PEOPLE),
        link(PAYMENTS, &[1], PEOPLE),
        link(PAYMENTS, &[2, 3], PLACES),
        link(NOTES, &[0], PEOPLE),
    ];
    Arc::new(Schema::new(tables, links).expect("valid"))
}

/// A time of few different ones, so that ties are common. Whole seconds have exact sums in whatever order.
fn time(numbers: &mut Numbers) -> EventTime {
    seconds(numbers.below(30).cast_signed() - 3)
}

/// Such a time, or an end of the axis.
fn limit(numbers: &mut Numbers) -> EventTime {
    match numbers.below(20) {
        0 => EventTime::MIN,
        1 => EventTime::MAX,
        _ => time(numbers),
    }
}

fn seconds(count: i64) -> EventTime {
    EventTime(count * EventTime::SECOND)
}

fn person(numbers: &mut Numbers) -> Value {
    if numbers.one_in(6) { Value::Null } else { Value::Int(numbers.below(5).cast_signed()) }
}

fn corner(numbers: &mut Numbers) -> [Value; 2] {
    [Value::Int(numbers.below(2).cast_signed()), Value::text(["x", "y\0"][usize::from(numbers.one_in(2))])]
}

/// A row of a table; its first columns are its key.
fn values(numbers: &mut Numbers, table: TableId, rows: u64) -> Vec<Value> {
    let id = Value::Int(numbers.below(rows).cast_signed());
    // Whole numbers have exact sums in whatever order they are added.
    let whole = numbers.below(100).cast_signed();
    match table {
        PEOPLE => vec![id, person(numbers), Value::text(["ann", "bob"][usize::from(numbers.one_in(2))])],
        PLACES => corner(numbers).into_iter().chain([Value::Time(time(numbers))]).collect(),
        PAYMENTS => {
            let [a, b] = corner(numbers);
            let amount = if numbers.one_in(9) { Value::Float(f64::NAN) } else { Value::Int(whole - 50) };
            let bad = if numbers.one_in(2) { Value::Null } else { Value::Bool(whole > 50) };
            vec![id, person(numbers), a, b, amount, Value::Time(time(numbers)), bad]
        }
        _ => vec![person(numbers), Value::Time(time(numbers)), Value::Int(whole)],
    }
}

/// Any change: inserts, updates, snapshot rows, deletions, truncations, refused ones, in any order of time.
pub(crate) fn change(numbers: &mut Numbers, position: i64, rows: u64) -> Change {
    let table = [PAYMENTS, PAYMENTS, PAYMENTS, PEOPLE, PLACES, NOTES][index(numbers.below(6))];
    let values = values(numbers, table, rows);
    let key = match table {
        PLACES => Key::new(values[..2].to_vec()),
        NOTES => Key::new([Value::text("notes"), Value::Int(numbers.below(rows).cast_signed())]),
        _ => Key::single(values[0].clone()),
    };
    let keys = if table == PLACES { 2 } else { 1 };
    let cell = |(column, value): (usize, Value), numbers: &mut Numbers| {
        let unchanged = column >= keys && numbers.one_in(5);
        if unchanged { Cell::Unchanged } else { Cell::Value(value) }
    };
    let mut cells: Box<[Cell]> = values.into_iter().enumerate().map(|value| cell(value, numbers)).collect();
    if numbers.one_in(40) {
        cells[cells.len() - 1] = Cell::Value(Value::Null);
        cells[1] = Cell::Value(Value::Null);
    }
    let op = match numbers.below(100) {
        0 => Op::Truncate,
        1..18 => Op::Delete,
        18..30 => Op::Snapshot(cells),
        _ => Op::Upsert(cells),
    };
    let known = if numbers.one_in(4) { limit(numbers) } else { seconds(position / 10) };
    Change { table, key, op, known, position: Position { topic: Arc::from("t"), partition: 0, offset: position } }
}

/// Bounds around what has been stored.
pub(crate) fn bounds(numbers: &mut Numbers, newest: Sequence) -> AsOf {
    let sequence = if numbers.one_in(3) { newest } else { Sequence(numbers.below(newest.0 + 2)) };
    let late = seconds(30 + numbers.below(30).cast_signed());
    let cutoff = if numbers.one_in(2) { late } else { limit(numbers) };
    let known = [EventTime::MAX, late, limit(numbers)][index(numbers.below(3))];
    AsOf { cutoff, sequence, known }
}

/// Any window.
pub(crate) fn window(numbers: &mut Numbers) -> Window {
    if numbers.one_in(3) {
        return Window::up_to(EventTime::MAX);
    }
    Window { start: limit(numbers), end: limit(numbers) }
}

/// Every key that [`change`] can make, by table.
pub(crate) fn rows(rows: u64) -> Vec<RowKey> {
    let ids = (0..rows).map(|id| Value::Int(id.cast_signed()));
    let mut keys: Vec<RowKey> = Vec::new();
    for id in ids {
        keys.push(RowKey { table: PEOPLE, key: Key::single(id.clone()) });
        keys.push(RowKey { table: PAYMENTS, key: Key::single(id.clone()) });
        keys.push(RowKey { table: NOTES, key: Key::new([Value::text("notes"), id]) });
    }
    keys.extend(places().into_iter().map(|key| RowKey { table: PLACES, key }));
    keys
}

/// Every parent that a foreign key of [`change`] can name, and some that none does.
pub(crate) fn parents(foreign_key: ForeignKeyId) -> Vec<Key> {
    if foreign_key == ForeignKeyId(2) { places() } else { (0..6).map(|id| Key::single(Value::Int(id))).collect() }
}

fn places() -> Vec<Key> {
    let corners = (0..2).flat_map(|a| ["x", "y\0"].map(|b| [Value::Int(a), Value::text(b)]));
    corners.map(Key::new).collect()
}

pub(crate) fn index(number: u64) -> usize {
    usize::try_from(number).expect("small")
}
