//! Yeo and Johnson's power transform, its exponent chosen by likelihood with a golden-section search.

use super::moments::{Moments, narrow};

/// A fitted transform, followed by standardising.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Power {
    lambda: f64,
    mean: f32,
    scale: f32,
}

/// As many as the reference takes.
const STEPS: usize = 44;

impl Power {
    /// Of a column, with an exponent of its choice.
    pub(super) fn fit(column: &[f32], exponent: impl FnOnce(&[f32]) -> f64) -> Self {
        let values = column.iter().map(|value| f64::from(*value));
        let lambda = if Moments::of(values.clone()).is_constant() { 1.0 } else { exponent(column) };
        let moments = Moments::of(values.map(|value| transform(value, lambda)));
        let scale = if moments.is_constant() { 1.0 } else { moments.variance().sqrt() };
        Self { lambda, mean: narrow(moments.mean), scale: narrow(scale) }
    }

    pub(super) fn apply(&self, value: f32) -> f32 {
        let value = (narrow(transform(f64::from(value), self.lambda)) - self.mean) / self.scale;
        value.clamp(f32::MIN, f32::MAX)
    }
}

fn transform(value: f64, lambda: f64) -> f64 {
    let epsilon = f64::from(f32::EPSILON);
    let exponent = if value >= 0.0 { lambda } else { 2.0 - lambda };
    let log = value.abs().ln_1p();
    let size = if exponent.abs() < epsilon { log } else { (exponent * log).exp_m1() / exponent };
    size.copysign(value)
}

/// The exponents between which no number of the column leaves the range of 32 bits.
fn bounds(column: &[f32]) -> (f64, f64) {
    let largest = column.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let log = (20.0 * f64::from(largest)).ln_1p();
    let log_epsilon = f64::from(f32::EPSILON).ln();
    let lower = (f64::from(f32::MIN_POSITIVE).ln() - log_epsilon) / 2.0 / log;
    let upper = (f64::from(f32::MAX).ln() + log_epsilon) / 2.0 / log;
    let (negative, positive) = (column.iter().any(|value| *value < 0.0), column.iter().any(|value| *value >= 0.0));
    match (negative, positive) {
        (true, false) => (2.0 - upper, 2.0 - lower),
        (true, true) => {
            let lower = (2.0 - upper).max(lower);
            (lower, (2.0 - lower).min(upper))
        }
        _ => (lower, upper),
    }
}

/// The likeliest exponent. The likelihood is flat there: the reference searches it in 32 bits, and finds exponents that
/// change by up to 1e-3 with the order of the rows.
pub(super) fn likeliest(column: &[f32]) -> f64 {
    let jacobian: f64 = column.iter().map(|value| f64::from(*value).abs().ln_1p().copysign(f64::from(*value))).sum();
    let likelihood = |lambda: f64| {
        let moments = Moments::of(column.iter().map(|value| transform(f64::from(*value), lambda)));
        let variance = moments.variance();
        if variance < f64::from(f32::MIN_POSITIVE) || !variance.is_finite() {
            return f64::NEG_INFINITY;
        }
        (lambda - 1.0) * jacobian - moments.count / 2.0 * variance.ln()
    };
    let ratio = (5.0f64.sqrt() - 1.0) / 2.0;
    let (mut left, mut right) = bounds(column);
    let (mut low, mut high) = (right - ratio * (right - left), left + ratio * (right - left));
    let (mut at_low, mut at_high) = (likelihood(low), likelihood(high));
    for _ in 0..STEPS {
        if at_low < at_high {
            left = low;
            (low, at_low) = (high, at_high);
            high = left + ratio * (right - left);
            at_high = likelihood(high);
        } else {
            right = high;
            (high, at_high) = (low, at_low);
            low = right - ratio * (right - left);
            at_low = likelihood(low);
        }
    }
    f64::midpoint(left, right)
}
