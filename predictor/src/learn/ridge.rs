//! Ridge regression with exact leave-one-out errors, for any number of targets at the price of one.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatRef, Par};

use super::metrics::count;

/// The penalties tried, weakest first.
pub(super) const ALPHAS: [f64; 6] = [10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0];

/// 1 minus the leverage of an example is held here: below, an example is explained by itself alone.
const SLACK_MIN: f64 = 1e-3;

/// The eigendecomposition of a centred design of n examples and p columns: of its p × p Gram matrix where p <= n, else
/// of the n × n one.
///
/// For a penalty a, the fitted values are `left · (gain ∘ leftᵀ y)`, and an example's leave-one-out error is
/// `(y - fitted) / (1 - leverage - 1/n)`, where 1/n is the unpenalised intercept's leverage.
#[derive(Debug)]
pub(super) struct Ridge {
    means: Vec<f64>,
    eigenvalues: Vec<f64>,
    left: Mat<f64>,
    back: Back,
    /// 1 minus the full leverage, per penalty and example.
    slack: Vec<Vec<f64>>,
}

/// How coefficients along the eigenvectors become weights of columns.
#[derive(Debug)]
enum Back {
    /// By the p × p eigenvectors.
    Primal(Mat<f64>),
    /// By the transposed n × p design.
    Dual(Mat<f64>),
}

/// A fit for one target.
#[derive(Debug, Clone)]
pub(super) struct Solution {
    /// Per column of the design.
    pub(super) weights: Vec<f64>,
    /// Added to the weighted row.
    pub(super) intercept: f64,
    /// The penalty with the least squared leave-one-out error.
    pub(super) alpha: f64,
    /// For each example the prediction by a fit to all the others, moved by the difference that the example itself
    /// makes to the mean target: without that, held-out predictions of a weak fit are little but the mean of the
    /// others, which is low just where the target is high, and rank worse than chance.
    pub(super) held_out: Vec<f64>,
}

impl Ridge {
    /// Decomposes a design. `None` when it is empty or the solver does not converge.
    pub(super) fn new(mut design: Mat<f64>) -> Option<Self> {
        let (rows, columns) = design.shape();
        if rows == 0 || columns == 0 {
            return None;
        }
        let means = centre(&mut design);
        let primal = columns <= rows;
        let gram = if primal {
            product(design.transpose(), design.as_ref())
        } else {
            product(design.as_ref(), design.transpose())
        };
        let (eigenvalues, vectors) = decompose(&gram)?;
        let (left, back) = if primal {
            let mut left = Mat::zeros(rows, columns);
            matmul(&mut left, Accum::Replace, &design, &vectors, 1.0, Par::Seq);
            (left, Back::Primal(vectors))
        } else {
            (vectors, Back::Dual(design))
        };
        let mut ridge = Self { means, eigenvalues, left, back, slack: Vec::new() };
        ridge.slack = ALPHAS.iter().map(|alpha| ridge.slack_at(*alpha)).collect();
        Some(ridge)
    }

    /// Fits one target.
    pub(super) fn solve(&self, targets: &[f64]) -> Solution {
        let mean = targets.iter().sum::<f64>() / count(targets.len());
        let centred: Vec<f64> = targets.iter().map(|target| target - mean).collect();
        let along: Vec<f64> = (0..self.left.ncols()).map(|place| dot(self.left_column(place), &centred)).collect();
        let mut best: Option<(f64, f64, Vec<f64>)> = None;
        for (alpha, slack) in ALPHAS.iter().zip(&self.slack) {
            let fitted = self.fitted(&along, *alpha);
            let errors = centred.iter().zip(&fitted).zip(slack).map(|((target, fit), slack)| (target - fit) / slack);
            let errors: Vec<f64> = errors.collect();
            let squared = dot(&errors, &errors);
            if best.as_ref().is_none_or(|(least, ..)| squared < *least) {
                best = Some((squared, *alpha, errors));
            }
        }
        let (_, alpha, errors) = best.expect("there are penalties");
        let weights = self.weights(&along, alpha);
        let others = count(targets.len()).max(2.0) - 1.0;
        let held_out = targets.iter().zip(&errors).map(|(target, error)| target - error + (target - mean) / others);
        let held_out = held_out.collect();
        Solution { intercept: mean - dot(&self.means, &weights), weights, alpha, held_out }
    }

    fn left_column(&self, place: usize) -> &[f64] {
        self.left.col(place).try_as_col_major().expect("a matrix is stored by columns").as_slice()
    }

    /// The factor of an eigenvector in the fitted values.
    fn gain(&self, place: usize, alpha: f64) -> f64 {
        let eigenvalue = self.eigenvalues[place];
        match self.back {
            Back::Primal(_) => 1.0 / (eigenvalue + alpha),
            Back::Dual(_) => eigenvalue / (eigenvalue + alpha),
        }
    }

    fn slack_at(&self, alpha: f64) -> Vec<f64> {
        let mut slack = vec![1.0 - 1.0 / count(self.left.nrows()); self.left.nrows()];
        for place in 0..self.left.ncols() {
            let gain = self.gain(place, alpha);
            for (slack, value) in slack.iter_mut().zip(self.left_column(place)) {
                *slack -= gain * value * value;
            }
        }
        slack.into_iter().map(|slack| slack.max(SLACK_MIN)).collect()
    }

    fn fitted(&self, along: &[f64], alpha: f64) -> Vec<f64> {
        let mut fitted = vec![0.0; self.left.nrows()];
        for (place, along) in along.iter().enumerate() {
            add(&mut fitted, self.gain(place, alpha) * along, self.left_column(place));
        }
        fitted
    }

    fn weights(&self, along: &[f64], alpha: f64) -> Vec<f64> {
        let shrunk = along.iter().zip(&self.eigenvalues).map(|(along, eigenvalue)| along / (eigenvalue + alpha));
        let column = |matrix: &Mat<f64>, place: usize, onto: &mut [f64], factor: f64| {
            let values = matrix.col(place).try_as_col_major().expect("a matrix is stored by columns");
            add(onto, factor, values.as_slice());
        };
        match &self.back {
            Back::Primal(vectors) => {
                let mut weights = vec![0.0; vectors.nrows()];
                shrunk.enumerate().for_each(|(place, factor)| column(vectors, place, &mut weights, factor));
                weights
            }
            Back::Dual(design) => {
                let mut dual = vec![0.0; design.nrows()];
                shrunk.enumerate().for_each(|(place, factor)| column(&self.left, place, &mut dual, factor));
                let columns = (0..design.ncols()).map(|place| design.col(place).try_as_col_major());
                columns.map(|values| dot(values.expect("stored by columns").as_slice(), &dual)).collect()
            }
        }
    }
}

/// Takes each column's mean off it.
fn centre(design: &mut Mat<f64>) -> Vec<f64> {
    let rows = count(design.nrows());
    let columns = design.col_iter_mut().map(|column| {
        let values = column.try_as_col_major_mut().expect("a matrix is stored by columns").as_slice_mut();
        let mean = values.iter().sum::<f64>() / rows;
        values.iter_mut().for_each(|value| *value -= mean);
        mean
    });
    columns.collect()
}

/// The lower triangle of a product that is symmetric.
fn product(left: MatRef<'_, f64>, right: MatRef<'_, f64>) -> Mat<f64> {
    let mut gram = Mat::zeros(left.nrows(), right.ncols());
    triangular::matmul(
        &mut gram,
        BlockStructure::TriangularLower,
        Accum::Replace,
        left,
        BlockStructure::Rectangular,
        right,
        BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
    gram
}

/// Eigenvalues, none below 0, and eigenvectors of a symmetric matrix given by its lower triangle.
fn decompose(gram: &Mat<f64>) -> Option<(Vec<f64>, Mat<f64>)> {
    let size = gram.nrows();
    let mut values = Diag::<f64>::zeros(size);
    let mut vectors = Mat::zeros(size, size);
    let scratch = self_adjoint_evd_scratch::<f64>(size, ComputeEigenvectors::Yes, Par::Seq, faer::prelude::default());
    let mut memory = MemBuffer::new(scratch);
    self_adjoint_evd(
        gram.as_ref(),
        values.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut memory),
        faer::prelude::default(),
    )
    .ok()?;
    let values: Vec<f64> = values.column_vector().iter().map(|value| value.max(0.0)).collect();
    values.iter().all(|value| value.is_finite()).then_some((values, vectors))
}

/// The scalar product of two equally long slices.
pub(super) fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn add(onto: &mut [f64], factor: f64, values: &[f64]) {
    for (sum, value) in onto.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

#[cfg(test)]
mod tests {
    use faer::linalg::solvers::Solve;
    use proptest::prelude::*;

    use super::*;

    /// A design of the given shape with some columns doubled, and targets.
    fn problem(
        rows: std::ops::Range<usize>,
        columns: std::ops::Range<usize>,
    ) -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<f64>)> {
        (rows, columns).prop_flat_map(|(rows, columns)| {
            let row = prop::collection::vec(-4.0..4.0f64, columns).prop_map(|mut row| {
                row.push(row[0]);
                row
            });
            (prop::collection::vec(row, rows), prop::collection::vec(-1.0..1.0f64, rows))
        })
    }

    fn design(rows: &[Vec<f64>]) -> Mat<f64> {
        Mat::from_fn(rows.len(), rows[0].len(), |row, column| rows[row][column])
    }

    fn predict(solution: &Solution, row: &[f64]) -> f64 {
        solution.intercept + dot(&solution.weights, row)
    }

    /// The prediction for one row by a fit to all the others with a given penalty, from the normal equations; then
    /// moved by the difference between the mean of all targets and that of the others.
    fn refit(rows: &[Vec<f64>], targets: &[f64], left_out: usize, alpha: f64) -> f64 {
        let kept: Vec<usize> = (0..rows.len()).filter(|index| *index != left_out).collect();
        let columns = rows[0].len();
        // The intercept is a last column of ones without penalty.
        let value = |index: usize, column: usize| if column == columns { 1.0 } else { rows[index][column] };
        let system = Mat::from_fn(columns + 1, columns + 1, |i, j| {
            let penalty = if i == j && i < columns { alpha } else { 0.0 };
            kept.iter().map(|index| value(*index, i) * value(*index, j)).sum::<f64>() + penalty
        });
        let right = Mat::from_fn(columns + 1, 1, |i, _| {
            kept.iter().map(|index| value(*index, i) * targets[*index]).sum::<f64>()
        });
        let weights = system.partial_piv_lu().solve(&right);
        let predicted: f64 = (0..=columns).map(|column| weights[(column, 0)] * value(left_out, column)).sum();
        let mean = |sum: f64, over: usize| sum / count(over);
        let all = mean(targets.iter().sum(), targets.len());
        predicted + all - mean(targets.iter().sum::<f64>() - targets[left_out], targets.len() - 1)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn held_out_predictions_are_those_of_refits((rows, targets) in problem(4..24, 1..12)) {
            let solution = Ridge::new(design(&rows)).unwrap().solve(&targets);
            for (left_out, held_out) in solution.held_out.iter().enumerate() {
                let wanted = refit(&rows, &targets, left_out, solution.alpha);
                prop_assert!((held_out - wanted).abs() < 1e-9, "row {left_out}: {held_out} for {wanted}");
            }
        }

        #[test]
        fn primal_equals_dual((rows, targets) in problem(6..16, 5..14)) {
            // Columns of zeros change nothing, but tip the shape to the dual form.
            let wide: Vec<Vec<f64>> = rows
                .iter()
                .map(|row| row.iter().copied().chain(std::iter::repeat_n(0.0, rows.len())).collect())
                .collect();
            let narrow = Ridge::new(design(&rows)).unwrap();
            let tipped = Ridge::new(design(&wide)).unwrap();
            prop_assert!(matches!(tipped.back, Back::Dual(_)));
            let (one, other) = (narrow.solve(&targets), tipped.solve(&targets));
            for index in 0..rows.len() {
                prop_assert!((one.held_out[index] - other.held_out[index]).abs() < 1e-9);
                prop_assert!((predict(&one, &rows[index]) - predict(&other, &wide[index])).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_line_is_found() {
        let rows: Vec<Vec<f64>> = (0..2000).map(|index| vec![f64::from(index) / 100.0]).collect();
        let targets: Vec<f64> = rows.iter().map(|row| 3.0 * row[0] - 1.0).collect();
        let solution = Ridge::new(design(&rows)).unwrap().solve(&targets);
        assert!((predict(&solution, &[5.0]) - 14.0).abs() < 0.01);
        assert!((solution.alpha - ALPHAS[0]).abs() < 1e-12);
    }
}
