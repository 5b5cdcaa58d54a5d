//! A shop whose payments go to topics, the config of a run that scores them, and what it has published.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::broker::{Broker, Sent};
use crate::program::Program;

pub(crate) const CUSTOMERS: u64 = 40;
const PARTITIONS: u64 = 4;

/// Changes of payments between two waits. Their times lie within one step of `refresh`, so that a context does not
/// depend on which of several partitions the broker answers first.
pub(crate) const CHUNK: u64 = 25;
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
delivery = "exactly_once"

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
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A record to come: partition, time, key, value.
type Record = (i32, i64, String, String);

/// Writes the payments of a shop, chunk by chunk.
pub(crate) struct Shop<'a> {
    broker: &'a Broker,
    /// The start of its topics' names.
    name: &'a str,
    numbers: Numbers,
    /// Of the topic of payments.
    partitions: u64,
    /// Labels that become known later, by their time.
    labels: BTreeMap<(i64, u64), (u64, f64, i64, bool)>,
    payments: u64,
    chunks: i64,
}

impl<'a> Shop<'a> {
    pub(crate) fn named(broker: &'a Broker, name: &'a str) -> Self {
        Self::in_partitions(broker, name, PARTITIONS)
    }

    /// With so many partitions of payments: of one, nothing is left open about their order.
    pub(crate) fn in_partitions(broker: &'a Broker, name: &'a str, partitions: u64) -> Self {
        broker.create_topic(&format!("{name}.public.customers"), 1);
        broker.create_topic(&format!("{name}.public.payments"), i32::try_from(partitions).expect("few"));
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
        Self { broker, name, numbers, partitions, labels: BTreeMap::new(), payments: 0, chunks: 0 }
    }

    /// The changes of the next step of `refresh`: new payments, and what has become known of older ones.
    pub(crate) fn chunk(&mut self) {
        let start = START_MILLIS + self.chunks * REFRESH_MILLIS;
        self.chunks += 1;
        let step = REFRESH_MILLIS / i64::try_from(CHUNK + 1).expect("few");
        let mut records = Vec::new();
        for place in 1..=i64::try_from(CHUNK).expect("few") {
            let now = start + place * step;
            while let Some(label) = self.labels.first_entry().filter(|label| label.key().0 < now) {
                let ((known, id), (customer, amount, paid_at, fraud)) = label.remove_entry();
                let known = known.max(start + 1);
                records.push(self.payment("u", id, customer, amount, paid_at, Some(fraud), known));
            }
            let customer = self.numbers.below(CUSTOMERS).min(self.numbers.below(CUSTOMERS));
            let fraud = customer.is_multiple_of(8) && self.numbers.below(3) == 0;
            let amount =
                f64::from(u32::try_from(10 + self.numbers.below(90)).expect("few")) + if fraud { 60.0 } else { 0.5 };
            records.push(self.payment("c", self.payments, customer, amount, now, None, now));
            self.labels.insert((now + 3 * DAY_MILLIS, self.payments), (customer, amount, now, fraud));
            self.payments += 1;
        }
        if self.chunks == 5 {
            records.push((0, start + REFRESH_MILLIS - 1, "{\"id\":-1}".into(), "not a record".into()));
        }
        send(self.broker, &format!("{}.public.payments", self.name), &records);
    }

    /// One more payment of every customer, in one partition, so that nothing is left open about their order.
    pub(crate) fn last(&mut self) {
        let start = START_MILLIS + (self.chunks + 3) * REFRESH_MILLIS;
        let mut records = Vec::new();
        for (customer, now) in (0..CUSTOMERS).zip((start..).step_by(60_000)) {
            let (_, time, key, value) = self.payment("c", self.payments, customer, 50.0, now, None, now);
            records.push((0, time, key, value));
            self.payments += 1;
        }
        send(self.broker, &format!("{}.public.payments", self.name), &records);
    }

    #[expect(clippy::too_many_arguments, reason = "a row's columns, in their order")]
    fn payment(
        &self,
        op: &str,
        id: u64,
        customer: u64,
        amount: f64,
        paid_at: i64,
        fraud: Option<bool>,
        known: i64,
    ) -> Record {
        let after = json!({ "id": id, "customer_id": customer, "amount": amount, "paid_at": paid_at, "fraud": fraud });
        let partition = i32::try_from(customer % self.partitions).expect("few");
        (partition, known, json!({ "id": id }).to_string(), envelope(op, &after, known))
    }
}

fn envelope(op: &str, after: &Json, known: i64) -> String {
    json!({ "before": null, "after": after, "source": { "ts_ms": known }, "op": op, "ts_ms": known + 1 }).to_string()
}

fn send(broker: &Broker, topic: &str, records: &[Record]) {
    let sent: Vec<_> =
        records.iter().map(|(partition, time, key, value)| Sent::new(*partition, *time, key, value)).collect();
    broker.send(topic, &sent);
}

/// The program on files with the records of a shop's topics, in this order; scores are lines of `scores.jsonl`.
pub(crate) fn program_of_files(shop: &str, app: &str, files: &[&str]) -> Program {
    let (head, tables) = CONFIG.split_once("[source]").expect("a source");
    let (_, tables) = tables.split_once("[tables.customers]").expect("tables");
    let source = format!("[source]\nkind = \"changes\"\nfiles = {files:?}\n");
    let config = format!("{head}{source}\n[sink]\npath = \"scores.jsonl\"\n\n[tables.customers]{tables}");
    Program::new(&config.replace("APP", app).replace("SHOP", shop))
}

/// The program on the topics of a shop.
pub(crate) fn program_of(broker: &Broker, shop: &str, app: &str) -> Program {
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
pub(crate) fn scores(broker: &Broker, app: &str, task: &str) -> Vec<(String, String, String)> {
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

/// A number from the environment, for runs that are longer than a test should be.
pub(crate) fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}: not a number: {text}")))
}
