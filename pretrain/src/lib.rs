//! Synthetic relational databases, and the program that pretrains the predictor's small model on them.
//!
//! A [`World`] is a database of one of several families ([`Family`]) with questions that may be asked of it. It becomes
//! a [`Database`] in the production store; the production query parser, label executor and featuriser make of each
//! question a [`Bank`] of labelled examples; episodes are drawn from banks. Everything follows from a seed.
//!
//! The rounds were inspired by rel-f1 and the spells of parents with delayed labels by simulated card payments; no data
//! of either is used.

mod bank;
pub mod cli;
mod columns;
pub mod commands;
mod database;
mod development;
mod dice;
mod draft;
mod episode;
mod error;
mod family;
mod latent;
mod mechanism;
mod question;
mod recipe;
pub mod signals;
mod stream;
mod train;

pub use bank::Bank;
pub use database::Database;
pub use development::Report;
pub use dice::Dice;
pub use draft::Draft;
pub use error::Error;
pub use family::{Family, World};
pub use question::{Question, Side};
pub use recipe::{Data, Network, Recipe, Regime};
pub use train::{Folder, Watch, score, train};
