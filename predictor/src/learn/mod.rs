//! The numeric members of the predictor's family, as pure functions of matrices.
//!
//! [`fit`] takes a context of labelled past [`Examples`] and gives a [`Fitted`], whose [`predict`](Fitted::predict)
//! answers one query at a time: the same bits alone or among others, on any number of threads, and whatever the order
//! of the examples.
//!
//! - `constant` ([`Member::Constant`]) says of everyone what the context's labels say together: what any score must beat.
//! - `last-k` ([`Member::LastK`]) smooths the entity's own past targets to the base rate.
//! - `baseline` ([`Member::Baseline`]) is a ridge regression on standardised features with exact leave-one-out errors,
//!   which choose its penalty, calibrate it (Platt's logistic; residual quantiles for numbers) and judge it. With few
//!   examples it leans on `last-k`. Where it learns nothing it falls back to `last-k` and says so.
//! - `trees` ([`Member::Trees`]) is a gradient-boosted ensemble in the place of the ridge regression, with out-of-fold
//!   scores over blocks of time: better where labels are many. With few examples it falls back to `baseline`.
//! - `auto` ([`Member::Auto`]) mixes the others with weights that [`Mix::learn`] finds by what came true.
//! - `foreshore-small` ([`Member::Small`]) adds to what the baseline says (or, where that learns nothing, `last-k`)
//!   what a network makes of the same context that was pretrained on synthetic databases. Where the baseline is
//!   clearly better on the newest examples it falls back to it and says so.

pub(crate) mod anchor;
mod auto;
mod binary;
mod boosted;
mod classes;
mod columns;
mod constant;
mod crosses;
mod examples;
mod fitted;
mod last_k;
mod learner;
#[cfg(test)]
mod many_classes;
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

pub use auto::Mix;
pub use examples::{CodedRows, Examples, Past, Targets};
pub use fitted::{Diagnostics, Estimate, Fitted, Part};
pub use last_k::Source;
pub use matrix::Matrix;

pub(crate) use metrics::count;
pub(crate) use normal::normal_score;
pub(crate) use platt::log_odds;

use crate::small::Corrector;
use crosses::Crosses;
use fitted::Model;
use learner::Kind;

/// A member of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// The same for everyone: the base rate, the shares of the classes, or the quantiles of the targets.
    Constant,
    /// The entity's own past targets, smoothed to the base rate.
    LastK,
    /// Ridge with exact leave-one-out errors, calibrated.
    Baseline,
    /// The baseline, corrected by a small pretrained network.
    Small,
    /// A gradient-boosted ensemble of trees with out-of-fold errors, calibrated.
    Trees,
    /// The others together, weighed by what came true.
    Auto,
}

impl Member {
    /// Every member.
    pub const ALL: [Self; 6] = [Self::Auto, Self::Constant, Self::LastK, Self::Baseline, Self::Trees, Self::Small];

    /// The name used in config files and scores.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::LastK => "last-k",
            Self::Baseline => "baseline",
            Self::Small => "foreshore-small",
            Self::Trees => "trees",
            Self::Auto => "auto",
        }
    }

    /// How many examples a context holds unless the config says otherwise: ridge regression gains little beyond a
    /// thousand, while trees find more the more there are.
    #[must_use]
    pub fn context_size(self) -> usize {
        match self {
            Self::Constant | Self::LastK | Self::Baseline | Self::Small => 1_000,
            Self::Trees | Self::Auto => 30_000,
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

/// With fewer examples an ensemble of trees is no better than `baseline`, which answers instead.
const TREES_EXAMPLES_MIN: usize = 300;

/// Fits a member to a context; `auto` with its safe weights. `seed` orders examples of equal anchor.
///
/// # Errors
///
/// When the examples are not consistent. What can be fitted but teaches nothing is no error: the result answers with
/// a simpler member and has a [`fallback`](Fitted::fallback).
pub fn fit(member: Member, examples: &Examples, seed: u64) -> Result<Fitted, FitError> {
    examples.check()?;
    let examples = examples.canonical(seed);
    Ok(fit_member(member, &examples, &Corrector::shipped()))
}

/// As [`fit`], `foreshore-small` with a network of one's own.
///
/// # Errors
///
/// As [`fit`].
pub fn fit_small(examples: &Examples, seed: u64, network: &Corrector) -> Result<Fitted, FitError> {
    examples.check()?;
    Ok(fit_crossed(&examples.canonical(seed), |examples| small::fit(examples, network)))
}

/// Fits examples that are consistent and in canonical order; the network is that of `foreshore-small`.
fn fit_member(member: Member, examples: &Examples, network: &Corrector) -> Fitted {
    if matches!(member, Member::Constant | Member::LastK) {
        return fit_as_is(member, examples, network);
    }
    fit_crossed(examples, |examples| fit_as_is(member, examples, network))
}

/// As [`fit_member`], with the features as they are.
fn fit_as_is(member: Member, examples: &Examples, network: &Corrector) -> Fitted {
    match member {
        Member::Auto => Mix::safe().fit_as_is(examples, network),
        Member::Small => small::fit(examples, network),
        Member::Trees if examples.features.rows() < TREES_EXAMPLES_MIN => {
            let reason = format!("{} examples: trees need {TREES_EXAMPLES_MIN}", examples.features.rows());
            fit_alone(Some(Kind::Ridge), examples).instead(reason)
        }
        Member::Constant => constant::fit(examples),
        Member::LastK => fit_alone(None, examples),
        Member::Baseline => fit_alone(Some(Kind::Ridge), examples),
        Member::Trees => fit_alone(Some(Kind::Trees), examples),
    }
}

/// Adds to the features what two values that meet in one row tell, where it tells anything.
fn fit_crossed(examples: &Examples, fit: impl FnOnce(&Examples) -> Fitted) -> Fitted {
    let crosses = Crosses::find(examples);
    let fitted = fit(&crosses.widen(examples));
    Fitted { crosses, ..fitted }
}

fn fit_alone(kind: Option<Kind>, examples: &Examples) -> Fitted {
    let (model, report) = match &examples.targets {
        Targets::Binary(truths) => {
            let (binary, report, _) = binary::fit(kind, examples, truths);
            (Model::Binary(binary), report)
        }
        Targets::Classes { classes, labels } => {
            let (several, report, _) = classes::fit(kind, examples, labels, *classes);
            (Model::Classes(several), report)
        }
        Targets::Numbers(numbers) => {
            let (regression, report, _) = numbers::fit(kind, examples, numbers);
            (Model::Numbers(regression), report)
        }
    };
    let answers = match kind {
        Some(Kind::Ridge) if report.fallback.is_none() => Member::Baseline,
        Some(Kind::Trees) if report.fallback.is_none() => Member::Trees,
        _ => Member::LastK,
    };
    Fitted { crosses: Crosses::default(), answers, model, report }
}
