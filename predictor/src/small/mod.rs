//! `foreshore-small`: a small pretrained transformer over cells that corrects the closed-form `baseline`.
//!
//! The baseline is the *anchor*: the network sees what it says of every row (of the context's rows without their own
//! target), and what comes out is added to it. An untrained network adds nothing.
//!
//! [`prepare`] turns an [`Episode`] into numbers, on any thread; a [`Trainer`] learns from many of them; [`evaluate`]
//! compares [`Weights`] with their anchor.

mod attend;
mod batch;
mod config;
mod dense;
mod error;
mod evaluate;
#[cfg(test)]
pub(crate) mod fixture;
mod forward;
mod fused;
mod infer;
mod kernel;
mod layers;
mod member;
mod memory;
mod net;
mod optimiser;
mod own;
mod prepare;
mod screen;
mod sight;
mod state;
#[cfg(test)]
mod tests;
mod train;
mod trial;
mod tune;
mod weights;

use crate::learn::Examples;

pub use config::{Config, Schedule};
pub use error::Error;
pub(crate) use member::Corrected;
pub use member::Corrector;

pub use evaluate::{Compared, Pair, Scores, evaluate};
pub use prepare::{Prepared, prepare};
pub use train::{Loss, Trainer};
pub use tune::{FoldScore, Gain, Tuned, Tuning, fine_tune};
pub use weights::Weights;

/// What the network learns from and is judged on: a labelled context, and queries of the same task whose targets are
/// known too. No query is older than the context's newest example had matured.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// Labelled past examples, as a fit gets them.
    pub context: Examples,
    /// Examples with the same columns whose targets are to be predicted.
    pub queries: Examples,
}
