//! The shell around the core: configuration, the loop from source to sink, the command line.

#![expect(
    clippy::missing_panics_doc,
    reason = "a library for its own binary and tests only: broken invariants stop the program, and say why they hold"
)]

pub mod audit;
mod backtest;
pub mod cli;
pub mod commands;
pub mod config;
mod demo;
pub mod driver;
pub mod engine;
pub mod explanation;
pub mod http;
pub mod init;
mod labels;
pub mod learning;
pub mod logging;
pub mod metrics;
pub mod output;
pub mod parallel;
pub mod plan;
mod process;
mod publisher;
pub mod relational_member;
mod report;
pub mod scorer;
mod tables;
pub mod tuned;
pub mod world;
