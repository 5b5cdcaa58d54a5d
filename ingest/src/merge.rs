//! Several partitions become one order that repeats exactly.
//!
//! While catching up, the record with the least (timestamp, topic, partition, offset) among the partitions' next records
//! goes first, and nothing goes before every partition has shown its next record or its end. So the order depends on
//! the logs alone, not on how fast each arrives. Once all partitions were at their end together, records go as they
//! come, for then a quiet partition must not hold up the others.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use relational::EventTime;

use crate::decode::OwnedRecord;

type Rank = (EventTime, Arc<str>, i32, i64);

/// The partitions' next records.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    lanes: Vec<Lane>,
    heads: BinaryHeap<Reverse<(Rank, usize)>>,
    /// Lanes that have shown neither a next record nor their end.
    unknown: usize,
    live: bool,
    /// Given back by who took it.
    held: Option<(usize, OwnedRecord)>,
}

#[derive(Debug, Default)]
struct Lane {
    head: Option<OwnedRecord>,
    at_end: bool,
}

impl Merge {
    /// Of this many partitions, all still to be read.
    pub(crate) fn new(partitions: usize) -> Self {
        let lanes = (0..partitions).map(|_| Lane::default()).collect();
        Self { lanes, unknown: partitions, ..Self::default() }
    }

    /// Whether a partition has to show its next record.
    pub(crate) fn wants(&self, lane: usize) -> bool {
        self.lanes[lane].head.is_none()
    }

    /// A partition's next record. The partition had none before.
    pub(crate) fn offer(&mut self, lane: usize, record: OwnedRecord) {
        let position = &record.position;
        let time = record.timestamp.unwrap_or(EventTime::MIN);
        let rank = (time, Arc::clone(&position.topic), position.partition, position.offset);
        self.heads.push(Reverse((rank, lane)));
        let lane = &mut self.lanes[lane];
        assert!(lane.head.replace(record).is_none(), "a partition shows one record at a time");
        self.unknown -= usize::from(!lane.at_end);
        lane.at_end = false;
    }

    /// A partition has no more records now.
    pub(crate) fn end(&mut self, lane: usize) {
        let lane = &mut self.lanes[lane];
        self.unknown -= usize::from(!lane.at_end && lane.head.is_none());
        lane.at_end = true;
        self.live = self.live || self.at_ends();
    }

    /// The record that goes next, if it can be known already.
    pub(crate) fn take(&mut self) -> Option<(usize, OwnedRecord)> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        if !self.live && self.unknown > 0 {
            return None;
        }
        let Reverse((_, index)) = self.heads.pop()?;
        let lane = &mut self.lanes[index];
        let record = lane.head.take().expect("a rank in the heap has its record in its lane");
        self.unknown += usize::from(!lane.at_end);
        Some((index, record))
    }

    /// Gives back the record that was taken last and cannot be used yet: it goes next once more.
    pub(crate) fn put_back(&mut self, lane: usize, record: OwnedRecord) {
        assert!(self.held.replace((lane, record)).is_none(), "one record at a time is given back");
    }

    /// Whether a partition has more to come, now that its records are not held back for those of the others.
    pub(crate) fn is_behind(&self, lane: usize) -> bool {
        let is_held = self.held.as_ref().is_some_and(|(held, _)| *held == lane);
        self.live && (is_held || !self.lanes[lane].at_end)
    }

    /// Whether every partition was read to its end and nothing waits.
    pub(crate) fn caught_up(&self) -> bool {
        self.held.is_none() && self.at_ends()
    }

    /// The same, but for what was given back.
    fn at_ends(&self) -> bool {
        self.heads.is_empty() && self.lanes.iter().all(|lane| lane.at_end)
    }

    /// Whether all partitions have been at their end together once.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use relational::Position;

    use super::*;

    fn record(partition: i32, offset: i64, seconds: i64) -> OwnedRecord {
        let position = Position { topic: "t".into(), partition, offset };
        let timestamp = Some(EventTime(seconds * EventTime::SECOND));
        OwnedRecord { origin: position.clone(), position, timestamp, key: None, value: None, headers: Vec::new() }
    }

    #[test]
    fn nothing_goes_before_every_partition_has_shown_itself() {
        let mut merge = Merge::new(2);
        merge.offer(0, record(0, 0, 5));
        assert!(merge.take().is_none());
        merge.offer(1, record(1, 0, 3));
        assert_eq!(merge.take().map(|(lane, _)| lane), Some(1));
        assert!(merge.take().is_none());
        merge.end(1);
        assert_eq!(merge.take().map(|(lane, _)| lane), Some(0));
        merge.end(0);
        assert!(merge.caught_up());
    }

    #[test]
    fn once_live_a_quiet_partition_holds_up_nothing() {
        let mut merge = Merge::new(2);
        merge.end(0);
        merge.end(1);
        merge.offer(0, record(0, 0, 1));
        assert!(merge.take().is_some());
        merge.offer(1, record(1, 0, 1));
        assert!(!merge.caught_up());
        assert!(merge.is_behind(1));
        assert!(merge.take().is_some());
        merge.end(1);
        assert!(!merge.is_behind(1));
    }

    #[test]
    fn no_partition_is_behind_while_all_come_in_one_order() {
        let mut merge = Merge::new(2);
        merge.offer(0, record(0, 0, 5));
        merge.end(1);
        assert!(!merge.is_behind(0) && !merge.is_behind(1));
    }

    #[test]
    fn what_is_given_back_goes_next_and_is_still_to_come() {
        let mut merge = Merge::new(2);
        merge.offer(0, record(0, 0, 1));
        merge.end(1);
        let (lane, taken) = merge.take().expect("both have shown themselves");
        merge.put_back(lane, taken);
        merge.end(0);
        assert!(merge.is_live() && !merge.caught_up() && merge.is_behind(0) && !merge.is_behind(1));
        assert_eq!(merge.take().map(|(lane, record)| (lane, record.position.offset)), Some((0, 0)));
        assert!(merge.caught_up() && !merge.is_behind(0));
    }

    proptest! {
        /// The same logs, shown to the merge in any rhythm, give the same order.
        #[test]
        fn the_order_does_not_depend_on_arrival(
            logs in prop::collection::vec(prop::collection::vec(0i64..9, 0..12), 1..5),
            rhythm in prop::collection::vec((0usize..5, 1usize..4), 0..60),
        ) {
            let order = |rhythm: &[(usize, usize)]| {
                let mut merge = Merge::new(logs.len());
                let mut next = vec![0usize; logs.len()];
                let mut taken = Vec::new();
                let mut show = |merge: &mut Merge, lane: usize| {
                    if !merge.wants(lane) {
                        return;
                    }
                    match logs[lane].get(next[lane]) {
                        Some(seconds) => {
                            let partition = i32::try_from(lane).expect("few lanes");
                            let offset = i64::try_from(next[lane]).expect("few records");
                            merge.offer(lane, record(partition, offset, *seconds));
                            next[lane] += 1;
                        }
                        None => merge.end(lane),
                    }
                };
                for (lane, count) in rhythm {
                    show(&mut merge, lane % logs.len());
                    for _ in 0..*count {
                        taken.extend(merge.take().map(|(_, record)| record.position));
                    }
                }
                while !merge.caught_up() {
                    (0..logs.len()).for_each(|lane| show(&mut merge, lane));
                    taken.extend(merge.take().map(|(_, record)| record.position));
                }
                taken
            };
            prop_assert_eq!(order(&rhythm), order(&[]));
        }
    }
}
