//! The Kafka source against a real broker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ingest::decode::{Format, Mapping, Tables};
use ingest::kafka::{KafkaSettings, KafkaSource};
use ingest::{Delivery, Source};
use relational::{Change, Column, ColumnId, DataType, EventTime, Position, Schema, Table, TableId};

use crate::broker::{Broker, Sent, shared};

const PATIENCE: Duration = Duration::from_secs(60);

/// Table `orders` (key `id`, text `name`), fed by every topic that ends with `.orders`.
fn tables() -> Arc<Tables> {
    let columns = vec![Column::new("id", DataType::Int), Column::new("name", DataType::Text)];
    let table = Table { name: "orders".into(), columns, key: vec![ColumnId(0)], time: None };
    let schema = Arc::new(Schema::new(vec![table], Vec::new()).expect("valid schema"));
    let mapping = Mapping { table: TableId(0), topic: None, format: Format::Upsert, hints: Vec::new() };
    Arc::new(Tables::new(schema, vec![mapping]).expect("valid tables"))
}

fn settings(broker: &Broker, topics: &[&str]) -> KafkaSettings {
    let topics = topics.iter().map(ToString::to_string).collect();
    KafkaSettings::new(broker.address(), topics, "source-tests")
}

fn connect(settings: KafkaSettings) -> KafkaSource {
    KafkaSource::connect(settings, tables()).expect("the broker answers")
}

/// Reads until the source has caught up, in steps of at most `limit` changes.
fn read(source: &mut KafkaSource, limit: usize) -> Vec<Delivery> {
    until(source, limit, |deliveries| deliveries.last().is_some_and(|last| last.caught_up))
}

fn until(source: &mut KafkaSource, limit: usize, done: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
    let deadline = Instant::now() + PATIENCE;
    let mut deliveries = Vec::new();
    while !done(&deliveries) {
        assert!(Instant::now() < deadline, "the source did not get there: {deliveries:?}");
        deliveries.push(source.poll(limit, Duration::from_millis(200)).expect("the source goes on"));
    }
    deliveries
}

fn changes(deliveries: &[Delivery]) -> Vec<Change> {
    deliveries.iter().flat_map(|delivery| delivery.changes.clone()).collect()
}

fn place(change: &Change) -> (EventTime, String, i32, i64) {
    let position = &change.position;
    (change.known, position.topic.to_string(), position.partition, position.offset)
}

/// Where to go on after these deliveries.
fn next(deliveries: &[Delivery]) -> Vec<Position> {
    let mut next: Vec<Position> = Vec::new();
    for position in deliveries.iter().flat_map(|delivery| &delivery.next) {
        next.retain(|known| (&known.topic, known.partition) != (&position.topic, position.partition));
        next.push(position.clone());
    }
    next
}

/// Two topics of 3 and 2 partitions with 500 records whose times lie across each other.
fn fill(broker: &Broker, name: &str) -> [String; 2] {
    let topics = [format!("{name}.a.orders"), format!("{name}.b.orders")];
    for (topic, partitions) in topics.iter().zip([3, 2]) {
        broker.create_topic(topic, partitions);
        let ids: Vec<String> = (0..250).map(|id| id.to_string()).collect();
        // Times rise within a partition by uneven steps, with ties between partitions.
        let record = |(number, id)| {
            let number: i64 = number;
            let partition = i32::try_from(number % i64::from(partitions)).expect("few partitions");
            Sent::new(partition, 1_000 + number / 4 * 10, id, r#"{"name":"x"}"#)
        };
        broker.send(topic, &(0..).zip(ids.iter().map(String::as_str)).map(record).collect::<Vec<_>>());
    }
    topics
}

#[test]
fn the_same_logs_give_the_same_order_whatever_the_steps() {
    let broker = shared();
    let topics = fill(broker, "order");
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut expected = Vec::new();
    for limit in [1_000, 7, 2] {
        let found: Vec<_> = changes(&read(&mut connect(settings(broker, &topics)), limit)).iter().map(place).collect();
        if expected.is_empty() {
            expected.clone_from(&found);
            expected.sort();
            assert_eq!(expected.len(), 500);
        }
        assert_eq!(found, expected, "in steps of {limit}");
    }
}

#[test]
fn a_restart_goes_on_where_the_store_stands() {
    let broker = shared();
    let topics = fill(broker, "restart");
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let whole = changes(&read(&mut connect(settings(broker, &topics)), 1_000));
    for cut in [1, 100, 499] {
        let first = until(&mut connect(settings(broker, &topics)), 2, |deliveries| changes(deliveries).len() >= cut);
        let mut second = connect(settings(broker, &topics));
        second.seek(&next(&first)).expect("the log is whole");
        let mut both = changes(&first);
        both.extend(changes(&read(&mut second, 64)));
        assert_eq!(both, whole, "cut after {cut}");
    }
}

#[test]
fn aborted_transactions_are_not_seen_and_markers_do_not_hide_the_end() {
    let broker = shared();
    broker.create_topic("transactions.orders", 1);
    let record = |key| Sent::new(0, 1_000, key, "{}");
    broker.send_in_transaction("transactions.orders", &[record("1"), record("2")], true);
    broker.send_in_transaction("transactions.orders", &[record("3")], false);
    let deliveries = read(&mut connect(settings(broker, &["transactions.orders"])), 10);
    let offsets: Vec<i64> = changes(&deliveries).iter().map(|change| change.position.offset).collect();
    assert_eq!(offsets, [0, 1]);
}

#[test]
fn new_topics_and_partitions_are_found() {
    let broker = shared();
    let mut settings = settings(broker, &[r"^growing\..*"]);
    settings.refresh_interval = Duration::from_millis(100);
    let mut source = connect(settings);
    let waiting = source.poll(10, Duration::ZERO).expect("the broker answers").waiting.expect("there is nothing yet");
    assert!(waiting.contains(r"matches `^growing\..*` yet"), "{waiting}");
    broker.create_topic("growing.1.orders", 1);
    broker.send("growing.1.orders", &[Sent::new(0, 1, "1", "{}")]);
    let found = until(&mut source, 10, |deliveries| !changes(deliveries).is_empty());
    assert_eq!(changes(&found).len(), 1);
    assert_eq!(found.last().and_then(|delivery| delivery.waiting.as_ref()), None);
    broker.create_topic("growing.2.orders", 1);
    broker.add_partitions("growing.1.orders", 2);
    broker.send("growing.2.orders", &[Sent::new(0, 1, "2", "{}")]);
    broker.send("growing.1.orders", &[Sent::new(1, 1, "3", "{}")]);
    let found = until(&mut source, 10, |deliveries| changes(deliveries).len() >= 2);
    assert_eq!(changes(&found).len(), 2, "what was read before does not come again");
}

#[test]
fn records_that_fit_nothing_are_kept_and_the_rest_goes_on() {
    let broker = shared();
    broker.create_topic("mixed.orders", 1);
    broker.create_topic("__debezium-heartbeat.mixed", 1);
    let headers = [("trace", "t1")];
    let broken = Sent { headers: &headers, ..Sent::new(0, 2, "1", "{not json") };
    broker
        .send("mixed.orders", &[Sent::new(0, 1, "1", "{}"), broken, Sent { value: None, ..Sent::new(0, 3, "1", "") }]);
    broker.send("__debezium-heartbeat.mixed", &[Sent::new(0, 4, "{}", r#"{"ts_ms":77}"#)]);
    let topics = ["mixed.orders", "__debezium-heartbeat.mixed"];
    let deliveries = read(&mut connect(settings(broker, &topics)), 10);
    assert_eq!(changes(&deliveries).len(), 2);
    let letters: Vec<_> = deliveries.iter().flat_map(|delivery| &delivery.dead_letters).collect();
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!(letter.position.to_string(), "mixed.orders[0]@1");
    assert_eq!(letter.value.as_deref(), Some(b"{not json".as_slice()));
    assert_eq!(letter.headers, [("trace".to_owned(), Some(b"t1".to_vec()))]);
    let reached = deliveries.iter().filter_map(|delivery| delivery.reached).max();
    assert_eq!(reached, Some(EventTime(77_000)));
    assert!(broker.kcat("mixed.orders", "%o %k\\n").starts_with("0 1\n1 1\n2 1"), "another client sees the same");
}

#[test]
fn lost_offsets_are_told_with_topic_partition_and_offset() {
    let broker = shared();
    broker.create_topic("lost.orders", 1);
    let keys: Vec<String> = (0..10).map(|key| key.to_string()).collect();
    broker.send("lost.orders", &keys.iter().map(|key| Sent::new(0, 1, key, "{}")).collect::<Vec<_>>());
    broker.forget("lost.orders", 0, 6);
    let mut source = connect(settings(broker, &["lost.orders"]));
    for offset in [3, 11] {
        let position = Position { topic: "lost.orders".into(), partition: 0, offset };
        let refused = source.seek(&[position]).expect_err("gone").to_string();
        let expected = format!(
            "topic `lost.orders`, partition 0: the store goes on at offset {offset}, but the log holds 6 to 10"
        );
        assert!(refused.contains(&expected), "{refused}");
    }
    source.seek(&[Position { topic: "lost.orders".into(), partition: 0, offset: 6 }]).expect("still there");
    assert_eq!(changes(&read(&mut source, 10)).len(), 4);
}

#[test]
fn a_topic_that_does_not_exist_is_refused_by_name() {
    let broker = shared();
    broker.create_topic("spelt.orders", 1);
    let refused =
        KafkaSource::connect(settings(broker, &["spelled.orders"]), tables()).expect_err("unknown").to_string();
    assert!(refused.contains("topic `spelled.orders`") && refused.contains(&broker.address()), "{refused}");
    assert!(refused.contains("the nearest that is there is `spelt.orders`"), "{refused}");
}

#[test]
fn a_broker_that_is_not_there_is_refused_in_time() {
    let mut settings = KafkaSettings::new("127.0.0.1:1", vec!["orders".into()], "source-tests");
    settings.connect_timeout = Duration::from_secs(1);
    let refused = KafkaSource::connect(settings, tables()).expect_err("nobody there").to_string();
    assert!(refused.contains("brokers `127.0.0.1:1`: no answer within 1s"), "{refused}");
    assert!(refused.contains("onnect"), "the client's own reason is told: {refused}");
}

#[test]
fn options_reach_the_client_and_its_complaints_reach_the_user() {
    let broker = shared();
    let mut misspelt = settings(broker, &["orders"]);
    misspelt.options.insert("fetch.wait.max.millis".into(), "7".into());
    let refused = KafkaSource::connect(misspelt, tables()).expect_err("no such option").to_string();
    assert!(refused.contains("fetch.wait.max.millis") && refused.contains("`source.options`"), "{refused}");
    let mut encrypted = settings(broker, &["orders"]);
    encrypted.options.insert("security.protocol".into(), "SSL".into());
    encrypted.connect_timeout = Duration::from_secs(5);
    let refused = KafkaSource::connect(encrypted, tables()).expect_err("the listener is plain text").to_string();
    // The broker hangs up, or librdkafka sees first that the answer is no handshake: both say that it was about SSL.
    assert!(refused.contains("SSL") && refused.contains("`source.options`"), "{refused}");
}

#[test]
fn reported_positions_show_in_the_consumer_group() {
    let broker = shared();
    broker.create_topic("lag.orders", 1);
    broker.send("lag.orders", &[Sent::new(0, 1, "1", "{}"), Sent::new(0, 1, "2", "{}")]);
    let mut source = connect(settings(broker, &["lag.orders"]));
    let deliveries = read(&mut source, 10);
    source.report(&next(&deliveries)).expect("the client takes it");
    let deadline = Instant::now() + PATIENCE;
    while broker.committed("source-tests", "lag.orders", 0) != Some(2) {
        assert!(Instant::now() < deadline, "the group never shows the position");
        source.poll(1, Duration::from_millis(100)).expect("the source goes on");
    }
}

#[test]
fn a_sample_holds_the_newest_records() {
    let broker = shared();
    broker.create_topic("sampled.orders", 2);
    let keys: Vec<String> = (0..10).map(|key| key.to_string()).collect();
    broker.send("sampled.orders", &keys.iter().map(|key| Sent::new(0, 1, key, "{}")).collect::<Vec<_>>());
    let sample = KafkaSource::sample(&settings(broker, &["sampled.orders"]), 3).expect("the broker answers");
    let found: Vec<_> = sample.records.iter().map(|record| record.key.as_deref()).collect();
    assert_eq!(found, [Some(b"7".as_slice()), Some(b"8"), Some(b"9")]);
}

#[test]
fn a_broker_that_restarts_is_waited_for() {
    let broker = Broker::start();
    broker.create_topic("patient.orders", 1);
    broker.send("patient.orders", &[Sent::new(0, 1, "1", "{}")]);
    let mut source = connect(settings(&broker, &["patient.orders"]));
    assert_eq!(changes(&read(&mut source, 10)).len(), 1);
    broker.stop();
    for _ in 0..10 {
        let delivery = source.poll(10, Duration::from_millis(100)).expect("a broker that is down is no error");
        assert!(delivery.changes.is_empty());
    }
    broker.resume();
    broker.send("patient.orders", &[Sent::new(0, 2, "2", "{}")]);
    let found = until(&mut source, 10, |deliveries| !changes(deliveries).is_empty());
    assert_eq!(changes(&found)[0].position.offset, 1);
}
