//! How good predictions were. Every figure is independent of the order of its input; `None` says that it is not
//! defined for what was given.

pub mod ranking;

use relational::Prediction;

/// Probabilities are held at this distance from 0 and 1 before their logarithm is taken.
const PROBABILITY_MIN: f64 = 1e-7;

/// The chance that a random true example scores above a random false one, ties counting half: the area under the ROC
/// curve. `None` with one class only.
#[must_use]
pub fn auroc(scores: &[f64], truths: &[bool]) -> Option<f64> {
    let (mut above, mut seen_false) = (0.0, 0.0);
    let (mut all_true, mut all_false) = (0.0, 0.0);
    for group in tied(scores, truths) {
        above += group.true_count * (seen_false + 0.5 * group.false_count);
        seen_false += group.false_count;
        all_true += group.true_count;
        all_false += group.false_count;
    }
    (all_true > 0.0 && all_false > 0.0).then(|| above / (all_true * all_false))
}

/// Average precision: precision at each distinct score from the highest down, weighted by the recall gained there.
/// `None` without a true example.
#[must_use]
pub fn average_precision(scores: &[f64], truths: &[bool]) -> Option<f64> {
    let (mut found, mut taken, mut sum) = (0.0, 0.0, 0.0);
    for group in tied(scores, truths).iter().rev() {
        found += group.true_count;
        taken += group.true_count + group.false_count;
        sum += group.true_count * found / taken;
    }
    (found > 0.0).then(|| sum / found)
}

/// Mean negative logarithm of the probability given to what happened, in nats. `None` without examples.
#[must_use]
pub fn log_loss(probabilities: &[f64], truths: &[bool]) -> Option<f64> {
    mean(probabilities.iter().zip(truths).map(|(probability, truth)| {
        let given = if *truth { *probability } else { 1.0 - probability };
        -given.clamp(PROBABILITY_MIN, 1.0).ln()
    }))
}

/// Mean squared distance of the probability from 1 where true and from 0 where false. `None` without examples.
#[must_use]
pub fn brier(probabilities: &[f64], truths: &[bool]) -> Option<f64> {
    mean(probabilities.iter().zip(truths).map(|(probability, truth)| (probability - f64::from(*truth)).powi(2)))
}

/// Expected calibration error: mean distance between predicted and observed share over `bins` bins of (about) equally
/// many examples; examples with equal scores are never parted. `None` without examples or bins.
#[must_use]
pub fn calibration_error(probabilities: &[f64], truths: &[bool], bins: u32) -> Option<f64> {
    if bins == 0 || probabilities.is_empty() {
        return None;
    }
    let per_bin = count(probabilities.len()) / f64::from(bins);
    let (mut error, mut taken) = (0.0, 0.0);
    let (mut bin_count, mut bin_true, mut bin_predicted) = (0.0, 0.0, 0.0);
    let mut bin = 1.0;
    for group in tied(probabilities, truths) {
        let size = group.true_count + group.false_count;
        taken += size;
        bin_count += size;
        bin_true += group.true_count;
        bin_predicted += size * group.score;
        if taken + 1e-9 >= bin * per_bin {
            error += f64::abs(bin_true - bin_predicted);
            (bin_count, bin_true, bin_predicted) = (0.0, 0.0, 0.0);
            bin = (taken / per_bin + 1e-9).floor() + 1.0;
        }
    }
    debug_assert!(bin_count == 0.0, "the last example closes the last bin");
    Some(error / taken)
}

/// Mean absolute error. `None` without examples.
#[must_use]
pub fn mean_absolute_error(predictions: &[f64], truths: &[f64]) -> Option<f64> {
    mean(predictions.iter().zip(truths).map(|(prediction, truth)| (prediction - truth).abs()))
}

/// Pinball loss, averaged over examples and over [`Prediction::LEVELS`]. `None` without examples.
#[must_use]
pub fn pinball(predictions: &[[f64; 9]], truths: &[f64]) -> Option<f64> {
    mean(predictions.iter().zip(truths).map(|(quantiles, truth)| {
        let losses = Prediction::LEVELS.iter().zip(quantiles).map(|(level, quantile)| {
            let error = truth - quantile;
            (level * error).max((level - 1.0) * error)
        });
        losses.sum::<f64>() / count(quantiles.len())
    }))
}

/// Examples that share a score.
struct Tied {
    score: f64,
    true_count: f64,
    false_count: f64,
}

/// Groups of equal scores, lowest first; an example whose score is not a number is left out.
fn tied(scores: &[f64], truths: &[bool]) -> Vec<Tied> {
    assert_eq!(scores.len(), truths.len(), "a score for every truth");
    let mut order: Vec<(f64, bool)> =
        scores.iter().copied().zip(truths.iter().copied()).filter(|(score, _)| !score.is_nan()).collect();
    order.sort_by(|left, right| left.0.total_cmp(&right.0));
    let mut groups: Vec<Tied> = Vec::new();
    for (score, truth) in order {
        #[expect(clippy::float_cmp, reason = "a tie is equality")]
        if groups.last().is_none_or(|group| group.score != score) {
            groups.push(Tied { score, true_count: 0.0, false_count: 0.0 });
        }
        let group = groups.last_mut().expect("pushed above");
        group.true_count += f64::from(truth);
        group.false_count += f64::from(!truth);
    }
    groups
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
