//! With `consistency = "transaction"`: between the merged partitions and the delivery, records wait for the rest of their
//! transaction. A partition's position stays before the first record that waits.

use std::collections::BTreeSet;
use std::time::Instant;

use relational::EventTime;

use super::settings::TransactionSettings;
use super::{KafkaSource, Partition};
use crate::decode::{self, OwnedRecord, Record, Told, TransactionTopic};
use crate::hold::{Bounds, Group, Hold, Split};
use crate::{Delivery, Error};

/// What waits, and since when.
#[derive(Debug)]
pub(super) struct Together {
    topic: TransactionTopic,
    hold: Hold<Parcel>,
    clock: Clock,
    /// What has been said in the log.
    said: BTreeSet<&'static str>,
}

/// One record, decoded.
#[derive(Debug)]
struct Parcel {
    offset: i64,
    delivery: Delivery,
}

/// Waiting is measured by the records' own times while catching up, so that the order does not depend on how fast they
/// are read, and from then on by the wall clock.
#[derive(Debug)]
struct Clock {
    reached: EventTime,
    live_since: Option<Instant>,
}

impl Clock {
    fn now(&mut self, is_live: bool) -> EventTime {
        if !is_live {
            return self.reached;
        }
        let waited = self.live_since.get_or_insert_with(Instant::now).elapsed();
        self.reached.plus(i64::try_from(waited.as_micros()).unwrap_or(i64::MAX))
    }

    fn shows(&mut self, is_live: bool, time: Option<EventTime>) -> EventTime {
        if !is_live {
            self.reached = self.reached.max(time.unwrap_or(EventTime::MIN));
        }
        self.now(is_live)
    }
}

impl Together {
    pub(super) fn new(settings: &TransactionSettings, partitions: &[Partition]) -> Self {
        let topic = settings.topic.as_str();
        if partitions.iter().all(|(name, _)| **name != *topic) {
            tracing::warn!("kafka: topic `{topic}`, which tells of transactions, is not there yet; it is looked for");
        }
        let bounds = Bounds {
            records: settings.records,
            bytes: usize::try_from(settings.bytes).unwrap_or(usize::MAX),
            patience: i64::try_from(settings.timeout.as_micros()).unwrap_or(i64::MAX),
        };
        Self {
            topic: TransactionTopic::new(topic),
            hold: Hold::new(bounds),
            clock: Clock { reached: EventTime::MIN, live_since: None },
            said: BTreeSet::new(),
        }
    }

    /// Everything that waits is read once more, from this many partitions.
    pub(super) fn restart(&mut self, lanes: usize) {
        self.hold.restart(lanes);
        self.clock.live_since = None;
    }

    pub(super) fn holds(&self, lane: usize) -> bool {
        self.hold.holds(lane)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hold.len() == 0
    }

    fn say(&mut self, what: &'static str) {
        if self.said.insert(what) {
            tracing::warn!("kafka: {what}");
        }
    }

    fn report(&mut self, delivery: &mut Delivery) {
        delivery.held = self.hold.len();
        for (split, count) in self.hold.take_splits() {
            delivery.split.push((split.name(), count));
            self.say(words(split));
        }
    }
}

fn words(split: Split) -> &'static str {
    match split {
        Split::Timeout => {
            "the rest of a transaction did not come within `source.transactions.timeout`; its rows were taken one by one"
        }
        Split::Full => {
            "there was no room for the whole of a transaction; its rows were taken one by one; raise `records` and `bytes` \
             in `source.transactions` if such transactions matter"
        }
        Split::Late => {
            "a row came after its transaction had been taken: the connector has sent it twice, or its topic is not named \
             after its table"
        }
    }
}

const UNNAMED: &str = "rows name no transaction, and are taken one by one; set the connector's \
                       `provide.transaction.metadata` to `true`";

impl KafkaSource {
    /// As `drain`, by way of the records that wait. Returns how many were read and how many went.
    pub(super) fn gather(
        &mut self,
        together: &mut Together,
        limit: usize,
        delivery: &mut Delivery,
    ) -> Result<usize, Error> {
        let (mut read, mut gone) = (0, 0);
        loop {
            while delivery.changes.len() < limit.max(1) {
                let is_live = self.merge.is_live();
                let now = together.clock.now(is_live);
                let Some(group) = together.hold.take(now, !is_live) else { break };
                gone += group.records.len();
                self.let_go(group, delivery);
            }
            if read >= limit || delivery.changes.len() >= limit {
                break;
            }
            let Some((index, record)) = self.merge.take() else { break };
            if let Some(record) = self.offer(together, index, record, delivery)? {
                self.merge.put_back(index, record);
                break;
            }
            read += 1;
            self.show(index)?;
        }
        together.report(delivery);
        Ok(read + gone)
    }

    /// Decodes a record and lets it wait. A record that has to wait for the registry comes back.
    fn offer(
        &self,
        together: &mut Together,
        lane: usize,
        record: OwnedRecord,
        delivery: &mut Delivery,
    ) -> Result<Option<OwnedRecord>, Error> {
        let (offset, bytes, time) = (record.position.offset, record.bytes(), record.timestamp);
        let (mut parcel, mut told) = (Delivery::default(), Told::Nothing);
        let reads = |topic: &str| self.selection.contains(topic) && self.tables.table_of(topic).is_some();
        let mut look = |record: &Record<'_>| told = together.topic.told(&reads, record);
        let rest = decode::deliver_seen(&self.tables, record, &mut parcel, &mut look)?;
        if rest.is_some() {
            delivery.waiting = parcel.waiting;
            return Ok(rest);
        }
        let mark = match told {
            Told::Mark(mark) => Some(mark),
            Told::Nothing => None,
            Told::Unnamed => {
                together.say(UNNAMED);
                None
            }
        };
        let now = together.clock.shows(self.merge.is_live(), time);
        together.hold.offer(lane, mark, bytes, now, Parcel { offset, delivery: parcel });
        Ok(None)
    }

    fn let_go(&mut self, group: Group<Parcel>, delivery: &mut Delivery) {
        let start = delivery.changes.len();
        for (lane, parcel) in group.records {
            self.lanes[lane].next = parcel.offset + 1;
            delivery.add(parcel.delivery);
        }
        let end = delivery.changes.len();
        if group.whole && end > start {
            delivery.together.push(start..end);
        }
    }
}
