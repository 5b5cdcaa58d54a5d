//! What fitting gives.

use relational::{Prediction, Value};

use super::Member;
use super::auto::Mixed;
use super::binary::Binary;
use super::classes::Classes;
use super::crosses::Crosses;
use super::examples::Past;
use super::last_k::Source;
use super::numbers::Numbers;
use crate::small::Corrected;

/// The answer for one query.
#[derive(Debug, Clone, PartialEq)]
pub enum Estimate {
    /// The probability of true.
    Binary(f64),
    /// A probability for each class; they add up to 1.
    Classes(Vec<f64>),
    /// Values at [`relational::Prediction::LEVELS`], never decreasing.
    Quantiles([f64; 9]),
}

impl Estimate {
    /// In the words of a score; `classes` are in the learner's order.
    #[must_use]
    pub fn prediction(self, classes: &[Value]) -> Prediction {
        match self {
            Self::Binary(probability) => Prediction::Binary(probability),
            Self::Classes(shares) => Prediction::Multiclass(classes.iter().cloned().zip(shares).collect()),
            Self::Quantiles(values) => Prediction::Quantiles(values),
        }
    }
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The member that gave it.
    pub name: String,
    /// How much it counts.
    pub weight: f64,
    /// What it says alone.
    pub estimate: Estimate,
}

/// What a fit says of itself. Held-out figures are of the member that answers: for every example the prediction that
/// was made without it; for `foreshore-small` of the newest examples only, by a fit to the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostics {
    /// Examples in the context.
    pub examples: usize,
    /// Columns of features that are used; 0 for `last-k` and `constant`.
    pub columns: usize,
    /// The ridge penalty that was chosen; for classes the most frequent class's.
    pub alpha: Option<f64>,
    /// The weight of `last-k` in the scores, from 0 to 1.
    pub floor_weight: f64,
    /// The share of true in the population, for a binary target.
    pub base_rate: Option<f64>,
    /// Held-out area under the ROC curve; for classes the mean of one against the rest.
    pub auroc: Option<f64>,
    /// Held-out log loss in nats, at the context's own shares of the classes.
    pub log_loss: Option<f64>,
    /// Held-out mean absolute error, for a number.
    pub mean_absolute_error: Option<f64>,
    /// Steps of the calibration's solver, the most that any class took.
    pub iterations: u32,
    /// Whether every solver converged.
    pub converged: bool,
    /// What `last-k` looks at.
    pub source: Source,
    /// How many of the newest values `last-k` looks at; none for `constant`.
    pub newest: Vec<usize>,
    /// How many values' worth of the base rate `last-k` mixes in.
    pub strength: f64,
}

/// A member fitted to a context. Predictions of one query are the same bits alone or among others.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// What is added to the features.
    pub(super) crosses: Crosses,
    pub(super) answers: Member,
    pub(super) model: Model,
    pub(super) report: Report,
}

#[derive(Debug, Clone)]
pub(super) enum Model {
    Constant(Estimate),
    Binary(Binary),
    Classes(Classes),
    Numbers(Numbers),
    Corrected(Box<Corrected>),
    Mixed(Mixed),
}

/// What comes with a model.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) diagnostics: Diagnostics,
    /// Why a simpler member answers instead.
    pub(super) fallback: Option<String>,
    pub(super) weights: Vec<f64>,
}

impl Fitted {
    /// The answer for a query with these features and this past.
    ///
    /// # Panics
    ///
    /// When the query has another number of features than the context.
    #[must_use]
    pub fn predict(&self, features: &[f32], past: &Past) -> Estimate {
        let features = &*self.crosses.beside(features, past);
        match &self.model {
            Model::Constant(estimate) => estimate.clone(),
            Model::Binary(binary) => Estimate::Binary(binary.predict(features, past)),
            Model::Classes(classes) => Estimate::Classes(classes.predict(features, past)),
            Model::Numbers(numbers) => Estimate::Quantiles(numbers.predict(features, past)),
            Model::Corrected(corrected) => corrected.predict(features, past),
            Model::Mixed(mixed) => mixed.predict(features, past),
        }
    }

    /// What the answer for a query is made of: every expert of a mix, or what a network corrects; otherwise the answer
    /// alone.
    #[must_use]
    pub fn parts(&self, features: &[f32], past: &Past) -> Vec<Part> {
        match &self.model {
            Model::Mixed(mixed) => mixed.parts(&self.crosses.beside(features, past), past),
            Model::Corrected(corrected) => {
                let features = &*self.crosses.beside(features, past);
                let anchor = if corrected.is_learned() { Member::Baseline } else { Member::LastK };
                let estimate = corrected.uncorrected(features, past);
                vec![Part { name: anchor.name().to_owned(), weight: 1.0, estimate }]
            }
            _ => vec![Part { name: self.name(), weight: 1.0, estimate: self.predict(features, past) }],
        }
    }

    /// What turns the parts into the answer.
    #[must_use]
    pub fn added_to_parts(&self) -> &'static str {
        if matches!(self.model, Model::Corrected(_)) { "correction" } else { "mixing" }
    }

    /// The member that answers: the one that was asked for, or the one that it fell back to.
    #[must_use]
    pub fn member(&self) -> Member {
        self.answers
    }

    /// The member that answers, by name; for a mix with its experts and how much each counts:
    /// `auto (baseline 0.62, trees 0.38)`, and with weights of the task's own `foreshore-small (fine-tuned)`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.model {
            Model::Mixed(mixed) => format!("{} ({})", self.answers.name(), mixed.describe()),
            Model::Corrected(corrected) if corrected.is_fine_tuned() => format!("{} (fine-tuned)", self.answers.name()),
            _ => self.answers.name().to_owned(),
        }
    }

    /// Why the member that answers is not the one that was asked for, with the figures.
    #[must_use]
    pub fn fallback(&self) -> Option<&str> {
        self.report.fallback.as_deref()
    }

    /// Says why it answers in the place of another member.
    pub(super) fn instead(mut self, reason: String) -> Self {
        let further = self.report.fallback.map(|further| format!("; baseline: {further}"));
        self.report.fallback = Some(reason + &further.unwrap_or_default());
        self
    }

    /// What the fit says of itself.
    #[must_use]
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.report.diagnostics
    }

    /// For each column of features its weight: how far the log-odds (for numbers: the target, in standard deviations
    /// of its transformed scale; for classes: the log-odds of the class that it moves most, without sign) move when
    /// the feature moves by one standard deviation. 0 for columns that are not used; empty for
    /// `constant`, `last-k` and `trees`. Of `foreshore-small` the weights of its anchor.
    #[must_use]
    pub fn weights(&self) -> &[f64] {
        &self.report.weights
    }
}

impl Report {
    /// Of `last-k`, before anything is learned from the features.
    pub(super) fn of_last_k(examples: usize, source: Source, newest: &[usize], strength: f64) -> Self {
        let diagnostics = Diagnostics {
            examples,
            columns: 0,
            alpha: None,
            floor_weight: 1.0,
            base_rate: None,
            auroc: None,
            log_loss: None,
            mean_absolute_error: None,
            iterations: 0,
            converged: true,
            source,
            newest: newest.to_vec(),
            strength,
        };
        Self { diagnostics, fallback: None, weights: Vec::new() }
    }
}
