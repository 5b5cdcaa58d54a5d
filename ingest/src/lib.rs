//! Bytes become changes. A [`Source`] delivers the changes of a database's tables in an order that repeats exactly, and
//! says where to read on; what it cannot understand it hands over as dead letters and goes on.

pub mod coerce;
pub mod decode;
mod error;
pub mod files;
#[cfg(test)]
mod fixture;
pub mod fluvio;
mod hold;
pub mod kafka;
pub mod learning;
mod merge;
pub mod ndjson;
pub mod registry;
mod selection;

use std::iter;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use relational::limits::BATCH_BYTES_MAX;
use relational::{Change, DeadLetter, EventTime, Position};

pub use error::Error;

/// What a source delivered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Delivery {
    /// In the order in which they are to be applied.
    pub changes: Vec<Change>,
    /// Which of them are one transaction of the source, to become visible together: in order, none empty.
    pub together: Vec<Range<usize>>,
    /// Records that were refused on the way.
    pub dead_letters: Vec<DeadLetter>,
    /// Where to read on after these, per topic and partition (only those that moved).
    pub next: Vec<Position>,
    /// Bytes of the records behind all this, as they came.
    pub bytes: usize,
    /// No more input now (files: at the end; Kafka: every partition read to its end).
    pub caught_up: bool,
    /// Records recognised and set aside, by kind (heartbeat, transaction, schema_change, tombstone, message, duplicate);
    /// and `unknown_column`, the fields that no table has a column for.
    pub set_aside: Vec<(&'static str, u64)>,
    /// Source clock without a change (heartbeats): event time that the source has reached.
    pub reached: Option<EventTime>,
    /// Topic and partition of those that have not been read to their end, while each partition's records come as they
    /// arrive. None while all partitions come in one order of time.
    pub behind: Vec<(Arc<str>, i32)>,
    /// What the next record waits for, while it waits: a schema registry that gives no answer, a topic that matches.
    pub waiting: Option<String>,
    /// Records that wait for the rest of their transaction.
    pub held: usize,
    /// Transactions that were not kept together, by reason (timeout, full, late).
    pub split: Vec<(&'static str, u64)>,
}

impl Delivery {
    /// The changes in the portions in which they become visible: a transaction of the source, or one change.
    pub fn portions(&self) -> impl Iterator<Item = &[Change]> {
        let mut start = 0;
        let mut together = self.together.iter().peekable();
        iter::from_fn(move || {
            let whole = together.next_if(|range| range.start == start);
            let end = whole.map_or(start + 1, |range| range.end);
            let portion = self.changes.get(start..end)?;
            start = end;
            Some(portion)
        })
    }

    /// Whether one more record may be added, after so many.
    fn has_room(&self, records: usize, limit: usize) -> bool {
        // One record makes at most two changes.
        records < limit && self.changes.len() + 2 <= limit.max(2) && self.bytes < BATCH_BYTES_MAX
    }

    /// What one more record says.
    fn add(&mut self, record: Self) {
        self.bytes += record.bytes;
        self.changes.extend(record.changes);
        self.dead_letters.extend(record.dead_letters);
        record.set_aside.into_iter().for_each(|(kind, by)| self.set_aside(kind, by));
        self.reached = self.reached.max(record.reached);
    }

    fn set_aside(&mut self, kind: &'static str, by: u64) {
        match self.set_aside.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += by,
            None => self.set_aside.push((kind, by)),
        }
    }
}

/// Where changes come from.
pub trait Source: Send {
    /// Continues from these positions (of the store); topics not named start at their beginning.
    ///
    /// # Errors
    ///
    /// When the source no longer has what follows these positions, or cannot be reached.
    fn seek(&mut self, positions: &[Position]) -> Result<(), Error>;

    /// At most `limit` changes, of [`BATCH_BYTES_MAX`] bytes of records and one record more, or one whole transaction of
    /// the source more; waits up to `wait` when there is nothing yet.
    ///
    /// # Errors
    ///
    /// When the source cannot be read. A record that cannot be understood is a dead letter, not an error.
    fn poll(&mut self, limit: usize, wait: Duration) -> Result<Delivery, Error>;

    /// Whether it reads on from this position, which another source or a topic that is gone may have left in the store.
    fn reads(&self, position: &Position) -> bool {
        let _ = position;
        true
    }

    /// Tells whoever watches from outside how far the store is: for Kafka the consumer group, so that tools show the
    /// lag. Information only; the source never reads it. Positions of other sources are passed over.
    ///
    /// # Errors
    ///
    /// When the client refuses; a broker that is down is none.
    fn report(&mut self, positions: &[Position]) -> Result<(), Error> {
        let _ = positions;
        Ok(())
    }

    /// How far it is, for progress bars: (done, total) in records or bytes; total `None` when unknown (a live topic).
    fn progress(&self) -> (u64, Option<u64>);
}

/// What a source waits for that finds none of its topics. `cluster` is where it looks, in words.
pub(crate) fn unmatched(cluster: &str, topics: &[String]) -> String {
    format!("no topic of {cluster} matches `{}` yet", topics.join("`, `"))
}

/// Why a log cannot be read on at this offset, and what to do.
fn gone(next: i64, low: i64, high: i64) -> String {
    format!(
        "the store goes on at offset {next}, but the log holds {low} to {high}: the records between are gone (retention, \
         or the topic was made anew); start with an empty store, or restore a snapshot of it that is newer"
    )
}
