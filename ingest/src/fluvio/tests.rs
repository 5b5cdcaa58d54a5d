//! Against a cluster in memory; `fluvio-log/tests` holds it and the real client to one contract.

use fluvio_log::{Appended, Memory};
use relational::Value;

use super::*;
use crate::fixture::tables;

fn send(cluster: &Memory, partition: i32, id: i64) {
    let value = format!(r#"{{"id":{id},"name":"n{id}"}}"#).into_bytes();
    let record = Appended { key: Some(id.to_string().into_bytes()), value };
    cluster.push(&("shop.t".into(), partition), record).expect("there");
}

/// Two partitions with the ids 0 to 9 in turns.
fn filled() -> Memory {
    let cluster = Memory::default();
    cluster.create("shop.t", 2);
    (0..10).for_each(|id| send(&cluster, i32::from(id % 2 == 1), id));
    cluster
}

fn settings(topics: &[&str]) -> FluvioSettings {
    let topics = topics.iter().map(ToString::to_string).collect();
    FluvioSettings {
        connect_timeout: Duration::from_millis(20),
        refresh_interval: Duration::ZERO,
        ..FluvioSettings::new("cluster `memory`", topics)
    }
}

fn source(cluster: &Memory) -> FluvioSource {
    FluvioSource::connect(Box::new(cluster.clone()), settings(&["shop.t"]), tables()).expect("connected")
}

/// All that comes until the source has caught up, and where it goes on.
fn read(source: &mut FluvioSource, limit: usize) -> (Vec<i64>, Vec<Position>, Vec<Delivery>) {
    let (mut ids, mut next, mut deliveries) = (Vec::new(), BTreeMap::new(), Vec::new());
    for _ in 0..1_000 {
        let delivery = source.poll(limit, Duration::from_millis(20)).expect("readable");
        for change in &delivery.changes {
            match change.key.values() {
                [Value::Int(id)] => ids.push(*id),
                other => panic!("{other:?}"),
            }
        }
        let moved = delivery.next.iter();
        next.extend(moved.map(|position| ((position.topic.clone(), position.partition), position.clone())));
        let caught_up = delivery.caught_up;
        deliveries.push(delivery);
        if caught_up {
            return (ids, next.into_values().collect(), deliveries);
        }
    }
    panic!("it never catches up: {deliveries:?}");
}

#[test]
fn partitions_become_one_order_of_time_and_restarts_go_on_from_positions() {
    let cluster = filled();
    let (ids, next, _) = read(&mut source(&cluster), 100);
    assert_eq!(ids, (0..10).collect::<Vec<_>>());
    assert_eq!(next.iter().map(|position| position.offset).collect::<Vec<_>>(), [5, 5]);

    // Whatever the batches are, who stops after one and starts again misses and repeats nothing.
    let (mut ids, mut positions) = (Vec::new(), BTreeMap::new());
    while ids.len() < 10 {
        let mut source = source(&cluster);
        source.seek(&positions.values().cloned().collect::<Vec<_>>()).expect("there");
        let delivery = source.poll(3, Duration::from_millis(20)).expect("readable");
        ids.extend(delivery.changes.iter().map(|change| change.key.values()[0].clone()));
        positions.extend(delivery.next.into_iter().map(|position| (position.partition, position)));
    }
    assert_eq!(ids, (0..10).map(Value::Int).collect::<Vec<_>>());
}

#[test]
fn what_comes_later_is_delivered_and_told_to_be_behind_until_its_end() {
    let cluster = filled();
    let mut source = source(&cluster);
    read(&mut source, 100);
    (10..14).for_each(|id| send(&cluster, 0, id));
    let first = source.poll(2, Duration::from_secs(5)).expect("readable");
    assert!(!first.changes.is_empty() && !first.caught_up, "{first:?}");
    assert_eq!(first.behind, [("shop.t".into(), 0)]);
    let (_, next, deliveries) = read(&mut source, 100);
    assert_eq!(next.iter().map(|position| position.offset).collect::<Vec<_>>(), [9]);
    assert!(deliveries.last().is_some_and(|last| last.behind.is_empty()));
}

#[test]
fn a_cluster_that_goes_away_is_waited_for() {
    let cluster = filled();
    let mut source = source(&cluster);
    read(&mut source, 100);
    cluster.set_away(true);
    let delivery = source.poll(100, Duration::from_millis(50)).expect("no error");
    assert!(delivery.changes.is_empty() && !delivery.caught_up, "{delivery:?}");
    cluster.set_away(false);
    send(&cluster, 1, 10);
    let (ids, _, _) = read(&mut source, 100);
    assert_eq!(ids, [10]);
}

#[test]
fn an_offset_that_is_gone_is_named() {
    let cluster = filled();
    let position = Position { topic: "shop.t".into(), partition: 0, offset: 2 };
    cluster.forget("shop.t", 0, 3);
    let refused = source(&cluster).seek(std::slice::from_ref(&position)).expect_err("gone").to_string();
    assert!(
        refused.contains("`shop.t`, partition 0") && refused.contains("offset 2") && refused.contains("3 to 5"),
        "{refused}"
    );
    // Without a position, it begins where the log does.
    let (ids, _, _) = read(&mut source(&cluster), 100);
    assert_eq!(ids.len(), 7);
}

#[test]
fn a_record_that_is_none_is_a_dead_letter_at_its_place() {
    let cluster = filled();
    let record = Appended { key: None, value: b"not json".to_vec() };
    cluster.push(&("shop.t".into(), 1), record).expect("there");
    let (ids, next, deliveries) = read(&mut source(&cluster), 100);
    assert_eq!((ids.len(), next[1].offset), (10, 6));
    let letters: Vec<_> = deliveries.iter().flat_map(|delivery| &delivery.dead_letters).collect();
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!((&*letter.position.topic, letter.position.partition, letter.position.offset), ("shop.t", 1, 5));
}

#[test]
fn an_empty_value_removes_the_row() {
    let cluster = Memory::default();
    cluster.create("shop.t", 1);
    let record = Appended { key: Some(br#"{"id":7}"#.to_vec()), value: Vec::new() };
    cluster.push(&("shop.t".into(), 0), record).expect("there");
    let delivery = read(&mut source(&cluster), 100).2.remove(0);
    assert!(
        delivery.changes.iter().all(|change| change.op == relational::Op::Delete) && delivery.changes.len() == 1,
        "{delivery:?}"
    );
}

#[test]
fn topics_that_are_not_there_are_named_and_new_partitions_are_found() {
    let cluster = filled();
    let connect = |topics: &[&str]| FluvioSource::connect(Box::new(cluster.clone()), settings(topics), tables());
    let refused = connect(&["shop.tt"]).expect_err("no such topic").to_string();
    assert!(refused.contains("`shop.tt`") && refused.contains("`shop.t`"), "{refused}");
    let mut source = connect(&["^shop\\."]).expect("a pattern");
    read(&mut source, 100);
    cluster.create("shop.t", 3);
    send(&cluster, 2, 10);
    assert_eq!(read(&mut source, 100).0, [10]);
    cluster.set_away(true);
    let refused = connect(&["shop.t"]).expect_err("away").to_string();
    assert!(refused.contains("no answer within 20ms") && refused.contains("`source.endpoint`"), "{refused}");
}

#[test]
fn a_sample_holds_the_newest_records() {
    let cluster = filled();
    let sample = FluvioSource::sample(Box::new(cluster), &settings(&["shop.t"]), 2).expect("readable");
    assert_eq!(sample.topics, ["shop.t"]);
    let offsets: Vec<_> = sample.records.iter().map(|record| record.position.offset).collect();
    assert_eq!(offsets, [3, 4, 3, 4]);
}

#[test]
fn a_pattern_without_a_topic_is_waited_for() {
    let cluster = Memory::default();
    cluster.create("other", 1);
    let mut source =
        FluvioSource::connect(Box::new(cluster.clone()), settings(&["^shop\\."]), tables()).expect("a pattern");
    let delivery = source.poll(100, Duration::from_millis(20)).expect("readable");
    assert!(delivery.waiting.is_some_and(|waiting| waiting.contains("`^shop\\.`")));
    cluster.create("shop.t", 1);
    send(&cluster, 0, 3);
    assert_eq!(read(&mut source, 100).0, [3]);
}
