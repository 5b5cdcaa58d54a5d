//! Records on their way to a broker.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::{KafkaSettings, OMITTED_HEADER};
use crate::TopicRecord;
use crate::error::Error;

/// How long a batch may wait for its acknowledgements, a broker's restart included.
pub(super) const ACKNOWLEDGE_TIME: Duration = Duration::from_secs(120);

/// What became of a sent record.
pub(super) struct Delivered {
    /// Its place in the batch.
    pub(super) index: usize,
    /// Its offset, or why it has none.
    pub(super) offset: Result<i64, KafkaError>,
}

/// What became of sent records.
#[derive(Default)]
pub(super) struct Deliveries(Mutex<Vec<Delivered>>);

impl Deliveries {
    /// What has become known since the last call.
    pub(super) fn take(&self) -> Vec<Delivered> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let offset = result.as_ref().map(Message::offset).map_err(|(error, _)| error.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Delivered { index, offset });
    }
}

/// A record of a batch, as the client takes it.
type Queued<'a> = BaseRecord<'a, [u8], [u8], usize>;

/// Hands a record to the client's queue by `queue`, and calls `wait` while that is full.
pub(super) fn send(
    record: &TopicRecord,
    place: i32,
    index: usize,
    queue: impl Fn(Queued<'_>) -> KafkaResult<()>,
    wait: impl Fn(Duration),
) -> KafkaResult<()> {
    let deadline = Instant::now() + ACKNOWLEDGE_TIME;
    let mut headers = record.headers.clone();
    let mut value = record.value.as_deref();
    loop {
        let mut message = Queued::with_opaque_to(&record.topic, index);
        (message.key, message.payload, message.partition) = (record.key.as_deref(), value, Some(place));
        // Kafka has no times before 1970, and takes 0 for "now".
        message.timestamp = record.timestamp.map(|time| time.0.div_euclid(1_000).max(1));
        message.headers = Some(
            headers
                .iter()
                .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: value.as_ref() })),
        );
        let Err(error) = queue(message) else { return Ok(()) };
        match (error.rdkafka_error_code(), value) {
            (Some(RDKafkaErrorCode::QueueFull), _) if Instant::now() < deadline => wait(Duration::from_millis(10)),
            (Some(RDKafkaErrorCode::MessageSizeTooLarge), Some(bytes)) if record.may_omit_value => {
                headers.push((OMITTED_HEADER.to_owned(), Some(bytes.len().to_string().into_bytes())));
                value = None;
            }
            _ => return Err(error),
        }
    }
}

/// Waits until `count` records are acknowledged. Returns the offset of the one that was acknowledged last.
pub(super) fn acknowledged(
    settings: &KafkaSettings,
    producer: &BaseProducer<Deliveries>,
    count: usize,
    name: impl Fn(usize) -> String,
) -> Result<Option<i64>, Error> {
    let deadline = Instant::now() + ACKNOWLEDGE_TIME;
    let (mut done, mut last) = (0, None);
    loop {
        for delivered in producer.context().take() {
            done += 1;
            let action = || format!("send a record to {}", name(delivered.index));
            last = Some(delivered.offset.map_err(|error| settings.failed(action(), &error))?);
        }
        if done >= count {
            return Ok(last);
        }
        if Instant::now() >= deadline {
            let reason = format!("{} of {count} records not acknowledged in {ACKNOWLEDGE_TIME:?}", count - done);
            let action = format!("send records to {}", name(done));
            return Err(settings.passing(action, reason));
        }
        producer.poll(Duration::from_millis(1));
    }
}
