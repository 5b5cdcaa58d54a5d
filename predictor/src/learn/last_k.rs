//! `last-k`: what an entity did before, smoothed to what all do. The honest floor of every other member.

use super::examples::Past;
use super::metrics::{count, log_loss, mean_absolute_error};
use super::platt::{Logistic, log_odds, probability};
use super::standard::Standard;

/// How many of the newest values are looked at. Several counts together stand for the mean of their means, in which
/// older values weigh less: seldom the best, and never far from it.
const COUNTS: [&[usize]; 7] = [&[3, 10, 40], &[1], &[3], &[5], &[10], &[20], &[40]];
/// So many values' worth of the base rate are mixed in.
const STRENGTHS: [f64; 6] = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0];
/// An entity with fewer past values is a newcomer.
const NEWCOMER_VALUES: usize = 3;
/// With fewer newcomers among the examples nothing is known of them in particular.
const NEWCOMERS_MIN: usize = 5;
/// What a fitted logistic must save per example to be worth its two parameters, in nats times examples.
const LOGISTIC_COST: f64 = 2.0;

/// Which part of an entity's past is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The targets of earlier windows.
    Labels,
    /// The target's expression over single rows.
    Atoms,
}

/// The mean of the newest values of a past, smoothed: `(sum of the last k + strength · base) / (found + strength)`;
/// averaged where there are several k.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Recent {
    pub(super) source: Source,
    /// Rising.
    pub(super) newest: &'static [usize],
    pub(super) strength: f64,
    pub(super) base: f64,
}

/// `last-k` for a binary target.
#[derive(Debug, Clone)]
pub(super) struct RecentBinary {
    pub(super) recent: Recent,
    /// -1 where a high mean speaks against the target, else 1.
    sign: f64,
    /// `None` when the mean is the probability.
    logistic: Option<Logistic>,
}

/// `last-k` for classes: their smoothed frequencies among the newest labels.
#[derive(Debug, Clone)]
pub(super) struct RecentClasses {
    pub(super) newest: usize,
    pub(super) strength: f64,
    base: Vec<f64>,
}

impl Source {
    /// The source's values, newest first.
    fn values(self, past: &Past) -> impl Iterator<Item = f64> {
        let values = match self {
            Self::Labels => &past.labels,
            Self::Atoms => &past.atoms,
        };
        values.iter().copied().filter(|value| value.is_finite()).map(|value| value.clamp(-1e100, 1e100))
    }
}

impl Recent {
    /// The smoothed mean.
    pub(super) fn mean(&self, past: &Past) -> f64 {
        let (mut sum, mut found) = (self.strength * self.base, self.strength);
        let mut values = self.source.values(past);
        let mut taken = 0;
        let means = self.newest.iter().map(|newest| {
            for value in values.by_ref().take(newest - taken) {
                sum += value;
                found += 1.0;
            }
            taken = *newest;
            sum / found
        });
        means.sum::<f64>() / count(self.newest.len())
    }

    fn means(&self, past: &[Past]) -> Vec<f64> {
        past.iter().map(|past| self.mean(past)).collect()
    }

    /// The candidate with the least loss; the first of equals.
    fn choose(candidates: impl Iterator<Item = Self>, mut loss: impl FnMut(&Self) -> f64) -> Self {
        let mut best: Option<(f64, Self)> = None;
        for candidate in candidates {
            let loss = loss(&candidate);
            if best.as_ref().is_none_or(|(least, _)| loss < *least) {
                best = Some((loss, candidate));
            }
        }
        best.expect("there are candidates").1
    }

    fn candidates(source: Source, base: f64) -> impl Iterator<Item = Self> {
        let strengths =
            move |newest: &'static [usize]| STRENGTHS.map(|strength| Self { source, newest, strength, base });
        COUNTS.into_iter().flat_map(strengths)
    }

    /// Candidates that smooth to what all examples have in common, then such that smooth to what newcomers have.
    fn candidates_of_targets(
        source: Source,
        past: &[Past],
        targets: &[f64],
        typical: fn(&[f64]) -> f64,
    ) -> impl Iterator<Item = Self> {
        let new = past.iter().zip(targets).filter(|(past, _)| source.values(past).count() < NEWCOMER_VALUES);
        let new: Vec<f64> = new.map(|(_, target)| *target).collect();
        let of_new = (new.len() >= NEWCOMERS_MIN).then(|| typical(&new));
        [Some(typical(targets)), of_new].into_iter().flatten().flat_map(move |base| Self::candidates(source, base))
    }

    /// The mean that comes closest to the numbers, by absolute error.
    pub(super) fn fit_numbers(past: &[Past], numbers: &[f64]) -> Self {
        let candidates = [Source::Labels, Source::Atoms]
            .into_iter()
            .flat_map(|source| Self::candidates_of_targets(source, past, numbers, median));
        Self::choose(candidates, |candidate| {
            mean_absolute_error(&candidate.means(past), numbers).expect("a context has examples")
        })
    }
}

impl RecentBinary {
    /// The source, count and strength with the least log loss. `truths` are one per past, at least one.
    pub(super) fn fit(past: &[Past], truths: &[bool]) -> Self {
        let candidates = [Source::Labels, Source::Atoms].map(|source| Self::fit_source(source, past, truths));
        let [labels, atoms] = candidates;
        if atoms.1 < labels.1 { atoms.0 } else { labels.0 }
    }

    /// The log-odds of true.
    pub(super) fn logit(&self, past: &Past) -> f64 {
        self.logit_at(self.recent.mean(past))
    }

    fn logit_at(&self, mean: f64) -> f64 {
        match &self.logistic {
            Some(logistic) => logistic.logit(self.sign * mean),
            None => log_odds(mean),
        }
    }

    /// With the summed log loss, parameters paid for.
    fn fit_source(source: Source, past: &[Past], truths: &[bool]) -> (Self, f64) {
        let targets: Vec<f64> = truths.iter().map(|truth| f64::from(*truth)).collect();
        let rate = smoothed_rate(&targets);
        let loss = |candidate: &Recent| -correlation(&candidate.means(past), &targets).abs();
        let recent = match source {
            Source::Labels => {
                Recent::choose(Recent::candidates_of_targets(source, past, &targets, smoothed_rate), loss)
            }
            Source::Atoms => {
                let base = mean_of(past.iter().flat_map(|past| source.values(past))).unwrap_or(rate);
                Recent::choose(Recent::candidates(source, base), loss)
            }
        };
        let means = recent.means(past);
        let against = source == Source::Atoms && correlation(&means, &targets) < 0.0;
        let plain = Self { recent, sign: 1.0, logistic: None };
        let probabilities_already = !against && means.iter().all(|mean| (0.0..=1.0).contains(mean));
        let plain_loss = if probabilities_already { plain.loss(&means, truths) } else { f64::INFINITY };
        let sign = if against { -1.0 } else { 1.0 };
        let signed: Vec<f64> = means.iter().map(|mean| sign * mean).collect();
        let curved = Logistic::fit(&signed, truths).filter(|logistic| logistic.converged);
        let curved = curved.map(|logistic| Self { recent, sign, logistic: Some(logistic) });
        match curved.map(|curved| (curved.loss(&means, truths) + LOGISTIC_COST, curved)) {
            Some((loss, curved)) if loss < plain_loss => (curved, loss),
            _ if probabilities_already => (plain, plain_loss),
            _ => (Self { recent: Recent { newest: &[0], base: rate, ..recent }, ..plain }, f64::INFINITY),
        }
    }

    fn loss(&self, means: &[f64], truths: &[bool]) -> f64 {
        let probabilities: Vec<f64> = means.iter().map(|mean| probability(self.logit_at(*mean))).collect();
        log_loss(&probabilities, truths).expect("a context has examples") * count(truths.len())
    }
}

impl RecentClasses {
    /// The count and strength with the least log loss. `labels` are one per past, at least one, below `classes`.
    pub(super) fn fit(past: &[Past], labels: &[u32], classes: u32) -> Self {
        let mut base = vec![0.5; classes as usize];
        labels.iter().for_each(|label| base[*label as usize] += 1.0);
        let total = base.iter().sum::<f64>();
        base.iter_mut().for_each(|share| *share /= total);
        let mut best = Self { newest: 0, strength: 1.0, base };
        let mut least = best.loss(past, labels);
        for newest in COUNTS.iter().filter(|counts| counts.len() == 1).map(|counts| counts[0]) {
            for strength in STRENGTHS {
                let tried = Self { newest, strength, base: best.base.clone() };
                let loss = tried.loss(past, labels);
                if loss < least {
                    (best, least) = (tried, loss);
                }
            }
        }
        best
    }

    /// The smoothed share of each class.
    pub(super) fn base(&self) -> &[f64] {
        &self.base
    }

    /// The probability of each class.
    pub(super) fn probabilities(&self, past: &Past) -> Vec<f64> {
        let mut counts: Vec<f64> = self.base.iter().map(|share| share * self.strength).collect();
        let mut total = self.strength;
        for label in self.seen(past) {
            counts[label] += 1.0;
            total += 1.0;
        }
        counts.into_iter().map(|found| found / total).collect()
    }

    fn seen(&self, past: &Past) -> impl Iterator<Item = usize> {
        let classes = self.base.len();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole and within range, by the filter"
        )]
        let index = move |value: f64| {
            (value >= 0.0 && value.fract() == 0.0 && value < count(classes)).then_some(value as usize)
        };
        Source::Labels.values(past).filter_map(index).take(self.newest)
    }

    fn loss(&self, past: &[Past], labels: &[u32]) -> f64 {
        let losses = past.iter().zip(labels).map(|(past, label)| {
            let seen = |class: usize| self.seen(past).filter(|found| *found == class).count();
            let total = self.strength + count(self.seen(past).count());
            let class = *label as usize;
            -((self.base[class] * self.strength + count(seen(class))) / total).ln()
        });
        losses.sum()
    }
}

/// The middle of at least one value; of two middles the greater.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The share of ones among zeros and ones, held off both ends.
fn smoothed_rate(targets: &[f64]) -> f64 {
    (targets.iter().sum::<f64>() + 0.5) / (count(targets.len()) + 1.0)
}

fn mean_of(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut found) = (0.0, 0.0);
    for value in values {
        sum += value;
        found += 1.0;
    }
    (found > 0.0).then(|| sum / found)
}

/// Correlation, 0 where either side does not vary.
fn correlation(left: &[f64], right: &[f64]) -> f64 {
    let (left_scale, right_scale) = (Standard::fit(left), Standard::fit(right));
    let products = left.iter().zip(right).map(|(left, right)| left_scale.scale(*left) * right_scale.scale(*right));
    products.sum::<f64>() / count(left.len())
}
