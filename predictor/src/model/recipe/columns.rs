//! From the raw numbers of one column to what the network reads: missing values become the mean, then the column is
//! standardised, held within ±100, for every second estimator transformed by a power, and bent towards four standard
//! deviations.

use super::moments::{Moments, narrow};
use super::power::Power;

/// Beyond this many standard deviations numbers grow like logarithms.
const SIGMAS: f64 = 4.0;

/// What all estimators share of one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    missing: f32,
    mean: f32,
    scale: f32,
}

/// What one kind of estimator adds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    power: Option<Power>,
    lower: f32,
    upper: f32,
}

/// The column with its missing values filled in, and the value that fills them.
pub(super) fn impute(column: &[f32]) -> (Vec<f32>, f32) {
    let missing = narrow(Moments::of(column.iter().map(|value| f64::from(*value))).mean);
    (column.iter().map(|value| if value.is_nan() { missing } else { *value }).collect(), missing)
}

/// Whether the column says anything: of several rows at least one differs.
pub(super) fn varies(column: &[f32]) -> bool {
    #[expect(clippy::float_cmp, reason = "constant means the very same number")]
    let differs = |value: &f32| *value != column[0];
    column.len() <= 1 || column.iter().any(differs)
}

impl Scale {
    /// Of a column without missing values, `missing` being what filled them.
    pub(super) fn fit(column: &[f32], missing: f32) -> Self {
        let moments = Moments::of(column.iter().map(|value| f64::from(*value)));
        Self { missing, mean: narrow(moments.mean), scale: narrow(moments.variance().sqrt()) + 1e-6 }
    }

    pub(super) fn apply(&self, value: f32) -> f32 {
        let value = if value.is_nan() { self.missing } else { value };
        ((value - self.mean) / self.scale).clamp(-100.0, 100.0)
    }
}

impl Shape {
    /// Of a column that has been standardised.
    pub(super) fn fit(column: &[f32], power: Option<Power>) -> Self {
        let values: Vec<f32> = column.iter().map(|value| power.map_or(*value, |power| power.apply(*value))).collect();
        let (lower, upper) = bounds(&values);
        Self { power, lower: narrow(lower), upper: narrow(upper) }
    }

    pub(super) fn apply(&self, value: f32) -> f32 {
        let value = self.power.map_or(value, |power| power.apply(value));
        let log = value.abs().ln_1p();
        (self.lower - log).max(value).min(log + self.upper)
    }
}

/// Four standard deviations to either side of the mean, both taken again without what lies outside.
fn bounds(values: &[f32]) -> (f64, f64) {
    let around = |moments: Moments| {
        let spread = (moments.squares / (moments.count - 1.0).max(1.0)).sqrt().max(1e-6);
        (moments.mean - SIGMAS * spread, moments.mean + SIGMAS * spread)
    };
    let values = values.iter().map(|value| f64::from(*value));
    let (lower, upper) = around(Moments::of(values.clone()));
    let kept = Moments::of(values.filter(|value| (lower..=upper).contains(value)));
    if kept.count > 0.0 { around(kept) } else { (lower, upper) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_values_stand_at_the_mean() {
        let (filled, missing) = impute(&[1.0, f32::NAN, 3.0]);
        assert_eq!(filled, [1.0, 2.0, 3.0]);
        assert!(Scale::fit(&filled, missing).apply(f32::NAN).abs() < 1e-6);
    }

    #[test]
    fn outliers_are_bent_not_cut() {
        let mut column: Vec<f32> = (0..200u8).map(|step| f32::from(step % 7) - 3.0).collect();
        column[0] = 90.0;
        let shape = Shape::fit(&column, None);
        let (far, further) = (shape.apply(90.0), shape.apply(95.0));
        assert!(far < 20.0 && further > far, "{far}, {further}");
        assert!((shape.apply(2.0) - 2.0).abs() < 1e-6);
    }
}
