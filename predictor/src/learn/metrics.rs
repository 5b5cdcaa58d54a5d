//! How good predictions were. Every figure is independent of the order of its input; `None` says that it is not
//! defined for what was given.

pub mod ranking;
mod sorted;

use relational::Prediction;

pub use sorted::{CalibrationBin, Sorted};

/// Probabilities are held at this distance from 0 and 1 before their logarithm is taken.
const PROBABILITY_MIN: f64 = 1e-7;

/// The area under the ROC curve: [`Sorted::auroc`] with equal weights.
#[must_use]
pub fn auroc(scores: &[f64], truths: &[bool]) -> Option<f64> {
    Sorted::new(scores, truths).auroc(|_| 1.0)
}

/// [`Sorted::average_precision`] with equal weights.
#[must_use]
pub fn average_precision(scores: &[f64], truths: &[bool]) -> Option<f64> {
    Sorted::new(scores, truths).average_precision(|_| 1.0)
}

/// The negative logarithm of the probability given to what happened, in nats.
#[must_use]
pub fn log_loss_of(probability: f64, truth: bool) -> f64 {
    let given = if truth { probability } else { 1.0 - probability };
    -given.clamp(PROBABILITY_MIN, 1.0).ln()
}

/// The mean of [`log_loss_of`]. `None` without examples.
#[must_use]
pub fn log_loss(probabilities: &[f64], truths: &[bool]) -> Option<f64> {
    mean(probabilities.iter().zip(truths).map(|(probability, truth)| log_loss_of(*probability, *truth)))
}

/// Mean squared distance of the probability from 1 where true and from 0 where false. `None` without examples.
#[must_use]
pub fn brier(probabilities: &[f64], truths: &[bool]) -> Option<f64> {
    mean(probabilities.iter().zip(truths).map(|(probability, truth)| (probability - f64::from(*truth)).powi(2)))
}

/// [`Sorted::calibration_error`] with equal weights.
#[must_use]
pub fn calibration_error(probabilities: &[f64], truths: &[bool], bins: u32) -> Option<f64> {
    Sorted::new(probabilities, truths).calibration_error(bins, |_| 1.0)
}

/// Mean absolute error. `None` without examples.
#[must_use]
pub fn mean_absolute_error(predictions: &[f64], truths: &[f64]) -> Option<f64> {
    mean(predictions.iter().zip(truths).map(|(prediction, truth)| (prediction - truth).abs()))
}

/// Pinball loss, averaged over [`Prediction::LEVELS`].
#[must_use]
pub fn pinball_of(quantiles: &[f64; 9], truth: f64) -> f64 {
    let losses = Prediction::LEVELS.iter().zip(quantiles).map(|(level, quantile)| {
        let error = truth - quantile;
        (level * error).max((level - 1.0) * error)
    });
    losses.sum::<f64>() / count(quantiles.len())
}

/// The mean of [`pinball_of`]. `None` without examples.
#[must_use]
pub fn pinball(predictions: &[[f64; 9]], truths: &[f64]) -> Option<f64> {
    mean(predictions.iter().zip(truths).map(|(quantiles, truth)| pinball_of(quantiles, *truth)))
}

fn mean(losses: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let examples = losses.len();
    (examples > 0).then(|| losses.sum::<f64>() / count(examples))
}

/// A number of examples as a float.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Few distinct scores, so that ties are common.
    fn scored() -> impl Strategy<Value = Vec<(f64, bool)>> {
        prop::collection::vec(((0..8u8).prop_map(|score| f64::from(score) / 8.0), any::<bool>()), 1..40)
    }

    fn parts(scored: &[(f64, bool)]) -> (Vec<f64>, Vec<bool>) {
        scored.iter().copied().unzip()
    }

    proptest! {
        #[test]
        fn auroc_is_the_share_of_ordered_pairs(examples in scored()) {
            let (scores, truths) = parts(&examples);
            let (mut won, mut pairs) = (0.0, 0.0);
            for (high, _) in examples.iter().filter(|example| example.1) {
                for (low, _) in examples.iter().filter(|example| !example.1) {
                    pairs += 1.0;
                    won += if high > low { 1.0 } else if high < low { 0.0 } else { 0.5 };
                }
            }
            match auroc(&scores, &truths) {
                Some(area) => prop_assert!((area - won / pairs).abs() < 1e-12),
                None => prop_assert!(pairs == 0.0),
            }
        }

        #[test]
        fn average_precision_sums_over_thresholds(examples in scored()) {
            let (scores, truths) = parts(&examples);
            let positives = truths.iter().filter(|truth| **truth).count();
            let mut thresholds: Vec<f64> = scores.clone();
            thresholds.sort_by(|left, right| right.total_cmp(left));
            thresholds.dedup();
            let (mut sum, mut recall) = (0.0, 0.0);
            for threshold in thresholds {
                let taken = examples.iter().filter(|example| example.0 >= threshold).count();
                let found = examples.iter().filter(|example| example.0 >= threshold && example.1).count();
                let reached = count(found) / count(positives.max(1));
                sum += (reached - recall) * count(found) / count(taken);
                recall = reached;
            }
            match average_precision(&scores, &truths) {
                Some(precision) => prop_assert!((precision - sum).abs() < 1e-12),
                None => prop_assert_eq!(positives, 0),
            }
        }

        #[test]
        fn a_weight_of_n_counts_as_n_examples(examples in scored(), weights in prop::collection::vec(0..4u8, 40)) {
            let (scores, truths) = parts(&examples);
            let repeated: Vec<(f64, bool)> = examples.iter().zip(&weights)
                .flat_map(|(example, weight)| std::iter::repeat_n(*example, usize::from(*weight)))
                .collect();
            let (all_scores, all_truths) = parts(&repeated);
            let sorted = Sorted::new(&scores, &truths);
            let weight = |place: usize| f64::from(weights[place]);
            let close = |found: Option<f64>, wanted: Option<f64>| match (found, wanted) {
                (Some(found), Some(wanted)) => (found - wanted).abs() < 1e-9,
                (found, wanted) => found == wanted,
            };
            prop_assert!(close(sorted.auroc(weight), auroc(&all_scores, &all_truths)));
            prop_assert!(close(sorted.average_precision(weight), average_precision(&all_scores, &all_truths)));
            prop_assert!(close(sorted.calibration_error(5, weight), calibration_error(&all_scores, &all_truths, 5)));
        }

        #[test]
        fn calibration_error_ignores_the_order(examples in scored(), bins in 1..12u32) {
            let (scores, truths) = parts(&examples);
            let (reversed, reversed_truths): (Vec<f64>, Vec<bool>) = examples.iter().rev().copied().unzip();
            let error = calibration_error(&scores, &truths, bins).unwrap();
            prop_assert!((error - calibration_error(&reversed, &reversed_truths, bins).unwrap()).abs() < 1e-12);
            prop_assert!((0.0..=1.0).contains(&error));
        }
    }

    #[test]
    fn calibration_error_of_one_bin_is_the_distance_of_the_means() {
        let error = calibration_error(&[0.1, 0.2, 0.3, 0.8], &[false, false, true, true], 1).unwrap();
        assert!((error - (0.5 - 0.35)).abs() < 1e-12);
    }

    #[test]
    fn calibration_error_of_many_bins_is_the_mean_distance() {
        let error = calibration_error(&[0.1, 0.2, 0.3, 0.8], &[false, false, true, true], 4).unwrap();
        assert!((error - (0.1 + 0.2 + 0.7 + 0.2) / 4.0).abs() < 1e-12);
    }

    #[test]
    fn the_last_places_go_to_equal_scores_in_equal_shares() {
        let sorted = Sorted::new(&[0.9, 0.5, 0.5, 0.5, 0.1], &[true, true, false, false, true]);
        let found = |most: usize| sorted.found_among(most);
        assert_eq!((found(0), found(1), found(5), found(9)), (0.0, 1.0, 3.0, 3.0));
        assert!((found(2) - (1.0 + 1.0 / 3.0)).abs() < 1e-12 && (found(4) - 2.0).abs() < 1e-12);
        assert_eq!(sorted.taken(), [(1.0, 0.0), (2.0, 2.0), (3.0, 2.0)]);
    }

    #[test]
    fn losses_by_hand() {
        let close = |found: Option<f64>, wanted: f64| assert!((found.unwrap() - wanted).abs() < 1e-12);
        close(log_loss(&[0.5, 0.25], &[true, false]), (2f64.ln() - 0.75f64.ln()) / 2.0);
        close(brier(&[0.5, 0.25], &[true, false]), (0.25 + 0.0625) / 2.0);
        close(mean_absolute_error(&[1.0, 5.0], &[3.0, 4.0]), 1.5);
        close(pinball(&[[0.0; 9]], &[2.0]), 2.0 * Prediction::LEVELS.iter().sum::<f64>() / 9.0);
        close(
            pinball(&[[2.0; 9]], &[0.0]),
            2.0 * Prediction::LEVELS.iter().map(|level| 1.0 - level).sum::<f64>() / 9.0,
        );
        assert_eq!((auroc(&[0.1], &[true]), brier(&[], &[])), (None, None));
    }
}
