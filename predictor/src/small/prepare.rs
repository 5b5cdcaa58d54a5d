//! An episode as numbers, ready for the network.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::screen::{STATISTICS, VALUES, single};
use super::sight::{FACTS, Sight};
use super::{Config, Episode};
use crate::learn::anchor::{Anchor, Kind, Question};
use crate::learn::{Examples, Targets};

/// Targets of numbers are held at this many standard deviations.
const TRUTH_MAX: f64 = 5.0;

/// An episode as the network sees it, for one question, its anchor's readings included. Rows are the context's, then
/// the queries'.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// How much, rather than whether.
    pub(super) number: bool,
    pub(super) context: usize,
    pub(super) queries: usize,
    /// Per row and column.
    pub(super) values: Vec<[f32; VALUES]>,
    /// Per column.
    pub(super) statistics: Vec<[f32; STATISTICS]>,
    /// Per row.
    pub(super) facts: Vec<[f32; FACTS]>,
    /// Per context row.
    pub(super) labels: Vec<f32>,
    /// Per query.
    pub(super) starts: Vec<Start>,
    /// Per query.
    pub(super) truths: Vec<f32>,
    pub(super) sigma: f32,
}

/// What a query's answer starts from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Start {
    /// Log-odds; for numbers not used.
    pub(super) log_odds: f32,
    /// The point and the floor, off the place of a reading that knows nothing.
    pub(super) point: f32,
    pub(super) floor: f32,
    /// For numbers.
    pub(super) quantiles: [f32; 9],
}

/// Prepares an episode. `seed` orders examples of equal anchor and entity, and draws the class that is told from the
/// rest. `None` where nothing can be asked: the examples are not consistent, or all numbers are equal.
#[must_use]
pub fn prepare(episode: &Episode, config: &Config, seed: u64) -> Option<Prepared> {
    let Episode { context, queries } = episode;
    let consistent = context.check().is_ok() && queries.check().is_ok();
    if !consistent || context.features.columns() != queries.features.columns() {
        return None;
    }
    let context = context.canonical(seed);
    let (anchor, questions) = Anchor::fit(&context);
    let drawn = xxh3_64_with_seed(b"question", seed).checked_rem(questions.len() as u64)?;
    let drawn = usize::try_from(drawn).ok()?;
    let question = &questions[drawn];
    let truths = truths(question, &queries.targets)?;
    let sight = Sight::fit(config, &context, question, anchor.learned)?;
    let mut prepared = Prepared::of_context(&sight, &context, question);
    prepared.queries = queries.features.rows();
    prepared.truths = truths;
    for row in 0..prepared.queries {
        let (features, past) = (queries.features.row(row), &queries.past[row]);
        let reading = anchor.read(features, past)[drawn];
        prepared.values.extend(sight.values(features));
        prepared.facts.push(sight.facts(past, &reading));
        prepared.starts.push(Start::new(&sight, &reading));
    }
    Some(prepared)
}

impl Prepared {
    /// Rows of context and of queries. Episodes of equal size are computed together.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.context, self.queries)
    }

    /// The context alone.
    pub(super) fn of_context(sight: &Sight, context: &Examples, question: &Question) -> Self {
        let rows = || sight.rows.iter().copied();
        let held = |truth: f64| single(truth.clamp(-TRUTH_MAX, TRUTH_MAX));
        Self {
            number: sight.number,
            context: sight.rows.len(),
            queries: 0,
            values: rows().flat_map(|row| sight.values(context.features.row(row))).collect(),
            statistics: sight.statistics(),
            facts: rows().map(|row| sight.facts(&context.past[row], &question.held_out[row])).collect(),
            labels: rows().map(|row| held(question.truths[row])).collect(),
            starts: Vec::new(),
            truths: Vec::new(),
            sigma: single(sight.sigma),
        }
    }
}

impl Start {
    pub(super) fn new(sight: &Sight, reading: &crate::learn::anchor::Reading) -> Self {
        let held = sight.hold(reading);
        Self {
            log_odds: single(held.point),
            point: single(held.point - sight.centre),
            floor: single(held.floor - sight.centre),
            quantiles: held.offsets.map(|offset| single(held.point + offset)),
        }
    }
}

/// Queries' targets as the question reads them; `None` when they are of another kind.
fn truths(question: &Question, targets: &Targets) -> Option<Vec<f32>> {
    match (&question.kind, targets) {
        (Kind::Binary, Targets::Binary(truths)) => {
            Some(truths.iter().map(|truth| f32::from(u8::from(*truth))).collect())
        }
        (Kind::Class(class), Targets::Classes { labels, .. }) => {
            Some(labels.iter().map(|label| f32::from(u8::from(*label as usize == *class))).collect())
        }
        (Kind::Number(scale), Targets::Numbers(numbers)) => {
            Some(numbers.iter().map(|number| single(scale.forward(*number).clamp(-TRUTH_MAX, TRUTH_MAX))).collect())
        }
        _ => None,
    }
}
