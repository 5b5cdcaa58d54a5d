//! Scores of different origin on one scale.

use super::metrics::count;

/// Standardised scores are held at this many standard deviations.
const SCORE_MAX: f64 = 5.0;

/// Mean and standard deviation of a score over the context.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Standard {
    pub(super) mean: f64,
    /// 0 when the score does not vary beyond rounding.
    pub(super) deviation: f64,
}

impl Standard {
    /// Of at least one score.
    pub(super) fn fit(scores: &[f64]) -> Self {
        let examples = count(scores.len());
        let mean = scores.iter().sum::<f64>() / examples;
        let deviation = (scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / examples).sqrt();
        Self { mean, deviation: if deviation > 1e-9 * mean.abs() { deviation } else { 0.0 } }
    }

    /// The score in standard deviations off the mean; 0 for a score that does not vary.
    pub(super) fn scale(&self, score: f64) -> f64 {
        if self.deviation > 0.0 { ((score - self.mean) / self.deviation).clamp(-SCORE_MAX, SCORE_MAX) } else { 0.0 }
    }
}

/// A weighted mean of two scores, each standardised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Blend {
    own: Standard,
    floor: Standard,
    /// The weight of the floor, from 0 to 1.
    pub(super) weight: f64,
}

impl Blend {
    /// Examples at which both weigh the same.
    const EXAMPLES_HALF: f64 = 100.0;

    /// Blends a learner's held-out scores with those of the floor, `last-k`, the more of it the fewer examples there
    /// are: `N0 / (N + N0)`.
    pub(super) fn fit(own: &[f64], floor: &[f64]) -> Self {
        let weight = Self::EXAMPLES_HALF / (count(own.len()) + Self::EXAMPLES_HALF);
        Self { own: Standard::fit(own), floor: Standard::fit(floor), weight }
    }

    /// The blended score.
    pub(super) fn score(&self, own: f64, floor: f64) -> f64 {
        (1.0 - self.weight) * self.own.scale(own) + self.weight * self.floor.scale(floor)
    }

    /// How much the blended score rises per unit of the learner's own.
    pub(super) fn slope(&self) -> f64 {
        if self.own.deviation > 0.0 { (1.0 - self.weight) / self.own.deviation } else { 0.0 }
    }
}
