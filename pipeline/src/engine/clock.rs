//! How far event time has come, partition by partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph_store::{Keyspace, Store, Transaction};
use relational::{EventTime, Position};
use serde::{Deserialize, Serialize};

type Partition = (Arc<str>, i32);

/// The newest event time, and the watermark: no partition is believed to have anything older still to come.
///
/// The watermark is the least of what each partition has shown, minus the allowed lateness, and never goes back. A
/// partition that has been read to its end holds nothing up. It hides no row: it decides when contexts are drawn ahead,
/// when scheduled scores are due, and which rows are late.
#[derive(Debug, Default)]
pub(super) struct Clock {
    newest: EventTime,
    watermark: EventTime,
    /// In microseconds.
    lateness: i64,
    /// The newest event time of each partition.
    shown: BTreeMap<Partition, EventTime>,
    /// The same of those that have not been read to their end.
    behind: BTreeMap<Partition, EventTime>,
    /// Whether the store holds something else.
    changed: bool,
}

const KEY: &[u8] = b"clock";

impl Clock {
    /// As the store holds it; a store that holds none is as far as its rows are.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(super) fn load(store: &Store, lateness: i64) -> Result<Self, graph_store::Error> {
        let Some(bytes) = store.get(Keyspace::Progress, KEY)? else {
            let newest = store.newest_time();
            return Ok(Self { newest, watermark: newest.plus(-lateness), lateness, ..Self::default() });
        };
        let stored: Stored = serde_json::from_slice(&bytes).expect("the clock is what `save` wrote");
        let shown = stored.partitions.into_iter();
        Ok(Self {
            newest: EventTime(stored.newest),
            watermark: EventTime(stored.watermark),
            lateness,
            shown: shown.map(|(topic, partition, time)| ((Arc::from(topic), partition), EventTime(time))).collect(),
            ..Self::default()
        })
    }

    /// The newest event time that has been reached.
    pub(super) fn newest(&self) -> EventTime {
        self.newest
    }

    /// Event time up to which the input is believed complete.
    pub(super) fn watermark(&self) -> EventTime {
        self.watermark
    }

    /// From now on these partitions have more to come, and the others have been read to their end.
    pub(super) fn behind(&mut self, partitions: Vec<Partition>) {
        let shown = |partition: Partition| {
            let time = self.shown.get(&partition).copied().unwrap_or(EventTime::MIN);
            (partition, time)
        };
        self.behind = partitions.into_iter().map(shown).collect();
    }

    /// A record at this position says that event time has come to `time`.
    pub(super) fn shows(&mut self, position: &Position, time: EventTime) {
        let partition = (Arc::clone(&position.topic), position.partition);
        if let Some(behind) = self.behind.get_mut(&partition) {
            *behind = time.max(*behind);
        }
        let shown = self.shown.entry(partition).or_insert(EventTime::MIN);
        self.changed |= time > *shown;
        *shown = time.max(*shown);
        self.reached(time);
    }

    /// The source's own clock has come to `time`.
    pub(super) fn reached(&mut self, time: EventTime) {
        self.newest = self.newest.max(time);
        let complete = self.behind.values().fold(self.newest, |least, shown| least.min(*shown));
        let watermark = self.watermark.max(complete.plus(-self.lateness));
        self.changed |= watermark > self.watermark;
        self.watermark = watermark;
    }

    /// Writes it, if it has moved.
    pub(super) fn save(&mut self, transaction: &mut Transaction<'_>) {
        if std::mem::take(&mut self.changed) {
            let partition =
                |((topic, partition), time): (&Partition, &EventTime)| (topic.to_string(), *partition, time.0);
            let partitions = self.shown.iter().map(partition).collect();
            let stored = Stored { v: 1, newest: self.newest.0, watermark: self.watermark.0, partitions };
            let bytes = serde_json::to_vec(&stored).expect("plain structs cannot fail");
            transaction.put(Keyspace::Progress, KEY.to_vec(), bytes);
        }
    }
}

/// The stored form, version 1.
#[derive(Serialize, Deserialize)]
struct Stored {
    v: u8,
    newest: i64,
    watermark: i64,
    /// Topic, partition, newest event time.
    partitions: Vec<(String, i32, i64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(lateness: i64) -> Clock {
        Clock { newest: EventTime::MIN, watermark: EventTime::MIN, lateness, ..Clock::default() }
    }

    fn at(partition: i32) -> Position {
        Position { topic: "t".into(), partition, offset: 0 }
    }

    fn partitions(numbers: &[i32]) -> Vec<Partition> {
        numbers.iter().map(|number| ("t".into(), *number)).collect()
    }

    #[test]
    fn one_merged_order_is_complete_as_far_as_it_has_come() {
        let mut clock = clock(0);
        for (partition, time) in [(0, 5), (1, 3), (0, 9)] {
            clock.shows(&at(partition), EventTime(time));
            assert_eq!(clock.watermark(), clock.newest());
        }
    }

    #[test]
    fn the_slowest_partition_holds_the_watermark_until_it_is_read_to_its_end() {
        let mut clock = clock(2);
        clock.behind(partitions(&[0, 1]));
        clock.shows(&at(0), EventTime(50));
        assert_eq!(clock.watermark(), EventTime::MIN);
        clock.shows(&at(1), EventTime(20));
        assert_eq!((clock.newest(), clock.watermark()), (EventTime(50), EventTime(18)));
        clock.behind(partitions(&[0]));
        clock.reached(EventTime::MIN);
        assert_eq!(clock.watermark(), EventTime(48));
    }

    #[test]
    fn the_watermark_never_goes_back() {
        let mut clock = clock(0);
        clock.shows(&at(0), EventTime(50));
        clock.behind(partitions(&[0, 1]));
        clock.shows(&at(1), EventTime(20));
        assert_eq!(clock.watermark(), EventTime(50));
    }

    #[test]
    fn a_heartbeat_moves_it() {
        let mut clock = clock(0);
        clock.reached(EventTime(70));
        assert_eq!((clock.newest(), clock.watermark()), (EventTime(70), EventTime(70)));
    }
}
