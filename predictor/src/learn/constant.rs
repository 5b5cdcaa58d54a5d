//! `constant`: what the context's labels say of everyone alike.

use relational::Prediction;

use super::Member;
use super::crosses::Crosses;
use super::examples::{Examples, Targets};
use super::fitted::{Estimate, Fitted, Model, Report};
use super::last_k::Source;
use super::metrics::count;
use super::spread::quantile;

/// Shares are those of the population where they are known; otherwise those of the examples with half an example more
/// of each class, so that none is 0 (R. E. Krichevsky and V. K. Trofimov, 1981).
pub(super) fn fit(examples: &Examples) -> Fitted {
    let estimate = match (&examples.targets, &examples.prior) {
        (Targets::Binary(_), Some(prior)) => Estimate::Binary(prior[0]),
        (Targets::Binary(truths), None) => {
            let found = truths.iter().filter(|truth| **truth).count();
            Estimate::Binary((count(found) + 0.5) / (count(truths.len()) + 1.0))
        }
        (Targets::Classes { .. }, Some(prior)) => {
            let total: f64 = prior.iter().sum();
            Estimate::Classes(prior.iter().map(|share| share / total).collect())
        }
        (Targets::Classes { classes, labels }, None) => {
            let all = count(labels.len()) + 0.5 * f64::from(*classes);
            let found = |class: u32| labels.iter().filter(|label| **label == class).count();
            Estimate::Classes((0..*classes).map(|class| (count(found(class)) + 0.5) / all).collect())
        }
        (Targets::Numbers(numbers), _) => {
            let mut sorted = numbers.clone();
            sorted.sort_by(f64::total_cmp);
            Estimate::Quantiles(Prediction::LEVELS.map(|level| quantile(&sorted, level)))
        }
    };
    let report = Report::of_last_k(examples.features.rows(), Source::Labels, &[], f64::INFINITY);
    Fitted { crosses: Crosses::default(), answers: Member::Constant, model: Model::Constant(estimate), report }
}
