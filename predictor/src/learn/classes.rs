//! One of several classes.

use super::Member;
use super::binary::{EXAMPLES_MIN, decompose};
use super::columns::Columns;
use super::examples::{Examples, Past};
use super::fitted::Report;
use super::last_k::{RecentClasses, Source};
use super::metrics::{auroc, count};
use super::platt::{Logistic, log_odds, probability};
use super::ridge::{Ridge, dot};
use super::standard::{Blend, Standard};

/// A class with fewer examples gets its base rate.
const CLASS_EXAMPLES_MIN: usize = 5;

/// A fitted model of several classes.
#[derive(Debug, Clone)]
pub(super) struct Classes {
    recent: RecentClasses,
    learned: Option<Learned>,
    /// Per class the factor by which its share of the population exceeds its share of the examples.
    factors: Vec<f64>,
}

/// One class against the rest, for each class that can be learned.
#[derive(Debug, Clone)]
struct Learned {
    columns: Columns,
    experts: Vec<Expert>,
    /// Per class its share of the examples, for the classes without expert.
    base: Vec<f64>,
}

#[derive(Debug, Clone)]
struct Expert {
    class: usize,
    weights: Vec<f64>,
    intercept: f64,
    blend: Blend,
    logistic: Logistic,
}

/// Fits the member to examples in canonical order.
pub(super) fn fit(member: Member, examples: &Examples, labels: &[u32], classes: u32) -> (Classes, Report) {
    let recent = RecentClasses::fit(&examples.past, labels, classes);
    let floor: Vec<Vec<f64>> = examples.past.iter().map(|past| recent.probabilities(past)).collect();
    let mut report = Report::of_last_k(labels.len(), Source::Labels, &[recent.newest], recent.strength);
    judge(&mut report, &floor, labels, classes);
    let factors = match &examples.prior {
        Some(prior) => prior.iter().zip(recent.base()).map(|(prior, base)| prior / base).collect(),
        None => vec![1.0; classes as usize],
    };
    let learned = match member {
        Member::LastK => None,
        Member::Baseline => match learn(examples, labels, &recent, &floor, &mut report) {
            Ok(learned) => Some(learned),
            Err(reason) => {
                report.fallback = Some(reason);
                None
            }
        },
    };
    (Classes { recent, learned, factors }, report)
}

/// The reason on failure; the report is touched on success only.
fn learn(
    examples: &Examples,
    labels: &[u32],
    recent: &RecentClasses,
    floor: &[Vec<f64>],
    report: &mut Report,
) -> Result<Learned, String> {
    let classes = recent.base().len();
    let mut found = vec![0; classes];
    labels.iter().for_each(|label| found[*label as usize] += 1);
    let learnable: Vec<usize> = (0..classes).filter(|class| found[*class] >= CLASS_EXAMPLES_MIN).collect();
    if labels.len() < EXAMPLES_MIN || learnable.len() < 2 {
        return Err(format!(
            "{} examples, {} classes with {CLASS_EXAMPLES_MIN} or more: at least {EXAMPLES_MIN} and 2 are needed",
            labels.len(),
            learnable.len()
        ));
    }
    let targets: Vec<Vec<f64>> = learnable.iter().map(|class| indicator(labels, *class)).collect();
    let signals: Vec<Vec<f64>> = targets.iter().map(|target| standardised(target)).collect();
    let columns = Columns::fit(&examples.features, &signals);
    let ridge = decompose(&columns, examples)?;
    let mut fits: Vec<Fit> = Vec::new();
    for (class, target) in learnable.iter().zip(&targets) {
        fits.extend(Fit::new(&ridge, *class, target, floor)?);
    }
    if fits.is_empty() {
        return Err(format!(
            "leave-one-out AUROC of {} classes on {} examples is nowhere better than chance",
            learnable.len(),
            labels.len()
        ));
    }
    let learned = Learned { columns, base: recent.base().to_vec(), experts: Vec::new() };
    let logits =
        |row: usize| fits.iter().map(move |fit| (fit.expert.class, fit.expert.logistic.logit(fit.scores[row])));
    let held_out: Vec<Vec<f64>> = (0..labels.len()).map(|row| learned.probabilities(logits(row))).collect();
    judge(report, &held_out, labels, u32::try_from(classes).expect("classes are counted in 32 bits"));
    describe(report, &learned.columns, &fits, &found);
    Ok(Learned { experts: fits.into_iter().map(|fit| fit.expert).collect(), ..learned })
}

/// An expert, with what it says of the examples.
struct Fit {
    expert: Expert,
    scores: Vec<f64>,
    alpha: f64,
}

impl Fit {
    /// `None` when the held-out scores are no better than chance; the reason when the solver fails.
    fn new(ridge: &Ridge, class: usize, target: &[f64], floor: &[Vec<f64>]) -> Result<Option<Self>, String> {
        let truths: Vec<bool> = target.iter().map(|value| *value > 0.5).collect();
        let solution = ridge.solve(target);
        if auroc(&solution.held_out, &truths).is_none_or(|area| area <= 0.5) {
            return Ok(None);
        }
        let floor: Vec<f64> = floor.iter().map(|probabilities| log_odds(probabilities[class])).collect();
        let blend = Blend::fit(&solution.held_out, &floor);
        let scores: Vec<f64> =
            solution.held_out.iter().zip(&floor).map(|(own, floor)| blend.score(*own, *floor)).collect();
        let Some(logistic) = Logistic::fit(&scores, &truths) else { return Ok(None) };
        if !logistic.converged {
            return Err(format!("Platt scaling of class {class} did not converge in {} steps", logistic.iterations));
        }
        let expert = Expert { class, weights: solution.weights, intercept: solution.intercept, blend, logistic };
        Ok(Some(Self { expert, scores, alpha: solution.alpha }))
    }
}

fn describe(report: &mut Report, columns: &Columns, fits: &[Fit], found: &[usize]) {
    let mut weights = vec![0.0; columns.inputs()];
    for expert in fits.iter().map(|fit| &fit.expert) {
        let per_unit = expert.blend.slope() * expert.logistic.slope_per_unit();
        for (most, weight) in weights.iter_mut().zip(columns.per_feature(&expert.weights)) {
            *most = f64::max(*most, (weight * per_unit).abs());
        }
    }
    report.weights = weights;
    report.diagnostics.columns = columns.used();
    report.diagnostics.alpha = fits.iter().max_by_key(|fit| found[fit.expert.class]).map(|fit| fit.alpha);
    report.diagnostics.floor_weight = fits[0].expert.blend.weight;
    report.diagnostics.iterations = fits.iter().map(|fit| fit.expert.logistic.iterations).max().unwrap_or(0);
}

fn judge(report: &mut Report, probabilities: &[Vec<f64>], labels: &[u32], classes: u32) {
    let losses = probabilities.iter().zip(labels).map(|(given, label)| -given[*label as usize].max(1e-7).ln());
    report.diagnostics.log_loss = Some(losses.sum::<f64>() / count(labels.len()));
    let areas: Vec<f64> = (0..classes)
        .filter_map(|class| {
            let scores: Vec<f64> = probabilities.iter().map(|given| given[class as usize]).collect();
            let truths: Vec<bool> = labels.iter().map(|label| *label == class).collect();
            auroc(&scores, &truths)
        })
        .collect();
    report.diagnostics.auroc = (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / count(areas.len()));
}

fn indicator(labels: &[u32], class: usize) -> Vec<f64> {
    labels.iter().map(|label| f64::from(*label as usize == class)).collect()
}

fn standardised(target: &[f64]) -> Vec<f64> {
    let standard = Standard::fit(target);
    target.iter().map(|value| standard.scale(*value)).collect()
}

impl Classes {
    /// The probability of each class.
    pub(super) fn predict(&self, features: &[f32], past: &Past) -> Vec<f64> {
        let floor = self.recent.probabilities(past);
        let shares = match &self.learned {
            Some(learned) => {
                let row = learned.columns.row(features);
                let logits = learned.experts.iter().map(|expert| (expert.class, expert.logit(&row, &floor)));
                learned.probabilities(logits)
            }
            None => floor,
        };
        let shifted: Vec<f64> = shares.iter().zip(&self.factors).map(|(share, factor)| share * factor).collect();
        let total: f64 = shifted.iter().sum();
        if total > 0.0 { shifted.into_iter().map(|share| share / total).collect() } else { shares }
    }
}

impl Learned {
    /// Base rates for the classes without expert; the rest is shared by the others in proportion to what their experts
    /// say.
    fn probabilities(&self, logits: impl Iterator<Item = (usize, f64)>) -> Vec<f64> {
        let mut probabilities = self.base.clone();
        let (mut room, mut total) = (0.0, 0.0);
        let experts: Vec<(usize, f64)> = logits.map(|(class, logit)| (class, probability(logit).max(1e-9))).collect();
        for (class, given) in &experts {
            room += self.base[*class];
            total += given;
        }
        for (class, given) in experts {
            probabilities[class] = room * given / total;
        }
        probabilities
    }
}

impl Expert {
    fn logit(&self, row: &[f64], floor: &[f64]) -> f64 {
        let own = self.intercept + dot(&self.weights, row);
        self.logistic.logit(self.blend.score(own, log_odds(floor[self.class])))
    }
}
