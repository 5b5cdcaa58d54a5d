//! What can go wrong in the predictor.

use thiserror::Error;

/// An operating error of the predictor. Too few labels, a single class or a solver that does not converge are no
/// errors: they are answered with a fallback that says so.
#[derive(Debug, Error)]
pub enum Error {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] graph_store::Error),
    /// The relational model could not take a context or answer a query.
    #[error(transparent)]
    Model(#[from] crate::model::ModelError),
}
