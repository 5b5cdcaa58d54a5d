//! Which labelled past examples a fit gets.

mod anchors;
mod choose;
mod needs;
mod order;
mod own;
mod refresh;
mod windowed;

use std::collections::BTreeMap;

use graph_store::Store;
use relational::limits::CONTEXT_EXAMPLES_MAX;
use relational::{AsOf, EventTime, Key, TaskKind, Value};

use crate::Error;
use crate::executor::Executor;
use choose::Chosen;
pub(crate) use choose::RARE_FACTOR;
pub(crate) use order::Order;
use own::Own;
pub use refresh::refresh_point;
use windowed::Windowed;

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
    /// No more than so many in any case.
    pub size_max: usize,
    /// No label that was known later is used.
    pub labels_until: Option<EventTime>,
    /// Decides between examples that are equally recent.
    pub seed: u64,
}

impl Default for ContextSpec {
    fn default() -> Self {
        Self { policy: Policy::Recent, size: 1_000, size_max: CONTEXT_EXAMPLES_MAX, labels_until: None, seed: 0 }
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

impl Selection {
    /// Together with what was chosen at an earlier time; shares are weighed by the examples.
    #[must_use]
    pub fn with_earlier(mut self, earlier: Self) -> Self {
        let sizes = [self.examples.len(), earlier.examples.len()].map(crate::learn::count);
        let mut prior: BTreeMap<Value, f64> = BTreeMap::new();
        for (shares, size) in [(self.prior, sizes[0]), (earlier.prior, sizes[1])] {
            for (class, share) in shares {
                *prior.entry(class).or_default() += share * size / (sizes[0] + sizes[1]);
            }
        }
        self.prior = prior.into_iter().collect();
        self.examples.extend(earlier.examples);
        self.anchors =
            self.anchors.map(|(oldest, newest)| (earlier.anchors.map_or(oldest, |(first, _)| first), newest));
        self.candidates += earlier.candidates;
        self
    }
}

/// Candidates that are looked at for each wanted example, where examples are not simply the most recent.
const RANGE_FACTOR: usize = 10;

/// Chooses the labelled past examples that may be used at `at`: their windows had closed and their labels were known by
/// then. Depends on nothing after `at`.
///
/// # Errors
///
/// When the store cannot be read.
pub fn select(store: &Store, executor: &Executor, at: AsOf, spec: &ContextSpec) -> Result<Selection, Error> {
    let until = spec.labels_until.unwrap_or(EventTime::MAX);
    let labels = AsOf { cutoff: at.cutoff.min(until), sequence: at.sequence, known: at.known.min(until) };
    let order = Order::new(executor.task(), spec.seed);
    let draw = |want: usize, only: Option<&Key>| {
        if executor.task().is_static() {
            Own { store, executor, order, at, labels }.draw(want)
        } else {
            Windowed { store, executor, order, at, labels, only }.draw(want)
        }
    };
    let size_max = spec.size_max.clamp(1, CONTEXT_EXAMPLES_MAX);
    let size = spec.size.clamp(1, size_max);
    let range = size.saturating_mul(RANGE_FACTOR);
    let (drawn, chosen) = match &spec.policy {
        Policy::Recent if executor.task().kind == TaskKind::Multiclass => {
            let drawn = draw(range, None)?;
            let chosen = choose::every_class(&drawn.candidates, size);
            (drawn, chosen)
        }
        Policy::Recent => {
            let drawn = draw(size, None)?;
            if executor.task().kind == TaskKind::Binary && choose::is_one_rare(&drawn.candidates) {
                let size = size.saturating_mul(RARE_FACTOR).min(size_max);
                let drawn = draw(size.saturating_mul(RANGE_FACTOR), None)?;
                let chosen = choose::rare(&drawn.candidates, size);
                (drawn, chosen)
            } else {
                let chosen = Chosen::all(&drawn.candidates);
                (drawn, chosen)
            }
        }
        Policy::Spread { cutoffs } => {
            let drawn = draw(range, None)?;
            let chosen = choose::spread(&drawn.candidates, size, *cutoffs);
            (drawn, chosen)
        }
        Policy::Random => {
            let drawn = draw(range, None)?;
            let chosen = choose::random(&drawn.candidates, size);
            (drawn, chosen)
        }
        Policy::Stratified => {
            let drawn = draw(range, None)?;
            let chosen = choose::stratified(&drawn.candidates, size);
            (drawn, chosen)
        }
        Policy::OwnPlusRecent { entity } => {
            let drawn = draw(size, None)?;
            let own = draw(size / 2, Some(entity))?;
            let chosen = choose::own_plus_recent(own.candidates, &drawn.candidates, size);
            (drawn, chosen)
        }
    };
    Ok(selection(executor, size, &drawn, chosen))
}

/// A labelled past example that may be chosen.
#[derive(Debug, Clone, PartialEq)]
struct Candidate {
    entity: Key,
    anchor: EventTime,
    label: Value,
    /// Its place among those of the same anchor.
    place: u64,
}

/// Candidates, newest anchor first, and whether the search was given up before there were enough.
#[derive(Debug, Default)]
struct Drawn {
    candidates: Vec<Candidate>,
    gave_up_at: Option<EventTime>,
}

fn selection(executor: &Executor, wanted: usize, drawn: &Drawn, chosen: Chosen) -> Selection {
    let Chosen { examples, from } = chosen;
    let mut warnings = Vec::new();
    let task = &executor.task().name;
    let prior = match executor.task().kind {
        TaskKind::Binary | TaskKind::Multiclass => choose::shares(&drawn.candidates[..from]),
        TaskKind::Regression | TaskKind::Ranking | TaskKind::Forecast => Vec::new(),
    };
    if let [(class, _)] = prior.as_slice() {
        warnings.push(format!(
            "every label of task `{task}` that is known so far is {class}: there is nothing to tell apart yet"
        ));
    }
    if examples.len() < wanted {
        warnings.push(format!("task `{task}` has {} labelled past examples of {wanted} wanted", examples.len()));
    }
    if let Some(anchor) = drawn.gave_up_at {
        warnings.push(format!("the search for labels of task `{task}` was given up at {anchor}: they are too rare"));
    }
    let times = || examples.iter().map(|example| example.anchor);
    let anchors = times().min().zip(times().max());
    Selection { anchors, prior, warnings, candidates: drawn.candidates.len() as u64, examples }
}

#[cfg(test)]
mod tests;
