//! Scores in Kafka's transactions, against a real broker, read back by kcat, which reads what is committed.

use relational::Position;
use sinks::{
    Bookmark, Error, ExactlyOnce, KafkaSettings, KafkaTransactions, Left, Outgoing, Retention, Sink, Stamp, StoreId,
};

use crate::broker::{Broker, Sent, process, shared};
use crate::kafka_sink::{self, batch};

type Publisher = ExactlyOnce<KafkaTransactions>;

/// With a group that is told the positions.
fn settings(broker: &Broker, app: &str) -> KafkaSettings {
    KafkaSettings { group: Some(format!("{app}-group")), ..kafka_sink::settings(broker, app) }
}

/// With its topics and one to read from, of three partitions each.
fn made(broker: &Broker, app: &str) -> KafkaSettings {
    let settings = settings(broker, app);
    let names: Vec<String> = settings.topics.all().collect();
    sinks::create_topics(&settings, &names, 3, 1, Retention::All).expect("the broker creates topics");
    broker.create_topic(&format!("{app}.orders"), 1);
    settings
}

/// One more process.
fn publisher(settings: &KafkaSettings) -> Publisher {
    let transactions = KafkaTransactions::open(settings.clone()).expect("the broker answers");
    ExactlyOnce::new(settings.topics.clone(), StoreId(7), process(), transactions)
}

/// What has left since, all of it.
fn left(publisher: &mut Publisher, mut since: Option<Bookmark>) -> (Vec<Stamp>, Option<Bookmark>) {
    let mut all = Vec::new();
    while let Some(Left { stamps, bookmark }) = publisher.left(since).expect("the broker answers") {
        all.extend(stamps);
        since = Some(bookmark);
    }
    (all, since)
}

fn stamps(batch: &[(u64, Outgoing)]) -> Vec<Stamp> {
    batch.iter().map(|(_, outgoing)| outgoing.stamp()).collect()
}

/// The keys in an application's topic, in order.
fn keys(broker: &Broker, app: &str) -> Vec<u64> {
    kafka_sink::keys(broker, &format!("{app}.scores"))
}

#[test]
fn scores_their_entry_and_the_positions_are_there_together() {
    let broker = shared();
    let settings = made(broker, "once-together");
    let mut sink = publisher(&settings);
    assert_eq!(left(&mut sink, None).0, vec![]);
    let positions = [Position { topic: "once-together.orders".into(), partition: 0, offset: 41 }];
    let batch = batch(1..=2_500);
    let receipt = sink.publish(&batch, &positions).expect("committed");
    assert_eq!((receipt.transactions, receipt.repeated), (3, 0));
    assert_eq!(keys(broker, "once-together"), (1..=2_500).collect::<Vec<_>>());
    assert_eq!(broker.committed("once-together-group", "once-together.orders", 0), Some(41));

    // The next process reads what has left, from the beginning and from where the store knows it.
    let mut next = publisher(&settings);
    assert_eq!(left(&mut next, None).0, stamps(&batch));
    assert_eq!(left(&mut next, receipt.bookmark).0, vec![]);
    let positions = [Position { offset: 43, ..positions[0].clone() }];
    next.report(&positions).expect("committed");
    assert_eq!(broker.committed("once-together-group", "once-together.orders", 0), Some(43));
}

#[test]
fn whoever_comes_later_shuts_the_earlier_one_out() {
    let broker = shared();
    let settings = made(broker, "once-fenced");
    let (mut first, mut second) = (publisher(&settings), publisher(&settings));
    left(&mut first, None);
    first.publish(&batch(1..=10), &[]).expect("alone");
    let (known, _) = left(&mut second, None);
    assert_eq!(known, stamps(&batch(1..=10)));
    let refused = first.publish(&batch(11..=20), &[]).expect_err("shut out");
    assert!(matches!(refused, Error::Fenced { .. }), "{refused:?}");
    let message = refused.to_string();
    assert!(message.contains("application `once-fenced`") && message.contains("app.name"), "{message}");
    assert!(first.publish(&batch(11..=20), &[]).is_err(), "it stays out");
    second.publish(&batch(11..=30), &[]).expect("the only one");
    assert_eq!(keys(broker, "once-fenced"), (1..=30).collect::<Vec<_>>());
}

/// The broker shuts a producer out for reasons of its own as well; here it is one of the same name that is no run.
#[test]
fn whoever_is_shut_out_while_no_other_process_has_begun_goes_on() {
    let broker = shared();
    let settings = made(broker, "once-shut-out");
    let mut sink = publisher(&settings);
    left(&mut sink, None);
    sink.publish(&batch(1..=3), &[]).expect("alone");
    broker.leave_transaction_open("once-shut-out", "once-shut-out.scores", &[Sent::new(0, 1_000, "999", "half")]);
    let receipt = sink.publish(&batch(4..=6), &[]).expect("still alone");
    assert!(receipt.repeated > 0, "it was shut out");
    sink.publish(&batch(7..=9), &[]).expect("still alone");
    assert_eq!(keys(broker, "once-shut-out"), (1..=9).collect::<Vec<_>>());
    assert_eq!(left(&mut publisher(&settings), receipt.bookmark).0, stamps(&batch(7..=9)));
}

#[test]
fn what_a_killed_process_had_begun_is_undone() {
    let broker = shared();
    let settings = made(broker, "once-open");
    broker.leave_transaction_open("once-open", "once-open.scores", &[Sent::new(0, 1_000, "999", "half")]);
    let mut sink = publisher(&settings);
    assert_eq!(left(&mut sink, None).0, vec![]);
    sink.publish(&batch(1..=3), &[]).expect("committed");
    assert_eq!(keys(broker, "once-open"), [1, 2, 3]);
}

#[test]
fn a_restart_of_the_broker_neither_loses_nor_repeats_a_transaction() {
    let broker = Broker::start();
    let settings = made(&broker, "once-restart");
    let mut sink = publisher(&settings);
    left(&mut sink, None);
    let receipt = sink.publish(&batch(1..=20), &[]).expect("committed");
    broker.stop();
    broker.resume();
    sink.publish(&batch(21..=40), &[]).expect("committed by the broker that came back");
    assert_eq!(keys(&broker, "once-restart"), (1..=40).collect::<Vec<_>>());
    assert_eq!(left(&mut publisher(&settings), receipt.bookmark).0, stamps(&batch(21..=40)));
}

#[test]
fn an_account_that_does_not_reach_back_is_told() {
    let broker = shared();
    let settings = made(broker, "once-forgotten");
    let mut sink = publisher(&settings);
    left(&mut sink, None);
    let first = sink.publish(&batch(1..=5), &[]).expect("committed").bookmark;
    let second = sink.publish(&batch(6..=9), &[]).expect("committed").bookmark.expect("an account").0;
    broker.forget("once-forgotten.commits", 0, second);
    let refused = publisher(&settings).left(first).expect_err("a gap").to_string();
    assert!(refused.contains("once-forgotten.commits") && refused.contains("sink.delivery"), "{refused}");

    let missing =
        KafkaTransactions::open(self::settings(broker, "once-missing")).expect_err("no such topic").to_string();
    assert!(missing.contains("once-missing.scores") && missing.contains("foreshore topics create"), "{missing}");
}
