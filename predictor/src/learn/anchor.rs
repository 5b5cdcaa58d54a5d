//! The baseline as a starting point for a member that corrects it.
//!
//! A task is one question or, with classes, several: each class against the rest. For a question the baseline gives
//! one number per row, the log-odds or a place on the standardised scale: for rows of its own context the held-out one,
//! which was made without the row's own target, so that the corrector sees the same kind of error everywhere.

use super::binary::{self, Binary};
use super::classes::{self, Classes};
use super::examples::{Examples, Past, Targets};
use super::fitted::{Estimate, Model, Report};
use super::learner;
use super::numbers::{self, Numbers, Scale};

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

/// A baseline.
#[derive(Debug, Clone)]
pub(crate) struct Anchor {
    base: Base,
    report: Report,
    /// Whether the baseline knows more than `last-k`.
    pub(crate) learned: bool,
}

#[derive(Debug, Clone)]
enum Base {
    Binary(Binary),
    Classes(Classes),
    Numbers(Numbers),
}

impl Anchor {
    /// Fits the baseline to examples in canonical order. With it come the questions.
    pub(crate) fn fit(examples: &Examples) -> (Self, Vec<Question>) {
        match &examples.targets {
            Targets::Binary(truths) => {
                let (model, report, logits) = binary::fit(Some(learner::Kind::Ridge), examples, truths);
                let truths = truths.iter().map(|truth| f64::from(*truth)).collect();
                let floors = examples.past.iter().map(|past| model.floor(past));
                let question = Question::of_log_odds(Kind::Binary, truths, &logits, floors);
                let learned = model.is_learned();
                (Self { base: Base::Binary(model), report, learned }, vec![question])
            }
            Targets::Classes { classes, labels } => {
                let (model, report, logits) = classes::fit(Some(learner::Kind::Ridge), examples, labels, *classes);
                let question = |(class, logits): (usize, &Vec<f64>)| {
                    let truths = labels.iter().map(|label| f64::from(*label as usize == class)).collect();
                    let floors = examples.past.iter().map(|past| model.floor(class, past));
                    Question::of_log_odds(Kind::Class(class), truths, logits, floors)
                };
                let questions = model.questions().into_iter().zip(&logits).map(question).collect();
                let learned = model.is_learned();
                (Self { base: Base::Classes(model), report, learned }, questions)
            }
            Targets::Numbers(numbers) => {
                let (model, report, scores) = numbers::fit(Some(learner::Kind::Ridge), examples, numbers);
                let scale = model.scale().clone();
                let truths = numbers.iter().map(|number| scale.forward(*number)).collect();
                let rows = scores.iter().zip(&examples.past);
                let held_out = rows.map(|(score, past)| model.read_score(*score, past)).collect();
                let question = Question { kind: Kind::Number(scale), truths, held_out };
                let learned = model.is_learned();
                (Self { base: Base::Numbers(model), report, learned }, vec![question])
            }
        }
    }

    /// What the baseline says of a query, for each question.
    pub(crate) fn read(&self, features: &[f32], past: &Past) -> Vec<Reading> {
        match &self.base {
            Base::Binary(model) => vec![model.read(features, past)],
            Base::Classes(model) => model.read(features, past),
            Base::Numbers(model) => vec![model.read(features, past)],
        }
    }

    /// What the fit says of itself.
    pub(super) fn report(&self) -> &Report {
        &self.report
    }

    /// The baseline alone.
    pub(super) fn into_model(self) -> (Model, Report) {
        let model = match self.base {
            Base::Binary(model) => Model::Binary(model),
            Base::Classes(model) => Model::Classes(model),
            Base::Numbers(model) => Model::Numbers(model),
        };
        (model, self.report)
    }

    /// The answer to a query of which each question was answered.
    pub(crate) fn answer(&self, answers: &[Answer], past: &Past) -> Estimate {
        let log_odds = || answers.iter().map(|answer| answer.log_odds).collect::<Vec<f64>>();
        match &self.base {
            Base::Binary(model) => Estimate::Binary(model.probability(answers[0].log_odds)),
            Base::Classes(model) => Estimate::Classes(model.probabilities(&log_odds(), past)),
            Base::Numbers(model) => {
                let mut places = answers[0].quantiles;
                places.sort_by(f64::total_cmp);
                Estimate::Quantiles(places.map(|place| model.scale().back(place)))
            }
        }
    }
}

/// The answer to a question: of the two the one that its kind has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Answer {
    pub(crate) log_odds: f64,
    /// On the standardised scale.
    pub(crate) quantiles: [f64; 9],
}

impl Reading {
    /// The anchor's own answer.
    pub(crate) fn answer(&self) -> Answer {
        Answer { log_odds: self.point, quantiles: self.offsets.map(|offset| self.point + offset) }
    }

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
