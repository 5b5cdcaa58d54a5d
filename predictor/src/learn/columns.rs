//! The column transform: what a row of features becomes before it is weighted, fitted on the context.

use faer::Mat;

use super::matrix::Matrix;
use super::metrics::count;
use super::normal::normal_score;

/// A column that is missing in more than this share of the context is dropped.
const MISSING_MAX: f64 = 0.98;
/// Standardised values are held at this many standard deviations.
const SCALED_MAX: f64 = 4.0;
/// Normal scores are held here.
const RANKED_MAX: f64 = 3.0;
/// So many columns, the ones that go with the target best, enter a second time as normal scores.
const RANKED_COLUMNS: usize = 24;

/// A fitted transform. Its output has one standardised value for each column that is kept, then the normal scores of
/// the best of them. A missing value is 0, the mean.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    inputs: usize,
    scaled: Vec<Scaled>,
    ranked: Vec<Ranked>,
}

#[derive(Debug, Clone)]
struct Scaled {
    column: usize,
    mean: f64,
    deviation: f64,
}

#[derive(Debug, Clone)]
struct Ranked {
    column: usize,
    sorted: Vec<f32>,
}

impl Columns {
    /// Fits the transform to the context. `signals` are the standardised targets, each one value per row: a column is
    /// as good as its correlation with the one that it fits best.
    pub(super) fn fit(features: &Matrix, signals: &[Vec<f64>]) -> Self {
        let mut scaled: Vec<Scaled> = Vec::new();
        let mut strengths: Vec<(f64, usize)> = Vec::new();
        let mut values: Vec<f32> = Vec::with_capacity(features.rows());
        for column in 0..features.columns() {
            values.clear();
            values.extend((0..features.rows()).map(|row| features.row(row)[column]));
            if let Some(kept) = Scaled::fit(column, &values) {
                let strength = signals.iter().map(|signal| kept.correlation(&values, signal)).fold(0.0, f64::max);
                strengths.push((strength, column));
                scaled.push(kept);
            }
        }
        strengths.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
        strengths.truncate(RANKED_COLUMNS);
        let ranked = strengths.into_iter().map(|(_, column)| Ranked::fit(column, features)).collect();
        Self { inputs: features.columns(), scaled, ranked }
    }

    /// How many columns of features there are.
    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many columns of features are used.
    pub(super) fn used(&self) -> usize {
        self.scaled.len()
    }

    /// The transformed context, one row per row of features.
    pub(super) fn design(&self, features: &Matrix) -> Mat<f64> {
        let mut design = Mat::zeros(features.rows(), self.scaled.len() + self.ranked.len());
        for row in 0..features.rows() {
            for (place, value) in self.values(features.row(row)).enumerate() {
                design[(row, place)] = value;
            }
        }
        design
    }

    /// One row, transformed.
    ///
    /// # Panics
    ///
    /// When the row has another number of features than the context.
    pub(super) fn row(&self, features: &[f32]) -> Vec<f64> {
        assert_eq!(features.len(), self.inputs, "a query has the context's features");
        self.values(features).collect()
    }

    /// Weights of the transformed columns, added up for each column of features.
    pub(super) fn per_feature(&self, weights: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.inputs];
        let columns = self.scaled.iter().map(|kept| kept.column).chain(self.ranked.iter().map(|kept| kept.column));
        for (column, weight) in columns.zip(weights) {
            sums[column] += weight;
        }
        sums
    }

    fn values(&self, features: &[f32]) -> impl Iterator<Item = f64> {
        let scaled = self.scaled.iter().map(|kept| kept.value(features[kept.column]));
        scaled.chain(self.ranked.iter().map(|kept| kept.value(features[kept.column])))
    }
}

impl Scaled {
    /// `None` for a column that is nearly always missing, or does not vary beyond rounding.
    fn fit(column: usize, values: &[f32]) -> Option<Self> {
        let present = || values.iter().filter(|value| value.is_finite()).map(|value| f64::from(*value));
        let known = count(present().count());
        if known < 1.0 || known < (1.0 - MISSING_MAX) * count(values.len()) {
            return None;
        }
        let mean = present().sum::<f64>() / known;
        let deviation = (present().map(|value| (value - mean).powi(2)).sum::<f64>() / known).sqrt();
        (deviation > 1e-6 * mean.abs() && deviation > 0.0).then_some(Self { column, mean, deviation })
    }

    fn value(&self, value: f32) -> f64 {
        if !value.is_finite() {
            return 0.0;
        }
        ((f64::from(value) - self.mean) / self.deviation).clamp(-SCALED_MAX, SCALED_MAX)
    }

    /// The absolute correlation of the standardised column with a standardised signal.
    fn correlation(&self, values: &[f32], signal: &[f64]) -> f64 {
        let rows = count(values.len());
        let (mut product, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (value, target) in values.iter().zip(signal) {
            let value = self.value(*value);
            product += value * target;
            sum += value;
            squares += value * value;
        }
        let mean = sum / rows;
        let deviation = (squares / rows - mean * mean).max(0.0).sqrt();
        (product / rows / (deviation + 1e-6)).abs()
    }
}

impl Ranked {
    fn fit(column: usize, features: &Matrix) -> Self {
        let rows = (0..features.rows()).map(|row| features.row(row)[column]);
        let mut sorted: Vec<f32> = rows.filter(|value| value.is_finite()).collect();
        sorted.sort_by(f32::total_cmp);
        Self { column, sorted }
    }

    fn value(&self, value: f32) -> f64 {
        if !value.is_finite() {
            return 0.0;
        }
        normal_score(&self.sorted, &value).clamp(-RANKED_MAX, RANKED_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[f32]]) -> Matrix {
        let mut matrix = Matrix::new(rows[0].len());
        for row in rows {
            matrix.push_row(row);
        }
        matrix
    }

    #[test]
    fn constant_and_missing_columns_are_dropped() {
        let features = matrix(&[&[1.0, 7.0, f32::NAN], &[2.0, 7.0, f32::INFINITY], &[3.0, 7.0, f32::NAN]]);
        let columns = Columns::fit(&features, &[vec![-1.0, 0.0, 1.0]]);
        assert_eq!(columns.used(), 1);
        assert_eq!(columns.per_feature(&[2.0, 3.0]), vec![5.0, 0.0, 0.0]);
    }

    #[test]
    fn a_missing_value_is_the_mean() {
        let features = matrix(&[&[1.0], &[f32::NAN], &[3.0]]);
        let columns = Columns::fit(&features, &[vec![-1.0, 0.0, 1.0]]);
        assert_eq!(columns.row(&[f32::NAN]), vec![0.0, 0.0]);
        assert_eq!(columns.row(&[f32::MAX])[0].to_bits(), SCALED_MAX.to_bits());
    }

    #[test]
    fn the_design_holds_the_same_bits_as_single_rows() {
        let features = matrix(&[&[1.0, 0.1], &[4.0, 0.7], &[9.0, f32::NAN]]);
        let columns = Columns::fit(&features, &[vec![-1.0, 0.5, 1.0]]);
        let design = columns.design(&features);
        for row in 0..3 {
            for (place, value) in columns.row(features.row(row)).into_iter().enumerate() {
                assert_eq!(design[(row, place)].to_bits(), value.to_bits());
            }
        }
    }
}
