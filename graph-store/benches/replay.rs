//! How fast changes are applied: card payments by time, each followed seven days later by an update that sets its
//! label.
//!
//! Arguments: number of payments; a directory for the store (kept; without one a temporary directory is used); `sync`
//! to wait for the disk with every commit. Prints changes per second by the clock and by this thread's processor time,
//! resident memory, bytes on disk and what the store says of itself.

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use graph_store::{Options, Store};
use relational::{
    Cell, Change, Column, ColumnId, DataType, EventTime, ForeignKey, Key, Op, Position, Schema, Table, TableId, Value,
};

const CUSTOMERS: u64 = 4_990;
const TERMINALS: u64 = 10_000;
const PAYMENTS: TableId = TableId(2);
const BATCH: usize = 1_000;

fn schema() -> Arc<Schema> {
    let table = |name: &str, columns: &[(&str, DataType)], time: Option<u16>| Table {
        name: name.into(),
        columns: columns.iter().map(|(name, data_type)| Column::new(*name, *data_type)).collect(),
        key: vec![ColumnId(0)],
        time: time.map(ColumnId),
    };
    use DataType::{Bool, Float, Int, Time};
    let payments = [
        ("id", Int),
        ("at", Time),
        ("customer", Int),
        ("terminal", Int),
        ("amount", Float),
        ("day", Int),
        ("bad", Bool),
    ];
    let tables = vec![
        table("customers", &[("id", Int), ("x", Float), ("y", Float)], None),
        table("terminals", &[("id", Int), ("x", Float), ("y", Float)], None),
        table("payments", &payments, Some(1)),
    ];
    let link =
        |column, parent| ForeignKey { child: PAYMENTS, columns: vec![ColumnId(column)], parent: TableId(parent) };
    Arc::new(Schema::new(tables, vec![link(2, 0), link(3, 1)]).expect("valid"))
}

struct Payments {
    number: u64,
    random: u64,
    topic: Arc<str>,
    waiting: VecDeque<Change>,
}

impl Payments {
    fn below(&mut self, end: u64) -> i64 {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        ((self.random >> 33) % end).cast_signed()
    }

    fn change(&self, key: i64, op: Op, known: EventTime) -> Change {
        let position = Position { topic: Arc::clone(&self.topic), partition: 0, offset: self.number.cast_signed() };
        Change { table: PAYMENTS, key: Key::single(Value::Int(key)), op, known, position }
    }

    /// The next payment, after the labels that have become known before it.
    fn next(&mut self, changes: &mut Vec<Change>) {
        let id = self.number.cast_signed();
        self.number += 1;
        let at = EventTime(1_522_540_800_000_000 + id * 9_000_000 + self.below(9_000_000));
        while self.waiting.front().is_some_and(|change| change.known <= at) {
            changes.extend(self.waiting.pop_front());
        }
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let amount = self.below(20_000) as f64 / 100.0;
        let (customer, terminal, bad) = (self.below(CUSTOMERS), self.below(TERMINALS), self.below(120) == 0);
        let cells = |bad: Value| {
            let day = at.since(EventTime(1_522_540_800_000_000)) / EventTime::DAY;
            let [id, customer, terminal, day] = [id, customer, terminal, day].map(Value::Int);
            [id, Value::Time(at), customer, terminal, Value::Float(amount), day, bad].map(Cell::Value)
        };
        changes.push(self.change(id, Op::Upsert(Box::new(cells(Value::Null))), at));
        let label = Op::Upsert(Box::new(cells(Value::Bool(bad))));
        self.waiting.push_back(self.change(id, label, at.plus(7 * EventTime::DAY)));
    }
}

fn resident_kib(field: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with(field)).unwrap_or_default().to_owned()
}

/// This thread's time on a processor, in seconds: on a shared machine the clock says little.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn run(directory: &Path, count: u64, sync: bool) {
    let options = Options { sync, ..Options::default() };
    let store = Store::open(directory, schema(), &options).expect("opens");
    let topic = Arc::from("payments");
    let mut source = Payments { number: 0, random: 7, topic, waiting: VecDeque::new() };
    let (mut batch, mut applied) = (Vec::new(), Vec::new());
    let (mut done, mut spent, mut busy) = (0usize, std::time::Duration::ZERO, 0.0);
    for number in 0..count {
        source.next(&mut batch);
        if batch.len() < BATCH && number + 1 < count {
            continue;
        }
        let (begun, processor) = (std::time::Instant::now(), processor_seconds());
        let mut transaction = store.begin();
        for change in &batch {
            transaction.apply(change, &mut applied).expect("applies");
        }
        if let Some(last) = batch.last() {
            transaction.set_position(last.position.clone());
        }
        transaction.commit().expect("commits");
        spent += begun.elapsed();
        busy += processor_seconds() - processor;
        if (done + batch.len()) / 500_000 > done / 500_000 {
            println!("{:>9} changes, {:.1} s, {}", done + batch.len(), spent.as_secs_f64(), resident_kib("VmRSS"));
        }
        done += batch.len();
        batch.clear();
        applied.clear();
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let count = done as f64;
    let (by_clock, by_processor) = (count / spent.as_secs_f64(), count / busy);
    println!("{done} changes: {by_clock:.0} changes/s by the clock ({spent:.1?}), {by_processor:.0} by the processor");
    println!("{:?}", store.statistics().expect("counts"));
    let closing = std::time::Instant::now();
    drop(store);
    println!("closed in {:.2} s; {}", closing.elapsed().as_secs_f64(), resident_kib("VmHWM"));
    let opening = std::time::Instant::now();
    let store = Store::open(directory, schema(), &Options::default()).expect("opens");
    println!("opened in {:.2} s; {:?}", opening.elapsed().as_secs_f64(), store.statistics().expect("counts"));
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let count = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let temporary = tempfile::tempdir().expect("a directory");
    let directory = arguments.next().map_or_else(|| temporary.path().to_path_buf(), PathBuf::from);
    run(&directory, count, arguments.next().is_some_and(|word| word == "sync"));
}
