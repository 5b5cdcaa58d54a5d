//! The baseline as a starting point for a member that corrects it.
//!
//! A task is one question or, with classes, several: each class against the rest. For a question the baseline gives
//! one number per row, the log-odds or a place on the standardised scale: for rows of its own context the held-out one,
//! which was made without the row's own target, so that the corrector sees the same kind of error everywhere.

use super::Member;
use super::binary;
use super::classes;
use super::examples::{Examples, Past, Targets};
use super::fitted::Model;
use super::numbers::{self, Scale};

/// What the baseline says of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    /// Log-odds, or the middle on the standardised scale.
    pub(crate) point: f64,
    /// The same by `last-k`.
    pub(crate) floor: f64,
    /// For numbers: what to add to the point at each of [`relational::Prediction::LEVELS`].
    pub(crate) offsets: [f64; 9],
}

/// What is asked of every row, with the context's answers.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) kind: Kind,
    /// For each example 0 or 1, or the number on the standardised scale.
    pub(crate) truths: Vec<f64>,
    /// For each example.
    pub(crate) held_out: Vec<Reading>,
}

/// How a target is read.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Yes or no.
    Binary,
    /// Whether it is this class.
    Class(usize),
    /// How much.
    Number(Scale),
}

/// A baseline, with what it was asked.
#[derive(Debug, Clone)]
pub(crate) struct Anchor {
    pub(super) model: Model,
    pub(crate) questions: Vec<Question>,
    /// Whether the baseline knows more than `last-k`.
    pub(crate) learned: bool,
}

impl Anchor {
    /// Fits the baseline to examples in canonical order.
    pub(crate) fn fit(examples: &Examples) -> Self {
        match &examples.targets {
            Targets::Binary(truths) => {
                let (model, _, logits) = binary::fit(Member::Baseline, examples, truths);
                let truths = truths.iter().map(|truth| f64::from(*truth)).collect();
                let floors = examples.past.iter().map(|past| model.floor(past));
                let question = Question::of_log_odds(Kind::Binary, truths, &logits, floors);
                let learned = model.is_learned();
                Self { model: Model::Binary(model), questions: vec![question], learned }
            }
            Targets::Classes { classes, labels } => {
                let (model, _, logits) = classes::fit(Member::Baseline, examples, labels, *classes);
                let question = |(class, logits): (usize, &Vec<f64>)| {
                    let truths = labels.iter().map(|label| f64::from(*label as usize == class)).collect();
                    let floors = examples.past.iter().map(|past| model.floor(class, past));
                    Question::of_log_odds(Kind::Class(class), truths, logits, floors)
                };
                let questions = model.questions().into_iter().zip(&logits).map(question).collect();
                let learned = model.is_learned();
                Self { model: Model::Classes(model), questions, learned }
            }
            Targets::Numbers(numbers) => {
                let (model, _, scores) = numbers::fit(Member::Baseline, examples, numbers);
                let scale = model.scale().clone();
                let truths = numbers.iter().map(|number| scale.forward(*number)).collect();
                let rows = scores.iter().zip(&examples.past);
                let held_out = rows.map(|(score, past)| model.read_score(*score, past)).collect();
                let question = Question { kind: Kind::Number(scale), truths, held_out };
                let learned = model.is_learned();
                Self { model: Model::Numbers(model), questions: vec![question], learned }
            }
        }
    }

    /// What the baseline says of a query, for each question.
    pub(crate) fn read(&self, features: &[f32], past: &Past) -> Vec<Reading> {
        match &self.model {
            Model::Binary(model) => vec![model.read(features, past)],
            Model::Classes(model) => model.read(features, past),
            Model::Numbers(model) => vec![model.read(features, past)],
        }
    }
}

impl Reading {
    /// Of a question of yes or no.
    pub(super) fn of_log_odds(point: f64, floor: f64) -> Self {
        Self { point, floor, offsets: [0.0; 9] }
    }
}

impl Question {
    fn of_log_odds(kind: Kind, truths: Vec<f64>, logits: &[f64], floors: impl Iterator<Item = f64>) -> Self {
        let held_out = logits.iter().zip(floors).map(|(logit, floor)| Reading::of_log_odds(*logit, floor)).collect();
        Self { kind, truths, held_out }
    }
}

impl Kind {
    /// A target of a row's own past, read as the question's targets are; `None` where it cannot be.
    pub(crate) fn read(&self, label: f64) -> Option<f64> {
        if !label.is_finite() {
            return None;
        }
        match self {
            Self::Binary => Some(label.clamp(0.0, 1.0)),
            #[expect(clippy::cast_precision_loss, reason = "classes are counted in 32 bits")]
            Self::Class(class) => Some(f64::from((label - *class as f64).abs() < 0.5)),
            Self::Number(scale) => Some(scale.forward(label.clamp(-1e100, 1e100))),
        }
    }
}
