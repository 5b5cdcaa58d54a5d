//! The target transform of regression: numbers to a scale on which squared errors make sense, and back.

use super::metrics::count;
use super::normal::{normal_quantile, normal_score};

/// So many median deviations off zero the tail is heavy.
const TAIL_MAX: f64 = 20.0;
/// A value with more than this share of the context is a tie that a line cannot follow.
const TIED_MAX: f64 = 0.2;
/// Larger numbers are ranked, so that no square overflows.
const PLAIN_MAX: f64 = 1e50;

/// Identity, or normal scores where the numbers have a heavy tail or many ties.
#[derive(Debug, Clone)]
pub(super) enum Transform {
    /// As they are.
    Identity,
    /// By rank in the context.
    Rank {
        /// The context's numbers.
        sorted: Vec<f64>,
        /// The normal score of each place.
        scores: Vec<f64>,
    },
}

impl Transform {
    /// Chooses by the context's numbers, at least one.
    pub(super) fn fit(numbers: &[f64]) -> Self {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        let mut distances: Vec<f64> = sorted.iter().map(|number| (number - median).abs()).collect();
        distances.sort_by(f64::total_cmp);
        let typical = distances[distances.len() / 2];
        let largest = sorted.iter().fold(0.0, |largest: f64, number| largest.max(number.abs()));
        #[expect(clippy::float_cmp, reason = "a tie is equality")]
        let tied = sorted.chunk_by(|left, right| left == right).map(<[f64]>::len).max().unwrap_or(0);
        let heavy = largest > TAIL_MAX * (typical + 1e-9) || largest > PLAIN_MAX;
        if !heavy && count(tied) <= TIED_MAX * count(sorted.len()) {
            return Self::Identity;
        }
        let places = count(sorted.len());
        let scores = (0..sorted.len()).map(|place| normal_quantile((count(place) + 0.5) / places)).collect();
        Self::Rank { sorted, scores }
    }

    /// A number on the transformed scale.
    pub(super) fn forward(&self, number: f64) -> f64 {
        match self {
            Self::Identity => number,
            Self::Rank { sorted, .. } => normal_score(sorted, &number),
        }
    }

    /// The number at a place of the transformed scale: for ranks the context's quantile, between its least and
    /// greatest number. Never decreasing.
    pub(super) fn back(&self, value: f64) -> f64 {
        let Self::Rank { sorted, scores } = self else { return value };
        let above = scores.partition_point(|score| *score <= value);
        if above == 0 || above == scores.len() {
            return if above == 0 { sorted[0] } else { sorted[sorted.len() - 1] };
        }
        let share = (value - scores[above - 1]) / (scores[above] - scores[above - 1]);
        // Not a + share * (b - a), which can pass b by rounding.
        (sorted[above - 1] * (1.0 - share) + sorted[above] * share).clamp(sorted[above - 1], sorted[above])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_numbers_stay() {
        let numbers: Vec<f64> = (0..20).map(|index| f64::from(index * 7 % 20)).collect();
        assert!(matches!(Transform::fit(&numbers), Transform::Identity));
    }

    #[test]
    fn ties_and_heavy_tails_are_ranked() {
        let tied: Vec<f64> = (0..20).map(|index| f64::from(i32::max(index, 10))).collect();
        assert!(matches!(Transform::fit(&tied), Transform::Rank { .. }));
        let heavy: Vec<f64> = (0..20).map(|index| f64::from(index).exp()).collect();
        assert!(matches!(Transform::fit(&heavy), Transform::Rank { .. }));
    }

    #[test]
    fn ranks_come_back() {
        let numbers: Vec<f64> = (0..20).map(|index| f64::from(index).exp()).collect();
        let transform = Transform::fit(&numbers);
        for number in &numbers {
            assert!((transform.back(transform.forward(*number)) - number).abs() <= 1e-9 * number);
        }
        assert!((transform.back(-9.0) - numbers[0]).abs() < 1e-15 && (transform.back(9.0) - numbers[19]).abs() < 1e-15);
    }
}
