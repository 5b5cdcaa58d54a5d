//! Kafka's transactions, by librdkafka's transactional producer.
//!
//! Its errors are taken as its documentation says: what may be retried is called again, for those calls go on where they
//! were; what requires an abort is told as [`Fault::Abort`]; everything else, fatal or without a mark, ends the producer.
//! Then another one is made under the same name ([`Fault::Lost`], or [`Fault::Fenced`] when the broker has shut ours out),
//! unless it is a refusal that stays ([`Fault::Stop`]). While the broker is away no call takes longer than
//! [`CALL_TIME`]: whoever calls decides whether to go on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};
use relational::Position;

use super::topics::{partition_count, read_from};
use super::wire::{Deliveries, send};
use super::{KafkaSettings, is_lasting};
use crate::error::Error;
use crate::exactly_once::{Fault, Transactions};
use crate::partition::partition;
use crate::topics::TopicRecord;

/// How long another attempt waits after a transaction was aborted.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a call may take.
const CALL_TIME: Duration = Duration::from_secs(10);

/// How long a process that was shut out waits for the other one to say that it has begun.
const OTHERS_TIME: Duration = Duration::from_millis(300);

/// A transactional producer, and a reader of the topic of commits.
pub struct KafkaTransactions {
    settings: KafkaSettings,
    reader: BaseConsumer,
    /// Partitions of each topic.
    partitions: BTreeMap<String, i32>,
    has_taken_over: bool,
    /// Absent before the first take-over and after a failed one.
    producer: Option<BaseProducer<Deliveries>>,
    /// Records of the present transaction, and which of them is the entry in the topic of commits.
    sent: usize,
    entry: Option<usize>,
}

impl std::fmt::Debug for KafkaTransactions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaTransactions").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl KafkaTransactions {
    /// Connects, and sees to it that the topics exist.
    ///
    /// # Errors
    ///
    /// When no broker answers, or a topic does not exist.
    pub fn open(settings: KafkaSettings) -> Result<Self, Error> {
        let reader = settings.consumer()?;
        let mut partitions = BTreeMap::new();
        for name in settings.topics.all() {
            let count = count(&settings, &reader, &name)?;
            partitions.insert(name, count);
        }
        Ok(Self { settings, reader, partitions, has_taken_over: false, producer: None, sent: 0, entry: None })
    }

    fn producer(&self) -> Result<&BaseProducer<Deliveries>, Fault> {
        self.producer.as_ref().ok_or_else(|| Fault::Lost("there is no producer".into()))
    }

    /// Calls again what may be retried.
    fn patiently(
        &self,
        action: &str,
        call: impl Fn(&BaseProducer<Deliveries>) -> KafkaResult<()>,
    ) -> Result<(), Fault> {
        let deadline = Instant::now() + CALL_TIME;
        let producer = self.producer()?;
        loop {
            let Err(error) = call(producer) else { return Ok(()) };
            let retriable = match &error {
                KafkaError::Transaction(cause) => cause.is_retriable() && !cause.txn_requires_abort(),
                _ => false,
            };
            if !retriable || Instant::now() >= deadline {
                return Err(self.fault(action, &error));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn fault(&self, action: &str, error: &KafkaError) -> Fault {
        let fatal = self.producer.as_ref().and_then(|producer| producer.client().fatal_error());
        let code = fatal.as_ref().map(|(code, _)| *code).or_else(|| error.rdkafka_error_code());
        let told = fatal.map_or_else(|| error.to_string(), |(code, told)| format!("{code}: {told}"));
        match code {
            Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) => Fault::Fenced(told),
            Some(code) if is_lasting(code) => {
                let reason = format!("{told}; check the broker's rules for `{}`", self.settings.topics.app);
                Fault::Stop(self.settings.refused(action, reason))
            }
            _ => match error {
                KafkaError::Transaction(cause) if cause.txn_requires_abort() => Fault::Abort(told),
                _ => Fault::Lost(format!("{action}: {told}")),
            },
        }
    }

    /// Waits for the acknowledgements. The client's own wait looks only every 100 ms; those that do not come are left to
    /// it.
    fn settle(&self) -> Result<(), Fault> {
        let (producer, deadline) = (self.producer()?, Instant::now() + CALL_TIME);
        while producer.in_flight_count() > 0 && Instant::now() < deadline {
            producer.poll(Duration::from_millis(1));
        }
        Ok(())
    }

    /// What the producer has told of the records of this transaction: where the entry in the topic of commits is, or
    /// why one was refused for good.
    fn delivered(&self) -> Result<Option<i64>, Fault> {
        let mut entry = None;
        for delivered in self.producer()?.context().take() {
            match delivered.offset {
                Ok(offset) if Some(delivered.index) == self.entry => entry = Some(offset),
                Ok(_) => {}
                Err(error) => {
                    if error.rdkafka_error_code().is_some_and(is_lasting) {
                        return Err(Fault::Stop(self.settings.failed("send a record of a transaction", &error)));
                    }
                }
            }
        }
        Ok(entry)
    }
}

/// Why a question was not answered.
fn asked(error: Error) -> Fault {
    if error.passes() { Fault::Lost(error.to_string()) } else { Fault::Stop(error) }
}

fn count(settings: &KafkaSettings, reader: &BaseConsumer, topic: &str) -> Result<i32, Error> {
    let count = partition_count(settings, reader, topic)?;
    Ok(i32::try_from(count).expect("Kafka counts partitions in i32"))
}

impl Transactions for KafkaTransactions {
    fn take_over(&mut self) -> Result<(), Fault> {
        if std::mem::replace(&mut self.has_taken_over, true) {
            std::thread::sleep(OTHERS_TIME);
        }
        // The old one first: its records must not be on their way any more.
        self.producer = None;
        let mut config = self.settings.producer();
        config.set("transactional.id", &self.settings.topics.app);
        let created = config.create_with_context(Deliveries::default());
        let producer = created.map_err(|error| {
            let reason = format!("{error}; see `sink.options`");
            Fault::Stop(self.settings.refused("make a transactional producer", reason))
        })?;
        self.producer = Some(producer);
        let taken = self.patiently("begin to publish", |producer| producer.init_transactions(CALL_TIME));
        taken.inspect_err(|_| self.producer = None)
    }

    fn committed(&mut self, from: Option<i64>, limit: usize) -> Result<Vec<(i64, Vec<u8>)>, Fault> {
        read_from(&self.settings, &self.reader, &self.settings.topics.commits(), from, limit).map_err(asked)
    }

    fn begin(&mut self) -> Result<(), Fault> {
        (self.sent, self.entry) = (0, None);
        self.producer()?.context().take();
        self.patiently("begin a transaction", Producer::begin_transaction)
    }

    fn send(&mut self, record: &TopicRecord) -> Result<(), Fault> {
        let count = match self.partitions.get(&record.topic) {
            Some(count) => *count,
            None => {
                let count = count(&self.settings, &self.reader, &record.topic).map_err(asked)?;
                self.partitions.insert(record.topic.clone(), count);
                count
            }
        };
        // The topic of commits is one log, whatever somebody made it with.
        let is_entry = record.topic == self.settings.topics.commits();
        let place = if is_entry { 0 } else { partition(record.key.as_deref().unwrap_or_default(), count) };
        let producer = self.producer()?;
        let wait = |time| {
            producer.poll(time);
        };
        let queued = send(record, place, self.sent, |message| producer.send(message).map_err(|(error, _)| error), wait);
        queued.map_err(|error| match error.rdkafka_error_code() {
            // A transaction that has failed meanwhile takes no more records.
            Some(Code::State) if producer.client().fatal_error().is_none() => Fault::Abort(error.to_string()),
            _ => self.fault(&format!("send a record to topic {}", record.topic), &error),
        })?;
        self.entry = is_entry.then_some(self.sent).or(self.entry);
        self.sent += 1;
        Ok(())
    }

    fn send_positions(&mut self, positions: &[Position]) -> Result<(), Fault> {
        if self.settings.group.is_none() {
            return Ok(());
        }
        let mut offsets = TopicPartitionList::with_capacity(positions.len());
        for position in positions {
            let offset = Offset::Offset(position.offset);
            let added = offsets.add_partition_offset(&position.topic, position.partition, offset);
            added.map_err(|error| self.fault("name a position", &error))?;
        }
        // While the broker still ends the transaction before, records are tried again every 20 ms, offsets every 100.
        self.settle()?;
        let group = self.reader.group_metadata().expect("the reader has a group");
        self.patiently("send positions", |producer| producer.send_offsets_to_transaction(&offsets, &group, CALL_TIME))
    }

    fn tells_positions(&self) -> bool {
        self.settings.group.is_some()
    }

    fn commit(&mut self) -> Result<Option<i64>, Fault> {
        self.settle()?;
        let committed = self.patiently("commit a transaction", |producer| producer.commit_transaction(CALL_TIME));
        let entry = self.delivered()?;
        committed?;
        if self.entry.is_some() && entry.is_none() {
            return Err(Fault::Lost("the broker did not tell where the entry of a transaction is".into()));
        }
        Ok(entry)
    }

    fn abort(&mut self) -> Result<(), Fault> {
        let (producer, done) = (self.producer()?, AtomicBool::new(false));
        let aborted = std::thread::scope(|scope| {
            // An abort waits until the reports of the records that it takes back are taken.
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    producer.poll(Duration::from_millis(10));
                }
            });
            let aborted = self.patiently("abort a transaction", |producer| producer.abort_transaction(CALL_TIME));
            done.store(true, Ordering::Relaxed);
            aborted
        });
        std::thread::sleep(PAUSE);
        aborted
    }
}
