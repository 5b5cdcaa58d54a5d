//! What can go wrong.

use std::path::PathBuf;

use thiserror::Error;

/// What can go wrong while databases are made or weights are trained.
#[derive(Debug, Error)]
pub enum Error {
    /// A synthetic database could not be stored or read.
    #[error("a synthetic database cannot be kept: {0}")]
    Store(#[from] graph_store::Error),
    /// Labels or features could not be made.
    #[error("labels or features of a synthetic database cannot be made: {0}")]
    Predictor(#[from] predictor::Error),
    /// A file or folder cannot be used.
    #[error("`{path}` cannot be used: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The network or its training failed.
    #[error("the network cannot be trained: {0}")]
    Small(#[from] predictor::small::Error),
    /// A file holds something else than it should.
    #[error("`{path}` cannot be read: {reason}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Standard output is closed.
    #[error("standard output cannot be written: {0}")]
    Output(std::io::Error),
    /// A thread that makes databases has stopped.
    #[error("a thread that makes databases has stopped early")]
    Stopped,
    /// The databases of a chunk had no task with enough labels.
    #[error("no task of chunk {chunk} has the examples for the smallest context: make more databases at a time")]
    Barren {
        /// Its number.
        chunk: u64,
    },
}

impl Error {
    pub(crate) fn content(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Content { path: path.into(), reason: reason.into() }
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |error| Self::File { path, error }
    }
}
