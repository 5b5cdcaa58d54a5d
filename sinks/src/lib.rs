//! Scores and dead letters become records, and records leave: to Kafka or Fluvio topics, JSON lines or Parquet files.
//!
//! The store's outbox holds [`Outgoing`] entries in its own bytes ([`Outgoing::encode`]). A publisher drains it in order
//! through a [`Sink`]: after a crash it sends again whatever the outbox still holds, and the sink skips what it already
//! has, so that a record is neither lost nor repeated. For Kafka that is [`ExactlyOnce`], by transactions, or, cheaper,
//! [`KafkaSink`]: at least once with a deterministic `ce_id`, where repeats are skipped too, except for a request that a
//! killed process had left on the wire.

mod dead_letter;
mod entry;
mod envelope;
mod error;
mod exactly_once;
mod fluvio;
mod json;
mod json_lines;
mod kafka;
mod lines;
mod mark;
mod memory;
mod outgoing;
mod parquet_columns;
mod parquet_files;
mod partition;
mod record;
mod stamp;
mod topics;

pub use self::fluvio::FluvioSink;
pub use dead_letter::{ATTEMPT_HEADER, DeadLetterRecord, ERRORS_PREFIX};
pub use entry::ProcessId;
pub use error::Error;
pub use exactly_once::{ExactlyOnce, Fault, Transactions};
pub use json::key_text;
pub use json_lines::JsonLines;
pub use kafka::{
    KafkaSettings, KafkaSink, KafkaTransactions, Retention, StoredDeadLetter, StoredScore, create_topics,
    read_dead_letters, read_scores, send_back,
};
pub use memory::Memory;
pub use outgoing::Outgoing;
pub use parquet_files::ParquetSink;
pub use record::{Latency, Origin, ScoreRecord};
use relational::Position;
pub use stamp::Stamp;
pub use topics::{TopicRecord, Topics};

/// Names a store, so that the outbox sequences of two stores are not taken for each other. Any number that a store
/// draws once and keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub u64);

impl std::fmt::Display for StoreId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Up to where a sink's own account of what has left is known: the store keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bookmark(pub i64);

/// A part of what has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The records.
    pub stamps: Vec<Stamp>,
    /// Where the account goes on.
    pub bookmark: Bookmark,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Receipt {
    /// Where the sink's account of what has left goes on; `None` when it keeps none.
    pub bookmark: Option<Bookmark>,
    /// Transactions that went through.
    pub transactions: u64,
    /// Those that did not, and were repeated.
    pub repeated: u64,
}

/// Where records leave.
pub trait Sink: Send {
    /// What has left since the bookmark, as far as the sink keeps account of it: a part, until there is no more. The
    /// first call shuts out every other process that publishes for the same application.
    ///
    /// # Errors
    ///
    /// When the broker refuses, or the account does not reach back to the bookmark.
    fn left(&mut self, since: Option<Bookmark>) -> Result<Option<Left>, Error> {
        let _ = since;
        Ok(None)
    }

    /// Writes records with their outbox sequences, which rise within a batch and from batch to batch, and returns once
    /// they are acknowledged: the outbox may then forget them. Records that the sink already holds are skipped.
    /// `positions` is where the source has moved to with these records, for sinks that tell both in one step.
    ///
    /// # Errors
    ///
    /// When the file or broker refuses; when that [`Error::passes`], the same batch is to be published again.
    fn publish(&mut self, batch: &[(u64, Outgoing)], positions: &[Position]) -> Result<Receipt, Error>;

    /// Whether positions are told here, or else by the source.
    fn tells_positions(&self) -> bool {
        false
    }

    /// Tells whoever watches from outside where the source has moved to without a record that leaves, and sees to it that
    /// no other process publishes for the same application.
    ///
    /// # Errors
    ///
    /// As for [`Sink::publish`].
    fn report(&mut self, positions: &[Position]) -> Result<(), Error> {
        let _ = positions;
        Ok(())
    }

    /// Completes what is written: after it, files can be read as they are.
    ///
    /// # Errors
    ///
    /// When the file or broker refuses.
    fn flush(&mut self) -> Result<(), Error>;
}
