//! What experts said of examples that they had not seen, and what came true.

use relational::Prediction;

use super::super::examples::Targets;
use super::super::fitted::Estimate;
use super::super::metrics::{auroc, count, pinball_of};

/// Probabilities count as at least this before their logarithm is taken.
const SHARE_MIN: f64 = 1e-7;
/// Errors below this share of the scale are smoothed, so that the loss has a gradient.
const SMOOTH_SHARE: f64 = 1e-2;

/// Held-out answers, per expert one for each example.
#[derive(Debug)]
pub(super) struct Evidence {
    answers: Vec<Vec<Vec<f64>>>,
    targets: Targets,
    /// What each example stands for; 1 on average.
    weights: Vec<f64>,
    /// How many outcomes of the population these say as much as.
    outcomes: f64,
    /// For numbers the mean quantile loss of the best expert. In this unit a loss counts as nats: those of an asymmetric
    /// Laplace distribution whose scale is the likeliest.
    scale: f64,
}

/// How good a mix was at past points.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged {
    /// Log loss in nats, or the quantile loss over that of the best expert.
    pub(super) loss: f64,
    /// Of a binary target that came out both ways.
    pub(super) auroc: Option<f64>,
}

/// An answer in the numbers of which a mix is the weighted mean: the probability, the shares or the quantiles. Means of
/// log-odds would make a rare class rarer wherever experts disagree.
pub(super) fn mixable(estimate: Estimate) -> Vec<f64> {
    match estimate {
        Estimate::Binary(probability) => vec![probability],
        Estimate::Classes(shares) => shares,
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

impl Evidence {
    /// Of at least one expert. `answers` are mixable; `prior` is the share of true in the population, where sampling
    /// changed it.
    pub(super) fn new(answers: Vec<Vec<Vec<f64>>>, targets: Targets, prior: Option<f64>) -> Self {
        let examples = count(targets.len());
        let (weights, outcomes) = match (&targets, prior) {
            (Targets::Binary(truths), Some(prior)) => (weights(truths, prior), outcomes(truths, prior)),
            _ => (vec![1.0; targets.len()], examples),
        };
        let scale = match &targets {
            Targets::Numbers(numbers) => {
                let losses = answers.iter().map(|given| {
                    let losses = given.iter().zip(numbers).map(|(quantiles, number)| {
                        pinball_of(quantiles.as_slice().try_into().expect("quantiles are nine"), *number)
                    });
                    losses.sum::<f64>() / examples
                });
                losses.fold(f64::INFINITY, f64::min).max(f64::MIN_POSITIVE.sqrt())
            }
            _ => 1.0,
        };
        Self { answers, targets, weights, outcomes, scale }
    }

    /// How many outcomes of the population the evidence says as much as.
    pub(super) fn outcomes(&self) -> f64 {
        self.outcomes
    }

    /// How good the mix with these weights was.
    pub(super) fn judged(&self, weights: &[f64]) -> Judged {
        let loss = self.loss(weights, &mut vec![0.0; weights.len()]);
        let auroc = match &self.targets {
            Targets::Binary(truths) => {
                let given: Vec<f64> = (0..truths.len()).map(|row| self.mix_row(weights, row)[0]).collect();
                auroc(&given, truths)
            }
            _ => None,
        };
        Judged { loss, auroc }
    }

    fn mix_row(&self, weights: &[f64], row: usize) -> Vec<f64> {
        mixed(weights.iter().zip(&self.answers).map(|(weight, given)| (*weight, given[row].as_slice())))
    }

    /// The mean loss of the mix with these weights, and its gradient by the weights: log loss in nats, or the quantile
    /// loss over that of the best expert. Convex.
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
                let (given, side) = if truths[row] { (answer[0], 1.0) } else { (1.0 - answer[0], -1.0) };
                let given = given.max(SHARE_MIN);
                (-given.ln(), vec![-side / given])
            }
            Targets::Classes { labels, .. } => {
                let label = labels[row] as usize;
                let given = answer[label].max(SHARE_MIN);
                let mut slopes = vec![0.0; answer.len()];
                slopes[label] = -1.0 / given;
                (-given.ln(), slopes)
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

/// How many outcomes of the population hold as many of the rare class as these do.
fn outcomes(truths: &[bool], prior: f64) -> f64 {
    let positives = truths.iter().filter(|truth| **truth).count();
    let of_rare = if prior < 0.5 { count(positives) / prior } else { count(truths.len() - positives) / (1.0 - prior) };
    of_rare.max(1.0)
}
