//! `foreshore run` against a real broker, both killed at any moment. `scripts/kill-test` runs it for longer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::broker::{Broker, Sent, shared};
use crate::program::Program;

/// Kills of the run, and of the broker, unless the environment says otherwise.
const KILLS: u64 = 20;
const BROKER_KILLS: u64 = 2;
const CUSTOMERS: u64 = 40;
const PARTITIONS: u64 = 4;

/// Changes of payments between two waits. Their times lie within one step of `refresh`, so that a context does not
/// depend on which of several partitions the broker answers first.
const CHUNK: u64 = 25;
const REFRESH_MILLIS: i64 = 2 * DAY_MILLIS;
const DAY_MILLIS: i64 = 86_400_000;

/// 2024-01-02, which is a multiple of `refresh` since 1970.
const START_MILLIS: i64 = 1_704_153_600_000;

const CONFIG: &str = r#"
[app]
name = "APP"
store = "APP-store"

[source]
kind = "kafka"
brokers = "BROKERS"
topics = ["^SHOP\\.public\\..*"]

[sink]
kind = "kafka"

[tables.customers]
key = "id"
columns.id = { type = "int" }
columns.region = { type = "text", semantic = "category" }

[tables.payments]
key = "id"
time = "paid_at"
foreign_keys = { customer_id = "customers" }
columns.id = { type = "int" }
columns.customer_id = { type = "int" }
columns.amount = { type = "float" }
columns.paid_at = { type = "time", unit = "ms" }
columns.fraud = { type = "bool", arrives_after = "3d" }

[tasks.fraud]
query = "PREDICT payments.fraud = 1 FOR EACH payments.id"
refresh = "2d"
context_size = 100

[tasks.churn]
query = "PREDICT COUNT(payments.*, 0, 5, days) = 0 FOR EACH customers.id"
refresh = "2d"
context_size = 100
"#;

/// A fixed stream of numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A record to come: partition, time, key, value.
type Record = (i32, i64, String, String);

/// Writes the payments of a shop, chunk by chunk.
struct Shop<'a> {
    broker: &'a Broker,
    /// The start of its topics' names.
    name: &'a str,
    numbers: Numbers,
    /// Labels that become known later, by their time.
    labels: BTreeMap<(i64, u64), (u64, f64, i64, bool)>,
    payments: u64,
    chunks: i64,
}

impl<'a> Shop<'a> {
    fn new(broker: &'a Broker) -> Self {
        Self::named(broker, "kills")
    }

    fn named(broker: &'a Broker, name: &'a str) -> Self {
        broker.create_topic(&format!("{name}.public.customers"), 1);
        broker.create_topic(&format!("{name}.public.payments"), i32::try_from(PARTITIONS).expect("few"));
        let regions = ["north", "south", "west"].into_iter().cycle();
        let customers: Vec<_> = (0..CUSTOMERS)
            .zip(regions)
            .map(|(id, region)| {
                let after = json!({ "id": id, "region": region });
                (0, START_MILLIS, json!({ "id": id }).to_string(), envelope("r", &after, START_MILLIS))
            })
            .collect();
        send(broker, &format!("{name}.public.customers"), &customers);
        let numbers = Numbers(41);
        Self { broker, name, numbers, labels: BTreeMap::new(), payments: 0, chunks: 0 }
    }

    /// The changes of the next step of `refresh`: new payments, and what has become known of older ones.
    fn chunk(&mut self) {
        let start = START_MILLIS + self.chunks * REFRESH_MILLIS;
        self.chunks += 1;
        let step = REFRESH_MILLIS / i64::try_from(CHUNK + 1).expect("few");
        let mut records = Vec::new();
        for place in 1..=i64::try_from(CHUNK).expect("few") {
            let now = start + place * step;
            while let Some(label) = self.labels.first_entry().filter(|label| label.key().0 < now) {
                let ((known, id), (customer, amount, paid_at, fraud)) = label.remove_entry();
                let known = known.max(start + 1);
                records.push(payment("u", id, customer, amount, paid_at, Some(fraud), known));
            }
            let customer = self.numbers.below(CUSTOMERS).min(self.numbers.below(CUSTOMERS));
            let fraud = customer.is_multiple_of(8) && self.numbers.below(3) == 0;
            let amount =
                f64::from(u32::try_from(10 + self.numbers.below(90)).expect("few")) + if fraud { 60.0 } else { 0.5 };
            records.push(payment("c", self.payments, customer, amount, now, None, now));
            self.labels.insert((now + 3 * DAY_MILLIS, self.payments), (customer, amount, now, fraud));
            self.payments += 1;
        }
        if self.chunks == 5 {
            records.push((0, start + REFRESH_MILLIS - 1, "{\"id\":-1}".into(), "not a record".into()));
        }
        send(self.broker, &format!("{}.public.payments", self.name), &records);
    }

    /// One more payment of every customer, in one partition, so that nothing is left open about their order.
    fn last(&mut self) {
        let start = START_MILLIS + (self.chunks + 3) * REFRESH_MILLIS;
        let mut records = Vec::new();
        for (customer, now) in (0..CUSTOMERS).zip((start..).step_by(60_000)) {
            let (_, time, key, value) = payment("c", self.payments, customer, 50.0, now, None, now);
            records.push((0, time, key, value));
            self.payments += 1;
        }
        send(self.broker, &format!("{}.public.payments", self.name), &records);
    }
}

fn payment(op: &str, id: u64, customer: u64, amount: f64, paid_at: i64, fraud: Option<bool>, known: i64) -> Record {
    let after = json!({ "id": id, "customer_id": customer, "amount": amount, "paid_at": paid_at, "fraud": fraud });
    let partition = i32::try_from(customer % PARTITIONS).expect("few");
    (partition, known, json!({ "id": id }).to_string(), envelope(op, &after, known))
}

fn envelope(op: &str, after: &Json, known: i64) -> String {
    json!({ "before": null, "after": after, "source": { "ts_ms": known }, "op": op, "ts_ms": known + 1 }).to_string()
}

fn send(broker: &Broker, topic: &str, records: &[Record]) {
    let sent: Vec<_> =
        records.iter().map(|(partition, time, key, value)| Sent::new(*partition, *time, key, value)).collect();
    broker.send(topic, &sent);
}

fn program(broker: &Broker, app: &str) -> Program {
    program_of(broker, "kills", app)
}

/// The program on the topics of a shop.
fn program_of(broker: &Broker, shop: &str, app: &str) -> Program {
    Program::new(&CONFIG.replace("APP", app).replace("SHOP", shop).replace("BROKERS", &broker.address()))
}

/// What a score says, without where and when it was made.
fn said(value: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Json>(value) else { return value.to_owned() };
    let object = value.as_object_mut().expect("a score is an object");
    for name in ["scored_at", "latency_ms", "known_as_of", "config_hash", "reason"] {
        object.remove(name);
    }
    value.to_string()
}

/// The scores in an app's topic: by id, in the topic's order per key. Fails when one stands there twice, by its id or by
/// its entity, cutoff and revision.
#[track_caller]
fn scores(broker: &Broker, app: &str, task: &str) -> Vec<(String, String, String)> {
    let text = broker.kcat(&format!("{app}.{task}"), "%k\\t%h\\t%s\\n");
    let mut seen = BTreeMap::new();
    let mut scores = Vec::new();
    for line in text.lines() {
        let [key, headers, value] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("no score: {line}") };
        let id = headers.split(',').find_map(|header| header.strip_prefix("ce_id=")).expect("every score has an id");
        let parsed = serde_json::from_str::<Json>(value).unwrap_or_default();
        let names = [id.to_owned(), format!("{key} {} {}", parsed["cutoff"], parsed["revision"])];
        for name in names.into_iter().take(if value.is_empty() { 1 } else { 2 }) {
            if let Some(before) = seen.insert(name, line) {
                panic!("{app}.{task} repeats a score:\n{before}\n{line}");
            }
        }
        scores.push((id.to_owned(), key.to_owned(), said(value)));
    }
    scores
}

/// The last score of each key.
fn last_of(scores: &[(String, String, String)]) -> BTreeMap<&str, &str> {
    scores.iter().map(|(_, key, value)| (key.as_str(), value.as_str())).collect()
}

/// A number from the environment, for runs that are longer than a test should be.
fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}: not a number: {text}")))
}

/// Waits until more has been published, or for some seconds.
fn wait_for_scores(broker: &Broker, topic: &str) {
    let published = broker.written(topic, 3);
    for _ in 0..50 {
        if broker.written(topic, 3) > published {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Starts the run again and again while the shop goes on, and kills it; now and then the broker too. Returns the log.
fn kill_again_and_again(broker: &Broker, shop: &mut Shop<'_>, program: &Program, topic: &str) -> String {
    let (kills, broker_kills) = (asked("KILLS", KILLS), asked("BROKER_KILLS", BROKER_KILLS));
    let seed = asked("SEED", 20_240_101);
    let mut log = format!("seed {seed}\n");
    let mut moments = Numbers(seed);
    for kill in 0..kills {
        shop.chunk();
        let mut run = program.start(&["run"]);
        // Half of the kills hit the start, half the work: however slow the machine is, something has been published then.
        let early = kill % 2 == 0;
        let first = 20 + moments.below(if early { 500 } else { 300 });
        thread::sleep(Duration::from_millis(first));
        if !early {
            wait_for_scores(broker, topic);
        }
        if (kill + 1) * broker_kills / kills > kill * broker_kills / kills {
            shop.chunk();
            let moment = moments.below(900);
            thread::sleep(Duration::from_millis(moment));
            broker.kill();
            thread::sleep(Duration::from_millis(moments.below(2_000)));
            broker.resume();
            writeln!(log, "the broker {moment} ms after more came").expect("text");
            wait_for_scores(broker, topic);
        }
        shop.chunk();
        let second = moments.below(if early { 200 } else { 900 });
        thread::sleep(Duration::from_millis(second));
        let ended = run.try_wait().expect("a child");
        assert_eq!(ended, None, "the run ended by itself\n{log}{}", program.said());
        run.kill().expect("a running child");
        run.wait().expect("a killed child");
        writeln!(log, "kill {kill} after {first} + {second} ms").expect("text");
    }
    log
}

#[test]
fn kills_of_a_run_and_of_the_broker_lose_repeat_and_change_nothing() {
    let broker = &Broker::start();
    let mut shop = Shop::new(broker);
    let (killed, whole) = (program(broker, "killed"), program(broker, "whole"));
    for program in [&killed, &whole] {
        program.succeeds(&["topics", "create", "--partitions", "3"]);
    }
    let log = kill_again_and_again(broker, &mut shop, &killed, "killed.fraud");
    let before_the_end = broker.kcat("killed.fraud", "%k\\n").lines().count();
    // The rest, and once more a start with nothing left to do.
    killed.succeeds(&["run", "--until-caught-up"]);
    shop.last();
    killed.succeeds(&["run", "--until-caught-up"]);
    killed.succeeds(&["run", "--until-caught-up"]);
    whole.succeeds(&["run", "--until-caught-up"]);

    let sorted = |app| {
        let mut scores = scores(broker, app, "fraud");
        scores.sort();
        scores
    };
    let (found, expected) = (sorted("killed"), sorted("whole"));
    let differs = found.iter().zip(&expected).find(|(one, other)| one != other);
    assert_eq!((found.len(), differs), (expected.len(), None), "fraud\n{log}");
    let (churn, expected) = (scores(broker, "killed", "churn"), scores(broker, "whole", "churn"));
    assert_eq!(last_of(&churn), last_of(&expected), "churn\n{log}");
    assert_eq!(last_of(&expected).len(), usize::try_from(CUSTOMERS).expect("few"));
    for app in ["killed", "whole"] {
        assert_eq!(broker.kcat(&format!("{app}.dlq"), "%s\\n"), "not a record\n", "the planted record, once");
        let read = (0..4).map(|place| broker.committed(app, "kills.public.payments", place).unwrap_or(0)).sum::<i64>();
        assert_eq!(read, broker.written("kills.public.payments", 4), "the group of {app} stands at the end");
    }
    println!(
        "{log}{} changes of payments; {} fraud and {} churn scores, each once; {before_the_end} fraud scores before the end",
        broker.written("kills.public.payments", 4),
        found.len(),
        churn.len(),
    );
    assert!(before_the_end > 0, "the kills came before the work\n{log}");
}

/// An older copy of the store goes back in the topics and comes to scores that have left, and so does a new store.
#[test]
fn a_store_that_is_brought_back_repeats_nothing() {
    let broker = shared();
    let mut shop = Shop::named(broker, "restored");
    let app = program_of(broker, "restored", "restored");
    app.succeeds(&["topics", "create", "--partitions", "3"]);
    for _ in 0..6 {
        shop.chunk();
    }
    app.succeeds(&["run", "--until-caught-up"]);
    copy(&app.folder().join("restored-store"), &app.folder().join("copy"));
    for _ in 0..6 {
        shop.chunk();
    }
    app.succeeds(&["run", "--until-caught-up"]);
    let (fraud, churn) = (scores(broker, "restored", "fraud").len(), scores(broker, "restored", "churn").len());
    assert!(fraud > 100 && churn > 10, "{fraud} and {churn} scores");
    for store in ["copy", "new"] {
        app.succeeds(&["run", "--until-caught-up", "--store", store]);
        assert_eq!(scores(broker, "restored", "fraud").len(), fraud, "all had left, {store}");
        scores(broker, "restored", "churn");
    }
    shop.chunk();
    app.succeeds(&["run", "--until-caught-up", "--store", "copy"]);
    assert_eq!(scores(broker, "restored", "fraud").len(), fraud + usize::try_from(CHUNK).expect("few"), "the new ones");
}

#[test]
fn two_processes_of_one_application_do_not_both_publish() {
    let broker = shared();
    let mut shop = Shop::named(broker, "twice");
    let app = program_of(broker, "twice", "twice");
    app.succeeds(&["topics", "create", "--partitions", "3"]);
    for _ in 0..4 {
        shop.chunk();
    }
    let mut first = app.start(&["run"]);
    while broker.written("twice.fraud", 3) == 0 {
        thread::sleep(Duration::from_millis(100));
    }
    let message = app.fails(&["run"]);
    assert!(message.contains("twice-store is in use by another process"), "{message}");

    let other = program_of(broker, "twice", "twice");
    let mut second = other.start(&["run"]);
    // It has to publish once more to be told.
    for _ in 0..200 {
        if first.try_wait().expect("a child").is_some() {
            break;
        }
        shop.chunk();
        thread::sleep(Duration::from_millis(300));
    }
    let (ended, message) = (first.wait().expect("a child"), app.said());
    assert_eq!(ended.code(), Some(1), "{message}");
    assert!(message.contains("another process publishes as application `twice`"), "{message}");
    second.kill().expect("a running child");
    second.wait().expect("a killed child");
    other.succeeds(&["run", "--until-caught-up"]);
    let whole = program_of(broker, "twice", "once");
    whole.succeeds(&["topics", "create", "--partitions", "3"]);
    whole.succeeds(&["run", "--until-caught-up"]);
    let count = |app| scores(broker, app, "fraud").len();
    assert_eq!(count("twice"), count("once"), "each payment once");
    scores(broker, "twice", "churn");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file");
        }
    }
}
