//! `kumo-relational`: the published architecture `KumoRelational`, exact, for its published checkpoints.
//!
//! The reference is the package `structured-data-models` (Apache-2.0), an adapted form of KumoRFM-2 (arXiv 2604.12596).
//! Names of tensors are the checkpoint's; every dimension is in [`Config`]. Given the same weights, inputs and random
//! draws the answers are the reference's, which golden files made from that package hold (`scripts/golden/`).

mod attention;
mod block;
pub mod checkpoint;
mod compute;
mod config;
mod dice;
mod gnn;
#[cfg(test)]
mod golden;
mod graph;
mod heads;
mod hierarchy;
mod icl;
mod induced;
mod kept;
mod kernels;
mod label;
mod linear;
mod member;
mod network;
mod norm;
mod operations;
mod product;
mod radix;
mod recipe;
mod rope;
mod row_embedding;
mod rows;
mod sample;
mod scaling;
mod weights;

pub use compute::{Compute, DeviceError};
pub use config::Config;
pub use dice::{Dice, Seeded};
pub use graph::{Graph, Link, Relationship};
pub use label::Labels;
pub use member::{FitOptions, FittedModel, Model, ModelError};
pub use network::{Network, NetworkContext};
pub use sample::{Sample, TableRows};
pub use weights::Faults;
