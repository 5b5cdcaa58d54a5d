//! The Kafka sink against a real broker, read back by kcat.

use std::collections::BTreeMap;

use relational::{DeadLetter, EventTime, Position, Stage};
use sinks::{DeadLetterRecord, KafkaSettings, KafkaSink, Outgoing, Retention, ScoreRecord, Sink, StoreId, Topics};

use crate::broker::{Broker, Sent, process, shared};

const STORE: StoreId = StoreId(7);

/// Of an application with one task, whose source is not on the broker.
pub(crate) fn settings(broker: &Broker, app: &str) -> KafkaSettings {
    let scores = BTreeMap::from([("churn".to_owned(), format!("{app}.scores"))]);
    let topics = Topics { app: app.to_owned(), scores };
    KafkaSettings { topics, brokers: broker.address(), options: Vec::new(), group: None }
}

/// With its topics, of three partitions each.
fn made(broker: &Broker, app: &str) -> KafkaSettings {
    let settings = settings(broker, app);
    let names = [format!("{app}.scores"), format!("{app}.dlq"), format!("{app}.commits")];
    let created = sinks::create_topics(&settings, &names, 3, 1, Retention::All).expect("the broker creates topics");
    assert_eq!(created, names);
    settings
}

fn score(key: u64, value: Option<&str>) -> Outgoing {
    Outgoing::Score(ScoreRecord {
        app: "shop".into(),
        task: "churn".into(),
        table: "customers".into(),
        key: key.to_string(),
        value: value.map(str::to_owned),
        cutoff: EventTime(1_700_000_000_123_456),
        id: u128::from(key),
        revision: 0,
        digest: key,
    })
}

fn letter(topic: &str) -> DeadLetterRecord {
    DeadLetterRecord::new(DeadLetter {
        position: Position { topic: topic.into(), partition: 0, offset: 41 },
        stage: Stage::Decode,
        reason: "`op` is missing".into(),
        key: Some(b"k".to_vec()),
        value: Some(b"not json".to_vec()),
        headers: vec![("trace".into(), Some(b"t1".to_vec()))],
        timestamp: Some(EventTime(1_600_000_000_000_000)),
    })
}

pub(crate) fn batch(sequences: std::ops::RangeInclusive<u64>) -> Vec<(u64, Outgoing)> {
    sequences.map(|sequence| (sequence, score(sequence, Some("{}")))).collect()
}

/// The keys in a topic, in order.
pub(crate) fn keys(broker: &Broker, topic: &str) -> Vec<u64> {
    let text = broker.kcat(topic, "%k\\n");
    let mut keys: Vec<u64> = text.lines().map(|line| line.parse().expect("a number")).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn scores_tombstones_and_dead_letters_arrive_as_documented() {
    let broker = shared();
    let settings = made(broker, "sink-form");
    let mut sink = KafkaSink::open(settings, STORE, process(), 1).expect("the broker answers");
    let records = [score(1, Some(r#"{"a":1}"#)), score(2, None), Outgoing::DeadLetter(letter("orders"))];
    sink.publish(&(1..).zip(records).collect::<Vec<_>>(), &[]).expect("acknowledged");

    let text = broker.kcat("sink-form.scores", "%k|%s|%S|%T|%h\\n");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let common = "ce_specversion=1.0,ce_id=0000000000000000000000000000000";
    let expected = [
        format!(
            "1|{{\"a\":1}}|7|1700000000123|{common}1,ce_source=/foreshore/shop,ce_type=foreshore.score.v1,\
             ce_subject=churn/customers/1,ce_time=2023-11-14T22:13:20.123456Z,content-type=application/json,\
             foreshore-outbox=0000000000000007:1"
        ),
        format!(
            "2||-1|1700000000123|{common}2,ce_source=/foreshore/shop,ce_type=foreshore.score.deleted.v1,\
             ce_subject=churn/customers/2,ce_time=2023-11-14T22:13:20.123456Z,foreshore-outbox=0000000000000007:2"
        ),
    ];
    assert_eq!(lines, expected);
    let letters = broker.kcat("sink-form.dlq", "%k|%s|%T|%h\\n");
    let expected = "k|not json|1600000000000|trace=t1,__connect.errors.topic=orders,__connect.errors.partition=0,\
                    __connect.errors.offset=41,__connect.errors.stage=decode,\
                    __connect.errors.exception.class.name=foreshore.decode,\
                    __connect.errors.exception.message=`op` is missing,foreshore-attempt=1,\
                    foreshore-outbox=0000000000000007:3\n";
    assert_eq!(letters, expected);
}

#[test]
fn what_a_topic_holds_is_not_sent_again() {
    let broker = shared();
    let settings = made(broker, "sink-again");
    let open = |store| KafkaSink::open(settings.clone(), store, process(), 81).expect("the broker answers");
    open(STORE).publish(&batch(1..=50), &[]).expect("acknowledged");
    open(STORE).publish(&batch(1..=80), &[]).expect("acknowledged");
    assert_eq!(keys(broker, "sink-again.scores"), (1..=80).collect::<Vec<_>>());

    open(StoreId(8)).publish(&batch(1..=3), &[]).expect("acknowledged");
    assert_eq!(keys(broker, "sink-again.scores").len(), 83, "another store counts from 1 too");

    // A store that was brought back from an older copy gives out sequences once more, for other records.
    let mut restored = KafkaSink::open(settings.clone(), STORE, process(), 60).expect("the broker answers");
    restored.publish(&batch(50..=70), &[]).expect("acknowledged");
    assert_eq!(keys(broker, "sink-again.scores").len(), 94, "those from 60 on are new");
}

#[test]
fn a_restart_of_the_broker_loses_and_repeats_nothing() {
    let broker = Broker::start();
    let mut sink = KafkaSink::open(made(&broker, "sink-restart"), STORE, process(), 41).expect("the broker answers");
    sink.publish(&batch(1..=20), &[]).expect("acknowledged");
    broker.stop();
    broker.resume();
    sink.publish(&batch(11..=40), &[]).expect("acknowledged by the broker that came back");
    assert_eq!(keys(&broker, "sink-restart.scores"), (1..=40).collect::<Vec<_>>());
}

#[test]
fn dead_letters_are_read_back_and_sent_back() {
    let broker = shared();
    let settings = made(broker, "sink-letters");
    broker.create_topic("sink-letters.orders", 1);
    let sent = letter("sink-letters.orders");
    let mut sink = KafkaSink::open(settings.clone(), STORE, process(), 1).expect("the broker answers");
    sink.publish(&[(1, Outgoing::DeadLetter(sent.clone()))], &[]).expect("acknowledged");
    broker.send("sink-letters.dlq", &[Sent::new(0, 1_000, "stray", "no dead letter")]);

    let stored = sinks::read_dead_letters(&settings).expect("the topic is read");
    let (letters, others): (Vec<_>, Vec<_>) = stored.into_iter().map(|stored| stored.letter).partition(Result::is_ok);
    let letters: Vec<_> = letters.into_iter().filter_map(Result::ok).collect();
    assert_eq!((letters.as_slice(), others.len()), ([sent].as_slice(), 1));

    sinks::send_back(&settings, &letters).expect("acknowledged");
    let back = broker.kcat("sink-letters.orders", "%k|%s|%T|%h\\n");
    assert_eq!(back, "k|not json|1600000000000|trace=t1,foreshore-attempt=1\n");
}

#[test]
fn a_missing_topic_is_named_and_an_existing_one_is_left() {
    let broker = shared();
    let refused = KafkaSink::open(settings(broker, "sink-missing"), STORE, process(), 1).expect_err("no such topic");
    let message = refused.to_string();
    assert!(message.contains("sink-missing.scores") && message.contains("foreshore topics create"), "{message}");

    let settings = made(broker, "sink-existing");
    let names = ["sink-existing.dlq".to_owned(), "sink-existing.new".to_owned()];
    let created =
        sinks::create_topics(&settings, &names, 1, 1, Retention::Compacted).expect("the broker creates topics");
    assert_eq!(created, ["sink-existing.new"]);
}
