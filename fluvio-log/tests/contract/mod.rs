//! What source and sink rely on, whichever cluster it is.

use std::time::{Duration, Instant};

use fluvio_log::{Appended, Cluster, Error, Partition, Reader, Record};

/// What the tests do to a cluster from the other side.
pub(crate) trait Host {
    /// Another connection.
    fn connect(&self) -> Box<dyn Cluster>;
    fn create(&self, topic: &str, partitions: i32);
    fn forget(&self, topic: &str, partition: i32, before: i64);
    fn set_away(&self, away: bool);
}

const PATIENCE: Duration = Duration::from_secs(30);

/// A test of each clause, of a cluster that the expression makes.
macro_rules! tests_of {
    ($host:expr) => {
        tests_of! { $host;
            records_are_where_their_keys_belong_and_are_read_from_any_offset,
            a_reader_at_the_end_sees_what_comes,
            what_retention_removed_shows_in_the_ends,
            who_goes_away_and_comes_back_is_found_again,
            a_topic_that_is_not_there_is_named,
        }
    };
    ($host:expr; $($clause:ident,)*) => {
        $(
            #[test]
            fn $clause() {
                contract::$clause(&$host);
            }
        )*
    };
}

/// The key's first byte chooses.
fn by_first_byte(key: &[u8], count: i32) -> i32 {
    i32::from(key.first().copied().unwrap_or_default()) % count
}

fn appended(key: &str, value: &str) -> Appended {
    Appended { key: Some(key.into()), value: value.into() }
}

fn append(cluster: &mut dyn Cluster, topic: &str, records: &[Appended]) {
    cluster.append(topic, records, by_first_byte).expect("acknowledged");
}

/// As many records as are asked for, or a failure.
fn take(reader: &mut dyn Reader, count: usize) -> Vec<Record> {
    let (deadline, mut records) = (Instant::now() + PATIENCE, Vec::new());
    while records.len() < count {
        match reader.next().expect("readable") {
            Some(record) => records.push(record),
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
            None => panic!("only {} of {count} records came", records.len()),
        }
    }
    records
}

fn values(records: &[Record]) -> Vec<(i64, String)> {
    records.iter().map(|record| (record.offset, String::from_utf8_lossy(&record.value).into_owned())).collect()
}

/// Tries until it goes well.
fn again<T>(mut ask: impl FnMut() -> Result<T, Error>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(Error::Away(_)) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => panic!("{error}"),
        }
    }
}

fn place(topic: &str, partition: i32) -> Partition {
    (topic.into(), partition)
}

pub(crate) fn records_are_where_their_keys_belong_and_are_read_from_any_offset(host: &dyn Host) {
    host.create("two", 2);
    host.create("one", 1);
    let mut cluster = host.connect();
    let listed = cluster.partitions().expect("there");
    assert_eq!(listed, [place("one", 0), place("two", 0), place("two", 1)]);
    let records = (0..20).map(|number| appended(if number % 2 == 0 { "b" } else { "a" }, &number.to_string()));
    append(&mut *cluster, "two", &records.collect::<Vec<_>>());
    for (partition, key) in [(0, "b"), (1, "a")] {
        let place = place("two", partition);
        assert_eq!(cluster.ends(&place).expect("there"), (0, 10));
        let read = take(&mut *cluster.read(&place, 0, 1 << 20).expect("there"), 10);
        let expected: Vec<_> =
            (0..10).map(|offset| (offset, (2 * offset + i64::from(partition)).to_string())).collect();
        assert_eq!(values(&read), expected);
        assert!(read.iter().all(|record| record.key.as_deref() == Some(key.as_bytes())));
        assert!(read.iter().all(|record| record.timestamp_ms.is_some()), "{read:?}");
        let later = take(&mut *cluster.read(&place, 7, 1 << 20).expect("there"), 3);
        assert_eq!(values(&later), expected[7..]);
    }
}

pub(crate) fn a_reader_at_the_end_sees_what_comes(host: &dyn Host) {
    host.create("late", 1);
    let (mut cluster, place) = (host.connect(), place("late", 0));
    let mut reader = cluster.read(&place, 0, 1 << 20).expect("there");
    assert_eq!(reader.next().expect("readable"), None);
    for round in 0..3 {
        let records = [appended("k", &round.to_string()), Appended { key: None, value: Vec::new() }];
        append(&mut *host.connect(), "late", &records);
        let read = take(&mut *reader, 2);
        assert_eq!(values(&read), [(2 * round, round.to_string()), (2 * round + 1, String::new())]);
        assert_eq!(read[1].key, None);
        assert_eq!(reader.next().expect("readable"), None);
    }
    assert_eq!(cluster.ends(&place).expect("there"), (0, 6));
}

pub(crate) fn what_retention_removed_shows_in_the_ends(host: &dyn Host) {
    host.create("short", 1);
    let (mut cluster, place) = (host.connect(), place("short", 0));
    append(&mut *cluster, "short", &["0", "1", "2", "3", "4"].map(|value| appended("k", value)));
    host.forget("short", 0, 3);
    assert_eq!(cluster.ends(&place).expect("there"), (3, 5));
    let read = take(&mut *cluster.read(&place, 3, 1 << 20).expect("there"), 2);
    assert_eq!(values(&read), [(3, "3".to_owned()), (4, "4".to_owned())]);
    // The client may say so at once or with the first record, and must not go on somewhere else.
    let refused = cluster.read(&place, 1, 1 << 20).and_then(|mut reader| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match reader.next() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
                answer => return answer,
            }
        }
    });
    assert!(matches!(refused, Err(Error::Away(_))), "{refused:?}");
}

pub(crate) fn who_goes_away_and_comes_back_is_found_again(host: &dyn Host) {
    host.create("gone", 1);
    let (mut cluster, place) = (host.connect(), place("gone", 0));
    append(&mut *cluster, "gone", &[appended("k", "0")]);
    let mut reader = cluster.read(&place, 0, 1 << 20).expect("there");
    assert_eq!(take(&mut *reader, 1).len(), 1);
    host.set_away(true);
    let deadline = Instant::now() + PATIENCE;
    while let Ok(record) = reader.next() {
        assert!(record.is_none() && Instant::now() < deadline, "the reader notices: {record:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(matches!(cluster.ends(&place), Err(Error::Away(_))));
    assert!(matches!(cluster.append("gone", &[appended("k", "x")], by_first_byte), Err(Error::Away(_))));
    host.set_away(false);
    assert_eq!(again(|| cluster.ends(&place)), (0, 1));
    again(|| cluster.append("gone", &[appended("k", "1")], by_first_byte));
    let mut reader = again(|| cluster.read(&place, 1, 1 << 20));
    assert_eq!(values(&take(&mut *reader, 1)), [(1, "1".to_owned())]);
}

pub(crate) fn a_topic_that_is_not_there_is_named(host: &dyn Host) {
    host.create("there", 1);
    let mut cluster = host.connect();
    let refused = cluster.append("nowhere", &[appended("k", "v")], by_first_byte);
    assert!(
        matches!(&refused, Err(Error::Refused(reason)) if reason.contains("fluvio topic create nowhere")),
        "{refused:?}"
    );
    let refused = cluster.ends(&place("there", 5));
    assert!(matches!(&refused, Err(Error::Refused(reason)) if reason.contains("partition 5")), "{refused:?}");
    cluster.ends(&place("there", 0)).expect("a refusal is not the end of the connection");
}
