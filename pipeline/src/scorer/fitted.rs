//! A context that has been fitted, and what answers for it.

use std::sync::Arc;

use predictor::features::Vocabulary;
use predictor::in_context::{self, InContext};
use predictor::learn::Fitted;
use relational::{ContextId, EventTime, Value};

use super::digest::digest_features;
use super::ranking::Ranked;
use super::{Reading, Scored};

/// A context after fitting.
#[derive(Debug)]
pub struct FittedContext {
    /// Names it.
    pub id: ContextId,
    /// It was drawn from what was known at this time.
    pub point: EventTime,
    /// How many examples it holds.
    pub examples: u32,
    /// What a reader should know of it.
    pub warnings: Vec<String>,
    pub(super) answerer: Answerer,
    pub(super) classes: Vec<Value>,
}

/// What answers for a context: a member that reads features, or the one that reads neighbourhoods.
#[derive(Debug)]
pub(super) enum Answerer {
    /// A member that reads features, its name, the category statistics that they are made with, and the features'
    /// means over the examples.
    Features { fitted: Box<Fitted>, name: Arc<str>, vocabulary: Arc<Vocabulary>, typical: Vec<f32> },
    /// A ranking.
    Ranking(Ranked),
    /// A context for each timeframe of a forecast, whose features are made with the same category statistics.
    Forecast { steps: Vec<FittedContext>, vocabulary: Arc<Vocabulary> },
    /// `kumo-relational`.
    Relational(InContext),
}

impl FittedContext {
    /// The name of the member that answers, as scores give it.
    #[must_use]
    pub fn model(&self) -> Arc<str> {
        match &self.answerer {
            Answerer::Features { name, .. } => Arc::clone(name),
            Answerer::Ranking(ranked) => Arc::clone(&ranked.name),
            Answerer::Forecast { steps, .. } => {
                let mut names: Vec<Arc<str>> = steps.iter().map(Self::model).collect();
                names.dedup();
                Arc::from(names.join(", "))
            }
            Answerer::Relational(_) => Arc::from(in_context::NAME),
        }
    }

    pub(super) fn answer(&self, fitted: &Fitted, reading: &Reading) -> Scored {
        Scored {
            prediction: fitted.predict(&reading.features, &reading.past).prediction(&self.classes),
            truncated: reading.truncated,
            digest: digest_features(self.id, &reading.features, &reading.past),
        }
    }

    /// Why the answer is not that of the member that was asked for.
    #[must_use]
    pub fn fallback(&self) -> Option<&str> {
        match &self.answerer {
            Answerer::Features { fitted, .. } => fitted.fallback(),
            Answerer::Ranking(ranked) => ranked.fitted.fallback(),
            Answerer::Forecast { steps, .. } => steps.iter().find_map(Self::fallback),
            Answerer::Relational(context) => context.fallback(),
        }
    }
}
