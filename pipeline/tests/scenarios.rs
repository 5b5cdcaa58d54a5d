//! Runs every file of `tests/scenarios`: what arrives, and what must leave.
//!
//! A file is a row of blocks with an empty line between them. A block is some lines of commands, a line `----`, and what
//! the engine then did. Times are days and hours since 2024-01-01: `61d`, `61d12h`. The database is a shop: see
//! [`SCHEMA`]. With `UPDATE=1` in the environment the files are rewritten with what was seen; read the difference.
//!
//! | command | meaning |
//! |---|---|
//! | `config FORESHORE__A__B=c`, then TOML up to the `----` | the tasks, and the like of environment variables; the first block |
//! | `history` | sixty days of six customers' payments, so that there are contexts; what it leads to is not shown |
//! | `crowd 1200` | so many customers from number 100 on, each with one payment at shop 9 on day 60; not scored |
//! | `payments id=1 customer=7 at=61d` | a row arrives; columns not named are null; `known=62d`, `partition=1` |
//! | `delete payments id=1 known=62d` | a row is deleted |
//! | `deliver` | hands over what has arrived; event time is the clock, as in a replay |
//! | `transaction` | as `deliver`, and they were one transaction of the source |
//! | `live 61d behind=payments/0` | the same with a wall clock; these partitions have more to come |
//! | `end` | the input ends |
//! | `restart` | closes the store, and opens it again |
//! | `waiting` | shows what waits to be scored |
//! | `audit` | makes every score that has left once more, and says how many are the same, bit for bit |
//! | `saw churn 2` | shows how many of the changes handed over last the newest score of this task and entity has seen |
//! | `newest churn 2` | shows what the newest score of this task and customer predicts, to two digits |
//!
//! Every file is run a second time with a restart after every block, and must give the same records, byte by byte.

#[path = "scenarios/audited.rs"]
mod audited;
#[path = "scenarios/words.rs"]
mod words;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graph_store::Store;
use ingest::{Delivery, Source};
use pipeline::config::{self, Document};
use pipeline::driver::Driver;
use pipeline::world::World;
use relational::{Cell, Change, EventTime, Key, Op, Position, Value};
use sinks::{Memory, Outgoing, ScoreRecord};
use tempfile::TempDir;
use words::{START, partitions, rounded, since, time, value};

const SCHEMA: &str = r#"
[app]
name = "shop"
store = "store"

[source]
kind = "changes"
files = "none"

[sink]
path = "none"

[tables.customers]
key = "id"
columns = { id = { type = "int" }, city = { type = "text" } }

[tables.shops]
key = "id"
columns = { id = { type = "int" }, trade = { type = "text" } }

[tables.payments]
key = "id"
time = "at"
foreign_keys = { customer = "customers", shop = "shops" }

[tables.payments.columns]
id = { type = "int" }
customer = { type = "int" }
shop = { type = "int" }
amount = { type = "float" }
at = { type = "time" }
fraud = { type = "bool", arrives_after = "3d" }
"#;

/// Hands over what the scenario says.
struct Fed(Arc<Mutex<VecDeque<Delivery>>>);

impl Source for Fed {
    fn seek(&mut self, _: &[Position]) -> Result<(), ingest::Error> {
        Ok(())
    }

    fn poll(&mut self, _: usize, _: Duration) -> Result<Delivery, ingest::Error> {
        let next = self.0.lock().expect("no other thread holds it").pop_front();
        Ok(next.unwrap_or_else(|| Delivery { caught_up: true, ..Delivery::default() }))
    }

    fn progress(&self) -> (u64, Option<u64>) {
        (0, None)
    }
}

/// A program that runs, and what was fed to it.
struct Run {
    world: World,
    store: Arc<Store>,
    driver: Driver,
    fed: Arc<Mutex<VecDeque<Delivery>>>,
    sink: Memory,
    seen: u64,
    changes: Vec<Change>,
    offset: i64,
    time: EventTime,
    /// How far the store was before what was handed over last.
    before: u64,
    _folder: TempDir,
}

impl Run {
    /// The first line holds variables, the others the tasks.
    fn new(text: &str) -> Self {
        let (variables, tasks) = text.split_once('\n').expect("tasks follow");
        let variables = variables.split_whitespace().map(|word| {
            let (name, value) = word.split_once('=').expect("NAME=value");
            (name.to_owned(), value.to_owned())
        });
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = format!("{SCHEMA}{tasks}");
        let document = Document { file: "scenario.toml".into(), text };
        let mut settings = config::parse(document, variables).unwrap_or_else(|error| panic!("{error}"));
        settings.app.store = folder.path().join("store");
        let world = World::new(settings).unwrap_or_else(|error| panic!("{error}"));
        let (fed, sink) = (Arc::default(), Memory::default());
        let (store, driver) = open(&world, &sink, &fed);
        let (seen, changes, offset, time, before) = (0, Vec::new(), 0, START, 0);
        Self { world, store, driver, fed, sink, seen, changes, offset, time, before, _folder: folder }
    }

    fn restart(self) -> Self {
        let Self { world, store, driver, fed, sink, .. } = self;
        drop((driver, store));
        let (store, driver) = open(&world, &sink, &fed);
        Self { world, store, driver, fed, sink, ..self }
    }

    /// `payments id=1 customer=7 at=61d known=62d`
    fn change(&mut self, table: &str, words: &[&str], deleted: bool) {
        let id = self.world.schema.table_named(table).unwrap_or_else(|| panic!("no command and no table: {table}"));
        let columns = &self.world.schema.table(id).columns;
        let (mut values, mut known, mut partition) = (vec![Value::Null; columns.len()], None, 0);
        for word in words {
            let (name, text) = word.split_once('=').unwrap_or_else(|| panic!("{word}: not name=value"));
            match (name, columns.iter().position(|column| column.name == name)) {
                (_, Some(place)) => values[place] = value(columns[place].data_type, text),
                ("known", None) => known = Some(time(text)),
                ("partition", None) => partition = text.parse().expect("a number"),
                _ => panic!("{word}: table `{table}` has no such column"),
            }
        }
        let own = values.iter().find_map(|value| match value {
            Value::Time(time) => Some(*time),
            _ => None,
        });
        self.time = known.or(own).unwrap_or(self.time);
        self.offset += 1;
        let key = Key::single(values[0].clone());
        let op = if deleted { Op::Delete } else { Op::Upsert(values.into_iter().map(Cell::Value).collect()) };
        let position = Position { topic: table.into(), partition, offset: self.offset };
        self.changes.push(Change { table: id, key, op, known: self.time, position });
    }

    fn deliver(&mut self, now: Option<EventTime>, behind: Vec<(Arc<str>, i32)>) {
        self.hand_over(now, behind, false);
    }

    fn hand_over(&mut self, now: Option<EventTime>, behind: Vec<(Arc<str>, i32)>, whole: bool) {
        self.before = self.store.sequence().0;
        let changes = std::mem::take(&mut self.changes);
        let together = whole.then_some(0..changes.len()).into_iter().collect();
        self.fed.lock().expect("no other thread holds it").push_back(Delivery {
            changes,
            together,
            behind,
            ..Delivery::default()
        });
        self.driver.round(now, Duration::ZERO).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The lines of one block. `None` is for what is not to be shown.
    fn block(mut self, commands: &str) -> (Self, Option<String>) {
        let (mut text, mut shown) = (String::new(), true);
        for command in commands.lines() {
            let words: Vec<&str> = command.split_whitespace().collect();
            match words[..] {
                ["history"] => {
                    shown = false;
                    self.history();
                }
                ["crowd", count] => {
                    shown = false;
                    self = self.crowd(count.parse().expect("a number"));
                }
                ["deliver"] => self.deliver(None, Vec::new()),
                ["transaction"] => self.hand_over(None, Vec::new(), true),
                ["live", now] => self.deliver(Some(time(now)), Vec::new()),
                ["live", now, behind] => self.deliver(Some(time(now)), partitions(behind)),
                ["end"] => self.driver.due(Some(EventTime::MAX)).unwrap_or_else(|error| panic!("{error}")),
                ["restart"] => self = self.restart(),
                ["waiting"] => self.waiting(&mut text),
                ["audit"] => text += &audited::audited(&self.world, &self.store, &self.sink),
                ["newest", task, entity] => {
                    let predicts = rounded(&self.newest(task, entity)["prediction"]);
                    writeln!(text, "{task} {entity} predicts {predicts}").expect("text");
                }
                ["saw", task, entity] => {
                    let seen = self.newest(task, entity)["known_as_of"].as_u64().expect("a number") - self.before;
                    let all = self.store.sequence().0 - self.before;
                    writeln!(text, "{task} {entity} saw {seen} of {all}").expect("text");
                }
                ["delete", table, ref values @ ..] => self.change(table, values, true),
                [table, ref values @ ..] => self.change(table, values, false),
                [] => {}
            }
        }
        let left = self.left();
        (self, shown.then(|| left + &text))
    }

    fn history(&mut self) {
        for shop in 1..3 {
            self.change("shops", &[&format!("id={shop}"), "trade=food"], false);
        }
        for customer in 1..7 {
            self.change("customers", &[&format!("id={customer}"), "city=Ulm"], false);
        }
        let mut random = 7u64;
        for hour in (0..60 * 24).step_by(9) {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // The last customers come seldom, so that some windows are empty.
            let (customer, shop) = ([1, 2, 3, 1, 2, 3, 1, 4, 1, 5, 2, 6][(random >> 33) as usize % 12], 1 + hour % 2);
            let words = [
                format!("id={}", 1_000 + hour),
                format!("customer={customer}"),
                format!("shop={shop}"),
                format!("amount={}", (random >> 40) % 90),
                format!("at={}d{}h", hour / 24, hour % 24),
            ];
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            self.change("payments", &words, false);
            if hour < 56 * 24 {
                let known = format!("known={}d{}h", hour / 24 + 3, hour % 24);
                let fraud = format!("fraud={}", customer == 4 || hour % 11 == 0);
                self.change("payments", &[words.as_slice(), &[&fraud, &known]].concat(), false);
            }
        }
        self.changes.sort_by_key(|change| change.known);
        self.deliver(None, Vec::new());
    }

    /// Without tasks: a crowd at one shop would be scored again with each of its payments.
    fn crowd(mut self, count: i64) -> Self {
        let source = Box::new(Fed(Arc::clone(&self.fed)));
        let driver = Driver::with_source(&self.world, &self.store, Vec::new(), None, source);
        self.driver = driver.unwrap_or_else(|error| panic!("{error}"));
        self.change("shops", &["id=9", "trade=food"], false);
        for number in 100..100 + count {
            self.change("customers", &[&format!("id={number}"), "city=Ulm"], false);
            let words = [format!("id={}", 10_000 + number), format!("customer={number}")];
            self.change("payments", &[&words[0], &words[1], "shop=9", "amount=5", "at=60d"], false);
        }
        self.deliver(None, Vec::new());
        self.restart()
    }

    fn waiting(&self, text: &mut String) {
        for ((task, entity), due) in self.driver.engine.waiting().iter() {
            let name = &self.world.plans[usize::from(*task)].task.name;
            writeln!(text, "waits: {name} {entity} until {}", since(due.due)).expect("text");
        }
        if self.driver.engine.sweeping() > 0 {
            writeln!(text, "sweeps: {}", self.driver.engine.sweeping()).expect("text");
        }
    }

    fn newest(&self, task: &str, entity: &str) -> serde_json::Value {
        let of = |(_, outgoing)| match outgoing {
            Outgoing::Score(record) => Some(record).filter(|record| record.task == task && record.key == entity),
            Outgoing::DeadLetter(_) => None,
        };
        let record = self.sink.records().into_iter().filter_map(of).next_back().expect("a score of it has left");
        serde_json::from_str(&record.value.expect("a score")).expect("JSON")
    }

    /// What has left since the last block, and what was counted.
    fn left(&mut self) -> String {
        let mut groups: Vec<(String, String, Vec<String>)> = Vec::new();
        for (sequence, outgoing) in self.sink.records() {
            if sequence <= self.seen {
                continue;
            }
            self.seen = sequence;
            let (task, entity, why) = match outgoing {
                Outgoing::Score(record) => (record.task.clone(), record.key.clone(), why(&record)),
                Outgoing::DeadLetter(record) => {
                    ("refused".into(), record.letter.position.to_string(), record.letter.reason)
                }
            };
            match groups.last_mut().filter(|(of, because, _)| *of == task && *because == why) {
                Some((_, _, entities)) => entities.push(entity),
                None => groups.push((task, why, vec![entity])),
            }
        }
        let mut text = String::new();
        for (task, why, entities) in groups {
            let entities =
                if entities.len() > 8 { format!("{} entities", entities.len()) } else { entities.join(", ") };
            writeln!(text, "{task} {entities} {why}").expect("text");
        }
        let counts = std::mem::take(&mut self.driver.counts);
        let task = |index: &usize| &self.world.plans[*index].task.name;
        for ((index, skip), count) in &counts.skipped {
            writeln!(text, "not scored: {} {} x{count}", task(index), skip.name()).expect("text");
        }
        for (index, count) in &counts.swept {
            writeln!(text, "swept: {} x{count}", task(index)).expect("text");
        }
        for (table, count) in &counts.late {
            writeln!(text, "late: {} x{count}", self.world.schema.table(*table).name).expect("text");
        }
        text
    }
}

fn open(world: &World, sink: &Memory, fed: &Arc<Mutex<VecDeque<Delivery>>>) -> (Arc<Store>, Driver) {
    let store = world.open_store(false).unwrap_or_else(|error| panic!("{error}"));
    let (sink, source) = (Box::new(sink.clone()), Box::new(Fed(Arc::clone(fed))));
    let driver = Driver::with_source(world, &store, world.scorers(&store), Some(sink), source);
    (store, driver.unwrap_or_else(|error| panic!("{error}")))
}

fn why(record: &ScoreRecord) -> String {
    let at = since(record.cutoff);
    let Some(value) = &record.value else { return format!("at {at}: gone") };
    let value: serde_json::Value = serde_json::from_str(value).expect("a score is JSON");
    let revision = match value["revision"].as_u64() {
        Some(0) => String::new(),
        revision => format!(", revision {}", revision.expect("a number")),
    };
    format!("at {at}: {}{revision}", value["reason"].as_str().expect("text"))
}

/// Runs a file. Returns what it should say, and every record that left.
fn run(text: &str, restarting: bool) -> (String, Vec<(u64, Outgoing)>) {
    let (mut run, mut out) = (None::<Run>, String::new());
    for block in text.split("\n\n").map(|block| block.trim_matches('\n')) {
        if !out.is_empty() {
            out.push('\n');
        }
        let Some((commands, _)) = block.split_once("----") else {
            writeln!(out, "{block}").expect("text");
            continue;
        };
        let done = match commands.strip_prefix("config") {
            Some(tasks) => {
                run = Some(Run::new(tasks));
                None
            }
            None => {
                let before = run.take().expect("the first block is `config`");
                let (after, done) = before.block(commands);
                run = Some(if restarting { after.restart() } else { after });
                done
            }
        };
        write!(out, "{commands}----\n{}", done.unwrap_or_default()).expect("text");
    }
    (out, run.expect("the first block is `config`").sink.records())
}

#[test]
fn what_arrives_decides_what_leaves() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let files = fs::read_dir(&folder).expect("the folder is there").map(|entry| entry.expect("a file").path());
    let mut files: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|name| name == "txt")).collect();
    files.sort();
    assert!(files.len() >= 12, "{} scenarios", files.len());
    for file in files {
        let name = file.display();
        println!("{name}");
        let text = fs::read_to_string(&file).expect("a text file");
        let (seen, records) = run(&text, false);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&file, &seen).expect("the file can be written");
        } else {
            assert_eq!(seen, text, "{name}");
        }
        let (again, restarted) = run(&text, true);
        assert_eq!(again, seen, "{name}, with a restart after every block");
        for (one, other) in records.iter().zip(&restarted) {
            assert_eq!(one, other, "{name}, with a restart after every block");
        }
    }
}
