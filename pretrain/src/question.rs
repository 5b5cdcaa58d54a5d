//! What is asked of a synthetic database, as the text of a predictive query.

use std::fmt::Write;

/// A predictive query in its parts; the threshold of a condition is found from the labels.
#[derive(Debug, Clone)]
pub struct Question {
    /// The target, without a comparison where there is a threshold.
    pub target: String,
    /// Whose, such as `customers.id`.
    pub entity: String,
    /// Who is predicted for.
    pub population: Option<String>,
    /// What is taken for granted.
    pub assuming: Option<String>,
    /// Compares the target with a quantile of its own values.
    pub threshold: Option<Side>,
    /// How often it is asked, beside the other questions of its database.
    pub weight: f64,
}

/// Which side of a threshold is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// `> threshold`
    Above,
    /// `<= threshold`
    Below,
}

impl Question {
    pub(crate) fn new(entity: &str, target: impl Into<String>, weight: f64) -> Self {
        let (target, entity) = (target.into(), entity.to_owned());
        Self { target, entity, population: None, assuming: None, threshold: None, weight }
    }

    pub(crate) fn population(mut self, condition: Option<String>) -> Self {
        self.population = condition;
        self
    }

    pub(crate) fn assuming(mut self, condition: Option<String>) -> Self {
        self.assuming = condition;
        self
    }

    pub(crate) fn threshold(mut self, side: Side) -> Self {
        self.threshold = Some(side);
        self
    }

    /// The text of the query; `compared` is the comparison of the target, such as `> 3`.
    #[must_use]
    pub fn text(&self, compared: Option<&str>) -> String {
        let mut text = format!("PREDICT {}", self.target);
        let parts = [
            compared.map(|compared| format!(" {compared}")),
            Some(format!(" FOR EACH {}", self.entity)),
            self.population.as_ref().map(|condition| format!(" WHERE {condition}")),
            self.assuming.as_ref().map(|condition| format!(" ASSUMING {condition}")),
        ];
        parts.into_iter().flatten().for_each(|part| write!(text, "{part}").expect("a string can be written to"));
        text
    }
}
