//! Targets: classes by number, each estimator with its own numbering, or standardised numbers; and the way back.

use super::super::dice::Dice;
use super::super::label::Labels;
use super::moments::{Moments, narrow};
use super::shuffle;

/// A fitted target.
#[derive(Debug, Clone)]
pub(in super::super) enum Target {
    /// How many classes there are, and how far each estimator shifts their numbers.
    Classes { count: usize, shifts: Vec<usize> },
    /// The mean and spread of the numbers.
    Numbers { mean: f32, scale: f32 },
}

impl Target {
    pub(in super::super) fn fit(labels: &Labels, estimators: usize, dice: &mut dyn Dice) -> Self {
        match labels {
            Labels::Classes { count, .. } => {
                Self::Classes { count: *count, shifts: shuffle::classes(*count, estimators, dice) }
            }
            Labels::Numbers(numbers) => {
                let moments = Moments::of(numbers.iter().map(|number| f64::from(*number)));
                let scale = if moments.is_constant() { 1.0 } else { narrow(moments.variance().sqrt()) };
                Self::Numbers { mean: narrow(moments.mean), scale }
            }
        }
    }

    /// The labels as one estimator sees them.
    pub(in super::super) fn apply(&self, labels: &Labels, estimator: usize) -> Labels {
        match (self, labels) {
            (Self::Classes { count, shifts }, Labels::Classes { codes, .. }) => {
                let shift = |code: &u32| shifted(*code as usize, shifts[estimator], *count);
                let shift = |code: &u32| u32::try_from(shift(code)).expect("a class number stays below their count");
                Labels::Classes { count: *count, codes: codes.iter().map(shift).collect() }
            }
            (Self::Numbers { mean, scale }, Labels::Numbers(numbers)) => {
                Labels::Numbers(numbers.iter().map(|number| (number - mean) / scale).collect())
            }
            _ => labels.clone(),
        }
    }

    /// An estimator's answer in terms of the classes or numbers that the labels had: logits in the order of the classes,
    /// quantiles in rising order.
    pub(in super::super) fn undo(&self, answer: &[f32], estimator: usize) -> Vec<f32> {
        match self {
            Self::Classes { count, shifts } => {
                (0..*count).map(|class| answer[shifted(class, shifts[estimator], *count)]).collect()
            }
            Self::Numbers { mean, scale } => {
                let mut quantiles: Vec<f32> = answer.iter().map(|value| value * scale + mean).collect();
                quantiles.sort_unstable_by(f32::total_cmp);
                quantiles
            }
        }
    }
}

fn shifted(class: usize, shift: usize, count: usize) -> usize {
    (class + count - shift) % count
}
