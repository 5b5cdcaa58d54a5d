//! Scores from a snapshot of the graph: labels and features as of a cutoff, a context of labelled past examples, and
//! the members of the predictor's family that are fitted on it.

pub mod context;
mod error;
pub mod executor;
pub mod explain;
pub mod features;
#[cfg(test)]
mod fixture;
pub mod in_context;
#[cfg(test)]
mod leaks;
pub mod learn;
pub mod lookahead;
pub mod model;
pub mod neighbourhood;
pub mod ranking;
pub mod read_set;
pub mod sampler;
pub mod small;

pub use error::Error;
