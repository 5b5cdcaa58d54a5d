//! Scores and dead letters become records, and records leave: to Kafka topics, JSON lines or Parquet files.
//!
//! The store's outbox holds [`Outgoing`] entries in its own bytes ([`Outgoing::encode`]). A publisher drains it in order
//! through a [`Sink`]: after a crash it sends again whatever the outbox still holds, and the sink skips what it already
//! has, so that a record is neither lost nor repeated. For Kafka the guarantee is at least once with a deterministic
//! `ce_id`: repeats are skipped too, except for a request that a killed process had left on the wire.

mod dead_letter;
mod error;
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

pub use dead_letter::{ATTEMPT_HEADER, DeadLetterRecord, ERRORS_PREFIX};
pub use error::Error;
pub use json::key_text;
pub use json_lines::JsonLines;
pub use kafka::{KafkaSettings, KafkaSink, StoredDeadLetter, create_topics, read_dead_letters, send_back};
pub use memory::Memory;
pub use outgoing::Outgoing;
pub use parquet_files::ParquetSink;
pub use record::{Latency, Origin, ScoreRecord};

/// Names a store, so that the outbox sequences of two stores are not taken for each other. Any number that a store
/// draws once and keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub u64);

impl std::fmt::Display for StoreId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Where records leave.
pub trait Sink: Send {
    /// Writes records with their outbox sequences, which rise within a batch and from batch to batch, and returns once
    /// they are acknowledged: the outbox may then forget them. Records that the sink already holds are skipped.
    ///
    /// # Errors
    ///
    /// When the file or broker refuses; it is safe to publish the same batch again.
    fn publish(&mut self, batch: &[(u64, Outgoing)]) -> Result<(), Error>;

    /// Completes what is written: after it, files can be read as they are.
    ///
    /// # Errors
    ///
    /// When the file or broker refuses.
    fn flush(&mut self) -> Result<(), Error>;
}
