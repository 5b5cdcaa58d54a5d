//! Kafka: an idempotent producer that waits for its acknowledgements, and the few other calls that scores and dead
//! letters need. Only the files of this folder name rdkafka.
//!
//! Each record carries its outbox mark in the header `foreshore-outbox`. When a topic is first used, the last records of
//! each of its partitions are read: what the partition already holds is not sent again. That is exact, because a key's
//! partition is computed here and an idempotent producer leaves no gaps within a partition; but for requests of a killed
//! process that the broker takes up only afterwards.

mod topics;
mod wire;

use std::collections::BTreeMap;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::BaseProducer;

pub use self::topics::{StoredDeadLetter, create_topics, read_dead_letters, send_back};
use self::topics::{header, partition_count, read};
use self::wire::{Deliveries, Record, acknowledged, send};
use crate::error::Error;
use crate::mark::Mark;
use crate::partition::partition;
use crate::{Outgoing, Sink, StoreId};

/// Holds the record's outbox mark.
const OUTBOX_HEADER: &str = "foreshore-outbox";

/// Records at the end of a partition that are looked at for our marks: a few of others may stand behind them.
const LOOKED_BACK: i64 = 100;

/// Says that a dead letter's value was too large for the topic, and how many bytes it had.
const OMITTED_HEADER: &str = "foreshore-omitted-value-bytes";

/// How Kafka is reached and where records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// The app's name: dead letters go to `<app>.dlq`.
    pub app: String,
    /// Bootstrap servers.
    pub brokers: String,
    /// Any librdkafka setting, passed through; those that the guarantees rest on (`enable.idempotence`, `acks`) are set
    /// after them.
    pub options: Vec<(String, String)>,
    /// The topic of each task; `<app>.<task>` where it is absent.
    pub topics: BTreeMap<String, String>,
}

impl KafkaSettings {
    fn config(&self, role: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", format!("{}-{role}", self.app));
        for (key, value) in &self.options {
            config.set(key, value);
        }
        config
    }

    fn producer(&self) -> Result<BaseProducer<Deliveries>, Error> {
        let mut config = self.config("sink");
        for (key, value) in [("compression.type", "lz4"), ("linger.ms", "1")] {
            if config.get(key).is_none() {
                config.set(key, value);
            }
        }
        config.set("enable.idempotence", "true").set("acks", "all").set("enable.gapless.guarantee", "true");
        // Without end: a message that expires would leave a gap before its successors.
        config.set("message.timeout.ms", "0");
        let created = config.create_with_context(Deliveries::default());
        created.map_err(|error| self.failed("make a producer", &error))
    }

    fn consumer(&self) -> Result<BaseConsumer, Error> {
        let mut config = self.config("reader");
        config.set("group.id", format!("{}-reader", self.app)).set("enable.auto.commit", "false");
        config.set("enable.partition.eof", "true").set("auto.offset.reset", "earliest");
        config.create().map_err(|error| self.failed("make a consumer", &error))
    }

    fn failed(&self, action: impl Into<String>, error: &KafkaError) -> Error {
        Error::Kafka { action: action.into(), brokers: self.brokers.clone(), reason: error.to_string() }
    }
}

/// Sends scores and dead letters to their topics.
pub struct KafkaSink {
    settings: KafkaSettings,
    store: StoreId,
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
    /// Connects, and sees to it that the topics exist.
    ///
    /// # Errors
    ///
    /// When no broker answers, or a topic does not exist.
    pub fn open(settings: KafkaSettings, store: StoreId) -> Result<Self, Error> {
        let names: Vec<String> = settings.topics.values().cloned().chain([dead_letter_topic(&settings.app)]).collect();
        let mut sink = Self { settings, store, connection: None };
        let mut connection = sink.connect()?;
        for name in names {
            connection.topic(&sink.settings, sink.store, &name)?;
        }
        sink.connection = Some(connection);
        Ok(sink)
    }

    fn connect(&self) -> Result<Connection, Error> {
        let (producer, consumer) = (self.settings.producer()?, self.settings.consumer()?);
        Ok(Connection { producer, consumer, topics: BTreeMap::new() })
    }

    fn send_batch(&self, connection: &mut Connection, batch: &[(u64, Outgoing)]) -> Result<(), Error> {
        let mut sent: Vec<(String, usize, u64)> = Vec::new();
        for (sequence, outgoing) in batch {
            let record = self.record(*sequence, outgoing);
            let partitions = connection.topic(&self.settings, self.store, &record.topic)?;
            let count = i32::try_from(partitions.len()).expect("Kafka counts partitions in i32");
            let place = partition(record.key.as_deref().unwrap_or_default(), count);
            let index = usize::try_from(place).expect("a partition is not negative");
            if partitions[index].is_some_and(|last| *sequence <= last) {
                continue;
            }
            send(&self.settings, &connection.producer, &record, Some(place), sent.len())?;
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

    fn record(&self, sequence: u64, outgoing: &Outgoing) -> Record {
        let mark = Mark { store: self.store, sequence }.to_string().into_bytes();
        let mark = (OUTBOX_HEADER.to_owned(), Some(mark));
        match outgoing {
            Outgoing::Score(score) => {
                let topic = self.settings.topics.get(&score.task);
                let headers = score.headers().into_iter();
                Record {
                    topic: topic.cloned().unwrap_or_else(|| format!("{}.{}", self.settings.app, score.task)),
                    key: Some(score.key.clone().into_bytes()),
                    value: score.value.clone().map(String::into_bytes),
                    headers: headers.map(|(name, value)| (name.to_owned(), Some(value.into()))).chain([mark]).collect(),
                    timestamp: Some(score.cutoff),
                    may_omit_value: false,
                }
            }
            Outgoing::DeadLetter(record) => Record {
                topic: dead_letter_topic(&self.settings.app),
                key: record.letter.key.clone(),
                value: record.letter.value.clone(),
                headers: record.headers().into_iter().chain([mark]).collect(),
                timestamp: record.letter.timestamp,
                may_omit_value: true,
            },
        }
    }
}

impl Sink for KafkaSink {
    fn publish(&mut self, batch: &[(u64, Outgoing)]) -> Result<(), Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        self.send_batch(&mut connection, batch)?;
        self.connection = Some(connection);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

fn dead_letter_topic(app: &str) -> String {
    format!("{app}.dlq")
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
