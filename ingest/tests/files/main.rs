//! Plain tables, by the crate's public face.

mod infer;
mod merge;
mod questions;
