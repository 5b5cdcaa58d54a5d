//! What happened to one row, and where we read it.

use std::fmt;
use std::sync::Arc;

use crate::{EventTime, Key, TableId, Value};

/// The arrival number that our store gave a change; the first change is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

impl Sequence {
    /// After every change.
    pub const MAX: Self = Self(u64::MAX);
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a record stood in its source: for Kafka topic, partition and offset; for a file its name, 0 and the number of
/// the record, counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Topic or file.
    pub topic: Arc<str>,
    /// Partition; 0 for files.
    pub partition: i32,
    /// Offset or record number.
    pub offset: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]@{}", self.topic, self.partition, self.offset)
    }
}

/// A column's new content in a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// This value.
    Value(Value),
    /// What the row held before (an unchanged TOAST column, or a column that an update does not speak of); null when
    /// there was no row.
    Unchanged,
}

/// What a change does to its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// The row now holds these cells, one per column: an insert when there was no row, else an update.
    Upsert(Box<[Cell]>),
    /// A row read by a snapshot of the source. It never beats what a stream has said of the row: it is applied only
    /// when the row has no version yet, or none but snapshot versions that differ.
    Snapshot(Box<[Cell]>),
    /// The row is gone.
    Delete,
    /// All rows of the table are gone; the change's key is empty.
    Truncate,
}

/// One change of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The row's table.
    pub table: TableId,
    /// The row's primary key. A change of the key is a delete and an insert.
    pub key: Key,
    /// What happens to it.
    pub op: Op,
    /// When the change became known: the source's commit time, else the record's timestamp. For rows of a snapshot or
    /// a plain table: the row's own time, or [`EventTime::MIN`] where it has none.
    pub known: EventTime,
    /// Where the record stood.
    pub position: Position,
}

impl Change {
    /// About how many bytes its values take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let cells: &[Cell] = match &self.op {
            Op::Upsert(cells) | Op::Snapshot(cells) => cells,
            Op::Delete | Op::Truncate => &[],
        };
        cells.iter().map(|cell| if let Cell::Value(value) = cell { value.bytes() } else { 0 }).sum()
    }
}

/// Which step refused a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The bytes are not what the topic's format says.
    Decode,
    /// The record does not fit its table.
    Fit,
    /// The store could not apply it.
    Apply,
}

impl Stage {
    /// The name used in headers and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Fit => "fit",
            Self::Apply => "apply",
        }
    }
}

/// A record that was refused: kept as it came, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it stood.
    pub position: Position,
    /// Which step refused it.
    pub stage: Stage,
    /// Why, in words that name the field and what to do.
    pub reason: String,
    /// The original key bytes.
    pub key: Option<Vec<u8>>,
    /// The original value bytes.
    pub value: Option<Vec<u8>>,
    /// The original headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The record's own timestamp.
    pub timestamp: Option<EventTime>,
}
