//! A small shop for tests.

use std::sync::Arc;

use graph_store::{Options, Snapshot, Store};
use relational::{
    AsOf, Cell, Change, Column, ColumnId, DataType, Decimal, EventTime, ForeignKey, Key, Op, Position, RowKey, Schema,
    Sequence, Table, TableId, Value,
};

use crate::executor::Executor;

/// Customers place orders and receive them; orders turn out to be fraud a week later. Regions have no time.
pub(crate) struct Shop {
    pub(crate) store: Store,
    pub(crate) schema: Arc<Schema>,
    _directory: tempfile::TempDir,
}

pub(crate) const REGIONS: TableId = TableId(0);
pub(crate) const CUSTOMERS: TableId = TableId(1);
pub(crate) const ORDERS: TableId = TableId(2);
pub(crate) const VISITS: TableId = TableId(3);

/// How long after an order its `fraud` is known.
pub(crate) const FRAUD_DELAY_DAYS: i64 = 7;

/// Midnight of a day, counted from 2024-01-01.
pub(crate) fn day(number: i64) -> EventTime {
    EventTime(1_704_067_200 * EventTime::SECOND).plus(number * EventTime::DAY)
}

/// Some hours after [`day`].
pub(crate) fn hour(number: i64, hours: i64) -> EventTime {
    day(number).plus(hours * 3_600 * EventTime::SECOND)
}

pub(crate) fn amount(text: &str) -> Value {
    Value::Decimal(Decimal::parse(text).expect("a decimal"))
}

pub(crate) fn id(number: i64) -> Key {
    Key::single(Value::Int(number))
}

impl Shop {
    pub(crate) fn new() -> Self {
        let schema = Arc::new(schema());
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(directory.path(), Arc::clone(&schema), &Options::default()).expect("a new store");
        Self { store, schema, _directory: directory }
    }

    /// Applies one change.
    pub(crate) fn apply(&self, table: TableId, key: i64, op: Op, known: EventTime) {
        let position = Position { topic: Arc::from("test"), partition: 0, offset: 0 };
        let mut transaction = self.store.begin();
        let change = Change { table, key: id(key), op, known, position };
        transaction.apply(&change, &mut Vec::new()).expect("a fitting change");
        transaction.commit().expect("a commit");
    }

    /// Writes a row; the first value is its key.
    pub(crate) fn put(&self, table: TableId, values: Vec<Value>, known: EventTime) {
        let Value::Int(key) = values[0] else { panic!("keys of the shop are numbers") };
        self.apply(table, key, Op::Upsert(values.into_iter().map(Cell::Value).collect()), known);
    }

    pub(crate) fn delete(&self, table: TableId, key: i64, known: EventTime) {
        self.apply(table, key, Op::Delete, known);
    }

    pub(crate) fn customer(&self, key: i64, joined: EventTime) {
        self.put(CUSTOMERS, vec![Value::Int(key), Value::Int(key % 3), Value::Time(joined), Value::Null], joined);
    }

    /// An order by `customer` for itself.
    pub(crate) fn order(&self, key: i64, customer: i64, cost: &str, rating: Option<i64>, time: EventTime) {
        let values = vec![
            Value::Int(key),
            Value::Int(customer),
            Value::Int(customer),
            amount(cost),
            rating.map_or(Value::Null, Value::Int),
            Value::Null,
            Value::Time(time),
        ];
        self.put(ORDERS, values, time);
    }

    /// What becomes known of an order later.
    pub(crate) fn fraud(&self, key: i64, is: bool, known: EventTime) {
        let mut cells = vec![Cell::Unchanged; 7];
        cells[0] = Cell::Value(Value::Int(key));
        cells[5] = Cell::Value(Value::Bool(is));
        self.apply(ORDERS, key, Op::Upsert(cells.into()), known);
    }

    pub(crate) fn has_order(&self, key: i64) -> bool {
        let order = self.at(EventTime::MAX).row(&RowKey { table: ORDERS, key: id(key) });
        order.expect("readable").is_some()
    }

    pub(crate) fn visit(&self, key: i64, customer: i64, seconds: f64, page: &str, time: EventTime) {
        let values = vec![
            Value::Int(key),
            Value::Int(customer),
            Value::Float(seconds),
            Value::text(page),
            Value::Time(time),
            Value::Null,
        ];
        self.put(VISITS, values, time);
    }

    pub(crate) fn executor(&self, query: &str) -> Executor {
        let task = pql::compile("task", query, &self.schema).unwrap_or_else(|error| panic!("{query}: {error}"));
        Executor::new(Arc::new(task), Arc::clone(&self.schema))
    }

    /// All that is known at `cutoff`.
    pub(crate) fn at(&self, cutoff: EventTime) -> Snapshot {
        self.store.as_of(AsOf::historical(cutoff, Sequence::MAX))
    }
}

fn schema() -> Schema {
    let table = |name: &str, columns: &[(&str, DataType)], time: Option<u16>| Table {
        name: name.into(),
        columns: columns.iter().map(|(name, data_type)| Column::new(*name, *data_type)).collect(),
        key: vec![ColumnId(0)],
        time: time.map(ColumnId),
    };
    use DataType::{Bool, Decimal, Float, Int, Text, Time};
    let regions = table("regions", &[("id", Int), ("name", Text)], None);
    let customers = table("customers", &[("id", Int), ("region", Int), ("joined", Time), ("tier", Text)], Some(2));
    let order_columns = [
        ("id", Int),
        ("buyer", Int),
        ("receiver", Int),
        ("amount", Decimal),
        ("rating", Int),
        ("fraud", Bool),
        ("at", Time),
    ];
    let mut orders = table("orders", &order_columns, Some(6));
    orders.columns[5].arrives_after = FRAUD_DELAY_DAYS * EventTime::DAY;
    let visit_columns =
        [("id", Int), ("customer", Int), ("seconds", Float), ("page", Text), ("at", Time), ("left", Time)];
    let visits = table("visits", &visit_columns, Some(4));
    let link =
        |child: TableId, column: u16, parent: TableId| ForeignKey { child, columns: vec![ColumnId(column)], parent };
    let links = vec![
        link(CUSTOMERS, 1, REGIONS),
        link(ORDERS, 1, CUSTOMERS),
        link(ORDERS, 2, CUSTOMERS),
        link(VISITS, 1, CUSTOMERS),
    ];
    Schema::new(vec![regions, customers, orders, visits], links).expect("a consistent schema")
}
