//! Numbers.

use super::Member;
use super::binary::{EXAMPLES_MIN, decompose};
use super::columns::Columns;
use super::examples::{Examples, Past};
use super::fitted::Report;
use super::last_k::Recent;
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
    /// Around the prediction: on the transformed scale when something was learned, else on the numbers' own.
    spread: Spread,
}

/// Ridge on transformed, standardised targets, blended with `last-k`.
#[derive(Debug, Clone)]
struct Learned {
    columns: Columns,
    weights: Vec<f64>,
    intercept: f64,
    transform: Transform,
    target: Standard,
    blend: Blend,
    /// Standard deviations of the target per unit of the blended score: shrinks towards the mean.
    slope: f64,
}

/// Fits the member to examples in canonical order.
pub(super) fn fit(member: Member, examples: &Examples, numbers: &[f64]) -> (Numbers, Report) {
    let recent = Recent::fit_numbers(&examples.past, numbers);
    let floor: Vec<f64> = examples.past.iter().map(|past| recent.mean(past)).collect();
    let mut report = Report::of_last_k(numbers.len(), recent.source, recent.newest, recent.strength);
    report.diagnostics.mean_absolute_error = mean_absolute_error(&floor, numbers);
    if member == Member::Baseline {
        match learn(examples, numbers, &floor, &mut report) {
            Ok((learned, spread)) => return (Numbers { recent, learned: Some(learned), spread }, report),
            Err(reason) => report.fallback = Some(reason),
        }
    }
    let residuals: Vec<f64> = numbers.iter().zip(&floor).map(|(number, floor)| number - floor).collect();
    (Numbers { recent, learned: None, spread: Spread::fit(&floor, &residuals) }, report)
}

/// The reason on failure; the report is touched on success only.
fn learn(
    examples: &Examples,
    numbers: &[f64],
    floor: &[f64],
    report: &mut Report,
) -> Result<(Learned, Spread), String> {
    if numbers.len() < EXAMPLES_MIN {
        return Err(format!("{} examples: at least {EXAMPLES_MIN} are needed", numbers.len()));
    }
    let transform = Transform::fit(numbers);
    let forward = |values: &[f64]| values.iter().map(|value| transform.forward(*value)).collect::<Vec<f64>>();
    let transformed = forward(numbers);
    let target = Standard::fit(&transformed);
    if target.deviation <= 0.0 {
        return Err(format!("all {} targets are equal", numbers.len()));
    }
    let standardised: Vec<f64> = transformed.iter().map(|value| (value - target.mean) / target.deviation).collect();
    let columns = Columns::fit(&examples.features, std::slice::from_ref(&standardised));
    let solution = decompose(&columns, examples)?.solve(&standardised);
    let own = Standard::fit(&solution.held_out);
    let products = solution.held_out.iter().zip(&standardised).map(|(score, value)| own.scale(*score) * value);
    let agreement = products.sum::<f64>() / count(numbers.len());
    if agreement <= 0.0 {
        return Err(format!(
            "leave-one-out correlation {agreement:.3} on {} examples and {} columns is no better than chance",
            numbers.len(),
            columns.used()
        ));
    }
    let blend = Blend::fit(&solution.held_out, &forward(floor));
    let scores: Vec<f64> =
        solution.held_out.iter().zip(forward(floor)).map(|(own, floor)| blend.score(*own, floor)).collect();
    let slope = (dot(&scores, &standardised) / dot(&scores, &scores).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
    report.diagnostics.columns = columns.used();
    report.diagnostics.alpha = Some(solution.alpha);
    report.diagnostics.floor_weight = blend.weight;
    let per_unit = blend.slope() * slope;
    report.weights = columns.per_feature(&solution.weights).iter().map(|weight| weight * per_unit).collect();
    let residuals: Vec<f64> = scores.iter().zip(&standardised).map(|(score, value)| value - slope * score).collect();
    let spread = Spread::fit(&scores, &residuals);
    let learned =
        Learned { columns, weights: solution.weights, intercept: solution.intercept, transform, target, blend, slope };
    let points: Vec<f64> = scores.iter().map(|score| learned.quantiles(*score, &spread)[4]).collect();
    report.diagnostics.mean_absolute_error = mean_absolute_error(&points, numbers);
    Ok((learned, spread))
}

impl Numbers {
    /// Values at the levels of [`relational::Prediction::LEVELS`].
    pub(super) fn predict(&self, features: &[f32], past: &Past) -> [f64; 9] {
        let floor = self.recent.mean(past);
        match &self.learned {
            Some(learned) => learned.quantiles(learned.score(features, floor), &self.spread),
            None => self.spread.offsets(floor).map(|offset| floor + offset),
        }
    }
}

impl Learned {
    fn score(&self, features: &[f32], floor: f64) -> f64 {
        let own = self.intercept + dot(&self.weights, &self.columns.row(features));
        self.blend.score(own, self.transform.forward(floor))
    }

    fn quantiles(&self, score: f64, spread: &Spread) -> [f64; 9] {
        let point = self.slope * score;
        let place = |offset: f64| (point + offset) * self.target.deviation + self.target.mean;
        spread.offsets(score).map(|offset| self.transform.back(place(offset)))
    }
}
