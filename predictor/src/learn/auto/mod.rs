//! `auto`: several experts, weighed by what came true.
//!
//! An expert is a member of the family on so many of the newest examples. [`Mix::learn`] asks each of them at past
//! points in time, with what had matured by then ([`folds`]), and finds the weights with the least loss ([`simplex`]) of
//! the mixed answers ([`evidence`]): log-odds, logarithms of shares, or quantiles. The fewer outcomes there are, the
//! nearer the weights stay to those of a safe mix. Probabilities are then corrected for what the mix said of late and
//! what came true ([`correction`]).

mod correction;
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
use super::metrics::auroc;
use super::platt::probability;
use super::{FitError, Member, fit_as_is, fit_crossed};
use crate::context::RARE_FACTOR;
use crate::small::Corrector;
use correction::Correction;
use evidence::{Evidence, mixable, mixed, shares};
use folds::{Fold, folds};

/// A member on so many of the newest examples (five times as many where a rare class was preferred).
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

/// So many outcomes weigh as much as the safe mix.
const SAFE_OUTCOMES: f64 = 300.0;
/// An expert with a smaller weight is left out.
const WEIGHT_MIN: f64 = 0.04;
/// For the correction outcomes count by so much less for each past point further back.
const FADING: f64 = 0.5;

/// How much each expert counts for a task, as of some point in time.
#[derive(Debug, Clone)]
pub struct Mix {
    weights: Vec<f64>,
    /// Of mixed log-odds.
    correction: Correction,
    judged: Option<Judged>,
}

/// How good the mix was at past points.
#[derive(Debug, Clone, Copy)]
struct Judged {
    loss: f64,
    auroc: Option<f64>,
}

/// A fitted mix.
#[derive(Debug, Clone)]
pub(super) struct Mixed {
    parts: Vec<(f64, Fitted)>,
    correction: Correction,
}

impl Mix {
    /// The mix for a task of which nothing is known yet.
    #[must_use]
    pub fn safe() -> Self {
        let weights = EXPERTS.iter().map(|expert| expert.safe).collect();
        Self { weights, correction: Correction::NONE, judged: None }
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
        let fading: Vec<f64> = folds
            .iter()
            .zip(0..)
            .flat_map(|(fold, back)| std::iter::repeat_n(FADING.powi(back), fold.asked.len()))
            .collect();
        let targets = examples.targets.select(&asked);
        let prior = match &examples.targets {
            Targets::Binary(_) => examples.prior.as_ref().map(|prior| prior[0]),
            _ => None,
        };
        Ok(Self::of(&experts, &Evidence::new(answers, targets.clone(), prior), &targets, &fading))
    }

    /// Of what these experts said. `fading` says how much each example counts for the correction.
    fn of(experts: &[usize], evidence: &Evidence, targets: &Targets, fading: &[f64]) -> Self {
        let safe: Vec<f64> = experts.iter().map(|place| EXPERTS[*place].safe).collect();
        let solution = simplex::minimise(&safe, &|weights, gradient| evidence.loss(weights, gradient));
        if !solution.converged {
            return Self::safe();
        }
        let worth = evidence.worth();
        let share = worth / (worth + SAFE_OUTCOMES);
        let weights = solution.weights.iter().zip(&safe);
        let mut weights: Vec<f64> = weights.map(|(found, safe)| share * found + (1.0 - share) * safe).collect();
        weights.iter_mut().filter(|weight| **weight < WEIGHT_MIN).for_each(|weight| *weight = 0.0);
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        let loss = evidence.loss(&weights, &mut vec![0.0; weights.len()]);
        let (mut judged, mut correction) = (Judged { loss, auroc: None }, Correction::NONE);
        if let Targets::Binary(truths) = targets {
            let outcomes = evidence.outcomes(&weights, truths, fading);
            judged.auroc = auroc(&outcomes.iter().map(|outcome| outcome.logit).collect::<Vec<f64>>(), truths);
            correction = Correction::fit(&outcomes);
        }
        let mut of_all = vec![0.0; EXPERTS.len()];
        experts.iter().zip(weights).for_each(|(place, weight)| of_all[*place] = weight);
        Self { weights: of_all, correction, judged: Some(judged) }
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
        report.diagnostics.examples = examples.features.rows();
        if let Some(judged) = self.judged {
            report.diagnostics.auroc = judged.auroc.or(report.diagnostics.auroc);
            if !matches!(examples.targets, Targets::Numbers(_)) {
                report.diagnostics.log_loss = Some(judged.loss);
            }
        }
        let mixed = Mixed { parts, correction: self.correction };
        Fitted { crosses: Crosses::default(), answers: Member::Auto, model: Model::Mixed(mixed), report }
    }

    /// Everything that the mix adds to a fit, as bytes: equal bytes mean equal fits of equal contexts.
    #[must_use]
    pub fn fingerprint(&self) -> Vec<u8> {
        let correction = [self.correction.slope, self.correction.shift];
        self.weights.iter().copied().chain(correction).flat_map(f64::to_le_bytes).collect()
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

    /// What an expert would have said, on the scale on which answers are mixed.
    fn answers(&self, expert: Expert) -> Vec<Vec<f64>> {
        let fitted = fit_as_is(expert.member, &expert.context(&self.matured), &self.network);
        self.asked.iter().map(|(features, past)| mixable(fitted.predict(features, past))).collect()
    }
}

impl Expert {
    /// The newest of the examples.
    fn context(self, examples: &Examples) -> Examples {
        let factor = if examples.prior.is_some() { RARE_FACTOR } else { 1 };
        let rows = examples.features.rows();
        let first = rows.saturating_sub(self.examples.saturating_mul(factor));
        examples.select(&(first..rows).collect::<Vec<_>>())
    }
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
            Estimate::Binary(_) => {
                Estimate::Binary(probability(self.correction.apply(answer[0])).clamp(1e-7, 1.0 - 1e-7))
            }
            Estimate::Classes(_) => Estimate::Classes(shares(&answer)),
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
