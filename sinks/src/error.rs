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
    },
    /// Another process publishes for the same application.
    #[error(
        "another process publishes as application `{app}` and has shut this one out ({reason}); run only one, or give \
         each its own `app.name`. A pause of this process that was longer than the broker's transaction timeout looks the \
         same: then start it again"
    )]
    Fenced {
        /// The application's name.
        app: String,
        /// What the broker says.
        reason: String,
    },
    /// A transaction did not go through.
    #[error("cannot publish for application `{app}`: {reason}; nothing is lost, start again once that is mended")]
    Transaction {
        /// The application's name.
        app: String,
        /// What the broker says.
        reason: String,
    },
    /// An outbox entry could not be read.
    #[error("outbox entry is not readable: {0}; it was written by another version of this program")]
    Outbox(String),
    /// A record lacks the headers that a dead letter has.
    #[error("not a dead letter: {0}")]
    NotADeadLetter(String),
}

impl Error {
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { action, path: path.to_owned(), source }
    }
}
