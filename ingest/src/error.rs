use std::io;
use std::path::PathBuf;

use relational::SchemaError;
use thiserror::Error;

/// Why a source cannot be used or read on.
#[derive(Debug, Error)]
pub enum Error {
    /// The file system refused.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    File {
        /// What was tried: `open`, `read`, `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is not what its name says, or lacks something.
    #[error("`{}`: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A table's definition and its files do not agree.
    #[error("table `{table}`: {reason}")]
    Table {
        /// The table.
        table: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The tables do not make a schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The store has read further than the source reaches.
    #[error(
        "the store stands at {position} of `{topic}`, which has only {available} records; \
         bring the original input back, or start with an empty store"
    )]
    Position {
        /// Topic or table.
        topic: String,
        /// The next record that the store wants.
        position: i64,
        /// How many records there are.
        available: u64,
    },
    /// The schema registry refuses us, or is none.
    #[error("schema registry {url}: {reason}")]
    Registry {
        /// Its address.
        url: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The broker refused, or a topic cannot be read.
    #[error("kafka, {what}: {reason}")]
    Kafka {
        /// The topic, partition or broker.
        what: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The Fluvio cluster refused, or a topic cannot be read.
    #[error("fluvio, {what}: {reason}")]
    Fluvio {
        /// The topic, partition or cluster.
        what: String,
        /// What is wrong and what to do.
        reason: String,
    },
}
