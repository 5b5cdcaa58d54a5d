//! What can go wrong when records leave.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a record did not leave.
#[derive(Debug, Error)]
pub enum Error {
    /// The file system refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file to append to, or to read back, holds something else.
    #[error("{path} line {line} is not a record written by this program ({reason}); name another file or move it away", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1; 0 when unknown.
        line: u64,
        /// What does not fit.
        reason: String,
    },
    /// Parquet could not be written.
    #[error("cannot write the Parquet file {path}: {reason}", path = path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the library says.
        reason: String,
    },
    /// Kafka refused, or did not answer in time.
    #[error("cannot {action} at {brokers}: {reason}")]
    Kafka {
        /// What was tried, with topic, partition and offset where they are known.
        action: String,
        /// The bootstrap servers.
        brokers: String,
        /// What the client says and what to do.
        reason: String,
        /// Whether another attempt may go well.
        passes: bool,
    },
    /// Fluvio refused, or did not answer in time.
    #[error("cannot {action} at {cluster}: {reason}")]
    Fluvio {
        /// What was tried, with the topic where it is known.
        action: String,
        /// The cluster, in words.
        cluster: String,
        /// What the client says and what to do.
        reason: String,
        /// Whether another attempt may go well.
        passes: bool,
    },
    /// Another process publishes for the same application.
    #[error(
        "another process publishes as application `{app}` since offset {offset} of {topic}, and this one was shut out; run \
         only one, or give each its own `app.name`"
    )]
    Fenced {
        /// The application's name.
        app: String,
        /// The topic of commits.
        topic: String,
        /// Where the other process says so.
        offset: i64,
    },
    /// The broker does not take what is to be published now, and another attempt may go well.
    #[error("cannot publish for application `{app}` now: {reason}; nothing is lost")]
    Away {
        /// The application's name.
        app: String,
        /// What the broker says.
        reason: String,
    },
    /// The topic of commits holds something else.
    #[error(
        "the entry at offset {offset} of {topic} is not one that this version writes; {topic} is for foreshore alone"
    )]
    Entry {
        /// The topic.
        topic: String,
        /// Where.
        offset: i64,
    },
    /// An outbox entry could not be read.
    #[error("outbox entry is not readable: {0}; it was written by another version of this program")]
    Outbox(String),
    /// A record lacks the headers that a dead letter has.
    #[error("not a dead letter: {0}")]
    NotADeadLetter(String),
}

impl Error {
    /// Whether it is a matter of time: the same records may be published again, and it may go well.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Kafka { passes: true, .. } | Self::Fluvio { passes: true, .. })
    }

    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { action, path: path.to_owned(), source }
    }
}
