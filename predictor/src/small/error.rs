//! What can go wrong with the small model.

use thiserror::Error;

/// An operating error of the small model.
#[derive(Debug, Error)]
pub enum Error {
    /// A tensor operation failed.
    #[error("the tensor library failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// Bytes are not a weights file or a training state of this program.
    #[error("{what}")]
    Format {
        /// What is wrong.
        what: String,
    },
}

impl Error {
    pub(super) fn format(what: impl Into<String>) -> Self {
        Self::Format { what: what.into() }
    }
}
