//! Kafka topics as a source. Only this file and `client` name rdkafka.
//!
//! Partitions are assigned by hand at the store's positions. Each has its own queue in librdkafka, which bounds what is
//! fetched ahead, and `merge::Merge` decides whose record goes next.

mod client;
mod refusal;
mod settings;
mod together;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use relational::Position;

use crate::decode::{self, Tables};
use crate::merge::Merge;
use crate::selection::Selection;
use crate::{Delivery, Error, Source, gone, unmatched};
use client::{Client, Log, client, discover, is_lasting, record};
pub use settings::{KafkaSettings, TransactionSettings};
use together::Together;

/// How long one question to a broker that has answered before may take.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a look for new partitions may hold up the records.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a partition may end before what we have read of it.
const SHOWN_TIME: Duration = Duration::from_secs(5);

/// Between two questions of the same kind.
const PAUSE: Duration = Duration::from_millis(50);

type Partition = (Arc<str>, i32);

/// The topics of a Kafka cluster.
pub struct KafkaSource {
    // Before the consumer, so that the queues are gone when it closes.
    lanes: Vec<Lane>,
    consumer: Arc<Client>,
    settings: KafkaSettings,
    selection: Selection,
    tables: Arc<Tables>,
    partitions: Vec<Partition>,
    positions: BTreeMap<Partition, i64>,
    merge: Merge,
    /// Where records wait for the rest of their transaction, if they have to.
    together: Option<Together>,
    waker: SyncSender<()>,
    woken: Receiver<()>,
    refreshed: Instant,
    /// Whether the caller knows already that the source has caught up.
    told: bool,
}

/// One partition.
struct Lane {
    partition: Partition,
    queue: PartitionQueue<Log>,
    /// Where it was when it was assigned.
    start: i64,
    /// The next offset that has not been delivered.
    next: i64,
    /// Where the log ended when it was assigned.
    end: i64,
}

impl fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSource").field("settings", &self.settings).field("partitions", &self.partitions).finish()
    }
}

impl KafkaSource {
    /// Connects, and finds the topics and their partitions.
    ///
    /// # Errors
    ///
    /// When no broker answers in time or lets us in, a topic does not exist, or a setting is wrong.
    pub fn connect(settings: KafkaSettings, tables: Arc<Tables>) -> Result<Self, Error> {
        let selection = settings.selection()?;
        let partitions = discover(&*client(&settings, None)?, &settings, &selection, settings.connect_timeout)?;
        if partitions.is_empty() {
            tracing::warn!(topics = ?settings.topics, "kafka: no topic matches yet");
        }
        let consumer = client(&settings, Some(partitions.len()))?;
        let (waker, woken) = sync_channel(1);
        let together = settings.transactions.as_ref().map(|settings| Together::new(settings, &partitions));
        Ok(Self {
            lanes: Vec::new(),
            consumer,
            settings,
            selection,
            tables,
            partitions,
            positions: BTreeMap::new(),
            merge: Merge::default(),
            together,
            waker,
            woken,
            refreshed: Instant::now(),
            told: false,
        })
    }

    /// Assigns all partitions, which begin and end here, at the known positions, and starts to merge anew.
    fn assign(&mut self, ends: Vec<(i64, i64)>) -> Result<(), Error> {
        self.lanes.clear();
        let mut assignment = TopicPartitionList::with_capacity(self.partitions.len());
        for ((topic, partition), (low, high)) in self.partitions.clone().into_iter().zip(ends) {
            let what = format!("topic `{topic}`, partition {partition}");
            let stored = self.positions.get(&(Arc::clone(&topic), partition)).copied();
            if let Some(next) = stored.filter(|next| !(low..=high).contains(next)) {
                return Err(lost(&what, next, low, high));
            }
            // Split before it is assigned, so that no record takes the way through the common queue.
            let queue = self.consumer.split_partition_queue(&topic, partition);
            let mut queue = queue.ok_or_else(|| fault(&what, &"the client does not know it"))?;
            let waker = self.waker.clone();
            // One token is enough: who is woken looks at every queue.
            queue.set_nonempty_callback(move || {
                waker.try_send(()).ok();
            });
            if stored.is_none() && low > 0 {
                tracing::warn!("kafka, {what}: it begins at offset {low}; the broker has removed what was before");
            }
            let offset = stored.map_or(Offset::Beginning, Offset::Offset);
            assignment.add_partition_offset(&topic, partition, offset).map_err(|error| fault(&what, &error))?;
            let next = stored.unwrap_or(low);
            self.lanes.push(Lane { partition: (topic, partition), queue, start: next, next, end: high });
        }
        self.consumer.assign(&assignment).map_err(|error| fault("assignment", &error))?;
        self.merge = Merge::new(self.lanes.len());
        self.told = false;
        self.together.iter_mut().for_each(|together| together.restart(self.lanes.len()));
        Ok(())
    }

    /// Where partitions begin and end. A broker that is just going or coming is asked again.
    fn ends(&self, partitions: &[Partition], patience: Duration) -> Result<Vec<(i64, i64)>, Error> {
        let deadline = Instant::now() + patience;
        let shown = Instant::now() + SHOWN_TIME.min(patience);
        let ask = |place: &Partition| loop {
            let (topic, partition) = place;
            match self.consumer.fetch_watermarks(topic, *partition, QUESTION_TIMEOUT.min(patience)) {
                // What was read may not be shown yet by a broker that has just come back.
                Ok((_, high))
                    if self.positions.get(place).is_some_and(|next| *next > high) && Instant::now() < shown =>
                {
                    std::thread::sleep(PAUSE);
                }
                Err(error) if !is_lasting(&error) && Instant::now() < deadline => std::thread::sleep(PAUSE),
                answer => {
                    let what = || format!("ends of topic `{topic}`, partition {partition}");
                    return answer.map_err(|error| fault(&what(), &error));
                }
            }
        };
        partitions.iter().map(ask).collect()
    }

    /// Looks for new partitions and topics now and then; a broker that is down is asked again later.
    fn refresh(&mut self) -> Result<(), Error> {
        if self.refreshed.elapsed() < self.settings.refresh_interval {
            return Ok(());
        }
        self.refreshed = Instant::now();
        let found = discover(&self.consumer, &self.settings, &self.selection, REFRESH_TIMEOUT).and_then(|partitions| {
            let ends =
                if partitions == self.partitions { Vec::new() } else { self.ends(&partitions, REFRESH_TIMEOUT)? };
            Ok((partitions, ends))
        });
        match found {
            Ok((partitions, ends)) if partitions != self.partitions => {
                tracing::info!(
                    from = self.partitions.len(),
                    to = partitions.len(),
                    "kafka: the partitions have changed"
                );
                self.partitions = partitions;
                self.positions.extend(self.lanes.iter().map(|lane| (lane.partition.clone(), lane.next)));
                self.assign(ends)
            }
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "kafka: cannot look for new partitions");
                Ok(())
            }
        }
    }

    /// Serves what librdkafka has to say beside records.
    fn events(&mut self) -> Result<(), Error> {
        loop {
            let error = match self.consumer.poll(Duration::ZERO) {
                None => return Ok(()),
                Some(Ok(_)) => continue,
                Some(Err(error)) => error,
            };
            self.problem(None, &error)?;
        }
    }

    /// Lets a partition show its next record, or its end.
    fn show(&mut self, index: usize) -> Result<(), Error> {
        while self.merge.wants(index) {
            let lane = &self.lanes[index];
            let error = match lane.queue.poll(Duration::ZERO) {
                None => return Ok(()),
                Some(Ok(message)) if message.offset() < lane.next => continue,
                Some(Ok(message)) => {
                    self.merge.offer(index, record(&message, &lane.partition));
                    return Ok(());
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.merge.end(index);
                    continue;
                }
                Some(Err(error)) => error,
            };
            self.problem(Some(index), &error)?;
        }
        Ok(())
    }

    /// Most trouble passes, and librdkafka tries again by itself; what does not pass ends the source.
    fn problem(&mut self, lane: Option<usize>, error: &KafkaError) -> Result<(), Error> {
        use RDKafkaErrorCode as Code;
        let partition = lane.map(|index| self.lanes[index].partition.clone());
        let what = match &partition {
            Some((topic, partition)) => {
                format!("topic `{topic}`, partition {partition}, brokers `{}`", self.settings.brokers)
            }
            None => format!("brokers `{}`", self.settings.brokers),
        };
        match error.rdkafka_error_code() {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                let (next, (low, high)) = match (lane, &partition) {
                    (Some(index), Some((topic, partition))) => {
                        let place = [(Arc::clone(topic), *partition)];
                        let ends = self.ends(&place, QUESTION_TIMEOUT).unwrap_or_default();
                        (self.lanes[index].next, ends.first().copied().unwrap_or((-1, -1)))
                    }
                    _ => (-1, (-1, -1)),
                };
                Err(lost(&what, next, low, high))
            }
            Some(Code::Authentication | Code::SSL) => match self.consumer.context().refusal() {
                Some(refusal) => Err(fault(&what, &refusal)),
                None => Ok(()),
            },
            _ if is_lasting(error) => {
                Err(fault(&what, &format!("{error}; check the credentials in `source.options` and the broker's rules")))
            }
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) if lane.is_some() => {
                let named =
                    partition.is_some_and(|(topic, _)| self.selection.names.iter().any(|name| **name == *topic));
                if named {
                    return Err(fault(&what, &"it is gone; create it again, or correct `source.topics`"));
                }
                tracing::warn!("kafka, {what}: it is gone");
                lane.into_iter().for_each(|index| self.merge.end(index));
                Ok(())
            }
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => Err(fault(&what, error)),
            _ => {
                tracing::debug!(%error, "kafka, {what}");
                Ok(())
            }
        }
    }

    fn is_behind(&self, lane: usize) -> bool {
        let waits = self.together.as_ref().is_some_and(|together| together.holds(lane)) && self.merge.is_live();
        waits || self.merge.is_behind(lane)
    }

    /// Moves what can go into the delivery.
    fn drain(&mut self, limit: usize, delivery: &mut Delivery) -> Result<usize, Error> {
        for index in 0..self.lanes.len() {
            self.show(index)?;
        }
        if let Some(mut together) = self.together.take() {
            let gathered = self.gather(&mut together, limit, delivery);
            self.together = Some(together);
            return gathered;
        }
        let mut records = 0;
        while delivery.has_room(records, limit) {
            let Some((index, record)) = self.merge.take() else { break };
            let offset = record.position.offset;
            if let Some(record) = decode::deliver(&self.tables, record, delivery)? {
                self.merge.put_back(index, record);
                break;
            }
            self.lanes[index].next = offset + 1;
            records += 1;
            self.show(index)?;
        }
        Ok(records)
    }
}

impl Source for KafkaSource {
    fn seek(&mut self, positions: &[Position]) -> Result<(), Error> {
        let partition = |position: &Position| (Arc::clone(&position.topic), position.partition);
        self.positions = positions.iter().map(|position| (partition(position), position.offset)).collect();
        self.assign(self.ends(&self.partitions, self.settings.connect_timeout)?)
    }

    fn poll(&mut self, limit: usize, wait: Duration) -> Result<Delivery, Error> {
        let deadline = Instant::now() + wait;
        if self.lanes.is_empty() {
            self.assign(self.ends(&self.partitions, self.settings.connect_timeout)?)?;
        }
        let before: Vec<i64> = self.lanes.iter().map(|lane| lane.next).collect();
        self.refresh()?;
        let mut delivery = Delivery::default();
        loop {
            self.events()?;
            let records = self.drain(limit, &mut delivery)?;
            let whole = self.together.as_ref().is_none_or(Together::is_empty);
            delivery.caught_up = whole && self.merge.caught_up();
            let remaining = deadline.saturating_duration_since(Instant::now());
            if records > 0 || remaining.is_zero() || (delivery.caught_up && !self.told) {
                self.told = delivery.caught_up;
                break;
            }
            // Woken by any partition's queue; events of the client itself wait a little.
            self.woken.recv_timeout(remaining.min(Duration::from_millis(100))).ok();
        }
        if delivery.caught_up || !delivery.changes.is_empty() {
            self.consumer.context().recovered();
        }
        let moved = self.lanes.iter().zip(before).filter(|(lane, before)| lane.next != *before);
        delivery.next = moved.map(|(lane, _)| at(&lane.partition, lane.next)).collect();
        let behind = self.lanes.iter().enumerate().filter(|(index, _)| self.is_behind(*index));
        delivery.behind = behind.map(|(_, lane)| lane.partition.clone()).collect();
        if self.partitions.is_empty() {
            delivery.waiting = Some(unmatched(&format!("brokers `{}`", self.settings.brokers), &self.settings.topics));
        }
        Ok(delivery)
    }

    fn reads(&self, position: &Position) -> bool {
        self.partitions.contains(&(Arc::clone(&position.topic), position.partition))
    }

    fn report(&mut self, positions: &[Position]) -> Result<(), Error> {
        let mut offsets = TopicPartitionList::with_capacity(positions.len());
        for position in positions.iter().filter(|position| self.reads(position)) {
            let added =
                offsets.add_partition_offset(&position.topic, position.partition, Offset::Offset(position.offset));
            added.map_err(|error| fault(&position.to_string(), &error))?;
        }
        if offsets.count() == 0 {
            return Ok(());
        }
        let group = format!("consumer group `{}`", self.settings.application);
        self.consumer.commit(&offsets, CommitMode::Async).map_err(|error| fault(&group, &error))
    }

    fn progress(&self) -> (u64, Option<u64>) {
        let sum = |numbers: &mut dyn Iterator<Item = i64>| u64::try_from(numbers.sum::<i64>()).unwrap_or(0);
        let done = sum(&mut self.lanes.iter().map(|lane| lane.next - lane.start));
        let total = sum(&mut self.lanes.iter().map(|lane| lane.end.max(lane.next) - lane.start));
        (done, (!self.merge.is_live()).then_some(total))
    }
}

fn at(partition: &Partition, offset: i64) -> Position {
    Position { topic: Arc::clone(&partition.0), partition: partition.1, offset }
}

fn fault(what: &str, reason: &dyn fmt::Display) -> Error {
    Error::Kafka { what: what.to_owned(), reason: reason.to_string() }
}

fn lost(what: &str, next: i64, low: i64, high: i64) -> Error {
    fault(what, &gone(next, low, high))
}
