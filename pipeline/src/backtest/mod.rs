//! What the scores of the past would have been, and how good.
//!
//! The store knows when each row happened, arrived and became known, so a question about the past has the bounds that a
//! live run had, and the very [`Panel`](crate::scorer::Panel) of scorers answers it: there is no other way to a score
//! here. Questions are answered in parts that are kept as files ([`parts`]), so that a killed run goes on where it was;
//! the parts become `scores.parquet` ([`table`]), and everything in `metrics.json` is computed from that file
//! ([`evaluation`]).

mod ahead;
mod asked;
mod bootstrap;
mod curves;
mod drift;
mod evaluation;
mod examples;
mod latency;
mod levels;
mod measures;
mod parts;
mod read;
mod run;
mod segment;
mod slices;
mod stress;
mod stress_figures;
mod table;

pub(crate) use asked::{Asked, given, last_points, scheduled, step, triggered};
pub(crate) use curves::Curves;
pub(crate) use evaluation::{Budget, Costs, Evaluation, Figure, Figures, SliceFigures};
pub(crate) use examples::{Example, Sort};
pub(crate) use measures::more_is_better;
pub(crate) use run::{Report, Run};
pub(crate) use segment::Segment;
pub(crate) use stress_figures::{Stress, StressCurve, StressLevel};
