//! The client library behind the source: how it is made, asked for topics, and listened to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::metadata::{Metadata, MetadataTopic};
use relational::EventTime;

use super::refusal::refusal;
use super::settings::KafkaSettings;
use super::{KafkaSource, PAUSE, Partition, at, fault};
use crate::Error;
use crate::decode::{OwnedRecord, Tables};
use crate::learning::Sample;
use crate::selection::Selection;

/// How long the first of several questions for the same waits; each further one waits twice as long.
const FIRST_ATTEMPT: Duration = Duration::from_secs(1);

pub(super) type Client = BaseConsumer<Log>;

/// A client; without partitions to read it only answers questions.
pub(super) fn client(settings: &KafkaSettings, partitions: Option<usize>) -> Result<Arc<Client>, Error> {
    let mut config = ClientConfig::new();
    let options = match partitions {
        Some(partitions) => settings.client(partitions)?,
        None => settings.connection(),
    };
    for (name, value) in options {
        config.set(name, value);
    }
    let section = settings.section;
    let client: KafkaResult<Client> = config.create_with_context(Log::of(section));
    client.map(Arc::new).map_err(|error| {
        let reason = match error {
            // Without the value, which may be secret.
            KafkaError::ClientConfig(_, reason, name, _) => format!("`{name}`: {reason}"),
            other => other.to_string(),
        };
        fault("settings", &format!("{reason}; see `{section}.options`"))
    })
}

/// The partitions of all topics that are asked for, in order.
pub(super) fn discover(
    client: &Client,
    settings: &KafkaSettings,
    selection: &Selection,
    timeout: Duration,
) -> Result<Vec<Partition>, Error> {
    let what = format!("brokers `{}`", settings.brokers);
    let deadline = Instant::now() + timeout;
    let metadata = loop {
        let metadata = metadata(client, settings, timeout)?;
        // A topic may be listed before its partitions are: taken so, it would count as read to its end.
        let wanted = |topic: &&MetadataTopic| selection.contains(topic.name());
        match metadata.topics().iter().filter(wanted).find(|topic| topic.partitions().is_empty()) {
            None => break metadata,
            Some(topic) if Instant::now() >= deadline => {
                return Err(fault(
                    &format!("topic `{}`, {what}", topic.name()),
                    &"the broker tells no partitions of it",
                ));
            }
            Some(_) => std::thread::sleep(PAUSE),
        }
    };
    let topics = metadata.topics();
    if let Some((name, reason)) = selection.missing(topics.iter().map(MetadataTopic::name)) {
        return Err(Error::Kafka { what: format!("topic `{name}`, {what}"), reason });
    }
    let wanted = topics.iter().filter(|topic| selection.contains(topic.name()));
    let mut partitions: Vec<Partition> = wanted
        .flat_map(|topic| {
            let name: Arc<str> = topic.name().into();
            topic.partitions().iter().map(move |partition| (Arc::clone(&name), partition.id()))
        })
        .collect();
    partitions.sort();
    Ok(partitions)
}

/// What the brokers tell of their topics. A refusal that stays ends the wait.
fn metadata(client: &Client, settings: &KafkaSettings, timeout: Duration) -> Result<Metadata, Error> {
    let (what, deadline) = (format!("brokers `{}`", settings.brokers), Instant::now() + timeout);
    let mut attempt = FIRST_ATTEMPT;
    loop {
        let remaining = deadline.saturating_duration_since(Instant::now());
        let error = match client.fetch_metadata(None, remaining.min(attempt)) {
            Ok(metadata) => return Ok(metadata),
            Err(error) => error,
        };
        attempt = attempt.saturating_mul(2);
        // Why there is no connection waits in the client's queue, among other news.
        for _ in 0..20 {
            drop(client.poll(Duration::ZERO));
        }
        if let Some(refusal) = client.context().refusal() {
            return Err(fault(&what, &refusal));
        }
        if Instant::now() >= deadline {
            let failure = heard(&client.context().failure);
            let failure = failure.map_or_else(|| error.to_string(), |failure| format!("{error}: {failure}"));
            let section = settings.section;
            let reason =
                format!("no answer within {timeout:?} ({failure}); check `{section}.brokers` and `{section}.options`");
            return Err(fault(&what, &reason));
        }
        // The client may fail without a wait of its own.
        std::thread::sleep(PAUSE);
    }
}

fn heard(text: &Mutex<Option<String>>) -> Option<String> {
    text.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

impl KafkaSource {
    /// The newest records of every partition, at most `limit` of each: to learn what the topics hold.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    pub fn sample(settings: &KafkaSettings, limit: usize) -> Result<Sample, Error> {
        // Nothing is decoded, so no tables are needed.
        let schema = relational::Schema::new(Vec::new(), Vec::new())?;
        let tables = Arc::new(Tables::new(Arc::new(schema), Vec::new())?);
        let mut settings = settings.clone();
        // It holds no rows.
        settings.own.extend(settings.transactions.take().map(|transactions| transactions.topic));
        let mut source = Self::connect(settings, tables)?;
        let ends = source.ends(&source.partitions, source.settings.connect_timeout)?;
        for ((topic, partition), (low, high)) in source.partitions.clone().into_iter().zip(ends.iter().copied()) {
            let back = i64::try_from(limit).unwrap_or(i64::MAX);
            source.positions.insert((topic, partition), high.saturating_sub(back).max(low));
        }
        source.assign(ends)?;
        let deadline = Instant::now() + source.settings.connect_timeout;
        let mut records = Vec::new();
        for index in 0..source.lanes.len() {
            let mut count = 0;
            while count < limit && Instant::now() < deadline {
                match source.lanes[index].queue.poll(Duration::from_millis(100)) {
                    Some(Ok(message)) => {
                        records.push(record(&message, &source.lanes[index].partition));
                        count += 1;
                    }
                    Some(Err(KafkaError::PartitionEOF(_))) => break,
                    Some(Err(error)) => source.problem(Some(index), &error)?,
                    None => source.events()?,
                }
            }
        }
        let mut topics: Vec<String> = source.partitions.iter().map(|(topic, _)| topic.to_string()).collect();
        topics.dedup();
        Ok(Sample { topics, records })
    }

    /// The names of all topics that the brokers show us, whatever the settings select.
    ///
    /// # Errors
    ///
    /// When no broker answers in time or lets us in, or a setting is wrong.
    pub fn topics(settings: &KafkaSettings) -> Result<Vec<String>, Error> {
        let client = client(settings, None)?;
        let metadata = metadata(&client, settings, settings.connect_timeout)?;
        Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    }
}

/// Whether the broker refuses us, and will again.
pub(super) fn is_lasting(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::Authentication
                | Code::SaslAuthenticationFailed
                | Code::UnsupportedSASLMechanism
                | Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
        )
    )
}

pub(super) fn record(message: &BorrowedMessage<'_>, partition: &Partition) -> OwnedRecord {
    let position = at(partition, message.offset());
    let headers = message.headers().map(|headers| {
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
    });
    OwnedRecord {
        origin: position.clone(),
        position,
        timestamp: message.timestamp().to_millis().map(|millis| EventTime(millis.saturating_mul(1_000))),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
    }
}

/// What the client says of itself goes to the log; trouble is told once, and once more when it is over.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The config's section that the client is made from.
    section: &'static str,
    /// Since when there is trouble: what was told of it.
    trouble: Mutex<Option<String>>,
    /// The last failure that the library logged.
    failure: Mutex<Option<String>>,
    /// The last refusal that will not pass by itself.
    refusal: Mutex<Option<String>>,
}

impl Log {
    fn of(section: &'static str) -> Self {
        Self { section, ..Self::default() }
    }

    /// The last refusal that will not pass by itself.
    pub(super) fn refusal(&self) -> Option<String> {
        heard(&self.refusal)
    }

    pub(super) fn recovered(&self) {
        if let Some(trouble) = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take() {
            tracing::info!("kafka answers again after: {trouble}");
        }
    }
}

impl ClientContext for Log {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "FAIL" {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.to_owned());
        }
        tracing::debug!(target: "librdkafka", ?level, facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        if let Some(refusal) = refusal(&error, reason, self.section) {
            // Whoever waits for an answer ends with it.
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
            return;
        }
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.is_none() {
            tracing::warn!("kafka: {reason}; trying again until it answers");
        }
        *trouble = Some(reason.to_owned());
    }
}

impl ConsumerContext for Log {
    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::warn!("kafka: cannot report positions to the consumer group: {error}");
        }
    }
}
