//! Records of change topics become changes. [`decode`] is pure and total: whatever the bytes, it answers with changes,
//! with the kind of record that was set aside, or with a [`Refusal`] that says why.

mod connect;
mod debezium;
mod json;
mod learn;
mod row;
mod rows;
mod special;
mod tables;
#[cfg(test)]
mod tests;
mod transaction;
mod value;

use relational::limits::RECORD_BYTES_MAX;
use relational::{Change, DeadLetter, EventTime, Position, Stage};

use crate::registry::Unframed;
use crate::{Delivery, Error};

pub(crate) use json::{Row, clip, text_of};
pub use learn::{Learned, learn};
pub(crate) use special::HEARTBEAT;
pub use tables::{ColumnHint, Format, Mapping, PLACEHOLDER, Tables};
pub(crate) use transaction::{Told, TransactionTopic};

/// Turns one record into what it says.
///
/// # Errors
///
/// When the record is not what its topic's format says, or does not fit its table.
pub fn decode(tables: &Tables, record: &Record<'_>) -> Result<Decoded, Refusal> {
    let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
    if bytes > RECORD_BYTES_MAX {
        return Err(Refusal::decode(format!("the record has {bytes} bytes; at most {RECORD_BYTES_MAX} are read")));
    }
    let Some(topic) = tables.topic(&record.origin.topic) else {
        return special::decode(tables, record);
    };
    let context = row::Context { tables, table: tables.schema().table(topic.table), topic: &topic, record };
    match topic.format {
        Format::Debezium => debezium::decode(&context),
        Format::Flattened => rows::flattened(&context),
        Format::Upsert => rows::upsert(&context),
        Format::Append => rows::append(&context),
    }
}

/// Decodes a record into a delivery: as changes, as one more of those set aside, or as a dead letter. A record that has
/// to wait comes back, and the delivery says what for.
///
/// # Errors
///
/// When the schema registry refuses us, or is none.
pub fn deliver(tables: &Tables, record: OwnedRecord, delivery: &mut Delivery) -> Result<Option<OwnedRecord>, Error> {
    deliver_seen(tables, record, delivery, &mut |_| {})
}

/// As [`deliver`]. `look` is shown the record without its frames, unless they cannot be taken off.
///
/// # Errors
///
/// As [`deliver`].
pub(crate) fn deliver_seen(
    tables: &Tables,
    record: OwnedRecord,
    delivery: &mut Delivery,
    look: &mut dyn FnMut(&Record<'_>),
) -> Result<Option<OwnedRecord>, Error> {
    delivery.waiting = None;
    let bytes = record.bytes();
    let unframed = tables.registry().map_or(Ok(Unframed::AsIs), |registry| registry.unframe(&record))?;
    let decoded = match unframed {
        Unframed::AsIs => {
            let read = record.as_record();
            look(&read);
            decode(tables, &read)
        }
        Unframed::Rewritten { key, value, key_trouble } => {
            let read = Record { key: key.as_deref(), value: value.as_deref(), ..record.as_record() };
            look(&read);
            decode(tables, &read).map_err(|refusal| match key_trouble {
                Some(trouble) => {
                    Refusal { reason: format!("{}; the record's key: {trouble}", refusal.reason), ..refusal }
                }
                None => refusal,
            })
        }
        Unframed::Refused(reason) => Err(Refusal::decode(reason)),
        Unframed::Wait(reason) => {
            delivery.waiting = Some(reason);
            return Ok(Some(record));
        }
    };
    delivery.bytes += bytes;
    match decoded {
        Ok(Decoded::Changes { changes, unknown_columns }) => {
            delivery.changes.extend(changes);
            if unknown_columns > 0 {
                delivery.set_aside("unknown_column", u64::from(unknown_columns));
            }
        }
        Ok(Decoded::SetAside { kind, reached }) => {
            delivery.set_aside(kind, 1);
            delivery.reached = delivery.reached.max(reached);
        }
        Err(refusal) => delivery.dead_letters.push(record.refused(refusal)),
    }
    Ok(None)
}

/// Whether a record belongs beside the tables: a heartbeat, a transaction's begin or end, a schema change, a message.
pub(crate) fn is_about_no_row(record: &Record<'_>) -> bool {
    record.value.is_some() && special::recognise(record).is_some()
}

/// A header's name and content.
pub type Header = (String, Option<Vec<u8>>);

/// One record, borrowed from where it was read.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Topic, partition and offset that the record had in Kafka: the topic chooses the table.
    pub origin: &'a Position,
    /// Where this source read it: the same, or a place in a file of records.
    pub position: &'a Position,
    /// The record's own timestamp.
    pub timestamp: Option<EventTime>,
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The value's bytes; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Name and content.
    pub headers: &'a [Header],
}

/// One record that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedRecord {
    /// See [`Record::origin`].
    pub origin: Position,
    /// See [`Record::position`].
    pub position: Position,
    /// The record's own timestamp.
    pub timestamp: Option<EventTime>,
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Name and content.
    pub headers: Vec<Header>,
}

impl OwnedRecord {
    /// The record, borrowed.
    #[must_use]
    pub fn as_record(&self) -> Record<'_> {
        Record {
            origin: &self.origin,
            position: &self.position,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &self.headers,
        }
    }

    /// Bytes of its key, value and headers.
    pub(crate) fn bytes(&self) -> usize {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers = self.headers.iter().map(|(name, value)| name.len() + length(value));
        length(&self.key) + length(&self.value) + headers.sum::<usize>()
    }

    /// The record as a dead letter, under its place in Kafka: its topic is what it can be decoded by once more.
    #[must_use]
    pub fn refused(self, refusal: Refusal) -> DeadLetter {
        DeadLetter {
            position: self.origin,
            stage: refusal.stage,
            reason: refusal.reason,
            key: self.key,
            value: self.value,
            headers: self.headers,
            timestamp: self.timestamp,
        }
    }
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// Changes of rows: one, or two when a row's key changed within one record.
    Changes {
        /// In the order in which they are to be applied.
        changes: Vec<Change>,
        /// Fields that the table has no column for.
        unknown_columns: u32,
    },
    /// Not about rows.
    SetAside {
        /// `tombstone`, `heartbeat`, `transaction`, `schema_change` or `message`.
        kind: &'static str,
        /// The source time that a heartbeat carries.
        reached: Option<EventTime>,
    },
}

impl Decoded {
    fn set_aside(kind: &'static str) -> Self {
        Self::SetAside { kind, reached: None }
    }
}

/// Why a record was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which step refused it.
    pub stage: Stage,
    /// Why, naming the field, its value, the expected type and what to do.
    pub reason: String,
}

impl Refusal {
    fn decode(reason: impl Into<String>) -> Self {
        Self { stage: Stage::Decode, reason: reason.into() }
    }

    fn fit(reason: impl Into<String>) -> Self {
        Self { stage: Stage::Fit, reason: reason.into() }
    }
}
