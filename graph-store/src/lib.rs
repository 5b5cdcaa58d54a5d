//! Changes become a bitemporal graph on disk. The only way to read it is a [`Snapshot`], which is bounded by event
//! time, arrival and knowledge at once, so that nothing from the future can be read by mistake.
//!
//! # Meaning of a row's versions
//!
//! Every change of a row gives it a new [`Version`]. A version takes effect at its `valid_from`:
//!
//! * the first version (an insert or a snapshot row) takes effect at the row's own time (its table's time column), or
//!   at the beginning for a table without one;
//! * every later version takes effect when the change became known ([`Change::known`]).
//!
//! At a snapshot, a row's current version is the one with the highest sequence among those with
//! `valid_from <= cutoff`, `sequence <= sequence` and `known <= known`. The row is visible when that version is not a
//! deletion and its own time is not after the cutoff.

mod apply;
mod bytes;
mod children;
mod disk;
mod dropped;
mod encoding;
mod error;
mod keys;
mod layout;
mod locate;
mod packed;
mod pages;
mod pool;
#[cfg(any(test, feature = "reference"))]
pub mod reference;
mod search;
mod simulated;
mod snapshot;
mod store;
#[cfg(test)]
mod tests;
mod transaction;
mod write_back;

use std::collections::BTreeSet;

use relational::{Change, ColumnId, EventTime, Key, Row, Sequence, TableId};

pub use children::Children;
pub use dropped::DroppedLinks;
pub use encoding::{decode_key, encode_key};
pub use error::Error;
pub use simulated::SimulatedDisk;
pub use snapshot::Snapshot;
pub use store::Store;
pub use transaction::Transaction;

/// One visible version of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// The row's primary key.
    pub key: Key,
    /// Its values.
    pub row: Row,
    /// The row's own time; [`EventTime::MIN`] for a table without a time column.
    pub time: EventTime,
    /// The sequence of the row's first version (of its latest life, if it was deleted and inserted again).
    pub born: Sequence,
    /// The sequence of this version.
    pub sequence: Sequence,
    /// When this version took effect.
    pub valid_from: EventTime,
}

/// What a change did.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The sequence it was given.
    pub sequence: Sequence,
    /// The row's table.
    pub table: TableId,
    /// The row's primary key.
    pub key: Key,
    /// The row before, if there was one.
    pub old: Option<Row>,
    /// The row after; `None` when it was deleted.
    pub new: Option<Row>,
    /// When the new version took effect.
    pub valid_from: EventTime,
    /// How many cells were carried over from the previous version.
    pub carried: u32,
}

/// Count and moments of a number column over the rows of a window. Sums are always added in the same order, so that
/// equal rows give equal bits however the store has packed them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColumnSummary {
    /// Rows with a value.
    pub count: u64,
    /// Sum of the values.
    pub sum: f64,
    /// Sum of their squares.
    pub sum_squares: f64,
    /// The least value; infinite when there is none.
    pub min: f64,
    /// The greatest value; minus infinite when there is none.
    pub max: f64,
}

impl ColumnSummary {
    /// Of no rows.
    pub const EMPTY: Self = Self { count: 0, sum: 0.0, sum_squares: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

    /// Adds one value.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.sum_squares += value * value;
        self.min = pages::summary::least(self.min, value);
        self.max = pages::summary::greatest(self.max, value);
    }
}

/// The rows of a window, summed up.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// How many rows.
    pub rows: u64,
    /// One per column of the child table, in the schema's order; [`ColumnSummary::EMPTY`] for columns whose values
    /// are not numbers ([`relational::Value::as_f64`]).
    pub columns: Vec<ColumnSummary>,
}

/// Ordered byte keyspaces beside the graph, written in the same commit: the engine keeps its own formats in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Keyspace {
    /// Entities whose scores are out of date.
    Dirty,
    /// Scores and dead letters that are decided but not yet published.
    Outbox,
    /// What each fitted context was drawn from.
    Context,
    /// The last published state per task and entity.
    Published,
    /// How far work has come that one commit does not finish, and how far event time has come.
    Progress,
    /// What left in a later life of the store, from which it was brought back.
    Ahead,
}

/// Entries of a keyspace, in key order.
pub type KeyValues = Vec<(Vec<u8>, Vec<u8>)>;

/// How much memory and disk traffic the store may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Bytes for decoded pages and the disk engine's cache together.
    pub memory_bytes: u64,
    /// Whether each commit waits for the disk. Off, a crash may lose the newest commits, whole ones and up to about
    /// half a MiB of them; the positions go back with them, and the source's log has them still.
    pub sync: bool,
    /// Columns that nobody asks for where rows are listed ([`Children`]): their values of more than a KiB are null there,
    /// for to read them would take longer than all the rest.
    pub unlisted: BTreeSet<(TableId, ColumnId)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { memory_bytes: 256 << 20, sync: false, unlisted: BTreeSet::new() }
    }
}

/// How large a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// Rows that are not deleted.
    pub rows: u64,
    /// Versions of rows, deletions included.
    pub versions: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Decoded pages in memory.
    pub pages: u64,
    /// Those of them that have changed since they were last written.
    pub dirty_pages: u64,
    /// Bytes of memory that the decoded pages take, about.
    pub page_bytes: u64,
    /// Changes that would be redone after a crash now.
    pub redo_changes: u64,
}

/// Whether a change is applied at all, and with which values: shared by the store and its reference model.
///
/// `current` is the row's newest version: whether it came from a snapshot of the source, and its values (`None` when
/// deleted).
pub(crate) fn resolve(change: &Change, current: Option<&(bool, Option<Row>)>) -> Resolution {
    use relational::{Cell, Op, Value};
    let previous = current.and_then(|(_, row)| row.as_ref());
    let cells = match &change.op {
        Op::Delete if previous.is_some() => return Resolution::Delete,
        Op::Delete | Op::Truncate => return Resolution::Nothing,
        Op::Snapshot(_) if current.is_some_and(|(from_snapshot, _)| !from_snapshot) => return Resolution::Nothing,
        Op::Upsert(cells) | Op::Snapshot(cells) => cells,
    };
    let mut carried = 0;
    let values = cells.iter().zip((0..).map(ColumnId)).map(|(cell, column)| match cell {
        Cell::Value(value) => value.clone(),
        Cell::Unchanged => {
            carried += 1;
            previous.map_or(Value::Null, |row| row.value(column).clone())
        }
    });
    let row = Row::new(values.collect::<Vec<_>>());
    if previous == Some(&row) { Resolution::Nothing } else { Resolution::Set { row, carried } }
}

/// See [`resolve`].
pub(crate) enum Resolution {
    /// Nothing changes: a duplicate, a deletion of nothing, a snapshot row that is older than the stream.
    Nothing,
    /// The row is deleted.
    Delete,
    /// The row now holds these values.
    Set {
        /// The values.
        row: Row,
        /// How many were carried over.
        carried: u32,
    },
}
