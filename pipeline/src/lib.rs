//! The shell around the core: configuration, the loop from source to sink, the command line.

pub mod config;
