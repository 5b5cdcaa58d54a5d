//! Yes or no.

use super::anchor::Reading;
use super::boosted::Loss;
use super::examples::{Examples, Past};
use super::fitted::Report;
use super::last_k::RecentBinary;
use super::learner::{Inputs, Kind, Learner, Scorer};
use super::metrics::{auroc, count, log_loss};
use super::platt::{Logistic, log_odds, probability};
use super::standard::{Blend, Standard};

/// Fewer examples teach nothing that `last-k` does not know.
pub(super) const EXAMPLES_MIN: usize = 10;
/// With one example of a class its held-out score comes from a fit that knows no such class.
const MINORITY_MIN: usize = 2;

/// A fitted binary model.
#[derive(Debug, Clone)]
pub(super) struct Binary {
    recent: RecentBinary,
    learned: Option<Learned>,
    /// Added to the log-odds, where sampling changed the shares of the classes.
    shift: f64,
}

/// Scores for 0 and 1, blended with `last-k`, then Platt's logistic.
#[derive(Debug, Clone)]
struct Learned {
    inputs: Inputs,
    scorer: Scorer,
    blend: Blend,
    logistic: Logistic,
}

/// Fits what learns of a kind, or `last-k`, to examples in canonical order. Last come the held-out log-odds of the newest
/// examples (of all, unless they are of trees), as the context's shares have them.
pub(super) fn fit(kind: Option<Kind>, examples: &Examples, truths: &[bool]) -> (Binary, Report, Vec<f64>) {
    let recent = RecentBinary::fit(&examples.past, truths);
    let floor: Vec<f64> = examples.past.iter().map(|past| recent.logit(past)).collect();
    let shown = recent.recent;
    let mut report = Report::of_last_k(truths.len(), shown.source, shown.newest, shown.strength);
    let share = count(truths.iter().filter(|truth| **truth).count()) / count(truths.len());
    let prior = examples.prior.as_ref().map_or(share, |prior| prior[0]);
    report.diagnostics.base_rate = Some(prior);
    judge(&mut report, &floor, truths);
    let (learned, logits) = match kind {
        None => (None, floor),
        Some(kind) => match learn(kind, examples, truths, &floor, &mut report) {
            Ok((learned, held_out)) => (Some(learned), held_out),
            Err(reason) => {
                report.fallback = Some(reason);
                (None, floor)
            }
        },
    };
    let judged = &truths[truths.len() - logits.len()..];
    let shift = if examples.prior.is_some() { shift_to(prior, &logits, judged) } else { 0.0 };
    (Binary { recent, learned, shift }, report, logits)
}

/// What to add to held-out log-odds so that their mean probability over the population is its share of true, where the
/// examples of either class stand for that class of the population.
///
/// The usual difference of log-odds is right for perfect probabilities only; by bisection it is right for these.
fn shift_to(prior: f64, logits: &[f64], truths: &[bool]) -> f64 {
    let positives = count(truths.iter().filter(|truth| **truth).count());
    let examples = count(truths.len());
    if positives < 0.5 || positives > examples - 0.5 {
        return log_odds(prior) - log_odds((positives + 0.5) / (examples + 1.0));
    }
    let prior = prior.clamp(1e-9, 1.0 - 1e-9);
    let (of_true, of_false) = (prior / positives, (1.0 - prior) / (examples - positives));
    let mean = |shift: f64| {
        let weighted = logits.iter().zip(truths).map(|(logit, truth)| {
            let weight = if *truth { of_true } else { of_false };
            weight * probability(logit + shift)
        });
        weighted.sum::<f64>()
    };
    let (mut low, mut high) = (-50.0, 50.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if mean(middle) < prior { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// With the held-out log-odds; the reason on failure. The report is touched on success only.
fn learn(
    kind: Kind,
    examples: &Examples,
    truths: &[bool],
    floor: &[f64],
    report: &mut Report,
) -> Result<(Learned, Vec<f64>), String> {
    let positives = truths.iter().filter(|truth| **truth).count();
    let minority = positives.min(truths.len() - positives);
    if truths.len() < EXAMPLES_MIN || minority < MINORITY_MIN {
        return Err(format!(
            "{} examples, {minority} of the rarer class: at least {EXAMPLES_MIN} and {MINORITY_MIN} are needed",
            truths.len()
        ));
    }
    let targets: Vec<f64> = truths.iter().map(|truth| f64::from(*truth)).collect();
    let standard = Standard::fit(&targets);
    let signal = targets.iter().map(|target| standard.scale(*target)).collect();
    let learner = Learner::new(kind, examples, &[signal])?;
    let solved = learner.solve(&targets, Loss::Logistic)?;
    let newest = truths.len() - solved.held_out.len();
    let (judged, floor) = (&truths[newest..], &floor[newest..]);
    let own = auroc(&solved.held_out, judged).ok_or("the newest examples are of one class")?;
    if own <= 0.5 {
        return Err(format!(
            "{} AUROC {own:.3} on {} examples and {} columns is no better than chance",
            learner.held_out_name(),
            truths.len(),
            learner.inputs.used()
        ));
    }
    let blend = Blend::fit(&solved.held_out, floor);
    let scores: Vec<f64> = solved.held_out.iter().zip(floor).map(|(own, floor)| blend.score(*own, *floor)).collect();
    let logistic = Logistic::fit(&scores, judged).ok_or("the held-out scores do not vary")?;
    if !logistic.converged {
        return Err(format!("Platt scaling did not converge in {} steps", logistic.iterations));
    }
    let logits: Vec<f64> = scores.iter().map(|score| logistic.logit(*score)).collect();
    judge(report, &logits, judged);
    report.diagnostics.columns = learner.inputs.used();
    report.diagnostics.alpha = solved.alpha;
    report.diagnostics.floor_weight = blend.weight;
    report.diagnostics.iterations = logistic.iterations;
    let per_unit = blend.slope() * logistic.slope_per_unit();
    let per_feature = solved.scorer.per_feature(&learner.inputs);
    report.weights = per_feature.iter().map(|weight| weight * per_unit).collect();
    let learned = Learned { inputs: learner.inputs, scorer: solved.scorer, blend, logistic };
    Ok((learned, logits))
}

fn judge(report: &mut Report, logits: &[f64], truths: &[bool]) {
    let probabilities: Vec<f64> = logits.iter().map(|logit| probability(*logit)).collect();
    report.diagnostics.auroc = auroc(logits, truths);
    report.diagnostics.log_loss = log_loss(&probabilities, truths);
}

impl Binary {
    /// The probability of true, held off 0 and 1.
    pub(super) fn predict(&self, features: &[f32], past: &Past) -> f64 {
        self.probability(self.read(features, past).point)
    }

    /// The log-odds of true, at the context's share of true.
    pub(super) fn read(&self, features: &[f32], past: &Past) -> Reading {
        let floor = self.floor(past);
        let logit = self.learned.as_ref().map_or(floor, |learned| learned.logit(features, floor));
        Reading::of_log_odds(logit, floor)
    }

    /// The log-odds that `last-k` gives.
    pub(super) fn floor(&self, past: &Past) -> f64 {
        self.recent.logit(past)
    }

    /// Whether there is more than `last-k`.
    pub(super) fn is_learned(&self) -> bool {
        self.learned.is_some()
    }

    /// The population's probability for log-odds at the context's share of true.
    pub(super) fn probability(&self, logit: f64) -> f64 {
        probability(logit + self.shift).clamp(1e-7, 1.0 - 1e-7)
    }
}

impl Learned {
    fn logit(&self, features: &[f32], floor: f64) -> f64 {
        let own = self.scorer.score(&self.inputs.row(features));
        self.logistic.logit(self.blend.score(own, floor))
    }
}
