//! What the source holds: a few shops' changes in partitions, and the way in which a process reads them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ingest::{Delivery, Source};
use pipeline::config::{self, Document};
use pipeline::world::World;
use relational::{Cell, Change, DeadLetter, EventTime, Key, Op, Position, Stage, Value};
use sinks::TopicRecord;

use crate::broker::Shared;
use crate::dice::Dice;

const CONFIG: &str = r#"
[app]
name = "sim"
store = "none"

[source]
kind = "changes"
files = "none"

[sink]
path = "none"

[tables.customers]
key = "id"
columns = { id = { type = "int" }, city = { type = "text" } }

[tables.payments]
key = "id"
time = "at"
foreign_keys = { customer = "customers" }

[tables.payments.columns]
id = { type = "int" }
customer = { type = "int" }
amount = { type = "float" }
at = { type = "time" }
fraud = { type = "bool", arrives_after = "3d" }

[tasks.fraud]
query = "PREDICT payments.fraud = 1 FOR EACH payments.id"
model = "last-k"
refresh = "4d"
context_size = 20
corrections = "5d"

[tasks.churn]
query = "PREDICT COUNT(payments.*, 0, 4, days) = 0 FOR EACH customers.id"
model = "last-k"
refresh = "8d"
context_size = 20
quiet = "1h"
max_delay = "6h"

[tasks.weekly]
query = "PREDICT COUNT(payments.*, 0, 4, days) = 0 FOR EACH customers.id"
model = "last-k"
emit = "every"
every = "7d"
refresh = "8d"
context_size = 20
"#;

/// 2024-01-01.
const START: i64 = 1_704_067_200_000_000;
const HOUR: i64 = 3_600 * EventTime::SECOND;
const CUSTOMERS: usize = 5;
const PAYMENTS: i64 = 20;
const HISTORY_HOURS: i64 = 11 * 24;

/// A record, or what cannot be read.
#[derive(Debug, Clone)]
enum Held {
    Change(Change),
    Broken(DeadLetter),
}

impl Held {
    fn position(&self) -> &Position {
        match self {
            Self::Change(change) => &change.position,
            Self::Broken(letter) => &letter.position,
        }
    }

    fn time(&self) -> EventTime {
        match self {
            Self::Change(change) => change.known,
            Self::Broken(letter) => letter.timestamp.unwrap_or(EventTime::MIN),
        }
    }
}

/// What one shop's topics hold, in the order of their times; within a partition that is the order of offsets.
#[derive(Debug)]
pub(crate) struct Log {
    held: Vec<Held>,
    /// Where each partition ends.
    pub(crate) ends: BTreeMap<(Arc<str>, i32), i64>,
    /// Payments whose rows make scores of their own, by key.
    pub(crate) payments: Vec<String>,
    /// What leaves when nothing fails, once it is known.
    pub(crate) expected: OnceLock<Vec<TopicRecord>>,
}

/// Some shops, and the program's view of them.
#[derive(Debug)]
pub(crate) struct Shops {
    pub(crate) world: World,
    pub(crate) logs: Vec<Arc<Log>>,
}

impl Shops {
    pub(crate) fn new() -> Self {
        let document = Document { file: "simulation.toml".into(), text: CONFIG.into() };
        let settings = config::parse(document, []).unwrap_or_else(|error| panic!("{error}"));
        let world = World::new(settings).unwrap_or_else(|error| panic!("{error}"));
        let logs = (0..12).map(|number| Arc::new(Log::new(&world, number))).collect();
        Self { world, logs }
    }
}

impl Log {
    fn new(world: &World, number: u64) -> Self {
        let mut writer = Writer { dice: Dice::new(number), world, held: Vec::new() };
        for customer in 0..CUSTOMERS {
            writer.customer(customer, "Ulm", 0);
        }
        let mut payments = Vec::new();
        for payment in 0..PAYMENTS {
            let hours = payment * 24 + i64::try_from(writer.dice.below(20)).expect("few");
            let customer = writer.dice.below(CUSTOMERS).min(writer.dice.below(CUSTOMERS));
            let amount = 5.0 + f64::from(u8::try_from(writer.dice.below(90)).expect("few"));
            // Now and then a row comes late.
            let known = hours + if writer.dice.below(8) == 0 { 30 } else { 0 };
            writer.payment(payment, customer, amount, hours, None, known);
            let fraud = writer.dice.below(3) == 0;
            writer.payment(payment, customer, amount, hours, Some(fraud), known + 72);
            payments.push(payment.to_string());
        }
        writer.customer(1, "Bonn", 400);
        writer.delete(CUSTOMERS - 1, 500);
        writer.broken(300);
        writer.finish(payments)
    }
}

/// Writes one shop's log.
struct Writer<'a> {
    dice: Dice,
    world: &'a World,
    held: Vec<(i64, Arc<str>, i32, Held)>,
}

impl Writer<'_> {
    fn change(&mut self, table: &str, partition: usize, key: usize, op: Op, hours: i64) {
        let known = EventTime(START + hours * HOUR);
        let partition = i32::try_from(partition).expect("few");
        let id = self.world.schema.table_named(table).expect("the config has it");
        let position = Position { topic: table.into(), partition, offset: 0 };
        let key = Key::single(Value::Int(i64::try_from(key).expect("few")));
        let held = Held::Change(Change { table: id, key, op, known, position });
        // A producer that has not heard an acknowledgement sends a record twice.
        let times = if self.dice.below(10) == 0 { 2 } else { 1 };
        for _ in 0..times {
            self.held.push((hours, table.into(), partition, held.clone()));
        }
    }

    fn customer(&mut self, id: usize, city: &str, hours: i64) {
        let id_value = Value::Int(i64::try_from(id).expect("few"));
        let cells = [Cell::Value(id_value), Cell::Value(Value::text(city))].into();
        self.change("customers", 0, id, Op::Upsert(cells), hours);
    }

    fn delete(&mut self, id: usize, hours: i64) {
        self.change("customers", 0, id, Op::Delete, hours);
    }

    fn payment(&mut self, id: i64, customer: usize, amount: f64, at: i64, fraud: Option<bool>, hours: i64) {
        let values = [
            Value::Int(id),
            Value::Int(i64::try_from(customer).expect("few")),
            Value::Float(amount),
            Value::Time(EventTime(START + at * HOUR)),
            fraud.map_or(Value::Null, Value::Bool),
        ];
        let cells = values.into_iter().map(Cell::Value).collect();
        self.change("payments", customer % 2, usize::try_from(id).expect("few"), Op::Upsert(cells), hours);
    }

    fn broken(&mut self, hours: i64) {
        let letter = DeadLetter {
            position: Position { topic: "payments".into(), partition: 0, offset: 0 },
            stage: Stage::Decode,
            reason: "not JSON".into(),
            key: None,
            value: Some(b"?".to_vec()),
            headers: Vec::new(),
            timestamp: Some(EventTime(START + hours * HOUR)),
        };
        self.held.push((hours, "payments".into(), 0, Held::Broken(letter)));
    }

    fn finish(mut self, payments: Vec<String>) -> Log {
        self.held.sort_by_key(|(hours, topic, partition, _)| (*hours, Arc::clone(topic), *partition));
        let mut ends = BTreeMap::new();
        let mut number = |topic: Arc<str>, partition| {
            let end = ends.entry((topic, partition)).or_insert(0);
            *end += 1;
            *end - 1
        };
        let held = self.held.into_iter().map(|(_, topic, partition, mut held)| {
            let offset = number(topic, partition);
            match &mut held {
                Held::Change(change) => change.position.offset = offset,
                Held::Broken(letter) => letter.position.offset = offset,
            }
            held
        });
        let held = held.collect();
        Log { held, ends, payments, expected: OnceLock::new() }
    }
}

/// Reads a log as a process does: in the order of times, or, in a live run that has caught up, from whichever partition
/// answers first.
#[derive(Debug)]
pub(crate) struct Reader {
    log: Arc<Log>,
    broker: Shared,
    live: bool,
    next: BTreeMap<(Arc<str>, i32), i64>,
    /// A partition that is not there yet.
    unseen: Option<(Arc<str>, i32)>,
}

impl Reader {
    pub(crate) fn new(log: Arc<Log>, broker: Shared, live: bool) -> Self {
        Self { log, broker, live, next: BTreeMap::new(), unseen: None }
    }

    fn next_of(&self, partition: &(Arc<str>, i32)) -> i64 {
        self.next.get(partition).copied().unwrap_or(0)
    }

    fn behind(&self) -> Vec<(Arc<str>, i32)> {
        let is_behind = |partition: &&(Arc<str>, i32)| self.next_of(partition) < self.log.ends[*partition];
        self.log.ends.keys().filter(is_behind).cloned().collect()
    }

    /// Whether a live run has come to where records go as they arrive: what was there before it comes in one order, and
    /// is enough to learn from.
    fn is_caught_up(&self) -> bool {
        let unread = |held: &&Held| {
            let Position { topic, partition, offset } = held.position();
            *offset >= self.next_of(&(Arc::clone(topic), *partition))
        };
        let history = EventTime(START + HISTORY_HOURS * HOUR);
        self.live && self.log.held.iter().find(unread).is_none_or(|held| held.time() >= history)
    }

    /// The next record: of all partitions, or of this one.
    fn take(&mut self, only: Option<&(Arc<str>, i32)>) -> Option<Held> {
        let place = |held: &Held| (Arc::clone(&held.position().topic), held.position().partition);
        let found = self.log.held.iter().find(|held| {
            let partition = place(held);
            only.is_none_or(|only| *only == partition) && held.position().offset >= self.next_of(&partition)
        })?;
        self.next.insert(place(found), found.position().offset + 1);
        Some(found.clone())
    }
}

impl Source for Reader {
    fn seek(&mut self, positions: &[Position]) -> Result<(), ingest::Error> {
        let place = |position: &Position| ((Arc::clone(&position.topic), position.partition), position.offset);
        self.next = positions.iter().map(place).collect();
        if self.is_caught_up() {
            let mut broker = self.broker.lock();
            let behind = self.behind();
            self.unseen = (!behind.is_empty() && broker.dice.below(3) == 0)
                .then(|| behind[broker.dice.below(behind.len())].clone());
        }
        Ok(())
    }

    fn poll(&mut self, _: usize, _: Duration) -> Result<Delivery, ingest::Error> {
        let shared = self.broker.clone();
        let mut broker = shared.lock();
        if broker.dice.fails("crash at a poll") {
            return Err(ingest::Error::Kafka { what: "poll".into(), reason: "the process is gone".into() });
        }
        if self.live && broker.dice.fails("partitions assigned anew") {
            self.unseen = None;
        }
        let mut delivery = Delivery::default();
        let mut moved = BTreeMap::new();
        for _ in 0..1 + broker.dice.below(6) {
            let readable: Vec<_> =
                self.behind().into_iter().filter(|place| self.unseen.as_ref() != Some(place)).collect();
            if readable.is_empty() {
                // The last partition comes to be seen when there is nothing else to do.
                self.unseen = None;
                break;
            }
            let only = self.is_caught_up().then(|| readable[broker.dice.below(readable.len())].clone());
            let Some(held) = self.take(only.as_ref()) else { break };
            let position = held.position().clone();
            moved.insert((Arc::clone(&position.topic), position.partition), position.offset + 1);
            broker.dice.say(&format!("deliver {position} of {}", held.time().0));
            match held {
                Held::Change(change) => delivery.changes.push(change),
                Held::Broken(letter) => delivery.dead_letters.push(letter),
            }
        }
        let next = moved.into_iter().map(|((topic, partition), offset)| Position { topic, partition, offset });
        delivery.next = next.collect();
        delivery.caught_up = self.behind().is_empty();
        delivery.behind = if self.live { self.behind() } else { Vec::new() };
        Ok(delivery)
    }

    fn progress(&self) -> (u64, Option<u64>) {
        (0, None)
    }
}
