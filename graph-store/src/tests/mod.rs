//! The store against its model. In unit tests the fan-out, the pages and the bounds on unwritten pages are small, so
//! that few changes already make deep trees and many page writes; `tests/` runs the store as it is.

mod fixture;
mod model;
mod numbers;
mod sums;

pub(crate) use numbers::Numbers;
