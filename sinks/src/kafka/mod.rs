//! Kafka: how its brokers are reached. Only the files of this folder name rdkafka.

mod at_least_once;
mod scores;
mod topics;
mod transactions;
mod wire;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

pub use self::at_least_once::KafkaSink;
pub use self::scores::{StoredScore, read_scores};
pub use self::topics::{Retention, StoredDeadLetter, create_topics, read_dead_letters, send_back};
pub use self::transactions::KafkaTransactions;
use crate::Topics;
use crate::error::Error;

/// Says that a dead letter's value was too large for the topic, and how many bytes it had.
const OMITTED_HEADER: &str = "foreshore-omitted-value-bytes";

/// How Kafka is reached and where records go.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// The topics. The application's name is also its `transactional.id`.
    pub topics: Topics,
    /// Bootstrap servers.
    pub brokers: String,
    /// Any librdkafka setting, passed through; those that the guarantees rest on (`enable.idempotence`, `acks`,
    /// `transactional.id`) are set after them.
    pub options: Vec<(String, String)>,
    /// The consumer group that is told how far the source is read, in the same transactions; `None` when the source is
    /// not on these brokers.
    pub group: Option<String>,
}

impl std::fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values of options may be secret.
        let options: Vec<&String> = self.options.iter().map(|(name, _)| name).collect();
        let mut shown = f.debug_struct("KafkaSettings");
        shown.field("brokers", &self.brokers).field("topics", &self.topics).field("options", &options);
        shown.finish_non_exhaustive()
    }
}

impl KafkaSettings {
    fn config(&self, role: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", format!("{}-{role}", self.topics.app));
        for (key, value) in &self.options {
            config.set(key, value);
        }
        config
    }

    fn producer(&self) -> ClientConfig {
        let mut config = self.config("sink");
        for (key, value) in [("compression.type", "lz4"), ("linger.ms", "1")] {
            if config.get(key).is_none() {
                config.set(key, value);
            }
        }
        config.set("enable.idempotence", "true").set("acks", "all");
        config
    }

    fn consumer(&self) -> Result<BaseConsumer, Error> {
        let mut config = self.config("reader");
        let group = self.group.clone().unwrap_or_else(|| format!("{}-reader", self.topics.app));
        config.set("group.id", group).set("enable.auto.commit", "false");
        config.set("enable.partition.eof", "true").set("auto.offset.reset", "earliest");
        config.set("isolation.level", "read_committed");
        // A partition's end is told by an empty answer: this is how long the broker waits before it gives one.
        config.set("fetch.wait.max.ms", "10");
        config.create().map_err(|error| self.failed("make a consumer", &error))
    }

    fn failed(&self, action: impl Into<String>, error: &KafkaError) -> Error {
        let reason = match error {
            // Without the value, which may be secret.
            KafkaError::ClientConfig(_, reason, name, _) => format!("`{name}`: {reason}; see `sink.options`"),
            other => other.to_string(),
        };
        Error::Kafka {
            action: action.into(),
            brokers: self.brokers.clone(),
            reason,
            passes: error.rdkafka_error_code().is_some_and(|code| !is_lasting(code)),
        }
    }

    /// What another attempt may not meet.
    fn passing(&self, action: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Kafka { action: action.into(), brokers: self.brokers.clone(), reason: reason.into(), passes: true }
    }

    fn refused(&self, action: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Kafka { action: action.into(), brokers: self.brokers.clone(), reason: reason.into(), passes: false }
    }
}

/// Whether another attempt would be refused in the same way.
fn is_lasting(code: Code) -> bool {
    matches!(
        code,
        Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::TransactionalIdAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::InvalidTransactionTimeout
            | Code::UnsupportedFeature
            | Code::UnsupportedVersion
            | Code::InvalidTopic
            | Code::MessageSizeTooLarge
            | Code::InvalidRecord
    )
}
