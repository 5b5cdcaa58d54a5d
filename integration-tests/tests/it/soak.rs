//! `foreshore run` beside a shop that goes on for hours of its own time: neither memory nor a queue grows, and the store
//! only by what it is given. `scripts/soak` runs a whole day.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::broker::{Broker, Sent, free_port};
use crate::kafka_shop::{Numbers, asked};
use crate::program::{Program, endpoint, memory};

/// Hours of the shop's time, and how many of its seconds go by in one, unless the environment says otherwise.
const HOURS: u64 = 2;
const SPEED: u64 = 120;

/// In each second of the shop's time. Each makes a second change when its label becomes known.
const PAYMENTS: u64 = 2;
const CUSTOMERS: u64 = 1_000;
const PARTITIONS: i32 = 4;
const LABEL_AFTER_MILLIS: i64 = 900_000;

/// 2024-01-01, in milliseconds.
const START: i64 = 1_704_067_200_000;
const HOUR: i64 = 3_600_000;

/// `app.memory`, `source.buffer` and what docs/operations.md says of the rest.
const MEMORY_MAX: u64 = (32 + 64 + 150) << 20;

/// A change of a payment is two row versions of 60 bytes or so; with its edges, scores and their marks it is this at most.
const STORE_BYTES_MAX: i64 = 1_500;

const CONFIG: &str = r#"
[app]
name = "soak"
store = "store"
memory = "32MiB"
sync = false

[source]
kind = "kafka"
brokers = "BROKERS"
topics = "^soaked\\..*"
format = "upsert"

[sink]
kind = "kafka"

[http]
listen = "127.0.0.1:PORT"

[tables.customers]
key = "id"
columns.id = { type = "int" }

[tables.payments]
key = "id"
time = "paid_at"
foreign_keys = { customer_id = "customers" }
columns.id = { type = "int" }
columns.customer_id = { type = "int" }
columns.amount = { type = "float" }
columns.paid_at = { type = "time", unit = "ms" }
columns.fraud = { type = "bool", arrives_after = "15m" }

[tasks.fraud]
query = "PREDICT payments.fraud = 1 FOR EACH payments.id"
refresh = "30m"
context_size = 500
model = "baseline"

[tasks.silence]
query = "PREDICT COUNT(payments.*, 0, 10, minutes) = 0 FOR EACH customers.id"
refresh = "30m"
context_size = 500
model = "baseline"
emit = "every"
every = "10m"
"#;

/// Writes the shop's payments and their labels, second by second.
struct Shop {
    numbers: Numbers,
    /// Labels that become known later, by their time.
    labels: BTreeMap<(i64, u64), String>,
    payments: u64,
}

impl Shop {
    fn second(&mut self, start: i64) -> Vec<(i32, i64, String, String)> {
        let mut records = Vec::new();
        let mut record = |id: u64, customer: u64, known: i64, value: String| {
            let partition = i32::try_from(customer).expect("few") % PARTITIONS;
            records.push((partition, known, id.to_string(), value));
        };
        while let Some(label) = self.labels.first_entry().filter(|label| label.key().0 < start) {
            let ((known, id), value) = label.remove_entry();
            let customer = value.split(' ').next().and_then(|id| id.parse().ok()).expect("the customer stands first");
            record(id, customer, known, value.split_once(' ').expect("then the row").1.to_owned());
        }
        for place in 0..PAYMENTS {
            let (id, at) = (self.payments, start + i64::try_from(place).expect("few"));
            self.payments += 1;
            let customer = self.numbers.below(CUSTOMERS).min(self.numbers.below(CUSTOMERS));
            let fraud = customer.is_multiple_of(8) && self.numbers.below(3) == 0;
            let amount = 10 + self.numbers.below(90) + if fraud { 60 } else { 0 };
            let row = |fraud: Option<bool>| {
                json!({ "id": id, "customer_id": customer, "amount": amount, "paid_at": at, "fraud": fraud })
                    .to_string()
            };
            record(id, customer, at, row(None));
            self.labels.insert((at + LABEL_AFTER_MILLIS, id), format!("{customer} {}", row(Some(fraud))));
        }
        records
    }
}

/// What was seen at the end of an hour of the shop's time, and the most of its queues meanwhile.
#[derive(Debug, Default)]
struct Hour {
    changes: i64,
    scores: i64,
    memory: u64,
    store: i64,
    unread: i64,
    outbox: i64,
    dirty: i64,
}

struct Metrics(String);

impl Metrics {
    /// The sum over all labels.
    fn of(&self, name: &str) -> i64 {
        let lines = self.0.lines().filter(|line| line.starts_with(name) && !line.starts_with('#'));
        #[expect(clippy::cast_possible_truncation, reason = "counts")]
        let numbers = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).map(|number| number as i64);
        numbers.sum()
    }
}

fn look(run: &Child, port: u16, sent: i64, hour: &mut Hour) {
    let metrics = Metrics(endpoint(&format!("http://127.0.0.1:{port}/metrics")));
    let read = metrics.of("foreshore_records_received_total");
    hour.changes = read;
    hour.scores = metrics.of("foreshore_rescores_total");
    hour.memory = memory(run.id()).map_or(0, |(_, now)| now);
    hour.store = metrics.of("foreshore_store_bytes");
    hour.unread = hour.unread.max(sent - read);
    hour.outbox = hour.outbox.max(metrics.of("foreshore_outbox_pending"));
    hour.dirty = hour.dirty.max(metrics.of("foreshore_dirty_entities"));
}

/// Lets the shop go on for so many hours, as fast as it is to, and looks at the run meanwhile.
#[expect(
    clippy::print_stdout,
    reason = "a day of the shop's time takes many minutes: whoever asks for it sees where it is"
)]
fn hours(broker: &Broker, run: &mut Child, port: u16, program: &Program) -> Vec<Hour> {
    let (hours, speed) = (asked("SOAK_HOURS", HOURS), asked("SOAK_SPEED", SPEED));
    let mut shop = Shop { numbers: Numbers(7), labels: BTreeMap::new(), payments: 0 };
    let (mut seen, started, mut sent) = (Vec::new(), Instant::now(), i64::try_from(CUSTOMERS).expect("few"));
    for hour in 0..hours {
        let mut of_hour = Hour::default();
        for step in 0..3_600 / speed {
            let first = i64::try_from(hour * 3_600 + step * speed).expect("few");
            let seconds = first..first + i64::try_from(speed).expect("few");
            let records: Vec<_> = seconds.flat_map(|second| shop.second(START + second * 1_000)).collect();
            sent += i64::try_from(records.len()).expect("few");
            let records: Vec<_> =
                records.iter().map(|(part, at, key, value)| Sent::new(*part, *at, key, value)).collect();
            broker.send("soaked.payments", &records);
            look(run, port, sent, &mut of_hour);
            assert!(run.try_wait().expect("a child").is_none(), "the run has ended\n{}", program.said());
            let due = Duration::from_secs(hour * 3_600 / speed + step + 1);
            thread::sleep(due.saturating_sub(started.elapsed()));
        }
        println!("hour {hour}: {of_hour:?}");
        seen.push(of_hour);
    }
    // The rest of the queues.
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let mut rest = Hour::default();
        look(run, port, sent, &mut rest);
        if rest.unread == 0 && rest.outbox == 0 && rest.dirty == 0 {
            return seen;
        }
        assert!(Instant::now() < deadline, "the queues are not empty: {rest:?}\n{}", program.said());
        thread::sleep(Duration::from_millis(500));
    }
}

/// From the second quarter of a long run to the last one, when all caches are full.
fn stays_flat(hours: &[Hour]) {
    let quarter = hours.len() / 4;
    if quarter == 0 {
        return;
    }
    let most = |hours: &[Hour], of: &dyn Fn(&Hour) -> u64| hours.iter().map(of).max().unwrap_or(0);
    let queue = |hour: &Hour| u64::try_from(hour.unread + hour.outbox + hour.dirty).unwrap_or(0);
    for (what, of, slack) in
        [("memory", &(|hour: &Hour| hour.memory) as &dyn Fn(&Hour) -> u64, 16 << 20), ("queues", &queue, 2_000)]
    {
        let (early, late) = (most(&hours[quarter..2 * quarter], of), most(&hours[hours.len() - quarter..], of));
        assert!(late <= early + early / 10 + slack, "{what}: {early}, and at the end {late}");
    }
}

#[test]
fn hours_of_a_shop_let_neither_memory_nor_a_queue_grow() {
    let broker = &Broker::start();
    broker.create_topic("soaked.customers", 1);
    broker.create_topic("soaked.payments", PARTITIONS);
    let keys: Vec<(String, String)> =
        (0..CUSTOMERS).map(|id| (id.to_string(), json!({ "id": id }).to_string())).collect();
    let customers: Vec<_> = keys.iter().map(|(key, value)| Sent::new(0, START - HOUR, key, value)).collect();
    broker.send("soaked.customers", &customers);
    let port = free_port();
    let program = Program::new(&CONFIG.replace("BROKERS", &broker.address()).replace("PORT", &port.to_string()));
    program.succeeds(&["topics", "create"]);
    let mut run = program.start(&["run"]);
    let hours = hours(broker, &mut run, port, &program);
    let mut table =
        String::from("| hour | changes | scores | memory, MiB | store, MiB | unread | outbox | waiting |\n");
    for (number, hour) in hours.iter().enumerate() {
        let Hour { changes, scores, memory, store, unread, outbox, dirty } = hour;
        let (memory, store) = (memory >> 20, store >> 20);
        writeln!(table, "| {number} | {changes} | {scores} | {memory} | {store} | {unread} | {outbox} | {dirty} |")
            .expect("text");
    }
    println!("{table}");
    let stopped = Command::new("kill").arg(run.id().to_string()).status().expect("kill is there");
    let most = memory(run.id()).map_or(0, |(most, _)| most);
    assert!(stopped.success() && run.wait().expect("it ends").success(), "{}", program.said());
    let last = hours.last().expect("an hour at least");
    assert!(last.scores > i64::try_from(CUSTOMERS).expect("few"), "{table}");
    assert!(most < MEMORY_MAX, "{} MiB at the peak\n{table}", most >> 20);
    assert!(last.store < (64 << 20) + last.changes * STORE_BYTES_MAX, "{table}");
    stays_flat(&hours);
}
