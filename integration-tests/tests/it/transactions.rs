//! Rows of one transaction of the source become visible together: on a real broker, and from a real database through
//! Debezium.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ingest::decode::{Format, Mapping, Tables};
use ingest::kafka::{KafkaSettings, KafkaSource, TransactionSettings};
use ingest::{Delivery, Source};
use pipeline::cli::Common;
use pipeline::world::World;
use relational::{
    AsOf, Column, ColumnId, DataType, EventTime, Key, Position, RowKey, Schema, Sequence, Table, TableId, Value,
};
use serde_json::{Value as Json, json};

use crate::broker::{Broker, Sent, shared};
use crate::kafka_shop::scores;
use crate::postgres::{Connect, Postgres};
use crate::program::Program;

const PATIENCE: Duration = Duration::from_secs(90);

/// Tables `orders` and `parts`, as Debezium writes them.
fn tables() -> Arc<Tables> {
    let table = |name: &str| {
        let columns = vec![Column::new("id", DataType::Int), Column::new("of", DataType::Int)];
        Table { name: name.into(), columns, key: vec![ColumnId(0)], time: None }
    };
    let schema = Schema::new(vec![table("orders"), table("parts")], Vec::new()).expect("valid schema");
    let mapping = |table| Mapping { table: TableId(table), topic: None, format: Format::Debezium, hints: Vec::new() };
    Arc::new(Tables::new(Arc::new(schema), vec![mapping(0), mapping(1)]).expect("valid tables"))
}

fn connect(broker: &Broker, name: &str, timeout: Duration) -> KafkaSource {
    let mut settings = KafkaSettings::new(broker.address(), vec![format!("^{name}\\.s\\..*")], "transaction-tests");
    let topic = format!("{name}.transaction");
    settings.transactions = Some(TransactionSettings { topic, records: 1_000, bytes: 1 << 20, timeout });
    KafkaSource::connect(settings, tables()).expect("the broker answers")
}

/// What a transaction of these many parts writes: topic, partition, key, value. Its end stands last.
fn transaction(number: usize, parts: usize) -> Vec<(&'static str, i32, String, String)> {
    let row = |table: &'static str, id: usize, order: usize| {
        let transaction = json!({ "id": format!("{number}:{id}"), "total_order": 1, "data_collection_order": order });
        let value = json!({ "before": null, "after": { "id": id, "of": number }, "op": "c", "source": { "ts_ms": 5 },
            "transaction": transaction });
        let partition = i32::try_from(id % 2).expect("small");
        (table, partition, json!({ "id": id }).to_string(), value.to_string())
    };
    let mut records = vec![row("s.orders", number, 1)];
    records.extend((1..=parts).map(|part| row("s.parts", number * 100 + part, part)));
    let count = |table: &str, count: usize| json!({ "data_collection": table, "event_count": count });
    // The last of them is not read.
    let collections = json!([count("s.orders", 1), count("s.parts", parts), count("other.logs", 3)]);
    let end = json!({ "status": "END", "id": format!("{number}:9"), "event_count": 4 + parts,
        "data_collections": collections, "ts_ms": 5 });
    records.push(("transaction", 0, "{}".to_owned(), end.to_string()));
    records
}

/// Writes transactions in their order, each with the times of a producer that takes a while.
fn send(broker: &Broker, name: &str, records: &[(&'static str, i32, String, String)]) {
    let mut topics: BTreeMap<&str, Vec<Sent<'_>>> = BTreeMap::new();
    for (time, (topic, partition, key, value)) in (1_000..).zip(records) {
        topics.entry(topic).or_default().push(Sent::new(*partition, time / 3, key, value));
    }
    for (topic, sent) in topics {
        broker.send(&format!("{name}.{topic}"), &sent);
    }
}

fn create(broker: &Broker, name: &str) {
    for (topic, partitions) in [("s.orders", 2), ("s.parts", 2), ("transaction", 1)] {
        broker.create_topic(&format!("{name}.{topic}"), partitions);
    }
}

fn read(source: &mut KafkaSource, limit: usize, done: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
    let deadline = Instant::now() + PATIENCE;
    let mut deliveries = Vec::new();
    while !done(&deliveries) {
        assert!(Instant::now() < deadline, "the source did not get there: {deliveries:?}");
        deliveries.push(source.poll(limit, Duration::from_millis(100)).expect("the source goes on"));
    }
    deliveries
}

fn caught_up(deliveries: &[Delivery]) -> bool {
    deliveries.last().is_some_and(|last| last.caught_up)
}

/// The transactions in the order in which their rows go, with the number of rows of each portion.
fn portions(deliveries: &[Delivery]) -> Vec<(i64, usize)> {
    let of = |change: &relational::Change| match &change.op {
        relational::Op::Upsert(cells) => match &cells[1] {
            relational::Cell::Value(Value::Int(number)) => *number,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let portions = deliveries.iter().flat_map(Delivery::portions);
    portions
        .map(|rows| {
            assert!(rows.iter().all(|row| of(row) == of(&rows[0])), "rows of two transactions: {rows:?}");
            (of(&rows[0]), rows.len())
        })
        .collect()
}

fn next(deliveries: &[Delivery]) -> Vec<Position> {
    let mut next: BTreeMap<(Arc<str>, i32), i64> = BTreeMap::new();
    let moved = deliveries.iter().flat_map(|delivery| &delivery.next);
    next.extend(moved.map(|position| ((Arc::clone(&position.topic), position.partition), position.offset)));
    next.into_iter().map(|((topic, partition), offset)| Position { topic, partition, offset }).collect()
}

#[test]
fn a_transaction_comes_whole_whatever_the_steps_and_the_restarts() {
    let broker = shared();
    create(broker, "whole");
    let all: Vec<_> = (0..60).flat_map(|number| transaction(number, number % 7)).collect();
    send(broker, "whole", &all);
    let expected: Vec<(i64, usize)> = (0..60).zip((0..7).cycle()).map(|(number, parts)| (number, 1 + parts)).collect();
    for limit in [1_000, 7, 2] {
        let found = read(&mut connect(broker, "whole", PATIENCE), limit, caught_up);
        assert_eq!(portions(&found), expected, "in steps of {limit}");
        assert!(found.iter().all(|delivery| delivery.split.is_empty()));
    }
    for cut in [1, 5, 33, 59] {
        let portions_of = |deliveries: &[Delivery]| portions(deliveries).len() >= cut;
        let first = read(&mut connect(broker, "whole", PATIENCE), 2, portions_of);
        let mut second = connect(broker, "whole", PATIENCE);
        second.seek(&next(&first)).expect("the log is whole");
        let mut both = portions(&first);
        both.extend(portions(&read(&mut second, 3, caught_up)));
        assert_eq!(both, expected, "killed after {cut}");
    }
}

#[test]
fn what_does_not_become_whole_in_time_is_split_and_nothing_is_lost() {
    let broker = shared();
    create(broker, "torn");
    send(broker, "torn", &transaction(1, 2));
    let mut source = connect(broker, "torn", Duration::from_secs(1));
    assert_eq!(portions(&read(&mut source, 100, caught_up)), [(1, 3)]);
    // The end of the second does not come, and the third stands behind it.
    let mut torn = transaction(2, 4);
    torn.pop();
    torn.extend(transaction(3, 2));
    send(broker, "torn", &torn);
    let before = Instant::now();
    let rows = |deliveries: &[Delivery]| portions(deliveries).iter().map(|(_, rows)| rows).sum::<usize>() >= 8;
    let found = read(&mut source, 100, rows);
    assert!(before.elapsed() >= Duration::from_millis(900), "{:?}", before.elapsed());
    assert!(found.iter().any(|delivery| delivery.held > 0 && !delivery.behind.is_empty() && !delivery.caught_up));
    let split: Vec<_> = found.iter().flat_map(|delivery| delivery.split.clone()).collect();
    assert_eq!(split, [("timeout", 1)]);
    let mut expected = vec![(2, 1); 5];
    expected.push((3, 3));
    assert_eq!(portions(&found), expected);
}

const TABLES: &str = "CREATE SCHEMA shop;
CREATE TABLE shop.customers (id bigint PRIMARY KEY, name text);
CREATE TABLE shop.orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES shop.customers,
  ordered_at timestamp NOT NULL);
CREATE TABLE shop.parts (order_id bigint REFERENCES shop.orders, number int, amount double precision NOT NULL,
  PRIMARY KEY (order_id, number));
INSERT INTO shop.customers SELECT i, 'c' || i FROM generate_series(1, 30) i;
INSERT INTO shop.orders SELECT i, i % 29 + 1, now() AT TIME ZONE 'UTC' - interval '100 days' + i * interval '4 hours'
  FROM generate_series(1, 590) i;
INSERT INTO shop.parts SELECT i, 1, 5 FROM generate_series(1, 590) i;";

const FIRST: i64 = 1_001;
const PARTS: i64 = 40;

/// Orders from this number on, each with its parts in one transaction.
fn orders(numbers: std::ops::Range<i64>) -> String {
    let mut statements = String::new();
    for number in numbers {
        writeln!(
            statements,
            "BEGIN; INSERT INTO shop.orders VALUES ({number}, {}, now() AT TIME ZONE 'UTC'); \
             INSERT INTO shop.parts SELECT {number}, i, i FROM generate_series(1, {PARTS}) i; \
             UPDATE shop.customers SET name = 'n{number}' WHERE id = {}; COMMIT; SELECT pg_sleep(0.01);",
            number % 30 + 1,
            number % 30 + 1
        )
        .expect("text");
    }
    statements
}

fn config(broker: &Broker, app: &str, consistency: &str) -> String {
    format!(
        r#"
[app]
name = "{app}"
store = "store"

[source]
kind = "kafka"
brokers = "{}"
topics = "^txn\\.shop\\..*"
{consistency}

[sink]
kind = "kafka"

[tasks.churn]
query = "PREDICT COUNT(orders.*, 0, 14, days) = 0 FOR EACH customers.id"
quiet = "0s"
max_delay = "0s"
"#,
        broker.address()
    )
}

/// How many of an order's rows were seen by each score that saw some of them, but not all.
fn halves(broker: &Broker, app: &str, program: &Program, orders: std::ops::Range<i64>) -> Vec<String> {
    let (config, folder) = (program.folder().join("foreshore.toml"), program.folder().join("store"));
    let world = World::load(&Common { config, store: Some(folder) }).unwrap_or_else(|error| panic!("{error}"));
    let store = world.open_store(false).unwrap_or_else(|error| panic!("{error}"));
    let table = |name: &str| world.schema.table_named(name).expect("it was learnt");
    let (order_table, part_table) = (table("orders"), table("parts"));
    let mut halves = Vec::new();
    let text = broker.kcat(&format!("{app}.churn"), "%s\\n");
    assert!(text.lines().count() > 20, "hardly a score: {text}");
    for value in text.lines() {
        let score: Json = serde_json::from_str(value).expect("JSON");
        let sequence = Sequence(score["known_as_of"].as_u64().expect("a number"));
        let snapshot = store.as_of(AsOf::live(EventTime::MAX, sequence));
        let seen = |table, key: Key| usize::from(snapshot.row(&RowKey { table, key }).expect("readable").is_some());
        for order in orders.clone() {
            let parts = (1..=PARTS).map(|part| seen(part_table, Key::new([Value::Int(order), Value::Int(part)])));
            let rows = seen(order_table, Key::single(Value::Int(order))) + parts.sum::<usize>();
            if rows != 0 && rows != 41 {
                halves.push(format!("the score as of {} saw {rows} rows of order {order}", sequence.0));
            }
        }
    }
    halves
}

fn count(program: &Program, table: &str) -> usize {
    let shown = program.succeeds(&["inspect", "--format", "json", "rows", table, "--limit", "100000"]);
    serde_json::from_str::<Vec<Json>>(&shown).expect("JSON").len()
}

#[test]
fn no_score_is_made_from_half_a_transaction_of_a_database_whatever_is_killed() {
    let broker = shared();
    let postgres = Postgres::start();
    let connect = Connect::start(broker);
    postgres.run(TABLES);
    let mut connector = postgres.connector("txn");
    connector["provide.transaction.metadata"] = json!("true");
    connect.create("txn", &connector);
    let deadline = Instant::now() + PATIENCE;
    while !broker.has("txn.shop.parts") || broker.written("txn.shop.parts", 1) < 590 {
        assert!(Instant::now() < deadline, "the snapshot does not come");
        thread::sleep(Duration::from_millis(200));
    }

    let transactions = "consistency = \"transaction\"\n[source.transactions]\ntopic = \"txn.transaction\"";
    let program = Program::new(&config(broker, "txn-whole", transactions));
    program.succeeds(&["topics", "create"]);
    let mut end = FIRST;
    for _ in 0..3 {
        let mut run = program.start(&["run"]);
        postgres.run(&orders(end..end + 20));
        end += 20;
        let (written, patience) = (broker.written("txn-whole.churn", 1), Instant::now() + Duration::from_secs(10));
        while broker.written("txn-whole.churn", 1) == written && Instant::now() < patience {
            thread::sleep(Duration::from_millis(100));
        }
        // Killed in the midst of its work.
        run.kill().expect("it runs");
        run.wait().expect("it ends");
    }
    let expected = 590 + usize::try_from((end - FIRST) * PARTS).expect("positive");
    let deadline = Instant::now() + PATIENCE;
    loop {
        program.succeeds(&["run", "--until-caught-up"]);
        if count(&program, "parts") == expected {
            break;
        }
        assert!(Instant::now() < deadline, "{} of {expected} parts have come", count(&program, "parts"));
        thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(count(&program, "orders"), 590 + 60);
    scores(broker, "txn-whole", "churn");
    let found = halves(broker, "txn-whole", &program, FIRST..end);
    assert!(found.is_empty(), "{}", found.join("\n"));

    // The same topics row by row: the test can tell the difference.
    let single = Program::new(&config(broker, "txn-single", ""));
    single.succeeds(&["topics", "create"]);
    single.succeeds(&["run", "--until-caught-up"]);
    assert!(!halves(broker, "txn-single", &single, FIRST..end).is_empty(), "row by row no score saw half an order");
}
