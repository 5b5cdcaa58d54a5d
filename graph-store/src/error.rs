//! What can go wrong in the store.

use thiserror::Error;

/// An operating error of the store. None of them is about a single record: those come back as refusals.
#[derive(Debug, Error)]
pub enum Error {
    /// The change does not fit its table; only this change is refused.
    #[error("{0}")]
    Refused(String),
    /// The disk engine failed.
    #[error("the store's disk engine failed: {0}")]
    Disk(#[from] sled::Error),
    /// There is no room for what is to be written.
    #[error(
        "the disk that holds the store in {directory} is full ({error}): make room there and start again; what was \
         committed is there, and the rest is read again"
    )]
    Full {
        /// Where the store is.
        directory: String,
        /// As the system says it.
        error: std::io::Error,
    },
    /// Stored bytes are not what this version writes.
    #[error("the store in {directory} is damaged or of another version: {what}")]
    Damaged {
        /// Where the store is.
        directory: String,
        /// What was found.
        what: String,
    },
    /// The rows were written with another schema.
    #[error("the store in {directory} was written with another schema: {what}; use another directory or that schema")]
    Schema {
        /// Where the store is.
        directory: String,
        /// The first difference.
        what: String,
    },
    /// Another process has the store open.
    #[error("the store in {0} is in use by another process")]
    InUse(String),
    /// The simulated disk was told to stop.
    #[error("the simulated disk has stopped")]
    Stopped,
    /// An earlier commit failed or was abandoned; the store must be opened again.
    #[error("an earlier commit failed; open the store again")]
    Poisoned,
}
