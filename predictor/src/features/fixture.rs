//! Small schemas of awkward shapes, and random databases for them.

use std::sync::Arc;

use graph_store::{Applied, Options, Store};
use relational::{
    AsOf, Cell, Change, Column, ColumnId, DataType, EventTime, ForeignKey, Key, Op, Position, Schema, SemanticType,
    Table, TableId, Value,
};

use crate::executor::Executor;
use crate::ranking::Ranker;

use super::{FeatureOptions, Featuriser};

pub(crate) const HOUR: i64 = 3_600 * EventTime::SECOND;

/// A shape: tables as `(name, columns, key columns, time column)` where a column is `name type`, and foreign keys as
/// `(child, its columns, parent)`.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) tables: &'static [(&'static str, &'static str, &'static str, &'static str)],
    pub(crate) links: &'static [(&'static str, &'static str, &'static str)],
    pub(crate) query: &'static str,
    /// A query that ranks.
    pub(crate) ranking: Option<&'static str>,
}

/// Every shape that the tests run on.
pub(crate) const SHAPES: &[Shape] = &[
    Shape {
        name: "racing",
        tables: &[
            ("drivers", "id int, nationality text, dob date", "id", ""),
            ("teams", "id int, country text", "id", ""),
            ("results", "id int, driver int, team int, points float, status text, at time", "id", "at"),
            ("team_results", "id int, team int, points decimal, at time", "id", "at"),
        ],
        links: &[("results", "driver", "drivers"), ("results", "team", "teams"), ("team_results", "team", "teams")],
        query: "PREDICT COUNT(results.* WHERE results.points > 2, 0, 10, hours) > 0 FOR EACH drivers.id \
                ASSUMING COUNT(results.*, 0, 10, hours) > 0",
        ranking: Some("PREDICT LIST_DISTINCT(results.team, 0, 10, hours) RANK TOP 3 FOR EACH drivers.id"),
    },
    Shape {
        name: "composite text keys, grandchildren, a parent with time",
        tables: &[
            ("regions", "code text, size float, since time", "code", "since"),
            ("shops", "land text, number int, region text, open bool", "land+number", ""),
            ("orders", "id text, land text, number int, total float, at time, due date", "id", "at"),
            ("lines", "id int, order_id text, product text, quantity int, price decimal", "id", ""),
        ],
        links: &[("shops", "region", "regions"), ("orders", "land+number", "shops"), ("lines", "order_id", "orders")],
        query: "PREDICT SUM(orders.total, 0, 10, hours) FOR EACH shops.number",
        ranking: None,
    },
    Shape {
        name: "two foreign keys to one parent",
        tables: &[
            ("clubs", "id int, town text", "id", ""),
            ("matches", "id int, home int, away int, goals int, at time", "id", "at"),
            ("bets", "id int, match int, stake float, at time", "id", "at"),
        ],
        links: &[("matches", "home", "clubs"), ("matches", "away", "clubs"), ("bets", "match", "matches")],
        query: "PREDICT COUNT(matches.*, 0, 10, hours) = 0 FOR EACH clubs.id",
        ranking: Some("PREDICT LIST_DISTINCT(matches.away WHERE matches.goals > 2, 0, 10, hours) FOR EACH clubs.id"),
    },
    Shape {
        name: "self reference and a bridge without time",
        tables: &[
            ("people", "id int, boss int, pay float, born time", "id", "born"),
            ("members", "id int, person int, account int, share float", "id", ""),
            ("accounts", "id int, kind text", "id", ""),
            ("bookings", "id int, account int, amount float, at time", "id", "at"),
            ("notes", "person int, words text, at time", "person+at", "at"),
        ],
        links: &[
            ("people", "boss", "people"),
            ("members", "person", "people"),
            ("members", "account", "accounts"),
            ("bookings", "account", "accounts"),
            ("notes", "person", "people"),
        ],
        query: "PREDICT COUNT(notes.*, 0, 10, hours) > 0 FOR EACH people.id",
        ranking: None,
    },
    Shape {
        name: "payments",
        tables: &[
            ("customers", "id int, age int", "id", ""),
            ("terminals", "id int, city text", "id", ""),
            ("payments", "id int, customer int, terminal int, amount float, fraud bool late, at time", "id", "at"),
            ("calls", "id int, customer int, minutes float, at time", "id", "at"),
            ("receipts", "id int, payment int, pages int", "id", ""),
        ],
        links: &[
            ("payments", "customer", "customers"),
            ("payments", "terminal", "terminals"),
            ("calls", "customer", "customers"),
            ("receipts", "payment", "payments"),
        ],
        query: "PREDICT payments.fraud FOR EACH payments.id",
        ranking: Some("PREDICT LIST_DISTINCT(payments.terminal, 0, 10, hours) RANK FOR EACH customers.id"),
    },
    Shape {
        name: "a column of a table without time",
        tables: &[
            ("groups", "id int, size int", "id", ""),
            ("things", "id int, grp int, weight float, kind text", "id", ""),
            ("events", "id int, thing int, value float, at time", "id", "at"),
        ],
        links: &[("things", "grp", "groups"), ("events", "thing", "things")],
        query: "PREDICT things.kind FOR EACH things.id",
        ranking: None,
    },
];

impl Shape {
    pub(crate) fn schema(&self) -> Schema {
        let tables: Vec<Table> = self.tables.iter().map(table).collect();
        let place = |name: &str| tables.iter().position(|table| table.name == name).expect("a table of the shape");
        let links = self.links.iter().map(|(child, columns, parent)| ForeignKey {
            child: TableId(u16::try_from(place(child)).expect("few tables")),
            columns: ids(&tables[place(child)], columns),
            parent: TableId(u16::try_from(place(parent)).expect("few tables")),
        });
        let links = links.collect();
        Schema::new(tables, links).expect("a valid shape")
    }

    pub(crate) fn ranker(&self) -> Option<Ranker> {
        let schema = Arc::new(self.schema());
        let task =
            pql::compile("task", self.ranking?, &schema).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        Ranker::new(&Executor::new(Arc::new(task), schema))
    }

    pub(crate) fn featuriser(&self, options: &FeatureOptions) -> Featuriser {
        let schema = Arc::new(self.schema());
        let task = pql::compile("task", self.query, &schema).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        Featuriser::new(Arc::new(Executor::new(Arc::new(task), schema)), options)
    }
}

fn table((name, columns, key, time): &(&str, &str, &str, &str)) -> Table {
    let columns = columns.split(", ").map(|column| {
        let mut words = column.split(' ');
        let name = words.next().expect("a name");
        let data_type = match words.next().expect("a type") {
            "int" => DataType::Int,
            "float" => DataType::Float,
            "decimal" => DataType::Decimal,
            "bool" => DataType::Bool,
            "time" => DataType::Time,
            "date" => DataType::Date,
            _ => DataType::Text,
        };
        let mut column = Column::new(name, data_type);
        if name == "words" {
            column.semantic = SemanticType::Text;
        }
        if words.next() == Some("late") {
            column.arrives_after = 5 * HOUR;
        }
        column
    });
    let mut table = Table { name: (*name).into(), columns: columns.collect(), key: Vec::new(), time: None };
    table.key = ids(&table, key);
    table.time = table.column(time);
    table
}

fn ids(table: &Table, columns: &str) -> Vec<ColumnId> {
    columns.split('+').map(|name| table.column(name).expect("a column of the shape")).collect()
}

/// A store and the random changes that fill it.
pub(crate) struct World {
    pub(crate) store: Store,
    random: Random,
    offset: i64,
    _directory: tempfile::TempDir,
}

impl World {
    pub(crate) fn new(schema: Arc<Schema>, seed: u64) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(directory.path(), schema, &Options::default()).expect("an empty store");
        Self { store, random: Random(seed), offset: 0, _directory: directory }
    }

    /// Keys of entities, those that exist and some that do not.
    pub(crate) fn keys(&self, table: TableId) -> Vec<Key> {
        let of = self.store.schema().table(table);
        let count = if of.key.len() > 1 { 6 } else { 10 };
        (0..count).map(|number| key(of, &|column| pooled(of, column, number))).collect()
    }

    pub(crate) fn apply(&mut self, changes: &[Change]) -> Vec<Applied> {
        let mut applied = Vec::new();
        let mut transaction = self.store.begin();
        for change in changes {
            transaction.apply(change, &mut applied).expect("a change that fits");
        }
        transaction.commit().expect("a commit");
        applied
    }

    /// A random change of any table, at a time in `hours`.
    pub(crate) fn change(&mut self, hours: std::ops::Range<i64>) -> Change {
        let tables = self.store.schema().tables().count();
        let table = TableId(u16::try_from(self.random.below(tables as u64)).expect("few tables"));
        self.change_of(table, hours)
    }

    pub(crate) fn change_of(&mut self, table: TableId, hours: std::ops::Range<i64>) -> Change {
        let schema = Arc::clone(self.store.schema());
        let of = schema.table(table);
        let time = EventTime((hours.start + self.random.range(hours.end - hours.start)) * HOUR);
        let number = self.random.range(if of.time.is_some() { 40 } else { 10 });
        let linked = |column: ColumnId| schema.parents_of(table).any(|(_, link)| link.columns.contains(&column));
        let chosen: Vec<u64> = schema.foreign_keys().map(|_| self.random.below(60)).collect();
        let mut values: Vec<Value> = Vec::new();
        for (column, definition) in of.columns() {
            let key = of.key.contains(&column);
            values.push(if Some(column) == of.time {
                Value::Time(time)
            } else if key {
                pooled(of, column, if linked(column) { number % 10 } else { number })
            } else if linked(column) {
                link(&schema, table, column, &chosen)
            } else {
                self.value(definition)
            });
        }
        let key = Key::new(of.key.iter().map(|column| values[usize::from(column.0)].clone()));
        let op = match self.random.below(10) {
            0 => Op::Delete,
            _ => Op::Upsert(values.into_iter().map(Cell::Value).collect()),
        };
        self.offset += 1;
        let position = Position { topic: "t".into(), partition: 0, offset: self.offset };
        let late = self.random.range(3) * HOUR;
        Change { table, key, op, known: time.plus(late), position }
    }

    fn value(&mut self, column: &Column) -> Value {
        if self.random.below(6) == 0 || column.name == "size" {
            return Value::Null;
        }
        let number = self.random.range(7);
        match column.data_type {
            DataType::Bool => Value::Bool(number % 2 == 0),
            DataType::Int => Value::Int(number),
            #[expect(clippy::cast_precision_loss, reason = "below 7")]
            DataType::Float => Value::Float(number as f64 / 3.0),
            DataType::Decimal => Value::Decimal(relational::Decimal { unscaled: number.into(), scale: 1 }),
            DataType::Time => Value::Time(EventTime(number * HOUR)),
            DataType::Date => Value::Date(i32::try_from(number).expect("below 7")),
            _ => Value::text(format!("value {}", number % 4)),
        }
    }
}

/// A key of the parent's pool, null, or one that no parent has.
fn link(schema: &Schema, table: TableId, column: ColumnId, chosen: &[u64]) -> Value {
    let (id, link) = schema.parents_of(table).find(|(_, link)| link.columns.contains(&column)).expect("a link");
    let place = link.columns.iter().position(|of| *of == column).expect("in its link");
    let parent = schema.table(link.parent);
    match chosen[usize::from(id.0)] {
        0..5 => Value::Null,
        5..10 => pooled(parent, parent.key[place], 99),
        number => pooled(parent, parent.key[place], i64::try_from(number % 5).expect("below 5")),
    }
}

fn key(table: &Table, value: &dyn Fn(ColumnId) -> Value) -> Key {
    Key::new(table.key.iter().map(|column| value(*column)))
}

/// The key value with this number: negative numbers and text are keys too.
fn pooled(table: &Table, column: ColumnId, number: i64) -> Value {
    match table.columns[usize::from(column.0)].data_type {
        DataType::Text => Value::text(format!("k{number}")),
        DataType::Time => Value::Time(EventTime(number * HOUR)),
        _ => Value::Int(3 - number),
    }
}

/// Everything that has arrived, up to this hour.
pub(crate) fn at(hour: i64) -> AsOf {
    AsOf::live(EventTime(hour * HOUR), relational::Sequence::MAX)
}

/// A generator with a seed (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn range(&mut self, bound: i64) -> i64 {
        let below = self.below(u64::try_from(bound).expect("positive"));
        i64::try_from(below).expect("below a positive number")
    }
}
