//! What learns from the features: the part in which `baseline` and `trees` differ.

use super::boosted::{Boosted, Loss, Table, present};
use super::columns::Columns;
use super::examples::Examples;
use super::ridge::{Ridge, dot};

/// What learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Ridge regression, for `baseline`.
    Ridge,
    /// An ensemble of trees, for `trees`.
    Trees,
}

/// A context made ready for any number of targets.
#[derive(Debug)]
pub(super) struct Learner {
    /// What a row of features becomes first.
    pub(super) inputs: Inputs,
    prepared: Prepared,
}

#[derive(Debug)]
enum Prepared {
    Ridge(Ridge),
    Trees(Table),
}

/// What a row of features becomes before it is scored.
#[derive(Debug, Clone)]
pub(super) enum Inputs {
    /// Standardised, for `baseline`.
    Scaled(Columns),
    /// The columns that vary, as they are, for `trees`.
    Plain {
        /// Columns of features, used or not.
        inputs: usize,
        /// Those used.
        used: Vec<usize>,
    },
}

/// Gives a score to a row of inputs.
#[derive(Debug, Clone)]
pub(super) enum Scorer {
    /// A weighted sum.
    Linear {
        /// One per input.
        weights: Vec<f64>,
        /// Added to the sum.
        intercept: f64,
    },
    /// An ensemble of trees.
    Boosted(Boosted),
}

/// A fit for one target.
#[derive(Debug, Clone)]
pub(super) struct Solved {
    pub(super) scorer: Scorer,
    /// For each of the newest examples, for all by ridge regression, the score by a fit that did not see it.
    pub(super) held_out: Vec<f64>,
    /// The ridge penalty.
    pub(super) alpha: Option<f64>,
}

impl Learner {
    /// Makes a context ready. `signals` are the standardised targets.
    pub(super) fn new(kind: Kind, examples: &Examples, signals: &[Vec<f64>]) -> Result<Self, String> {
        let none = || format!("none of the {} columns of features varies", examples.features.columns());
        if kind == Kind::Trees {
            let inputs = examples.features.columns();
            let used: Vec<usize> = (0..inputs).filter(|column| varies(examples, *column)).collect();
            if used.is_empty() {
                return Err(none());
            }
            let prepared = Prepared::Trees(Table::new(examples, &used));
            return Ok(Self { inputs: Inputs::Plain { inputs, used }, prepared });
        }
        let columns = Columns::fit(&examples.features, signals);
        if columns.used() == 0 {
            return Err(none());
        }
        let ridge = Ridge::new(columns.design(&examples.features));
        let ridge = ridge.ok_or_else(|| "the eigendecomposition did not converge".to_string())?;
        Ok(Self { inputs: Inputs::Scaled(columns), prepared: Prepared::Ridge(ridge) })
    }

    /// Fits one target.
    pub(super) fn solve(&self, targets: &[f64], loss: Loss) -> Result<Solved, String> {
        match &self.prepared {
            Prepared::Ridge(ridge) => {
                let solution = ridge.solve(targets);
                let scorer = Scorer::Linear { weights: solution.weights, intercept: solution.intercept };
                Ok(Solved { scorer, held_out: solution.held_out, alpha: Some(solution.alpha) })
            }
            Prepared::Trees(table) => {
                let held_out = Boosted::held_out(table, targets, loss)?;
                let scorer = Scorer::Boosted(Boosted::fit(table, targets, loss)?);
                Ok(Solved { scorer, held_out, alpha: None })
            }
        }
    }

    /// How the held-out scores were made, for messages.
    pub(super) fn held_out_name(&self) -> &'static str {
        match self.prepared {
            Prepared::Ridge(_) => "leave-one-out",
            Prepared::Trees(_) => "out-of-fold",
        }
    }
}

fn varies(examples: &Examples, column: usize) -> bool {
    let rows = 0..examples.features.rows();
    let mut values = rows.map(|row| present(examples.features.row(row)[column]).to_bits());
    values.next().is_some_and(|first| values.any(|value| value != first))
}

impl Inputs {
    /// How many columns of features there are.
    pub(super) fn inputs(&self) -> usize {
        match self {
            Self::Scaled(columns) => columns.inputs(),
            Self::Plain { inputs, .. } => *inputs,
        }
    }

    /// How many columns of features are used.
    pub(super) fn used(&self) -> usize {
        match self {
            Self::Scaled(columns) => columns.used(),
            Self::Plain { used, .. } => used.len(),
        }
    }

    /// A row of features as inputs.
    ///
    /// # Panics
    ///
    /// When the row has another number of features than the context.
    pub(super) fn row(&self, features: &[f32]) -> Vec<f64> {
        match self {
            Self::Scaled(columns) => columns.row(features),
            Self::Plain { inputs, used } => {
                assert_eq!(features.len(), *inputs, "a query has the context's features");
                used.iter().map(|column| present(features[*column])).collect()
            }
        }
    }
}

impl Scorer {
    /// The score of a row of inputs.
    pub(super) fn score(&self, row: &[f64]) -> f64 {
        match self {
            Self::Linear { weights, intercept } => intercept + dot(weights, row),
            Self::Boosted(boosted) => boosted.score(row),
        }
    }

    /// For each column of features how much the score rises with its input; nothing for trees.
    pub(super) fn per_feature(&self, inputs: &Inputs) -> Vec<f64> {
        match (self, inputs) {
            (Self::Linear { weights, .. }, Inputs::Scaled(columns)) => columns.per_feature(weights),
            _ => Vec::new(),
        }
    }
}
