//! Fine-tuning: the network goes on learning, on the past of one task.
//!
//! A [`course`] is one training on examples that had matured by some time: it learns from episodes of the older ones and
//! stops where it is best on the newest. Whether that is worth anything is judged on [`splits::folds`]: a course is held
//! with what had matured before a fold, and its network answers the fold, beside the network that it started from and
//! their anchor. Only where it beats both, by more than the standard error, is a course held with everything.

mod course;
mod episodes;
mod splits;
#[cfg(test)]
mod tests;

use super::trial::{Answered, answered};
use super::{Corrector, Error, Weights};
use crate::learn::{Examples, count};
use course::Course;
pub use course::Tuning;
use splits::{Fold, folds};

/// How a fold was answered. Losses are means over its examples: nats, or pinball loss averaged over the levels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoldScore {
    /// Examples that had matured before the fold.
    pub matured: usize,
    /// Examples of the fold.
    pub asked: usize,
    /// The earliest and the latest anchor of the fold.
    pub anchors: (relational::EventTime, relational::EventTime),
    /// Steps after which the fold's own course was best; 0 where none was better than no step.
    pub steps: u64,
    /// Of the fine-tuned network.
    pub tuned: f64,
    /// Of the network that it started from.
    pub shipped: f64,
    /// Of their anchor alone.
    pub anchor: f64,
}

/// How much less the fine-tuned network loses than another, over all folds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gain {
    /// Mean over the folds' examples.
    pub mean: f64,
    /// Its standard error, examples taken as independent.
    pub error: f64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// Oldest first.
    pub folds: Vec<FoldScore>,
    /// Against the network that it started from, and against their anchor; `None` without folds.
    pub gains: Option<(Gain, Gain)>,
    /// Steps of the last course.
    pub steps: u64,
    /// The weights; the reason where they are not worth it.
    pub weights: Result<Weights, String>,
}

/// Goes on training `base` on examples of one task, whose outcome is known `matures_after` microseconds after their
/// anchor. `context` is how many of the newest examples a fit gets. `progress` is told how many steps of how many are
/// done. Equal arguments give equal weights, bit for bit.
///
/// # Errors
///
/// When the examples are not consistent, or a tensor operation fails.
pub fn fine_tune(
    base: &Weights,
    examples: &Examples,
    matures_after: i64,
    context: usize,
    tuning: &Tuning,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Tuned, Error> {
    examples.check().map_err(|error| Error::format(error.to_string()))?;
    let examples = examples.canonical(tuning.seed);
    let course = Course { base, examples: &examples, matures_after, tuning };
    let folds = folds(&examples, matures_after, tuning.folds);
    let all = (folds.len() as u64 + 1) * tuning.steps;
    let mut judged = Judged { base: Corrector::new(base), context, scores: Vec::new(), gains: Default::default() };
    for (place, fold) in (0..).zip(&folds) {
        let before = place * tuning.steps;
        let trained = course.hold(fold.matured.clone(), &mut |step| progress(before + step, all))?;
        let Some((weights, steps)) = trained else { continue };
        judged.add(&examples, fold, &weights, steps);
    }
    let gains = judged.gains();
    let declined = |reason| Tuned { folds: judged.scores.clone(), gains, steps: 0, weights: Err(reason) };
    if let Some(reason) = judged.reason(gains.as_ref()) {
        return Ok(declined(reason));
    }
    let before = all - tuning.steps;
    let trained = course.hold(0..examples.anchors.len(), &mut |step| progress(before + step, all))?;
    Ok(match trained {
        Some((weights, steps)) if steps > 0 => Tuned { steps, weights: Ok(weights), ..declined(String::new()) },
        _ => declined("on the newest labels no step of training was better than none".into()),
    })
}

/// What the folds said.
struct Judged {
    base: Corrector,
    context: usize,
    scores: Vec<FoldScore>,
    /// Per example, against the base and against the anchor.
    gains: [Vec<f64>; 2],
}

impl Judged {
    fn add(&mut self, examples: &Examples, fold: &Fold, weights: &Weights, steps: u64) {
        let first = fold.matured.end.saturating_sub(self.context);
        let context = Examples { prior: None, ..examples.part(first..fold.matured.end) };
        let asked = examples.part(fold.asked.clone());
        // Without steps the network is the same, and so are its answers.
        let both = [Corrector::new(weights), self.base.clone()].map(|network| answered(&network, &context, &asked));
        let [Some(tuned), Some(shipped)] = both else { return };
        let Answered { network: tuned, anchor } = tuned;
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / count(losses.len());
        for (others, gains) in [&shipped.network, &anchor].into_iter().zip(&mut self.gains) {
            gains.extend(others.iter().zip(&tuned).map(|(other, tuned)| other - tuned));
        }
        self.scores.push(FoldScore {
            matured: fold.matured.len(),
            asked: tuned.len(),
            anchors: (examples.anchors[fold.asked.start], examples.anchors[fold.asked.end - 1]),
            steps,
            tuned: mean(&tuned),
            shipped: mean(&shipped.network),
            anchor: mean(&anchor),
        });
    }

    fn gains(&self) -> Option<(Gain, Gain)> {
        let [shipped, anchor] = &self.gains;
        (!shipped.is_empty()).then(|| (Gain::of(shipped), Gain::of(anchor)))
    }

    /// Why the weights are not worth it.
    fn reason(&self, gains: Option<&(Gain, Gain)>) -> Option<String> {
        let Some((shipped, anchor)) = gains else {
            return Some(
                "there are too few matured labels, or too few times at which they were taken, for a fold".into(),
            );
        };
        let (gain, whom) = match (shipped.is_clear(), anchor.is_clear()) {
            (true, true) => return None,
            (false, _) => (shipped, "the shipped weights"),
            (true, false) => (anchor, "the baseline alone"),
        };
        let asked = self.gains[0].len();
        let tuned = self.scores.iter().map(|fold| fold.tuned * count(fold.asked)).sum::<f64>() / count(asked);
        Some(format!(
            "on {asked} examples of {} folds it lost {tuned:.4} and {whom} {:.4}: not less by more than the standard error \
             of their difference, {:.4}",
            self.scores.len(),
            tuned + gain.mean,
            gain.error
        ))
    }
}

impl Gain {
    fn of(gains: &[f64]) -> Self {
        let mean = gains.iter().sum::<f64>() / count(gains.len());
        let squares = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>();
        Self { mean, error: (squares / count(gains.len())).sqrt() / count(gains.len()).sqrt() }
    }

    fn is_clear(&self) -> bool {
        self.mean > self.error
    }
}
