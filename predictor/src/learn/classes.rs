//! One of several classes.

use super::anchor::Reading;
use super::binary::EXAMPLES_MIN;
use super::boosted::Loss;
use super::examples::{Examples, Past};
use super::fitted::Report;
use super::last_k::{RecentClasses, Source};
use super::learner::{Inputs, Kind, Learner, Scorer};
use super::metrics::{auroc, count};
use super::platt::{Logistic, log_odds, probability};
use super::standard::{Blend, Standard};

/// A class with fewer examples gets its base rate.
const CLASS_EXAMPLES_MIN: usize = 5;

/// A fitted model of several classes.
#[derive(Debug, Clone)]
pub(super) struct Classes {
    recent: RecentClasses,
    /// The classes that the context has examples of.
    seen: Vec<usize>,
    learned: Option<Learned>,
    /// Per class the factor by which its share of the population exceeds its share of the examples.
    factors: Vec<f64>,
}

/// One class against the rest, for each class that can be learned.
#[derive(Debug, Clone)]
struct Learned {
    inputs: Inputs,
    experts: Vec<Expert>,
    /// Per class its share of the examples, for the classes without expert.
    base: Vec<f64>,
}

#[derive(Debug, Clone)]
struct Expert {
    class: usize,
    scorer: Scorer,
    blend: Blend,
    logistic: Logistic,
}

/// Fits what learns of a kind, or `last-k`, to examples in canonical order. Last come, for each of the
/// [`Classes::questions`], the held-out log-odds of the newest examples (of all, unless they are of trees).
pub(super) fn fit(
    kind: Option<Kind>,
    examples: &Examples,
    labels: &[u32],
    classes: u32,
) -> (Classes, Report, Vec<Vec<f64>>) {
    let recent = RecentClasses::fit(&examples.past, labels, classes);
    let floor: Vec<Vec<f64>> = examples.past.iter().map(|past| recent.probabilities(past)).collect();
    let mut report = Report::of_last_k(labels.len(), Source::Labels, &[recent.newest], recent.strength);
    judge(&mut report, &floor, labels, classes);
    let factors = match &examples.prior {
        Some(prior) => prior.iter().zip(recent.base()).map(|(prior, base)| prior / base).collect(),
        None => vec![1.0; classes as usize],
    };
    let seen = |class: usize| labels.iter().any(|label| *label as usize == class);
    let floors = || (0..classes as usize).filter(|class| seen(*class)).map(|class| floor_of(&floor, class)).collect();
    let (learned, held_out) = match kind {
        None => (None, floors()),
        Some(kind) => match learn(kind, examples, labels, &recent, &floor, &mut report) {
            Ok((learned, held_out)) => (Some(learned), held_out),
            Err(reason) => {
                report.fallback = Some(reason);
                (None, floors())
            }
        },
    };
    let seen = (0..classes as usize).filter(|class| seen(*class)).collect();
    (Classes { recent, seen, learned, factors }, report, held_out)
}

/// The reason on failure; the report is touched on success only.
fn learn(
    kind: Kind,
    examples: &Examples,
    labels: &[u32],
    recent: &RecentClasses,
    floor: &[Vec<f64>],
    report: &mut Report,
) -> Result<(Learned, Vec<Vec<f64>>), String> {
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
    let learner = Learner::new(kind, examples, &signals)?;
    let mut fits: Vec<Fit> = Vec::new();
    for (class, target) in learnable.iter().zip(&targets) {
        fits.extend(Fit::new(&learner, *class, target, floor)?);
    }
    if fits.is_empty() {
        return Err(format!(
            "{} AUROC of {} classes on {} examples is nowhere better than chance",
            learner.held_out_name(),
            learnable.len(),
            labels.len()
        ));
    }
    let asked: Vec<usize> = fits.iter().map(|fit| fit.expert.class).collect();
    let logits: Vec<Vec<f64>> = fits.iter().map(Fit::logits).collect();
    let of_row = |row: usize| logits.iter().map(|logits| logits[row]).collect::<Vec<f64>>();
    let base = recent.base();
    let held_out: Vec<Vec<f64>> =
        (0..logits[0].len()).map(|row| share_out(base.to_vec(), &asked, &of_row(row))).collect();
    judge(
        report,
        &held_out,
        &labels[labels.len() - held_out.len()..],
        u32::try_from(classes).expect("classes are counted in 32 bits"),
    );
    describe(report, &learner.inputs, &fits, &found);
    let experts = fits.into_iter().map(|fit| fit.expert).collect();
    Ok((Learned { inputs: learner.inputs, experts, base: base.to_vec() }, logits))
}

/// An expert, with what it says of the examples.
struct Fit {
    expert: Expert,
    scores: Vec<f64>,
    alpha: Option<f64>,
}

impl Fit {
    /// `None` when the held-out scores are no better than chance; the reason when the solver fails.
    fn new(learner: &Learner, class: usize, target: &[f64], floor: &[Vec<f64>]) -> Result<Option<Self>, String> {
        let solved = learner.solve(target, Loss::Logistic)?;
        let newest = target.len() - solved.held_out.len();
        let truths: Vec<bool> = target[newest..].iter().map(|value| *value > 0.5).collect();
        if auroc(&solved.held_out, &truths).is_none_or(|area| area <= 0.5) {
            return Ok(None);
        }
        let floor = floor_of(&floor[newest..], class);
        let blend = Blend::fit(&solved.held_out, &floor);
        let scores: Vec<f64> =
            solved.held_out.iter().zip(&floor).map(|(own, floor)| blend.score(*own, *floor)).collect();
        let Some(logistic) = Logistic::fit(&scores, &truths) else { return Ok(None) };
        if !logistic.converged {
            return Err(format!("Platt scaling of class {class} did not converge in {} steps", logistic.iterations));
        }
        let expert = Expert { class, scorer: solved.scorer, blend, logistic };
        Ok(Some(Self { expert, scores, alpha: solved.alpha }))
    }

    /// The held-out log-odds.
    fn logits(&self) -> Vec<f64> {
        self.scores.iter().map(|score| self.expert.logistic.logit(*score)).collect()
    }
}

fn describe(report: &mut Report, inputs: &Inputs, fits: &[Fit], found: &[usize]) {
    let mut weights = vec![0.0; inputs.inputs()];
    for expert in fits.iter().map(|fit| &fit.expert) {
        let per_unit = expert.blend.slope() * expert.logistic.slope_per_unit();
        for (most, weight) in weights.iter_mut().zip(expert.scorer.per_feature(inputs)) {
            *most = f64::max(*most, (weight * per_unit).abs());
        }
    }
    report.weights = weights;
    report.diagnostics.columns = inputs.used();
    report.diagnostics.alpha = fits.iter().max_by_key(|fit| found[fit.expert.class]).and_then(|fit| fit.alpha);
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

/// One class's log-odds by `last-k`.
fn floor_of(floor: &[Vec<f64>], class: usize) -> Vec<f64> {
    floor.iter().map(|probabilities| log_odds(probabilities[class])).collect()
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
        if self.learned.is_none() {
            return self.for_population(self.recent.probabilities(past));
        }
        let logits: Vec<f64> = self.read(features, past).iter().map(|reading| reading.point).collect();
        self.probabilities(&logits, past)
    }

    /// The classes that are told from the rest: those with an expert; without experts those that were seen.
    pub(super) fn questions(&self) -> Vec<usize> {
        match &self.learned {
            Some(learned) => learned.experts.iter().map(|expert| expert.class).collect(),
            None => self.seen.clone(),
        }
    }

    /// For each of the questions the log-odds of its class.
    pub(super) fn read(&self, features: &[f32], past: &Past) -> Vec<Reading> {
        let floor = self.recent.probabilities(past);
        let of_floor = |class: usize| log_odds(floor[class]);
        match &self.learned {
            Some(learned) => {
                let row = learned.inputs.row(features);
                let experts = learned.experts.iter();
                experts.map(|expert| Reading::of_log_odds(expert.logit(&row, &floor), of_floor(expert.class))).collect()
            }
            None => self.seen.iter().map(|class| Reading::of_log_odds(of_floor(*class), of_floor(*class))).collect(),
        }
    }

    /// The log-odds that `last-k` gives a class.
    pub(super) fn floor(&self, class: usize, past: &Past) -> f64 {
        log_odds(self.recent.probabilities(past)[class])
    }

    /// The population's probability of each class, for the log-odds of each of the questions: base rates for the
    /// classes that are not asked for; the rest is shared by the others in proportion to their own.
    pub(super) fn probabilities(&self, logits: &[f64], past: &Past) -> Vec<f64> {
        let base = match &self.learned {
            Some(learned) => learned.base.clone(),
            None => self.recent.probabilities(past),
        };
        self.for_population(share_out(base, &self.questions(), logits))
    }

    /// Shares of the context's classes as shares of the population's.
    fn for_population(&self, shares: Vec<f64>) -> Vec<f64> {
        let shifted: Vec<f64> = shares.iter().zip(&self.factors).map(|(share, factor)| share * factor).collect();
        let total: f64 = shifted.iter().sum();
        if total > 0.0 { shifted.into_iter().map(|share| share / total).collect() } else { shares }
    }

    /// Whether there is more than `last-k`.
    pub(super) fn is_learned(&self) -> bool {
        self.learned.is_some()
    }
}

/// The shares of the asked classes together are left to them, and shared in proportion to their probabilities.
fn share_out(mut shares: Vec<f64>, asked: &[usize], logits: &[f64]) -> Vec<f64> {
    let given: Vec<f64> = logits.iter().map(|logit| probability(*logit).max(1e-9)).collect();
    let room: f64 = asked.iter().map(|class| shares[*class]).sum();
    let total: f64 = given.iter().sum();
    for (class, given) in asked.iter().zip(given) {
        shares[*class] = room * given / total;
    }
    shares
}

impl Expert {
    fn logit(&self, row: &[f64], floor: &[f64]) -> f64 {
        let own = self.scorer.score(row);
        self.logistic.logit(self.blend.score(own, log_odds(floor[self.class])))
    }
}
