//! What experts said of examples that they had not seen, and what came true.

use relational::Prediction;

use super::super::examples::Targets;
use super::super::fitted::Estimate;
use super::super::metrics::count;
use super::super::platt::{log_odds, probability};
use super::correction::Outcome;

/// Probabilities are held at this distance from 0 before their logarithm is taken.
const SHARE_MIN: f64 = 1e-7;
/// Errors below this share of the typical one are smoothed, so that the loss has a gradient.
const SMOOTH_SHARE: f64 = 1e-2;

/// Held-out answers, per expert one for each example.
#[derive(Debug)]
pub(super) struct Evidence {
    answers: Vec<Vec<Vec<f64>>>,
    targets: Targets,
    /// What each example stands for; 1 on average.
    weights: Vec<f64>,
    /// A typical loss, for numbers.
    scale: f64,
}

/// An answer on the scale on which answers are mixed: log-odds, logarithms of shares, or quantiles.
pub(super) fn mixable(estimate: Estimate) -> Vec<f64> {
    match estimate {
        Estimate::Binary(probability) => vec![log_odds(probability)],
        Estimate::Classes(shares) => shares.iter().map(|share| share.max(SHARE_MIN).ln()).collect(),
        Estimate::Quantiles(values) => values.to_vec(),
    }
}

/// The weighted sum of mixable answers.
pub(super) fn mixed<'a>(answers: impl Iterator<Item = (f64, &'a [f64])>) -> Vec<f64> {
    let mut sums = Vec::new();
    for (weight, answer) in answers {
        sums.resize(answer.len(), 0.0);
        sums.iter_mut().zip(answer).for_each(|(sum, value)| *sum += weight * value);
    }
    sums
}

/// Shares of which these are the logarithms, up to a factor.
pub(super) fn shares(logarithms: &[f64]) -> Vec<f64> {
    let largest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let raised: Vec<f64> = logarithms.iter().map(|value| (value - largest).exp()).collect();
    let total: f64 = raised.iter().sum();
    raised.into_iter().map(|value| value / total).collect()
}

impl Evidence {
    /// Of at least one expert. `answers` are mixable; `prior` is the share of true in the population, where sampling
    /// changed it.
    pub(super) fn new(answers: Vec<Vec<Vec<f64>>>, targets: Targets, prior: Option<f64>) -> Self {
        let weights = match (&targets, prior) {
            (Targets::Binary(truths), Some(prior)) => weights(truths, prior),
            _ => vec![1.0; targets.len()],
        };
        let scale = match &targets {
            Targets::Numbers(numbers) => {
                let errors = answers.iter().map(|given| {
                    let errors = given.iter().zip(numbers).map(|(quantiles, number)| (quantiles[4] - number).abs());
                    errors.sum::<f64>() / count(numbers.len())
                });
                errors.fold(f64::INFINITY, f64::min).max(f64::MIN_POSITIVE.sqrt())
            }
            _ => 1.0,
        };
        Self { answers, targets, weights, scale }
    }

    /// How many examples count towards the weights: no more than twice those of the rarer outcome.
    pub(super) fn worth(&self) -> f64 {
        match &self.targets {
            Targets::Numbers(numbers) => count(numbers.len()),
            Targets::Binary(truths) => {
                let positives = truths.iter().filter(|truth| **truth).count();
                2.0 * count(positives.min(truths.len() - positives))
            }
            Targets::Classes { classes, labels } => {
                let of_class = |class: u32| labels.iter().filter(|label| **label == class).count();
                let most = (0..*classes).map(of_class).max().unwrap_or(0);
                count(labels.len()).min(2.0 * count(labels.len() - most))
            }
        }
    }

    /// The mixed log-odds of a binary target beside what came true. `fading` says how much each example counts.
    pub(super) fn outcomes(&self, weights: &[f64], truths: &[bool], fading: &[f64]) -> Vec<Outcome> {
        let outcome = |row: usize| {
            let weight = self.weights[row] * fading[row];
            Outcome { logit: self.mix_row(weights, row)[0], truth: truths[row], weight }
        };
        (0..truths.len()).map(outcome).collect()
    }

    fn mix_row(&self, weights: &[f64], row: usize) -> Vec<f64> {
        mixed(weights.iter().zip(&self.answers).map(|(weight, given)| (*weight, given[row].as_slice())))
    }

    /// The mean loss of the mix with these weights, and its gradient by the weights: log loss in nats, or the quantile
    /// loss in typical errors. Convex.
    pub(super) fn loss(&self, weights: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let examples = count(self.targets.len());
        let mut total = 0.0;
        for row in 0..self.targets.len() {
            let answer = self.mix_row(weights, row);
            let (loss, slopes) = self.loss_of(&answer, row);
            total += self.weights[row] * loss / examples;
            for (sum, given) in gradient.iter_mut().zip(&self.answers) {
                let along: f64 = slopes.iter().zip(&given[row]).map(|(slope, value)| slope * value).sum();
                *sum += self.weights[row] * along / examples;
            }
        }
        total
    }

    /// The loss of one answer and its gradient by the answer.
    fn loss_of(&self, answer: &[f64], row: usize) -> (f64, Vec<f64>) {
        match &self.targets {
            Targets::Binary(truths) => {
                let margin = if truths[row] { answer[0] } else { -answer[0] };
                let loss = if margin > 0.0 { (-margin).exp().ln_1p() } else { margin.exp().ln_1p() - margin };
                (loss, vec![probability(answer[0]) - f64::from(truths[row])])
            }
            Targets::Classes { labels, .. } => {
                let label = labels[row] as usize;
                let mut slopes = shares(answer);
                let loss = -slopes[label].max(f64::MIN_POSITIVE).ln();
                slopes[label] -= 1.0;
                (loss, slopes)
            }
            Targets::Numbers(numbers) => {
                let levels = count(answer.len());
                let mut loss = 0.0;
                let slopes = answer.iter().zip(Prediction::LEVELS).map(|(value, level)| {
                    let error = (numbers[row] - value) / self.scale;
                    let length = (error * error + SMOOTH_SHARE * SMOOTH_SHARE).sqrt();
                    loss += ((level - 0.5) * error + 0.5 * length) / levels;
                    -((level - 0.5) + 0.5 * error / length) / self.scale / levels
                });
                let slopes = slopes.collect();
                (loss, slopes)
            }
        }
    }
}

/// Examples of either class stand for that class of the population.
fn weights(truths: &[bool], prior: f64) -> Vec<f64> {
    let examples = count(truths.len());
    let positives = count(truths.iter().filter(|truth| **truth).count());
    let of = |share: f64, found: f64| if found > 0.0 { share * examples / found } else { 1.0 };
    let (of_true, of_false) = (of(prior, positives), of(1.0 - prior, examples - positives));
    truths.iter().map(|truth| if *truth { of_true } else { of_false }).collect()
}
