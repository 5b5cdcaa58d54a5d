//! Numbers.

use super::anchor::Reading;
use super::binary::EXAMPLES_MIN;
use super::boosted::Loss;
use super::examples::{Examples, Past};
use super::fitted::Report;
use super::last_k::Recent;
use super::learner::{Inputs, Kind, Learner, Scorer};
use super::metrics::{count, mean_absolute_error};
use super::ridge::dot;
use super::spread::Spread;
use super::standard::{Blend, Standard};
use super::transform::Transform;

/// A fitted regression.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    recent: Recent,
    learned: Option<Learned>,
    scale: Scale,
    /// Around the prediction, on the scale when something was learned, else as the numbers are.
    spread: Spread,
}

/// The scale on which numbers are learned: transformed, then standardised.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    transform: Transform,
    target: Standard,
}

/// Scores for transformed, standardised targets, blended with `last-k`.
#[derive(Debug, Clone)]
struct Learned {
    inputs: Inputs,
    scorer: Scorer,
    blend: Blend,
    /// Standard deviations of the target per unit of the blended score: shrinks towards the mean.
    slope: f64,
}

/// Fits what learns of a kind, or `last-k`, to examples in canonical order. Last come the held-out scores of the newest
/// examples (of all, unless they are of trees): what [`Numbers::read_score`] takes.
pub(super) fn fit(kind: Option<Kind>, examples: &Examples, numbers: &[f64]) -> (Numbers, Report, Vec<f64>) {
    let recent = Recent::fit_numbers(&examples.past, numbers);
    let floor: Vec<f64> = examples.past.iter().map(|past| recent.mean(past)).collect();
    let mut report = Report::of_last_k(numbers.len(), recent.source, recent.newest, recent.strength);
    report.diagnostics.mean_absolute_error = mean_absolute_error(&floor, numbers);
    if let Some(kind) = kind {
        let scale = Scale::fit(Transform::fit(numbers), numbers);
        match learn(kind, examples, numbers, &floor, &scale, &mut report) {
            Ok((learned, spread, scores)) => {
                return (Numbers { recent, learned: Some(learned), scale, spread }, report, scores);
            }
            Err(reason) => report.fallback = Some(reason),
        }
    }
    let residuals: Vec<f64> = numbers.iter().zip(&floor).map(|(number, floor)| number - floor).collect();
    let spread = Spread::fit(&floor, &residuals);
    (Numbers { recent, learned: None, scale: Scale::fit(Transform::Identity, numbers), spread }, report, floor)
}

/// The reason on failure; the report is touched on success only.
fn learn(
    kind: Kind,
    examples: &Examples,
    numbers: &[f64],
    floor: &[f64],
    scale: &Scale,
    report: &mut Report,
) -> Result<(Learned, Spread, Vec<f64>), String> {
    if numbers.len() < EXAMPLES_MIN {
        return Err(format!("{} examples: at least {EXAMPLES_MIN} are needed", numbers.len()));
    }
    if !scale.varies() {
        return Err(format!("all {} targets are equal", numbers.len()));
    }
    let standardised: Vec<f64> = numbers.iter().map(|number| scale.forward(*number)).collect();
    let forward = |values: &[f64]| values.iter().map(|value| scale.transform.forward(*value)).collect::<Vec<f64>>();
    let learner = Learner::new(kind, examples, std::slice::from_ref(&standardised))?;
    let solved = learner.solve(&standardised, Loss::Squared)?;
    let newest = numbers.len() - solved.held_out.len();
    let (numbers, floor, standardised) = (&numbers[newest..], &floor[newest..], &standardised[newest..]);
    let own = Standard::fit(&solved.held_out);
    let products = solved.held_out.iter().zip(standardised).map(|(score, value)| own.scale(*score) * value);
    let agreement = products.sum::<f64>() / count(numbers.len());
    if agreement <= 0.0 {
        return Err(format!(
            "{} correlation {agreement:.3} on {} examples and {} columns is no better than chance",
            learner.held_out_name(),
            numbers.len(),
            learner.inputs.used()
        ));
    }
    let blend = Blend::fit(&solved.held_out, &forward(floor));
    let scores: Vec<f64> =
        solved.held_out.iter().zip(forward(floor)).map(|(own, floor)| blend.score(*own, floor)).collect();
    let slope = (dot(&scores, standardised) / dot(&scores, &scores).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
    report.diagnostics.columns = learner.inputs.used();
    report.diagnostics.alpha = solved.alpha;
    report.diagnostics.floor_weight = blend.weight;
    let per_unit = blend.slope() * slope;
    let per_feature = solved.scorer.per_feature(&learner.inputs);
    report.weights = per_feature.iter().map(|weight| weight * per_unit).collect();
    let residuals: Vec<f64> = scores.iter().zip(standardised).map(|(score, value)| value - slope * score).collect();
    let spread = Spread::fit(&scores, &residuals);
    let learned = Learned { inputs: learner.inputs, scorer: solved.scorer, blend, slope };
    let points: Vec<f64> = scores.iter().map(|score| scale.back(slope * score + spread.offsets(*score)[4])).collect();
    report.diagnostics.mean_absolute_error = mean_absolute_error(&points, numbers);
    Ok((learned, spread, scores))
}

impl Numbers {
    /// Values at the levels of [`relational::Prediction::LEVELS`].
    pub(super) fn predict(&self, features: &[f32], past: &Past) -> [f64; 9] {
        let floor = self.recent.mean(past);
        match &self.learned {
            Some(learned) => {
                let score = learned.score(features, self.scale.transform.forward(floor));
                let point = learned.slope * score;
                self.spread.offsets(score).map(|offset| self.scale.back(point + offset))
            }
            None => self.spread.offsets(floor).map(|offset| floor + offset),
        }
    }

    /// The answer on the standardised scale.
    pub(super) fn read(&self, features: &[f32], past: &Past) -> Reading {
        let floor = self.recent.mean(past);
        let score = match &self.learned {
            Some(learned) => learned.score(features, self.scale.transform.forward(floor)),
            None => floor,
        };
        self.read_score(score, past)
    }

    /// The answer for a score, the learner's own or without one that of `last-k`, on the standardised scale.
    pub(super) fn read_score(&self, score: f64, past: &Past) -> Reading {
        let floor = self.scale.forward(self.recent.mean(past));
        let offsets = self.spread.offsets(score);
        match &self.learned {
            Some(learned) => Reading { point: learned.slope * score, floor, offsets },
            None => {
                Reading { point: floor, floor, offsets: offsets.map(|offset| offset / self.scale.target.deviation) }
            }
        }
    }

    /// The scale on which targets are learned.
    pub(super) fn scale(&self) -> &Scale {
        &self.scale
    }

    /// Whether there is more than `last-k`.
    pub(super) fn is_learned(&self) -> bool {
        self.learned.is_some()
    }
}

impl Scale {
    fn fit(transform: Transform, numbers: &[f64]) -> Self {
        let transformed: Vec<f64> = numbers.iter().map(|number| transform.forward(*number)).collect();
        Self { transform, target: Standard::fit(&transformed) }
    }

    /// Whether the context's numbers differ. Where they do not, nothing can be placed on the scale.
    pub(crate) fn varies(&self) -> bool {
        self.target.deviation > 0.0
    }

    /// A number on the scale.
    pub(crate) fn forward(&self, number: f64) -> f64 {
        (self.transform.forward(number) - self.target.mean) / self.target.deviation
    }

    /// The number at a place of the scale.
    pub(crate) fn back(&self, place: f64) -> f64 {
        self.transform.back(place * self.target.deviation + self.target.mean)
    }
}

impl Learned {
    /// The score, where the floor is transformed, though not standardised.
    fn score(&self, features: &[f32], floor: f64) -> f64 {
        let own = self.scorer.score(&self.inputs.row(features));
        self.blend.score(own, floor)
    }
}
