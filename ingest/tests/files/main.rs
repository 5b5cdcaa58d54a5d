//! Plain tables, by the crate's public face.

mod edges;
mod infer;
mod merge;
mod questions;
