//! Topics: looking them up, reading them, making them, and the dead letters in one of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use relational::EventTime;

use super::at_least_once::send_one;
use super::wire::acknowledged;
use super::{KafkaSettings, OMITTED_HEADER, is_lasting};
use crate::TopicRecord;
use crate::dead_letter::DeadLetterRecord;
use crate::error::Error;
use crate::topics::OUTBOX_HEADER;

/// How long a broker may take for an answer.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(30);

/// How long the topic of commits may say nothing.
const READ_TIME: Duration = Duration::from_secs(10);

/// Between two looks whether a transaction is shown.
const SHOWN_TIME: Duration = Duration::from_millis(5);

/// How long it may take until a topic that someone has just created is known everywhere.
const NEW_TOPIC_TIME: Duration = Duration::from_secs(5);

/// Between two questions of the same kind.
const PAUSE: Duration = Duration::from_millis(50);

/// How many partitions a topic has. A topic that was just created is waited for.
pub(super) fn partition_count(settings: &KafkaSettings, consumer: &BaseConsumer, name: &str) -> Result<usize, Error> {
    awaited(settings, consumer, name, NEW_TOPIC_TIME)
}

fn awaited(settings: &KafkaSettings, consumer: &BaseConsumer, name: &str, patience: Duration) -> Result<usize, Error> {
    let action = || format!("look up topic {name}");
    let (answered, deadline) = (Instant::now() + ANSWER_TIME, Instant::now() + patience);
    loop {
        let metadata = match consumer.fetch_metadata(Some(name), ANSWER_TIME) {
            Ok(metadata) => metadata,
            // A broker that goes away in the midst of a question fails it at once.
            Err(error) if passes(&error) && Instant::now() < answered => {
                std::thread::sleep(PAUSE);
                continue;
            }
            Err(error) => return Err(settings.failed(action(), &error)),
        };
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        let partitions = topic.map_or(&[][..], |topic| topic.partitions());
        if !partitions.is_empty() && partitions.iter().all(|partition| partition.leader() >= 0) {
            return Ok(partitions.len());
        }
        if Instant::now() >= deadline && partitions.is_empty() {
            return Err(settings.refused(action(), "it does not exist; create it with `foreshore topics create`"));
        }
        if Instant::now() >= answered {
            return Err(settings.passing(action(), "a partition has no leader; see whether all brokers are up"));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whether the same question may be answered another time.
fn passes(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| !is_lasting(code))
}

/// The offsets of a partition's first record and after its last one. A broker that is just going or coming is asked
/// again.
pub(super) fn watermarks(
    consumer: &BaseConsumer,
    topic: &str,
    place: i32,
    patience: Duration,
) -> KafkaResult<(i64, i64)> {
    let deadline = Instant::now() + patience;
    loop {
        let answer = consumer.fetch_watermarks(topic, place, patience);
        if !answer.as_ref().is_err_and(passes) || Instant::now() >= deadline {
            return answer;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Reads a topic up to its present end: each partition's last `limit` records, or all of them.
pub(super) fn read(
    settings: &KafkaSettings,
    consumer: &BaseConsumer,
    topic: &str,
    partitions: usize,
    limit: Option<i64>,
    mut each: impl FnMut(&BorrowedMessage<'_>),
) -> Result<(), Error> {
    let failed = |error: KafkaError| settings.failed(format!("read topic {topic}"), &error);
    let mut ends = BTreeMap::new();
    let mut assignment = TopicPartitionList::new();
    for place in (0..).take(partitions) {
        let (low, high) = watermarks(consumer, topic, place, ANSWER_TIME).map_err(failed)?;
        if low < high {
            let start = limit.map_or(low, |limit| (high - limit).max(low));
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

/// Values of a topic's first partition from offset `from` on, or from its beginning, with their offsets: at most
/// `limit`, up to the present end.
pub(super) fn read_from(
    settings: &KafkaSettings,
    consumer: &BaseConsumer,
    topic: &str,
    from: Option<i64>,
    limit: usize,
) -> Result<Vec<(i64, Vec<u8>)>, Error> {
    let failed = |error: KafkaError| settings.failed(format!("read topic {topic}"), &error);
    let deadline = Instant::now() + READ_TIME;
    let from = loop {
        let (low, high) = watermarks(consumer, topic, 0, READ_TIME).map_err(failed)?;
        let from = from.unwrap_or(low);
        if (low..=high).contains(&from) {
            break from;
        }
        // A transaction that is acknowledged as committed is shown to its readers a little later.
        if from < low || Instant::now() >= deadline {
            return Err(gap(settings, topic, from, (low, high)));
        }
        std::thread::sleep(SHOWN_TIME);
    };
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Offset(from)).map_err(failed)?;
    consumer.assign(&assignment).map_err(failed)?;
    let (mut values, mut deadline) = (Vec::new(), Instant::now() + READ_TIME);
    while values.len() < limit {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                values.push((message.offset(), message.payload().unwrap_or_default().to_vec()));
                deadline = Instant::now() + READ_TIME;
            }
            Some(Err(KafkaError::PartitionEOF(_))) => break,
            Some(Err(error)) if Instant::now() >= deadline => return Err(failed(error)),
            None if Instant::now() >= deadline => return Err(failed(KafkaError::NoMessageReceived)),
            Some(Err(_)) | None => {}
        }
    }
    consumer.unassign().map_err(failed)?;
    Ok(values)
}

/// Why a topic cannot be read from an offset that is not between its ends.
fn gap(settings: &KafkaSettings, topic: &str, from: i64, (low, high): (i64, i64)) -> Error {
    let action = format!("go on in topic {topic}");
    let mut config = settings.config("looker");
    config.set("isolation.level", "read_uncommitted");
    let looker: KafkaResult<BaseConsumer> = config.create();
    let end = looker.and_then(|looker| watermarks(&looker, topic, 0, READ_TIME));
    if end.is_err() || end.is_ok_and(|(low, end)| (low..=end).contains(&from)) {
        let reason = format!("the broker still ends a transaction there at offset {high}");
        return settings.passing(action, reason);
    }
    let reason = format!(
        "it is known up to offset {from}, but the topic holds {low} to {high}: what has left meanwhile cannot be told \
         (retention, or the topic was made anew). To go on, start once with `sink.delivery = \"at_least_once\"`: scores \
         that have left may then be repeated, with the same `ce_id`"
    );
    settings.refused(action, reason)
}

pub(super) fn header<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a str> {
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
    let topic = settings.topics.dead_letters();
    let partitions = partition_count(settings, &consumer, &topic)?;
    let mut letters = Vec::new();
    read(settings, &consumer, &topic, partitions, None, |message| {
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
    let producer = settings.idempotent_producer()?;
    for (index, record) in letters.iter().enumerate() {
        let letter = &record.letter;
        let (topic, timestamp) = (letter.position.topic.to_string(), letter.timestamp);
        let (key, value, headers) = (letter.key.clone(), letter.value.clone(), record.headers_to_send_back());
        let back = TopicRecord { topic, key, value, headers, timestamp, may_omit_value: false };
        send_one(settings, &producer, &back, letter.position.partition, index)?;
    }
    let name = |index: usize| letters.get(index).map_or_else(String::new, |record| record.letter.position.to_string());
    acknowledged(settings, &producer, letters.len(), name)?;
    Ok(())
}

/// What a topic keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// The last record of each key.
    Compacted,
    /// Every record.
    All,
    /// The records of the last days.
    Days(i64),
}

/// Creates topics, waits until they can be written, and returns the names of those that did not exist before.
///
/// # Errors
///
/// When a topic cannot be created.
pub fn create_topics(
    settings: &KafkaSettings,
    names: &[String],
    partitions: i32,
    replication: i32,
    retention: Retention,
) -> Result<Vec<String>, Error> {
    let created: KafkaResult<AdminClient<DefaultClientContext>> = settings.config("admin").create();
    let admin = created.map_err(|error| settings.failed("make an admin client", &error))?;
    // A record's age for retention is that of its timestamp: a refused record of long ago would be gone at once.
    let (name, policy) = match retention {
        Retention::Compacted => ("cleanup.policy", "compact".to_owned()),
        Retention::All => ("retention.ms", "-1".to_owned()),
        Retention::Days(days) => ("retention.ms", (days * EventTime::DAY / 1_000).to_string()),
    };
    let topic = |topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(replication)).set(name, &policy);
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
    let consumer = settings.consumer()?;
    // A busy broker may take its time until it shows what it has made.
    new.iter().try_for_each(|name| awaited(settings, &consumer, name, ANSWER_TIME).map(|_| ()))?;
    Ok(new)
}
