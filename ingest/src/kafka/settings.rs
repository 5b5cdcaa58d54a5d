//! How to reach a broker, and what to read there.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::Error;
use crate::selection::Selection;

/// Options that the source relies on.
const FIXED: [(&str, &str, &str); 5] = [
    ("enable.auto.commit", "false", "positions are kept in the store"),
    ("enable.auto.offset.store", "false", "positions are kept in the store"),
    ("enable.partition.eof", "true", "the source has to know when it has caught up"),
    ("auto.offset.reset", "error", "a lost offset must not pass unseen"),
    ("allow.auto.create.topics", "false", "a misspelt topic must not come into being"),
];

/// How rows of one transaction of the source are kept together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionSettings {
    /// The topic that tells of transactions, `<prefix>.transaction`.
    pub topic: String,
    /// Records that may wait for the rest of their transaction.
    pub records: usize,
    /// Their bytes.
    pub bytes: u64,
    /// How long a transaction may take from its first record on.
    pub timeout: Duration,
}

/// Which broker, which topics.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port` of one or several brokers, separated by commas.
    pub brokers: String,
    /// Names of topics, and patterns that start with `^`.
    pub topics: Vec<String>,
    /// Topics that no pattern means: those that we write ourselves.
    pub own: Vec<String>,
    /// How rows of one transaction are kept together; `None`: each is taken as it comes.
    pub transactions: Option<TransactionSettings>,
    /// The application's name: the consumer group that positions are reported to, and the start of the client's name.
    pub application: String,
    /// Any librdkafka setting. Values may be secret and are never printed.
    pub options: BTreeMap<String, String>,
    /// The config's section that all this is from, for messages.
    pub section: &'static str,
    /// How long to wait for a first answer.
    pub connect_timeout: Duration,
    /// How often to look for new partitions, and for new topics that match a pattern.
    pub refresh_interval: Duration,
    /// Bytes of records that may wait in the client, over all partitions.
    pub buffer_bytes: u64,
}

impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options: Vec<&String> = self.options.keys().collect();
        let mut shown = f.debug_struct("KafkaSettings");
        shown.field("brokers", &self.brokers).field("topics", &self.topics).field("options", &options);
        shown.finish_non_exhaustive()
    }
}

impl KafkaSettings {
    /// Settings with the usual times and sizes: 30 s, 30 s and 64 MiB.
    #[must_use]
    pub fn new(brokers: impl Into<String>, topics: Vec<String>, application: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            topics,
            own: Vec::new(),
            transactions: None,
            application: application.into(),
            options: BTreeMap::new(),
            section: "source",
            connect_timeout: Duration::from_secs(30),
            refresh_interval: Duration::from_secs(30),
            buffer_bytes: 64 << 20,
        }
    }

    /// The librdkafka settings for asking questions.
    pub(super) fn connection(&self) -> BTreeMap<String, String> {
        let client = format!("{}-{}-0", self.application, self.section);
        let mut options =
            BTreeMap::from([("bootstrap.servers".into(), self.brokers.clone()), ("client.id".into(), client)]);
        options.extend(self.options.clone());
        options
    }

    /// The librdkafka settings for reading `partitions` partitions.
    ///
    /// # Errors
    ///
    /// When an option contradicts what the source relies on.
    pub(super) fn client(&self, partitions: usize) -> Result<BTreeMap<String, String>, Error> {
        // librdkafka's limits hold per partition, and its defaults of 64 MiB each eat memory on wide topics. A queue is
        // over its limit by up to one answer's part, so half of a share is for the queue and half for that part. A record
        // that is larger comes nevertheless.
        let share = self.buffer_bytes / 2 / u64::try_from(partitions.max(1)).unwrap_or(u64::MAX);
        let mut options: BTreeMap<String, String> = BTreeMap::new();
        let mut set = |name: &str, value: String| options.insert(name.to_owned(), value);
        set("group.id", self.application.clone());
        set("isolation.level", "read_committed".to_owned());
        set("queued.max.messages.kbytes", (share / 1024).clamp(1, 16 << 10).to_string());
        set("fetch.message.max.bytes", share.clamp(1 << 10, 1 << 20).to_string());
        // An answer is in memory until the last of its records was taken.
        set("fetch.max.bytes", (self.buffer_bytes / 4).clamp(1 << 18, 50 << 20).to_string());
        // A full queue is looked at again after this: the default of 1 s is meant for queues of any size.
        set("fetch.queue.backoff.ms", "20".to_owned());
        // A partition's end is told by an empty answer: this is how long the broker waits before it gives one.
        set("fetch.wait.max.ms", "100".to_owned());
        options.extend(self.connection());
        for (name, value, reason) in FIXED {
            if let Some(other) = options.insert(name.to_owned(), value.to_owned()).filter(|other| other != value) {
                return Err(Error::Kafka {
                    what: format!("option `{name}` = `{other}`"),
                    reason: format!("it is always `{value}`, for {reason}; remove it from `source.options`"),
                });
            }
        }
        Ok(options)
    }

    /// The topics and patterns to read.
    ///
    /// # Errors
    ///
    /// When there is none, or a pattern is not a regular expression.
    pub(super) fn selection(&self) -> Result<Selection, Error> {
        let selection = Selection::new(&self.topics, &self.own);
        let selection = selection.map_err(|(what, reason)| Error::Kafka { what, reason })?;
        // The connector makes it with its first transaction.
        Ok(selection.with_optional(self.transactions.as_ref().map(|transactions| transactions.topic.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(topics: &[&str]) -> KafkaSettings {
        KafkaSettings::new("127.0.0.1:9092", topics.iter().map(ToString::to_string).collect(), "app")
    }

    #[test]
    fn options_of_the_user_win_but_not_over_what_the_source_relies_on() {
        let mut settings = settings(&["a"]);
        settings.options.insert("fetch.wait.max.ms".into(), "7".into());
        let client = settings.client(1).expect("valid");
        assert_eq!(client["fetch.wait.max.ms"], "7");
        assert_eq!(client["isolation.level"], "read_committed");
        settings.options.insert("enable.auto.commit".into(), "true".into());
        let refused = settings.client(1).expect_err("contradiction").to_string();
        assert!(refused.contains("`enable.auto.commit` = `true`"), "{refused}");
    }

    #[test]
    fn tokens_of_an_identity_provider_are_asked_for_by_the_client() {
        let options = [
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "OAUTHBEARER"),
            ("sasl.oauthbearer.method", "oidc"),
            ("sasl.oauthbearer.client.id", "foreshore"),
            ("sasl.oauthbearer.client.secret", "hunter2"),
            ("sasl.oauthbearer.scope", "kafka"),
            ("sasl.oauthbearer.token.endpoint.url", "https://id.example/token"),
        ];
        let mut settings = settings(&["a"]);
        settings.options.extend(options.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let passed = settings.client(1).expect("valid");
        for (name, value) in options {
            assert_eq!(passed[name], value);
        }
        assert!(!format!("{settings:?}").contains("hunter2"), "values are not printed");
        super::super::client::client(&settings, None).expect("the library was built to ask for tokens");
    }

    #[test]
    fn the_buffer_is_shared_among_partitions() {
        let shares = |partitions| {
            let client = settings(&["a"]).client(partitions).expect("valid");
            ["queued.max.messages.kbytes", "fetch.message.max.bytes"].map(|name| client[name].clone())
        };
        assert_eq!(shares(1), ["16384", "1048576"]);
        assert_eq!(shares(64), ["512", "524288"]);
        assert_eq!(shares(10_000), ["3", "3355"]);
    }

    #[test]
    fn topics_are_names_or_patterns() {
        let selection = settings(&["a.b", "^shop\\..*", "^__.*"]).selection().expect("valid");
        assert!(
            selection.contains("a.b")
                && selection.contains("shop.orders")
                && selection.contains("__debezium-heartbeat.s")
        );
        assert!(
            !selection.contains("axb") && !selection.contains("my.shop.x") && !selection.contains("__consumer_offsets")
        );
        let own = vec!["shop.churn".to_owned()];
        let selection = KafkaSettings { own, ..settings(&["^shop\\..*"]) }.selection().expect("valid");
        assert!(selection.contains("shop.orders") && !selection.contains("shop.churn"));
        assert!(settings(&["^("]).selection().is_err());
        assert!(settings(&[]).selection().is_err());
    }
}
