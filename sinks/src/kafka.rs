//! Kafka: an idempotent producer that waits for its acknowledgements, and the few other calls that scores and dead
//! letters need. The only file of this crate that names rdkafka.
//!
//! Each record carries its outbox mark in the header `foreshore-outbox`. When a topic is first used, the last record of
//! each of its partitions is read: what the partition already holds is not sent again. That is exact, because a key's
//! partition is computed here and an idempotent producer leaves no gaps within a partition.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use relational::EventTime;

use crate::dead_letter::DeadLetterRecord;
use crate::error::Error;
use crate::mark::Mark;
use crate::partition::partition;
use crate::{Outgoing, Sink, StoreId};

/// Holds the record's outbox mark.
const OUTBOX_HEADER: &str = "foreshore-outbox";

/// Says that a dead letter's value was too large for the topic, and how many bytes it had.
const OMITTED_HEADER: &str = "foreshore-omitted-value-bytes";

/// How long a broker may take for an answer that is not an acknowledgement.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// How long a batch may wait for its acknowledgements, a broker's restart included.
const ACKNOWLEDGE_TIME: Duration = Duration::from_secs(120);

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
            read(settings, &self.consumer, name, last.len(), true, |message| {
                let mark = header(message, OUTBOX_HEADER).and_then(|text| text.parse::<Mark>().ok());
                let index = usize::try_from(message.partition()).expect("a partition is not negative");
                last[index] = mark.filter(|mark| mark.store == store).map(|mark| mark.sequence);
            })?;
            self.topics.insert(name.to_owned(), last);
        }
        Ok(self.topics.get_mut(name).expect("inserted just before"))
    }
}

struct Record {
    topic: String,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    timestamp: Option<EventTime>,
    may_omit_value: bool,
}

/// What became of sent records: place in the batch, and the error if there was one.
#[derive(Default)]
struct Deliveries(Mutex<Vec<(usize, Option<KafkaError>)>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let error = result.as_ref().err().map(|(error, _)| error.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((index, error));
    }
}

/// Hands a record to the client's queue, and waits while that is full.
fn send(
    settings: &KafkaSettings,
    producer: &BaseProducer<Deliveries>,
    record: &Record,
    place: Option<i32>,
    index: usize,
) -> Result<(), Error> {
    let deadline = Instant::now() + ACKNOWLEDGE_TIME;
    let mut headers = record.headers.clone();
    let mut value = record.value.as_deref();
    loop {
        let mut message = BaseRecord::<[u8], [u8], usize>::with_opaque_to(&record.topic, index);
        (message.key, message.payload, message.partition) = (record.key.as_deref(), value, place);
        // Kafka has no times before 1970, and takes 0 for "now".
        message.timestamp = record.timestamp.map(|time| time.0.div_euclid(1_000).max(1));
        message.headers = Some(
            headers
                .iter()
                .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: value.as_ref() })),
        );
        let Err((error, _)) = producer.send(message) else { return Ok(()) };
        match (error.rdkafka_error_code(), value) {
            (Some(RDKafkaErrorCode::QueueFull), _) if Instant::now() < deadline => {
                producer.poll(Duration::from_millis(10));
            }
            (Some(RDKafkaErrorCode::MessageSizeTooLarge), Some(bytes)) if record.may_omit_value => {
                headers.push((OMITTED_HEADER.to_owned(), Some(bytes.len().to_string().into_bytes())));
                value = None;
            }
            _ => return Err(settings.failed(format!("send a record to topic {}", record.topic), &error)),
        }
    }
}

/// Waits until `count` records are acknowledged.
fn acknowledged(
    settings: &KafkaSettings,
    producer: &BaseProducer<Deliveries>,
    count: usize,
    name: impl Fn(usize) -> String,
) -> Result<(), Error> {
    let deadline = Instant::now() + ACKNOWLEDGE_TIME;
    let mut done = 0;
    loop {
        let delivered = std::mem::take(&mut *producer.context().0.lock().unwrap_or_else(PoisonError::into_inner));
        done += delivered.len();
        if let Some((index, Some(error))) = delivered.into_iter().find(|(_, error)| error.is_some()) {
            return Err(settings.failed(format!("send a record to {}", name(index)), &error));
        }
        if done >= count {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let reason = format!("{} of {count} records not acknowledged in {ACKNOWLEDGE_TIME:?}", count - done);
            let action = format!("send records to {}", name(done));
            return Err(Error::Kafka { action, brokers: settings.brokers.clone(), reason });
        }
        producer.poll(Duration::from_millis(1));
    }
}

fn partition_count(settings: &KafkaSettings, consumer: &BaseConsumer, name: &str) -> Result<usize, Error> {
    let action = || format!("look up topic {name}");
    let metadata = consumer.fetch_metadata(Some(name), ANSWER_TIME);
    let metadata = metadata.map_err(|error| settings.failed(action(), &error))?;
    let count = metadata.topics().iter().find(|topic| topic.name() == name).map_or(0, |topic| topic.partitions().len());
    if count == 0 {
        let reason = "it does not exist; create it with `foreshore topics create`".to_owned();
        return Err(Error::Kafka { action: action(), brokers: settings.brokers.clone(), reason });
    }
    Ok(count)
}

/// Reads a topic up to its present end: each partition's last record only, or all of them.
fn read(
    settings: &KafkaSettings,
    consumer: &BaseConsumer,
    topic: &str,
    partitions: usize,
    last_only: bool,
    mut each: impl FnMut(&BorrowedMessage<'_>),
) -> Result<(), Error> {
    let failed = |error: KafkaError| settings.failed(format!("read topic {topic}"), &error);
    let mut ends = BTreeMap::new();
    let mut assignment = TopicPartitionList::new();
    for place in (0..).take(partitions) {
        let (low, high) = consumer.fetch_watermarks(topic, place, ANSWER_TIME).map_err(failed)?;
        if low < high {
            let start = if last_only { high - 1 } else { low };
            assignment.add_partition_offset(topic, place, Offset::Offset(start)).map_err(failed)?;
            ends.insert(place, high);
        }
    }
    consumer.assign(&assignment).map_err(failed)?;
    let mut deadline = Instant::now() + ANSWER_TIME;
    while !ends.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                if ends.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
                    ends.remove(&message.partition());
                }
                each(&message);
                deadline = Instant::now() + ANSWER_TIME;
            }
            Some(Err(KafkaError::PartitionEOF(place))) => {
                ends.remove(&place);
            }
            Some(Err(error)) if Instant::now() >= deadline => return Err(failed(error)),
            None if Instant::now() >= deadline => return Err(failed(KafkaError::NoMessageReceived)),
            Some(Err(_)) | None => {}
        }
    }
    consumer.unassign().map_err(failed)
}

fn header<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a str> {
    let found = message.headers()?.iter().filter(|header| header.key == name).last()?;
    str::from_utf8(found.value?).ok()
}

/// A record of the dead-letter topic.
#[derive(Debug)]
pub struct StoredDeadLetter {
    /// Its partition there.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// The dead letter, or why it is none.
    pub letter: Result<DeadLetterRecord, Error>,
}

/// Every record of the dead-letter topic, by partition and offset.
///
/// # Errors
///
/// When the topic cannot be read.
pub fn read_dead_letters(settings: &KafkaSettings) -> Result<Vec<StoredDeadLetter>, Error> {
    let consumer = settings.consumer()?;
    let topic = dead_letter_topic(&settings.app);
    let partitions = partition_count(settings, &consumer, &topic)?;
    let mut letters = Vec::new();
    read(settings, &consumer, &topic, partitions, false, |message| {
        let own = |name: &str| name == OUTBOX_HEADER || name == OMITTED_HEADER;
        let headers = message.headers().into_iter().flat_map(Headers::iter).filter(|header| !own(header.key));
        let headers = headers.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect();
        let timestamp = message.timestamp().to_millis().map(|millis| EventTime(millis.saturating_mul(1_000)));
        let (key, value) = (message.key().map(<[u8]>::to_vec), message.payload().map(<[u8]>::to_vec));
        let letter = DeadLetterRecord::recover(key, value, headers, timestamp);
        letters.push(StoredDeadLetter { partition: message.partition(), offset: message.offset(), letter });
    })?;
    letters.sort_by_key(|stored| (stored.partition, stored.offset));
    Ok(letters)
}

/// Sends refused records back to the topics and partitions that they came from, and waits until they are there.
///
/// # Errors
///
/// When one is not acknowledged; those before it are there.
pub fn send_back(settings: &KafkaSettings, letters: &[DeadLetterRecord]) -> Result<(), Error> {
    let producer = settings.producer()?;
    for (index, record) in letters.iter().enumerate() {
        let letter = &record.letter;
        let (topic, timestamp) = (letter.position.topic.to_string(), letter.timestamp);
        let (key, value, headers) = (letter.key.clone(), letter.value.clone(), record.headers_to_send_back());
        let back = Record { topic, key, value, headers, timestamp, may_omit_value: false };
        send(settings, &producer, &back, Some(letter.position.partition), index)?;
    }
    let name = |index: usize| letters.get(index).map_or_else(String::new, |record| record.letter.position.to_string());
    acknowledged(settings, &producer, letters.len(), name)
}

/// Creates topics and returns the names of those that did not exist before. Compacted topics keep the last record of
/// each key.
///
/// # Errors
///
/// When a topic cannot be created.
pub fn create_topics(
    settings: &KafkaSettings,
    names: &[String],
    partitions: i32,
    replication: i32,
    compacted: bool,
) -> Result<Vec<String>, Error> {
    let created: KafkaResult<AdminClient<DefaultClientContext>> = settings.config("admin").create();
    let admin = created.map_err(|error| settings.failed("make an admin client", &error))?;
    let policy = if compacted { "compact" } else { "delete" };
    let topic =
        |name| NewTopic::new(name, partitions, TopicReplication::Fixed(replication)).set("cleanup.policy", policy);
    let topics: Vec<_> = names.iter().map(|name| topic(name)).collect();
    let options = AdminOptions::new().operation_timeout(Some(ANSWER_TIME)).request_timeout(Some(ANSWER_TIME));
    let answers = futures_executor::block_on(admin.create_topics(&topics, &options));
    let answers = answers.map_err(|error| settings.failed("create topics", &error))?;
    let mut new = Vec::new();
    for answer in answers {
        match answer {
            Ok(name) => new.push(name),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                return Err(settings.failed(format!("create topic {name}"), &KafkaError::AdminOp(code)));
            }
        }
    }
    Ok(new)
}
