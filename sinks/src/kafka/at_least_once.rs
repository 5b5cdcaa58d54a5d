//! At least once: an idempotent producer that waits for its acknowledgements.
//!
//! Each record carries its outbox mark in the header `foreshore-outbox`. When a topic is first used, the last records of
//! each of its partitions are read: of the records that the outbox held when the store was opened, those that the
//! partition has already are not sent again. That is exact, because a key's partition is computed here and an idempotent
//! producer leaves no gaps within a partition; but for requests of a killed process that the broker takes up only
//! afterwards.
//!
//! A process says in the topic `<app>.commits` that it has begun, as one with transactions does, and looks there now and
//! then whether another one has begun since.

use std::collections::BTreeMap;

use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message;
use rdkafka::producer::BaseProducer;
use relational::Position;

use super::KafkaSettings;
use super::topics::{header, partition_count, read, read_from};
use super::wire::{Deliveries, acknowledged, send};
use crate::entry::{Entry, ProcessId};
use crate::error::Error;
use crate::mark::Mark;
use crate::partition::partition;
use crate::topics::OUTBOX_HEADER;
use crate::{Outgoing, Receipt, Sink, StoreId, TopicRecord};

/// Records at the end of a partition that are looked at for our marks: a few of others may stand behind them.
const LOOKED_BACK: i64 = 100;

impl KafkaSettings {
    pub(super) fn idempotent_producer(&self) -> Result<BaseProducer<Deliveries>, Error> {
        let mut config = self.producer();
        config.set("enable.gapless.guarantee", "true");
        // Without end: a message that expires would leave a gap before its successors.
        config.set("message.timeout.ms", "0");
        let created = config.create_with_context(Deliveries::default());
        created.map_err(|error| self.failed("make a producer", &error))
    }
}

/// Sends scores and dead letters to their topics.
pub struct KafkaSink {
    settings: KafkaSettings,
    store: StoreId,
    /// Sequences from this one on are given to records that no earlier process can have sent.
    next: u64,
    process: ProcessId,
    /// Where the topic of commits is read on; others before are of processes that we shut out.
    read_to: i64,
    /// Absent before the first batch and after a failure, when what arrived has to be read from the broker.
    connection: Option<Connection>,
}

impl std::fmt::Debug for KafkaSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSink").field("settings", &self.settings).finish_non_exhaustive()
    }
}

struct Connection {
    producer: BaseProducer<Deliveries>,
    consumer: BaseConsumer,
    /// Per topic and partition: the last outbox sequence that is there.
    topics: BTreeMap<String, Vec<Option<u64>>>,
}

impl KafkaSink {
    /// Connects, sees to it that the topics exist, and tells every other process of the application that this one has
    /// begun. `next` is the next sequence of the store's outbox.
    ///
    /// # Errors
    ///
    /// When no broker answers, or a topic does not exist.
    pub fn open(settings: KafkaSettings, store: StoreId, process: ProcessId, next: u64) -> Result<Self, Error> {
        let mut sink = Self { settings, store, next, process, read_to: 0, connection: None };
        let mut connection = sink.connect()?;
        for name in sink.settings.topics.all() {
            partition_count(&sink.settings, &connection.consumer, &name)?;
        }
        let claim = Entry::claim(process).record(&sink.settings.topics, None);
        send_one(&sink.settings, &connection.producer, &claim, 0, 0)?;
        let claimed = acknowledged(&sink.settings, &connection.producer, 1, |_| claim.topic.clone())?;
        sink.read_to = claimed.map_or(0, |offset| offset + 1);
        // What an older process sent until now is there.
        for name in sink.settings.topics.all().filter(|name| *name != claim.topic) {
            connection.topic(&sink.settings, sink.store, &name)?;
        }
        sink.connection = Some(connection);
        Ok(sink)
    }

    fn connect(&self) -> Result<Connection, Error> {
        let (producer, consumer) = (self.settings.idempotent_producer()?, self.settings.consumer()?);
        Ok(Connection { producer, consumer, topics: BTreeMap::new() })
    }

    fn send_batch(&self, connection: &mut Connection, batch: &[(u64, Outgoing)]) -> Result<(), Error> {
        let mut sent: Vec<(String, usize, u64)> = Vec::new();
        for (sequence, outgoing) in batch {
            let record = self.settings.topics.record(self.store, *sequence, outgoing);
            let partitions = connection.topic(&self.settings, self.store, &record.topic)?;
            let count = i32::try_from(partitions.len()).expect("Kafka counts partitions in i32");
            let place = partition(record.key.as_deref().unwrap_or_default(), count);
            let index = usize::try_from(place).expect("a partition is not negative");
            if *sequence < self.next && partitions[index].is_some_and(|last| *sequence <= last) {
                continue;
            }
            send_one(&self.settings, &connection.producer, &record, place, sent.len())?;
            sent.push((record.topic, index, *sequence));
        }
        let name =
            |index: usize| sent.get(index).map_or_else(String::new, |(topic, index, _)| format!("{topic}[{index}]"));
        acknowledged(&self.settings, &connection.producer, sent.len(), name)?;
        for (topic, index, sequence) in sent {
            connection.topics.get_mut(&topic).expect("looked up before it was sent to")[index] = Some(sequence);
        }
        Ok(())
    }
}

/// Hands a record to the producer's queue; while that is full, its acknowledgements are served.
pub(super) fn send_one(
    settings: &KafkaSettings,
    producer: &BaseProducer<Deliveries>,
    record: &TopicRecord,
    place: i32,
    index: usize,
) -> Result<(), Error> {
    let wait = |time| {
        producer.poll(time);
    };
    let sent = send(record, place, index, |message| producer.send(message).map_err(|(error, _)| error), wait);
    sent.map_err(|error| settings.failed(format!("send a record to topic {}", record.topic), &error))
}

impl Sink for KafkaSink {
    fn publish(&mut self, batch: &[(u64, Outgoing)], _: &[Position]) -> Result<Receipt, Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                // Some of what we sent ourselves may be there.
                self.next = u64::MAX;
                self.connect()?
            }
        };
        self.send_batch(&mut connection, batch)?;
        self.connection = Some(connection);
        Ok(Receipt::default())
    }

    fn report(&mut self, _: &[Position]) -> Result<(), Error> {
        let Some(connection) = &self.connection else { return Ok(()) };
        let topic = self.settings.topics.commits();
        let entries = read_from(&self.settings, &connection.consumer, &topic, Some(self.read_to), 1)?;
        for (offset, value) in entries {
            if Entry::decode(&self.settings.topics, offset, &value)?.process != self.process {
                return Err(Error::Fenced { app: self.settings.topics.app.clone(), topic, offset });
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl Connection {
    /// The partitions of a topic.
    fn topic(&mut self, settings: &KafkaSettings, store: StoreId, name: &str) -> Result<&mut Vec<Option<u64>>, Error> {
        if !self.topics.contains_key(name) {
            let mut last = vec![None; partition_count(settings, &self.consumer, name)?];
            read(settings, &self.consumer, name, last.len(), Some(LOOKED_BACK), |message| {
                let mark = header(message, OUTBOX_HEADER).and_then(|text| text.parse::<Mark>().ok());
                let index = usize::try_from(message.partition()).expect("a partition is not negative");
                last[index] = last[index].max(mark.filter(|mark| mark.store == store).map(|mark| mark.sequence));
            })?;
            self.topics.insert(name.to_owned(), last);
        }
        Ok(self.topics.get_mut(name).expect("inserted just before"))
    }
}
