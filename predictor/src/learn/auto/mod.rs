//! `auto`: several experts, weighed by what came true.
//!
//! An expert is a member of the family on so many of the newest examples. [`Mix::learn`] asks each of them at past
//! points in time, with what had matured by then ([`folds`]), and finds the weights with the least loss ([`simplex`]) of
//! the weighted mean of their answers ([`evidence`]): probabilities, shares of classes, or quantiles. The less the
//! outcomes say, the nearer the weights stay to those of a safe mix.

mod evidence;
mod folds;
mod simplex;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use rayon::prelude::*;

use super::crosses::Crosses;
use super::examples::{Examples, Past, Targets};
use super::fitted::{Estimate, Fitted, Model, Part, Report};
use super::{FitError, Member, fit_as_is, fit_crossed};
use crate::context::RARE_FACTOR;
use crate::small::Corrector;
use evidence::{Evidence, Judged, mixable, mixed};
use folds::{Fold, folds};

/// A member on so many of the newest examples (five times as many where a rare class was preferred, and more where it was
/// not and one class is rare).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Expert {
    member: Member,
    examples: usize,
    /// With fewer examples in all it is no other than another expert, or too rash, and is not asked.
    least: usize,
    /// Its share of the safe mix.
    safe: f64,
}

/// The experts. Where labels are few, what the network learned on other databases is worth more than they are.
const EXPERTS: [Expert; 5] = [
    Expert { member: Member::LastK, examples: 1_000, least: 0, safe: 0.0 },
    Expert { member: Member::Baseline, examples: 1_000, least: 0, safe: 0.0 },
    Expert { member: Member::Baseline, examples: 4_000, least: 2_000, safe: 0.0 },
    Expert { member: Member::Small, examples: 1_000, least: 0, safe: 1.0 },
    Expert { member: Member::Trees, examples: usize::MAX, least: 1_000, safe: 0.0 },
];

/// An expert sees one in so many of the rarer class at least, as far as there are so many.
const RARE_SHARE: usize = 20;
/// What a mix that has nothing in common with the safe one has to gain over it, in nats over all outcomes.
const SAFE_NATS: f64 = 15.0;
/// An expert with a smaller weight is left out.
const WEIGHT_MIN: f64 = 0.04;

/// How much each expert counts for a task, as of some point in time.
#[derive(Debug, Clone)]
pub struct Mix {
    weights: Vec<f64>,
    judged: Option<Judged>,
    /// Whether no better weights than the safe ones could be found, though there is something to find them by.
    failed: bool,
}

/// A fitted mix.
#[derive(Debug, Clone)]
pub(super) struct Mixed {
    parts: Vec<(f64, Fitted)>,
}

impl Mix {
    /// The mix for a task of which nothing is known yet.
    #[must_use]
    pub fn safe() -> Self {
        let weights = EXPERTS.iter().map(|expert| expert.safe).collect();
        Self { weights, judged: None, failed: false }
    }

    /// Learns the weights. The outcome of an example is known `matures_after` microseconds after its anchor; `seed`
    /// orders examples of equal anchor, and the network is that of `foreshore-small`. With too few examples for any
    /// past point the mix is the safe one.
    ///
    /// # Errors
    ///
    /// When the examples are not consistent.
    pub fn learn(examples: &Examples, matures_after: i64, seed: u64, network: &Corrector) -> Result<Self, FitError> {
        examples.check()?;
        let examples = examples.canonical(seed);
        let experts: Vec<usize> =
            (0..EXPERTS.len()).filter(|place| EXPERTS[*place].least <= examples.features.rows()).collect();
        let folds = folds(&examples, matures_after);
        let asked: Vec<usize> = folds.iter().flat_map(|fold| fold.asked.iter().copied()).collect();
        if asked.is_empty() {
            return Ok(Self::safe());
        }
        let mut answers: Vec<Vec<Vec<f64>>> = vec![Vec::new(); experts.len()];
        // One fold after the other, for each holds its examples once more.
        for fold in &folds {
            let trial = Trial::new(&examples, fold, network);
            let said: Vec<_> = experts.par_iter().map(|place| trial.answers(EXPERTS[*place])).collect();
            answers.iter_mut().zip(said).for_each(|(answers, said)| answers.extend(said));
        }
        let targets = examples.targets.select(&asked);
        let prior = match &examples.targets {
            Targets::Binary(_) => examples.prior.as_ref().map(|prior| prior[0]),
            _ => None,
        };
        Ok(Self::of(&experts, &Evidence::new(answers, targets, prior)))
    }

    /// Of what these experts said: the weights that make what came true likeliest, with a normal prior around the safe mix.
    fn of(experts: &[usize], evidence: &Evidence) -> Self {
        let safe: Vec<f64> = experts.iter().map(|place| EXPERTS[*place].safe).collect();
        let pull = SAFE_NATS / evidence.outcomes();
        let loss = |weights: &[f64], gradient: &mut [f64]| {
            let mut loss = evidence.loss(weights, gradient);
            for ((slope, weight), safe) in gradient.iter_mut().zip(weights).zip(&safe) {
                *slope += pull * (weight - safe);
                loss += 0.5 * pull * (weight - safe).powi(2);
            }
            loss
        };
        let solution = simplex::minimise(&safe, &loss);
        if !solution.converged {
            return Self { failed: true, ..Self::safe() };
        }
        let mut weights = solution.weights;
        weights.iter_mut().filter(|weight| **weight < WEIGHT_MIN).for_each(|weight| *weight = 0.0);
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        let judged = evidence.judged(&weights);
        let mut of_all = vec![0.0; EXPERTS.len()];
        experts.iter().zip(weights).for_each(|(place, weight)| of_all[*place] = weight);
        Self { weights: of_all, judged: Some(judged), failed: false }
    }

    /// Fits the experts that count to a context.
    ///
    /// # Errors
    ///
    /// When the examples are not consistent.
    pub fn fit(&self, examples: &Examples, seed: u64, network: &Corrector) -> Result<Fitted, FitError> {
        examples.check()?;
        Ok(fit_crossed(&examples.canonical(seed), |examples| self.fit_as_is(examples, network)))
    }

    /// Of examples that are consistent and in canonical order, with the features as they are.
    pub(super) fn fit_as_is(&self, examples: &Examples, network: &Corrector) -> Fitted {
        let counting = EXPERTS.iter().zip(&self.weights).filter(|(_, weight)| **weight > 0.0);
        let counting: Vec<(&Expert, f64)> = counting.map(|(expert, weight)| (expert, *weight)).collect();
        let fit =
            |(expert, weight): (&Expert, f64)| (weight, fit_as_is(expert.member, &expert.context(examples), network));
        let parts: Vec<(f64, Fitted)> = counting.into_par_iter().map(fit).collect();
        let heaviest = parts.iter().max_by(|one, other| one.0.total_cmp(&other.0)).expect("weights add up to 1");
        let mut report: Report = heaviest.1.report.clone();
        if parts.iter().any(|(_, part)| part.report.fallback.is_none()) {
            report.fallback = None;
        }
        if self.failed {
            report.fallback = Some("the solver of its weights did not converge".into());
        }
        report.diagnostics.examples = examples.features.rows();
        if let Some(judged) = self.judged {
            report.diagnostics.auroc = judged.auroc.or(report.diagnostics.auroc);
            if !matches!(examples.targets, Targets::Numbers(_)) {
                report.diagnostics.log_loss = Some(judged.loss);
            }
        }
        Fitted { crosses: Crosses::default(), answers: Member::Auto, model: Model::Mixed(Mixed { parts }), report }
    }

    /// Everything that the mix adds to a fit, as bytes: equal bytes mean equal fits of equal contexts.
    #[must_use]
    pub fn fingerprint(&self) -> Vec<u8> {
        self.weights.iter().copied().flat_map(f64::to_le_bytes).collect()
    }
}

/// A past point at which experts are tried out.
struct Trial<'a> {
    matured: Examples,
    asked: Vec<(Cow<'a, [f32]>, &'a Past)>,
    network: Corrector,
}

impl<'a> Trial<'a> {
    /// With the crosses that the matured examples show.
    fn new(examples: &'a Examples, fold: &Fold, network: &Corrector) -> Self {
        let matured = examples.part(fold.matured.clone());
        let crosses = Crosses::find(&matured);
        let asked = fold.asked.iter().map(|row| {
            let past = &examples.past[*row];
            (crosses.beside(examples.features.row(*row), past), past)
        });
        Self {
            matured: crosses.widen(&matured).into_owned(),
            asked: asked.collect(),
            network: network.as_of(examples.anchors[fold.asked[0]]),
        }
    }

    /// What an expert would have said, in the numbers that are mixed.
    fn answers(&self, expert: Expert) -> Vec<Vec<f64>> {
        let fitted = fit_as_is(expert.member, &expert.context(&self.matured), &self.network);
        self.asked.iter().map(|(features, past)| mixable(fitted.predict(features, past))).collect()
    }
}

impl Expert {
    /// The newest of the examples: more of them where the rarer class would else be too rare to learn from.
    fn context(self, examples: &Examples) -> Examples {
        let factor = if examples.prior.is_some() { RARE_FACTOR } else { 1 };
        let rows = examples.features.rows();
        let mut first = rows.saturating_sub(self.examples.saturating_mul(factor));
        if let (Targets::Binary(truths), None) = (&examples.targets, &examples.prior) {
            first = first.min(first_of_newest(truths, self.examples / RARE_SHARE));
        }
        examples.select(&(first..rows).collect::<Vec<_>>())
    }
}

/// Where the newest of both classes begin, so many of either; 0 where there are fewer.
fn first_of_newest(truths: &[bool], of_either: usize) -> usize {
    let mut found = [0, 0];
    let reached = truths.iter().rposition(|truth| {
        found[usize::from(*truth)] += 1;
        found.iter().all(|found| *found >= of_either)
    });
    reached.unwrap_or(0)
}

impl Mixed {
    /// The mixed answer.
    pub(super) fn predict(&self, features: &[f32], past: &Past) -> Estimate {
        let mut kind = None;
        let answers: Vec<(f64, Vec<f64>)> = self
            .parts
            .iter()
            .map(|(weight, part)| {
                let estimate = part.predict(features, past);
                kind.get_or_insert_with(|| estimate.clone());
                (*weight, mixable(estimate))
            })
            .collect();
        let answer = mixed(answers.iter().map(|(weight, answer)| (*weight, answer.as_slice())));
        match kind.expect("a mix has parts") {
            Estimate::Binary(_) => Estimate::Binary(answer[0].clamp(1e-7, 1.0 - 1e-7)),
            Estimate::Classes(_) => Estimate::Classes(answer),
            Estimate::Quantiles(mut values) => {
                let mut least = f64::NEG_INFINITY;
                for (value, mixed) in values.iter_mut().zip(answer) {
                    // Sums of ordered numbers may lose their order by rounding.
                    least = mixed.max(least);
                    *value = least;
                }
                Estimate::Quantiles(values)
            }
        }
    }

    /// What each expert says, and how much it counts.
    pub(super) fn parts(&self, features: &[f32], past: &Past) -> Vec<Part> {
        let part = |(weight, part): &(f64, Fitted)| {
            let estimate = part.predict(features, past);
            let examples = part.diagnostics().examples;
            Part { name: format!("{} of {examples} examples", part.name()), weight: *weight, estimate }
        };
        self.parts.iter().map(part).collect()
    }

    /// The members that answer and how much each counts, the heaviest first: `baseline 0.62, trees 0.38`.
    pub(super) fn describe(&self) -> String {
        let mut members: Vec<(String, f64)> = Vec::new();
        for (weight, part) in &self.parts {
            let name = part.name();
            match members.iter_mut().find(|(member, _)| *member == name) {
                Some((_, sum)) => *sum += weight,
                None => members.push((name, *weight)),
            }
        }
        members.sort_by(|one, other| other.1.total_cmp(&one.1));
        let named = members.iter().map(|(member, weight)| format!("{member} {weight:.2}"));
        named.collect::<Vec<_>>().join(", ")
    }
}
