//! The numeric members of the predictor's family, as pure functions of matrices.
//!
//! [`fit`] takes a context of labelled past [`Examples`] and gives a [`Fitted`], whose [`predict`](Fitted::predict)
//! answers one query at a time: the same bits alone or among others, on any number of threads, and whatever the order
//! of the examples.
//!
//! - `last-k` ([`Member::LastK`]) smooths the entity's own past targets to the base rate.
//! - `baseline` ([`Member::Baseline`]) is a ridge regression on standardised features with exact leave-one-out errors,
//!   which choose its penalty, calibrate it (Platt's logistic; residual quantiles for numbers) and judge it. With few
//!   examples it leans on `last-k`. Where it learns nothing it falls back to `last-k` and says so.
//! - `foreshore-small` ([`Member::Small`]) adds to what the baseline says (or, where that learns nothing, `last-k`)
//!   what a network makes of the same context that was pretrained on synthetic databases. Where the baseline is
//!   clearly better on the newest examples it falls back to it and says so.

pub(crate) mod anchor;
mod binary;
mod classes;
mod columns;
mod examples;
mod fitted;
mod last_k;
mod matrix;
pub mod metrics;
mod normal;
mod numbers;
mod platt;
mod ridge;
mod small;
mod spread;
mod standard;
#[cfg(test)]
mod tests;
mod transform;

use thiserror::Error;

pub use examples::{Examples, Past, Targets};
pub use fitted::{Diagnostics, Estimate, Fitted};
pub use last_k::Source;
pub use matrix::Matrix;

pub(crate) use metrics::count;
pub(crate) use normal::normal_score;
pub(crate) use platt::log_odds;

use fitted::Model;

/// A member of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// The entity's own past targets, smoothed to the base rate.
    LastK,
    /// Ridge with exact leave-one-out errors, calibrated.
    Baseline,
    /// The baseline, corrected by a small pretrained network.
    Small,
}

impl Member {
    /// Every member.
    pub const ALL: [Self; 3] = [Self::LastK, Self::Baseline, Self::Small];

    /// The name used in config files and scores.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LastK => "last-k",
            Self::Baseline => "baseline",
            Self::Small => "foreshore-small",
        }
    }

    /// The member of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|member| member.name() == name)
    }
}

/// Why examples cannot be fitted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FitError {
    /// There are none.
    #[error("the context holds no examples")]
    Empty,
    /// A part has another number of entries than there are examples.
    #[error("the context has {found} {part} for {wanted} examples")]
    Length {
        /// Which part.
        part: &'static str,
        /// Its entries.
        found: usize,
        /// Rows of features.
        wanted: usize,
    },
    /// A target is not what its kind allows.
    #[error("the target of example {index} is {what}")]
    Target {
        /// Which example, from 0.
        index: usize,
        /// What it is.
        what: String,
    },
    /// The prior does not say one share per class, each between 0 and 1.
    #[error("the prior must hold {wanted} shares between 0 and 1")]
    Prior {
        /// Shares wanted.
        wanted: usize,
    },
}

/// Fits a member to a context. `seed` orders examples of equal anchor.
///
/// # Errors
///
/// When the examples are not consistent. What can be fitted but teaches nothing is no error: the result answers with
/// `last-k` and has a [`fallback`](Fitted::fallback).
pub fn fit(member: Member, examples: &Examples, seed: u64) -> Result<Fitted, FitError> {
    examples.check()?;
    let examples = examples.canonical(seed);
    if member == Member::Small {
        return Ok(small::fit(&examples));
    }
    let (model, report) = match &examples.targets {
        Targets::Binary(truths) => {
            let (binary, report, _) = binary::fit(member, &examples, truths);
            (Model::Binary(binary), report)
        }
        Targets::Classes { classes, labels } => {
            let (several, report, _) = classes::fit(member, &examples, labels, *classes);
            (Model::Classes(several), report)
        }
        Targets::Numbers(numbers) => {
            let (regression, report, _) = numbers::fit(member, &examples, numbers);
            (Model::Numbers(regression), report)
        }
    };
    let answers = if report.fallback.is_some() { Member::LastK } else { member };
    Ok(Fitted { answers, model, report })
}
