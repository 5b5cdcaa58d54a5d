//! Relative time: how long before its example a row happened, as ± log(1 + days), standardised over the context.

use super::moments::{Moments, narrow};

const MICROS_PER_DAY: f64 = 86_400_000_000.0;

/// The fitted standardisation of one table's times, column by column.
#[derive(Debug, Clone)]
pub(in super::super) struct RelativeTime {
    scales: Vec<(f32, f32)>,
}

impl RelativeTime {
    /// Fits a context's times and gives them, one column per column of times. Where there is no time it is the mean.
    pub(in super::super) fn fit(times: &[Vec<Option<i64>>], anchors: &[Option<i64>]) -> (Self, Vec<Vec<f32>>) {
        let mut recipe = Self { scales: Vec::new() };
        let mut columns = Vec::new();
        for times in times {
            let raw: Vec<Option<f32>> = relative(times, anchors);
            let known = Moments::of(raw.iter().flatten().map(|value| f64::from(*value)));
            let fill = narrow(known.mean);
            let filled: Vec<f32> = raw.iter().map(|value| value.unwrap_or(fill)).collect();
            let moments = Moments::of(filled.iter().map(|value| f64::from(*value)));
            let scale = if moments.is_constant() { 1.0 } else { narrow(moments.variance().sqrt()) };
            let mean = narrow(moments.mean);
            columns.push(filled.iter().map(|value| (value - mean) / scale).collect());
            recipe.scales.push((mean, scale));
        }
        (recipe, columns)
    }

    /// A query's times. Where there is no time it is 0.
    pub(in super::super) fn apply(&self, times: &[Vec<Option<i64>>], anchors: &[Option<i64>]) -> Vec<Vec<f32>> {
        let column = |(times, (mean, scale)): (&Vec<Option<i64>>, &(f32, f32))| {
            relative(times, anchors).iter().map(|value| value.map_or(0.0, |value| (value - mean) / scale)).collect()
        };
        times.iter().zip(&self.scales).map(column).collect()
    }
}

/// `anchors` are those of the rows' examples.
fn relative(times: &[Option<i64>], anchors: &[Option<i64>]) -> Vec<Option<f32>> {
    let value = |(time, anchor): (&Option<i64>, &Option<i64>)| {
        #[expect(clippy::cast_precision_loss, reason = "the result has 32 bits")]
        let days = narrow(anchor.as_ref()?.checked_sub(*time.as_ref()?)? as f64 / MICROS_PER_DAY);
        Some(days.abs().ln_1p().copysign(days))
    };
    times.iter().zip(anchors).map(value).collect()
}
