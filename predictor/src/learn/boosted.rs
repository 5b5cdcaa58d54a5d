//! A gradient-boosted ensemble of trees, by the `forust-ml` library, and its out-of-fold scores.

use std::fmt;
use std::sync::Arc;

use forust_ml::gradientbooster::GrowPolicy;
use forust_ml::objective::ObjectiveType;
use forust_ml::sampler::SampleMethod;
use forust_ml::{GradientBooster, Matrix as Values};

use super::examples::Examples;
use super::metrics::count;

/// Trees in an ensemble, and how far each one goes.
const TREES: usize = 100;
const LEARNING_RATE: f32 = 0.08;
/// Leaves of one tree: enough for interactions of a few columns.
const LEAVES_MAX: usize = 8;
/// Candidate thresholds of one column.
const BINS: u16 = 64;
/// Examples in a leaf, at least.
const LEAF_EXAMPLES_MIN: f32 = 20.0;
/// Penalty on the squared value of a leaf, in examples.
const LEAF_PENALTY: f32 = 10.0;
/// The share of the examples that one tree sees.
const EXAMPLES_SHARE: f32 = 0.5;
/// Columns that one tree sees, about; at least a twentieth of them. Histories repeat each other, and time grows with it.
const COLUMNS_PER_TREE: f64 = 30.0;
const COLUMNS_SHARE_MIN: f64 = 0.05;
/// Blocks of time for out-of-fold scores.
const FOLDS: usize = 3;
/// With so many examples the newest block is enough, for the price of less than one more ensemble instead of three.
const ONE_FOLD_EXAMPLES: usize = 3_000;

/// What the ensemble minimises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Of the log-odds of 0 or 1.
    Logistic,
    /// Of numbers.
    Squared,
}

/// A fitted ensemble. Nothing of it depends on a clock, the environment or the number of threads: it runs on one.
#[derive(Clone)]
pub(super) struct Boosted(Arc<GradientBooster>);

impl fmt::Debug for Boosted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Boosted").field("trees", &self.0.trees.len()).finish_non_exhaustive()
    }
}

/// The examples' values, column by column, as the library takes them.
#[derive(Debug)]
pub(super) struct Table {
    columns: usize,
    rows: usize,
    values: Vec<f64>,
}

impl Table {
    /// The given columns of features; what is not finite is missing.
    pub(super) fn new(examples: &Examples, columns: &[usize]) -> Self {
        let rows = examples.features.rows();
        let mut values = Vec::with_capacity(rows * columns.len());
        for column in columns {
            values.extend((0..rows).map(|row| present(examples.features.row(row)[*column])));
        }
        Self { columns: columns.len(), rows, values }
    }

    /// The rows outside a range.
    fn without(&self, left_out: &std::ops::Range<usize>) -> Self {
        let rows = self.rows - left_out.len();
        let mut values = Vec::with_capacity(rows * self.columns);
        for column in self.values.chunks(self.rows) {
            values.extend_from_slice(&column[..left_out.start]);
            values.extend_from_slice(&column[left_out.end..]);
        }
        Self { columns: self.columns, rows, values }
    }

    fn row(&self, row: usize) -> Vec<f64> {
        self.values.iter().skip(row).step_by(self.rows).copied().collect()
    }
}

impl Boosted {
    /// Fits all rows.
    pub(super) fn fit(table: &Table, targets: &[f64], loss: Loss) -> Result<Self, String> {
        // The weight of a leaf is the sum of second derivatives: 1/4 per example at even odds.
        let share = targets.iter().sum::<f64>() / count(targets.len()).max(1.0);
        let (objective, per_example) = match loss {
            Loss::Logistic => (ObjectiveType::LogLoss, share * (1.0 - share)),
            Loss::Squared => (ObjectiveType::SquaredLoss, 1.0),
        };
        #[expect(clippy::cast_possible_truncation, reason = "at most 1")]
        let per_example = per_example as f32;
        let columns_share = (COLUMNS_PER_TREE / count(table.columns)).clamp(COLUMNS_SHARE_MIN, 1.0);
        let mut booster = GradientBooster::default()
            .set_objective_type(objective)
            .set_iterations(TREES)
            .set_learning_rate(LEARNING_RATE)
            .set_max_depth(8)
            .set_max_leaves(LEAVES_MAX)
            .set_nbins(BINS)
            .set_min_leaf_weight(LEAF_EXAMPLES_MIN * per_example)
            .set_l2(LEAF_PENALTY * per_example)
            .set_sample_method(SampleMethod::Random)
            .set_subsample(EXAMPLES_SHARE)
            .set_colsample_bytree(columns_share)
            .set_initialize_base_score(true)
            .set_allow_missing_splits(true)
            .set_parallel(false);
        booster.grow_policy = GrowPolicy::LossGuide;
        let values = Values::new(&table.values, table.rows, table.columns);
        booster.fit_unweighted(&values, targets, None).map_err(|error| format!("trees cannot be grown: {error}"))?;
        if booster.trees.iter().flat_map(|tree| &tree.nodes).any(|node| !node.weight_value.is_finite()) {
            return Err("trees grew leaves that are not finite".into());
        }
        Ok(Self(Arc::new(booster)))
    }

    /// For the newest rows, all of them where they are few, what an ensemble says that was fitted without them and
    /// their neighbours in time: rows come oldest first, and a fold is a block of them.
    pub(super) fn held_out(table: &Table, targets: &[f64], loss: Loss) -> Result<Vec<f64>, String> {
        let mut scores = Vec::with_capacity(table.rows);
        let oldest = if table.rows < ONE_FOLD_EXAMPLES { 0 } else { FOLDS - 1 };
        for fold in oldest..FOLDS {
            let block = fold * table.rows / FOLDS..(fold + 1) * table.rows / FOLDS;
            let others: Vec<f64> = [&targets[..block.start], &targets[block.end..]].concat();
            let fitted = Self::fit(&table.without(&block), &others, loss)?;
            scores.extend(block.map(|row| fitted.score(&table.row(row))));
        }
        Ok(scores)
    }

    /// The log-odds or the number for a row of the fitted columns.
    pub(super) fn score(&self, row: &[f64]) -> f64 {
        let trees = self.0.trees.iter().map(|tree| tree.predict_row_from_row_slice(row, &f64::NAN));
        self.0.base_score + trees.sum::<f64>()
    }
}

/// A value as the library takes it.
pub(super) fn present(value: f32) -> f64 {
    if value.is_finite() { f64::from(value) } else { f64::NAN }
}
