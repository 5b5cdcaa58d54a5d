//! One real Kafka broker for all tests that want one: started by the first, gone when the process is.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_executor::block_on;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use sinks::ProcessId;

use crate::files::root;

const PATIENCE: Duration = Duration::from_secs(60);

/// A broker of our own.
pub(crate) struct Broker {
    port: u16,
    /// Of user `foreshore`, on the listener that takes SASL over TLS only, where there is one.
    password: Option<&'static str>,
}

/// What a test writes.
pub(crate) struct Sent<'a> {
    pub(crate) partition: i32,
    /// In milliseconds.
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a str>,
    pub(crate) value: Option<&'a str>,
    pub(crate) headers: &'a [(&'a str, &'a str)],
}

impl<'a> Sent<'a> {
    pub(crate) fn new(partition: i32, timestamp: i64, key: &'a str, value: &'a str) -> Self {
        Self { partition, timestamp, key: Some(key), value: Some(value), headers: &[] }
    }
}

/// The broker that all tests share. Topics tell them apart.
pub(crate) fn shared() -> &'static Broker {
    static SHARED: OnceLock<Broker> = OnceLock::new();
    SHARED.get_or_init(Broker::start)
}

impl Broker {
    /// Starts one more, for a test that stops it.
    pub(crate) fn start() -> Self {
        let broker = Self { port: free_port(), password: None };
        broker.resume();
        broker
    }

    /// Starts one more, which lets user `foreshore` in over TLS too.
    pub(crate) fn start_secure(password: &'static str) -> Self {
        let broker = Self { port: free_port(), password: Some(password) };
        broker.resume();
        broker
    }

    /// `host:port` of the listener that takes SASL over TLS only.
    pub(crate) fn secure_address(&self) -> String {
        format!("127.0.0.1:{}", self.port + 2)
    }

    /// The certificate of the authority that vouches for it.
    pub(crate) fn authority(&self) -> PathBuf {
        root().join(format!(".services/kafka/{}/tls/ca.pem", self.port))
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stops it; its data stays.
    pub(crate) fn stop(&self) {
        self.script(&["stop", &self.port.to_string()]);
    }

    /// Stops it as a crash would.
    pub(crate) fn kill(&self) {
        self.script(&["kill", &self.port.to_string()]);
    }

    /// Starts it again, on the same port and data.
    pub(crate) fn resume(&self) {
        let process = std::process::id().to_string();
        let (port, secure) = (self.port.to_string(), self.password.map(|_| "--secure"));
        let arguments = ["start", port.as_str(), "--until-exit-of", process.as_str()];
        self.script(&arguments.into_iter().chain(secure).collect::<Vec<_>>());
    }

    pub(crate) fn create_topic(&self, name: &str, partitions: i32) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let made = block_on(self.admin().create_topics(&[topic], &AdminOptions::new())).expect("the broker answers");
        assert!(made.iter().all(Result::is_ok), "topic {name}: {made:?}");
    }

    pub(crate) fn add_partitions(&self, topic: &str, count: usize) {
        let wanted = NewPartitions::new(topic, count);
        let made =
            block_on(self.admin().create_partitions(&[wanted], &AdminOptions::new())).expect("the broker answers");
        assert!(made.iter().all(Result::is_ok), "topic {topic}: {made:?}");
    }

    /// Forgets a partition's records before `offset`, as retention does.
    pub(crate) fn forget(&self, topic: &str, partition: i32, offset: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, partition, rdkafka::Offset::Offset(offset)).expect("a valid offset");
        block_on(self.admin().delete_records(&offsets, &AdminOptions::new())).expect("the broker deletes");
    }

    /// Writes records and waits until the broker has them.
    pub(crate) fn send(&self, topic: &str, records: &[Sent<'_>]) {
        let producer: BaseProducer = self.config().create().expect("a producer");
        write(&producer, topic, records);
        producer.flush(PATIENCE).expect("the broker takes the records");
    }

    /// Writes records in one transaction.
    pub(crate) fn send_in_transaction(&self, topic: &str, records: &[Sent<'_>], commit: bool) {
        let producer: BaseProducer =
            self.config().set("transactional.id", format!("{topic}-{commit}")).create().expect("a producer");
        producer.init_transactions(PATIENCE).expect("the broker knows transactions");
        producer.begin_transaction().expect("a new transaction");
        write(&producer, topic, records);
        producer.flush(PATIENCE).expect("the broker takes the records");
        let end = if commit { producer.commit_transaction(PATIENCE) } else { producer.abort_transaction(PATIENCE) };
        end.expect("the transaction ends");
    }

    /// Begins a transaction under this name, writes records in it, and is gone.
    pub(crate) fn leave_transaction_open(&self, name: &str, topic: &str, records: &[Sent<'_>]) {
        let producer: BaseProducer = self.config().set("transactional.id", name).create().expect("a producer");
        producer.init_transactions(PATIENCE).expect("the broker knows transactions");
        producer.begin_transaction().expect("a new transaction");
        write(&producer, topic, records);
        producer.flush(PATIENCE).expect("the broker takes the records");
    }

    /// The offset that a consumer group has committed.
    pub(crate) fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let consumer: BaseConsumer = self.config().set("group.id", group).create().expect("a consumer");
        let mut asked = TopicPartitionList::new();
        asked.add_partition(topic, partition);
        let offsets = consumer.committed_offsets(asked, PATIENCE).expect("the broker answers");
        let found = offsets.find_partition(topic, partition)?.offset();
        found.to_raw().filter(|offset| *offset >= 0)
    }

    /// How many records a topic has been given.
    pub(crate) fn written(&self, topic: &str, partitions: i32) -> i64 {
        let consumer: BaseConsumer = self.config().create().expect("a consumer");
        // A broker that has just come back does not know yet what it leads.
        let end = |place| {
            for _ in 0..100 {
                if let Ok((_, end)) = consumer.fetch_watermarks(topic, place, PATIENCE) {
                    return end;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            panic!("{topic}[{place}]: the broker does not tell its end")
        };
        (0..partitions).map(end).sum()
    }

    /// Whether a topic is there and has been given a record.
    pub(crate) fn has(&self, topic: &str) -> bool {
        let consumer: BaseConsumer = self.config().create().expect("a consumer");
        let end = consumer.fetch_watermarks(topic, 0, Duration::from_secs(5)).map(|(_, end)| end);
        end.is_ok_and(|end| end > 0)
    }

    /// What a client that is not ours reads in a topic, one line per record in this format of kcat.
    pub(crate) fn kcat(&self, topic: &str, format: &str) -> String {
        let address = self.address();
        let arguments = ["-C", "-e", "-q", "-b", &address, "-t", topic, "-f", format];
        let output = Command::new("kcat").args(arguments).output().expect("kcat is installed (scripts/test does it)");
        assert!(output.status.success(), "kcat: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("the records are text")
    }

    /// The records of a topic, as a file of change records holds them.
    pub(crate) fn log(&self, topic: &str) -> String {
        let address = self.address();
        let output = Command::new("kcat").args(["-C", "-e", "-q", "-J", "-b", &address, "-t", topic]).output();
        let output = output.expect("kcat is installed (scripts/test does it)");
        assert!(output.status.success(), "kcat: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("the records are text")
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address());
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().expect("an admin client")
    }

    fn script(&self, arguments: &[&str]) {
        let mut script = Command::new(root().join("scripts/services/kafka"));
        let output = script.args(arguments).envs(self.password.map(|password| ("KAFKA_PASSWORD", password))).output();
        let output = output.expect("the script runs");
        assert!(output.status.success(), "kafka {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn write(producer: &BaseProducer, topic: &str, records: &[Sent<'_>]) {
    for sent in records {
        let mut record: BaseRecord<'_, str, str> =
            BaseRecord::to(topic).partition(sent.partition).timestamp(sent.timestamp);
        record.key = sent.key;
        record.payload = sent.value;
        let headers = sent
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }));
        producer.send(record.headers(headers)).map_err(|(error, _)| error).expect("the queue has room");
        producer.poll(Duration::ZERO);
    }
}

/// The name of one more process that publishes.
pub(crate) fn process() -> ProcessId {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    ProcessId(DRAWN.fetch_add(1, Ordering::Relaxed))
}

/// A free port whose two successors are free too: the broker listens on all of them.
pub(crate) fn free_port() -> u16 {
    let free = || {
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let is_free =
            |next: u16| port.checked_add(next).is_some_and(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
        (is_free(1) && is_free(2)).then_some(port)
    };
    (0..100).find_map(|_| free()).expect("three neighbouring ports are free")
}
