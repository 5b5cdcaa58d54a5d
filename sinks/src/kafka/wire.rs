//! Records on their way to a broker.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use relational::EventTime;

use super::{KafkaSettings, OMITTED_HEADER};
use crate::error::Error;

/// How long a batch may wait for its acknowledgements, a broker's restart included.
const ACKNOWLEDGE_TIME: Duration = Duration::from_secs(120);

pub(super) struct Record {
    pub(super) topic: String,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(super) timestamp: Option<EventTime>,
    pub(super) may_omit_value: bool,
}

/// What became of sent records: place in the batch, and the error if there was one.
#[derive(Default)]
pub(super) struct Deliveries(Mutex<Vec<(usize, Option<KafkaError>)>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let error = result.as_ref().err().map(|(error, _)| error.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((index, error));
    }
}

/// Hands a record to the client's queue, and waits while that is full.
pub(super) fn send(
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
pub(super) fn acknowledged(
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
