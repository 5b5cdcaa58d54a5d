//! Whether the network's corrections are worth it: both are fitted to the older examples and judged on the newest.

use super::member::{Corrected, Corrector};
use crate::learn::anchor::Anchor;
use crate::learn::{Estimate, Examples, Targets, count, metrics};

/// With fewer examples held back nothing is said against the network.
const HELD_BACK_MIN: usize = 20;
/// One in so many examples is held back.
const HELD_BACK_ONE_IN: usize = 5;

/// What the network was worth on the newest examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Trial {
    pub(crate) examples: usize,
    /// The network's mean loss: nats, or pinball loss averaged over the levels.
    pub(crate) network: f64,
    /// The anchor's.
    pub(crate) anchor: f64,
    /// The standard error of their difference.
    pub(crate) error: f64,
    /// Of the network, where it is defined.
    pub(crate) auroc: Option<f64>,
    pub(crate) log_loss: Option<f64>,
    pub(crate) mean_absolute_error: Option<f64>,
}

impl Corrected {
    /// Fits to the older of examples in canonical order, and answers the newest, at the older ones' shares of classes.
    /// `None` when there are too few, or nothing can be asked.
    pub(crate) fn try_out(network: &Corrector, examples: &Examples) -> Option<Trial> {
        let rows = examples.features.rows();
        let older = rows - rows / HELD_BACK_ONE_IN;
        if rows - older < HELD_BACK_MIN {
            return None;
        }
        let older = Examples { prior: None, ..examples.part(0..older) };
        let (anchor, questions) = Anchor::fit(&older);
        let fitted = Self::fit(network, anchor, &questions, &older)?;
        Some(Trial::new(&fitted, &examples.part(older.features.rows()..rows)))
    }
}

impl Trial {
    fn new(fitted: &Corrected, newest: &Examples) -> Self {
        let rows = newest.features.rows();
        let ask = |answer: fn(&Corrected, &[f32], &crate::learn::Past) -> Estimate| {
            (0..rows).map(|row| answer(fitted, newest.features.row(row), &newest.past[row])).collect()
        };
        let estimates: Vec<Estimate> = ask(Corrected::predict);
        let anchors: Vec<Estimate> = ask(Corrected::uncorrected);
        let [network, anchor] = [&estimates, &anchors].map(|estimates| losses(estimates, &newest.targets));
        let mean = |values: &[f64]| values.iter().sum::<f64>() / count(rows);
        let differences: Vec<f64> = network.iter().zip(&anchor).map(|(network, anchor)| network - anchor).collect();
        let centre = mean(&differences);
        let variance = differences.iter().map(|difference| (difference - centre).powi(2)).sum::<f64>();
        let error = (variance / count(rows)).sqrt() / count(rows).sqrt();
        let (mut auroc, mut log_loss, mut mean_absolute_error) = (None, Some(mean(&network)), None);
        let points: Vec<f64> = estimates.iter().map(point).collect();
        match &newest.targets {
            Targets::Binary(truths) => auroc = metrics::auroc(&points, truths),
            Targets::Classes { .. } => {}
            Targets::Numbers(numbers) => {
                log_loss = None;
                mean_absolute_error = metrics::mean_absolute_error(&points, numbers);
            }
        }
        let (network, anchor) = (mean(&network), mean(&anchor));
        Self { examples: rows, network, anchor, error, auroc, log_loss, mean_absolute_error }
    }
}

/// The losses of single answers.
pub(super) struct Answered {
    pub(super) network: Vec<f64>,
    pub(super) anchor: Vec<f64>,
}

/// Answers queries by a network that was fitted to a context, and by its anchor. `None` where nothing can be asked.
pub(super) fn answered(network: &Corrector, context: &Examples, queries: &Examples) -> Option<Answered> {
    let (anchor, questions) = Anchor::fit(context);
    let fitted = Corrected::fit(network, anchor, &questions, context)?;
    let ask = |answer: fn(&Corrected, &[f32], &crate::learn::Past) -> Estimate| {
        let answers =
            (0..queries.features.rows()).map(|row| answer(&fitted, queries.features.row(row), &queries.past[row]));
        losses(&answers.collect::<Vec<Estimate>>(), &queries.targets)
    };
    Some(Answered { network: ask(Corrected::predict), anchor: ask(Corrected::uncorrected) })
}

fn losses(estimates: &[Estimate], targets: &Targets) -> Vec<f64> {
    estimates.iter().enumerate().map(|(row, estimate)| loss(estimate, targets, row)).collect()
}

fn loss(estimate: &Estimate, targets: &Targets, row: usize) -> f64 {
    let of_one = match (estimate, targets) {
        (Estimate::Binary(share), Targets::Binary(truths)) => metrics::log_loss(&[*share], &truths[row..=row]),
        (Estimate::Classes(shares), Targets::Classes { labels, .. }) => {
            metrics::log_loss(&[shares[labels[row] as usize]], &[true])
        }
        (Estimate::Quantiles(quantiles), Targets::Numbers(numbers)) => {
            metrics::pinball(&[*quantiles], &numbers[row..=row])
        }
        _ => unreachable!("an estimate is of the kind of the targets"),
    };
    of_one.expect("there is an example")
}

fn point(estimate: &Estimate) -> f64 {
    match estimate {
        Estimate::Binary(share) => *share,
        Estimate::Classes(shares) => shares[0],
        Estimate::Quantiles(quantiles) => quantiles[4],
    }
}
