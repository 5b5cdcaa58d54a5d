//! `foreshore-small`: the baseline with a network's corrections, where they are worth it.

use super::Member;
use super::anchor::Anchor;
use super::crosses::Crosses;
use super::examples::Examples;
use super::fitted::{Fitted, Model};
use crate::small::{Corrected, Corrector};

/// Fits to examples in canonical order.
pub(super) fn fit(examples: &Examples, network: &Corrector) -> Fitted {
    let (anchor, questions) = Anchor::fit(examples);
    let trial = Corrected::try_out(network, examples);
    if let Some(trial) = trial.filter(|trial| trial.network > trial.anchor + trial.error) {
        let reason = format!(
            "on the newest {} examples the network lost {:.4} and its anchor {:.4} (standard error {:.4})",
            trial.examples, trial.network, trial.anchor, trial.error
        );
        return alone(anchor).instead(reason);
    }
    let mut report = anchor.report().clone();
    let Some(corrected) = Corrected::fit(network, anchor.clone(), &questions, examples) else {
        return alone(anchor).instead("there is nothing that a network could tell apart".into());
    };
    report.fallback = None;
    let diagnostics = &mut report.diagnostics;
    (diagnostics.auroc, diagnostics.log_loss, diagnostics.mean_absolute_error) = (None, None, None);
    if let Some(trial) = trial {
        diagnostics.auroc = trial.auroc;
        diagnostics.log_loss = trial.log_loss;
        diagnostics.mean_absolute_error = trial.mean_absolute_error;
    }
    Fitted { crosses: Crosses::default(), answers: Member::Small, model: Model::Corrected(Box::new(corrected)), report }
}

fn alone(anchor: Anchor) -> Fitted {
    let (model, report) = anchor.into_model();
    let answers = if report.fallback.is_some() { Member::LastK } else { Member::Baseline };
    Fitted { crosses: Crosses::default(), answers, model, report }
}
