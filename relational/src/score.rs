//! The answer to a task for one entity at one cutoff.

use std::fmt;
use std::sync::Arc;

use crate::{EventTime, Position, RowKey, Sequence, Value, Window};

/// Names a fitted context: a digest of the task, the model, and what the context was drawn from. Equal ids mean equal
/// scores for equal queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextId(pub u64);

impl fmt::Display for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What is predicted.
#[derive(Debug, Clone, PartialEq)]
pub enum Prediction {
    /// The probability that the target is true.
    Binary(f64),
    /// A probability for each class, in the order of the classes' values; they add up to 1.
    Multiclass(Vec<(Value, f64)>),
    /// Values at [`Prediction::LEVELS`], never decreasing. The middle one is the point prediction.
    Quantiles([f64; 9]),
    /// The rows of another table that are likeliest to be pointed at, by their keys, with the probability of each; the
    /// likeliest first. The probabilities do not add up to 1.
    Ranking(Vec<(Value, f64)>),
    /// One prediction for each of several consecutive windows: a probability or quantiles.
    Forecast(Vec<(Window, Prediction)>),
}

impl Prediction {
    /// The levels of [`Prediction::Quantiles`].
    pub const LEVELS: [f64; 9] = [0.05, 0.15, 0.25, 0.4, 0.5, 0.6, 0.75, 0.85, 0.95];

    /// One number to sort by: the probability of true, the median, the highest probability of a class or of a ranked
    /// row, or that of the first window.
    #[must_use]
    pub fn point(&self) -> f64 {
        match self {
            Self::Binary(probability) => *probability,
            Self::Multiclass(shares) | Self::Ranking(shares) => {
                shares.iter().map(|(_, probability)| *probability).fold(0.0, f64::max)
            }
            Self::Quantiles(values) => values[4],
            Self::Forecast(windows) => windows.first().map_or(f64::NAN, |(_, first)| first.point()),
        }
    }
}

/// Why a score was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A new row triggered its own score.
    Trigger,
    /// Something that the score depends on changed.
    Change,
    /// A row arrived late, inside the correction horizon.
    LateRow,
    /// The schedule said so.
    Schedule,
    /// Somebody asked.
    Request,
    /// The entity was deleted.
    Delete,
}

impl Reason {
    /// The name used in records and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Change => "change",
            Self::LateRow => "late_row",
            Self::Schedule => "schedule",
            Self::Request => "request",
            Self::Delete => "delete",
        }
    }
}

/// One score. A function of (task, entity, cutoff, sequence, model, context): the same inputs give the same bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The task's name.
    pub task: Arc<str>,
    /// The entity.
    pub entity: RowKey,
    /// What is predicted; `None` says that the entity is gone.
    pub prediction: Option<Prediction>,
    /// Nothing after this event time was read.
    pub cutoff: EventTime,
    /// Nothing that arrived after this was read.
    pub sequence: Sequence,
    /// The predictor's member that made it, or that it fell back to.
    pub model: Arc<str>,
    /// Why `model` is not the one that was asked for, if so.
    pub fallback: Option<Arc<str>>,
    /// The context that made it.
    pub context: ContextId,
    /// How many examples the context holds.
    pub examples: u32,
    /// 0 for the first score of this task, entity and cutoff; one higher for each correction.
    pub revision: u32,
    /// Why it was made.
    pub reason: Reason,
    /// The record that triggered it.
    pub trigger: Option<Position>,
    /// Whether a neighbourhood was cut at its limit.
    pub truncated: bool,
}
