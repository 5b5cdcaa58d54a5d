//! A hundred partitions of large records: the program's memory stays under what its config allows, and nothing is lost.

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use serde_json::Value as Json;

use crate::broker::{Broker, Sent, shared};
use crate::kafka_shop::{Numbers, scores};
use crate::program::{Program, memory};

const PARTITIONS: i32 = 100;

/// Records of each partition, and how many of them are none.
const RECORDS: i64 = 25;
const REFUSED: i64 = 5;
const BYTES: usize = 200_000;

/// 2024-01-01, in milliseconds.
const START: i64 = 1_704_067_200_000;
const DAY: i64 = 86_400_000;

/// `app.memory`, `source.buffer`, the next record of each partition, and what docs/operations.md says of the rest: some
/// 240 MiB have been seen. All records together are 600 MB.
const MEMORY_MAX: u64 = (64 + 32 + 20 + 184) << 20;

fn config(broker: &Broker) -> String {
    format!(
        r#"
[app]
name = "pressure"
store = "store"
memory = "64MiB"

[source]
kind = "kafka"
brokers = "{}"
topics = "^pressed\\..*"
format = "upsert"
buffer = "32MiB"

[sink]
kind = "kafka"

[tables.customers]
key = "id"
columns.id = {{ type = "int" }}

[tables.documents]
key = "id"
time = "at"
foreign_keys = {{ customer_id = "customers" }}
columns.id = {{ type = "int" }}
columns.customer_id = {{ type = "int" }}
columns.at = {{ type = "time", unit = "ms" }}
columns.body = {{ type = "text", semantic = "ignore" }}

[tasks.silence]
query = "PREDICT COUNT(documents.*, 0, 5, days) = 0 FOR EACH customers.id"
context_size = 200
"#,
        broker.address()
    )
}

/// Text that no compression makes small.
fn body(numbers: &mut Numbers) -> String {
    let mut text = String::with_capacity(BYTES + 8);
    while text.len() < BYTES {
        write!(text, "{:08x}", numbers.below(1 << 31)).expect("text");
    }
    text
}

fn send(broker: &Broker) {
    broker.create_topic("pressed.customers", 1);
    broker.create_topic("pressed.documents", PARTITIONS);
    let keys: Vec<String> = (0..PARTITIONS).map(|id| id.to_string()).collect();
    let customers: Vec<_> = keys.iter().map(|key| (key, format!(r#"{{"id":{key}}}"#))).collect();
    let customers: Vec<_> = customers.iter().map(|(key, value)| Sent::new(0, START, key, value)).collect();
    broker.send("pressed.customers", &customers);
    let mut numbers = Numbers(5);
    for round in 0..RECORDS + REFUSED {
        let records: Vec<(i32, i64, String, String)> = (0..PARTITIONS)
            .map(|partition| {
                let id = round * i64::from(PARTITIONS) + i64::from(partition);
                let at = START + round * DAY + i64::from(partition) * 1_000;
                let body = body(&mut numbers);
                // Some customers fall silent.
                let customer = if round > i64::from(partition % 30) { 0 } else { partition };
                let mut value = format!(r#"{{"id":{id},"customer_id":{customer},"at":{at},"body":"{body}"}}"#);
                if round % 6 == 5 {
                    value.insert_str(0, "no JSON ");
                }
                (partition, at, id.to_string(), value)
            })
            .collect();
        let sent: Vec<_> = records.iter().map(|(part, at, key, value)| Sent::new(*part, *at, key, value)).collect();
        broker.send("pressed.documents", &sent);
    }
}

#[test]
fn a_hundred_partitions_of_large_records_stay_within_the_memory_that_is_set() {
    let broker = shared();
    send(broker);
    let program = Program::new(&config(broker));
    program.succeeds(&["topics", "create"]);
    let mut run = program.start(&["run", "--until-caught-up"]);
    let mut most = 0;
    let status = loop {
        most = memory(run.id()).map_or(0, |(most, _)| most).max(most);
        if let Some(status) = run.try_wait().expect("it can be asked") {
            break status;
        }
        thread::sleep(Duration::from_millis(50));
    };
    assert!(status.success(), "{}", program.said());
    println!("the most memory at once: {} MiB", most >> 20);
    let store: Json = serde_json::from_str(&program.succeeds(&["inspect", "--format", "json", "store"])).expect("JSON");
    assert_eq!(store["rows"], i64::from(PARTITIONS) * (RECORDS + 1), "{store}");
    let refused = broker.kcat("pressure.dlq", "%o\\n").lines().count();
    assert_eq!(refused, usize::try_from(i64::from(PARTITIONS) * REFUSED).expect("few"));
    assert!(scores(broker, "pressure", "silence").len() > 50, "hardly a score has left");
    assert!(most < MEMORY_MAX, "{} MiB", most >> 20);
}
