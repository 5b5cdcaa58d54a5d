//! One training, stopped where it is best on the newest examples that it may see.

use std::ops::Range;

use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use super::episodes::{Moments, QUERIES, mixed};
use super::splits::{MATURED_MIN, known, whole};
use crate::learn::Examples;
use crate::small::{Error, Prepared, Schedule, Trainer, Weights, evaluate, prepare};

/// One in so many of the newest examples decides when to stop.
const STOPPING_ONE_IN: usize = 5;
/// Sizes of contexts in turn: large ones cost more, and are what live fits have.
const CONTEXTS: [usize; 4] = [250, 100, 250, 1_000];
/// Rows of a step's episodes together, about.
const ROWS: usize = 2_400;
/// Episodes that decide when to stop, and their contexts.
const STOPPING_EPISODES: u64 = 10;
const STOPPING_CONTEXT: usize = 500;

/// The regime of fine-tuning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// Decides every draw.
    pub seed: u64,
    /// Steps of a course at most.
    pub steps: u64,
    /// The greatest learning rate.
    pub rate: f64,
    /// Steps between two looks at the examples that decide when to stop.
    pub look_every: u64,
    /// A course ends after so many looks without a new best.
    pub patience: u64,
    /// Folds at most.
    pub folds: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { seed: 0, steps: 120, rate: 5e-4, look_every: 15, patience: 3, folds: 3 }
    }
}

/// What a course needs beside the rows that it may see.
pub(super) struct Course<'a> {
    pub(super) base: &'a Weights,
    pub(super) examples: &'a Examples,
    pub(super) matures_after: i64,
    pub(super) tuning: &'a Tuning,
}

impl Course<'_> {
    /// Trains on these rows, and gives the best weights and after how many steps they were: 0 for the base itself.
    /// `None` when there is too little to learn from.
    pub(super) fn hold(
        &self,
        rows: Range<usize>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<(Weights, u64)>, Error> {
        let Some((learned, stopping)) = self.parts(&rows) else { return Ok(None) };
        // Threads of the tensor library would wait for each other in busy loops.
        let alone = ThreadPoolBuilder::new().num_threads(1).build();
        let alone = alone.map_err(|error| Error::format(format!("no thread to train on: {error}")))?;
        let judges = self.judges(&stopping);
        let Some(start) = alone.install(|| loss(self.base, &judges))? else { return Ok(None) };
        let mut best = (start, 0, self.base.clone());
        let mut trainer = Trainer::from_weights(self.base, &self.schedule());
        let mut batch = self.batch(&learned, 0);
        while trainer.steps() < self.tuning.steps {
            if batch.is_empty() {
                return Ok(None);
            }
            let next = trainer.steps() + 1;
            let (stepped, prepared) =
                rayon::join(|| alone.install(|| trainer.step(&batch)), || self.batch(&learned, next));
            stepped?;
            batch = prepared;
            progress(trainer.steps());
            if !trainer.steps().is_multiple_of(self.tuning.look_every) {
                continue;
            }
            let weights = trainer.weights();
            let found = alone.install(|| loss(&weights, &judges))?.unwrap_or(f64::INFINITY);
            if found < best.0 {
                best = (found, trainer.steps(), weights);
            } else if trainer.steps() >= best.1 + self.tuning.patience * self.tuning.look_every {
                break;
            }
        }
        progress(self.tuning.steps);
        Ok(Some((best.2, best.1)))
    }

    /// What is learned from, and the newest part, which decides when to stop. No label of the former was known later
    /// than the first example of the latter was taken.
    fn parts(&self, rows: &Range<usize>) -> Option<(Moments<'_>, Moments<'_>)> {
        let first = whole(self.examples, rows.end.checked_sub((rows.len() / STOPPING_ONE_IN).max(1))?);
        let learned = known(self.examples, self.matures_after, first);
        let moments = |asked| Moments { examples: self.examples, matures_after: self.matures_after, asked };
        (learned >= MATURED_MIN / 2).then(|| (moments(0..learned), moments(first..rows.end)))
    }

    fn judges(&self, stopping: &Moments<'_>) -> Vec<Prepared> {
        let seed = mixed(self.tuning.seed, u64::MAX);
        let wanted: Vec<(usize, u64)> =
            (0..STOPPING_EPISODES).map(|place| (STOPPING_CONTEXT, mixed(seed, place))).collect();
        self.prepared(stopping, &wanted)
    }

    fn batch(&self, learned: &Moments<'_>, step: u64) -> Vec<Prepared> {
        let seed = mixed(self.tuning.seed, step);
        let turn = usize::try_from(step % CONTEXTS.len() as u64).unwrap_or(0);
        let context = CONTEXTS[turn];
        let episodes = (ROWS / (context + QUERIES)).max(2) as u64;
        let wanted: Vec<(usize, u64)> = (0..episodes).map(|place| (context, mixed(seed, place))).collect();
        self.prepared(learned, &wanted)
    }

    /// In their order, whatever thread prepares them.
    fn prepared(&self, moments: &Moments<'_>, wanted: &[(usize, u64)]) -> Vec<Prepared> {
        let config = self.base.config();
        let one = |(context, seed): &(usize, u64)| {
            moments.episode(*context, *seed).and_then(|episode| prepare(&episode, config, *seed))
        };
        wanted.par_iter().map(one).collect::<Vec<Option<Prepared>>>().into_iter().flatten().collect()
    }

    fn schedule(&self) -> Schedule {
        let Tuning { rate, steps, .. } = *self.tuning;
        Schedule { rate, warm_up: 10, steps, average: 0.9, ..Schedule::default() }
    }
}

/// The network's mean loss; `None` without episodes.
fn loss(weights: &Weights, episodes: &[Prepared]) -> Result<Option<f64>, Error> {
    let scores = evaluate(weights, episodes)?;
    Ok(scores.binary.or(scores.numbers).map(|compared| compared.loss.network))
}
