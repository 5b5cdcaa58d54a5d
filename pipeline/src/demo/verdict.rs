//! How good the demo's scores were, beside the entity's own past (`last-k`) at the very same moments.

use std::sync::Arc;

use graph_store::Store;
use predictor::learn::{Member, metrics};
use relational::{AsOf, EventTime, Key, Prediction, Value};
use serde_json::{Value as Json, json};
use sinks::ScoreRecord;

use crate::output;
use crate::parallel;
use crate::plan::Plan;
use crate::scorer::{Bounds, Scorer};
use crate::world::{Failure, World};

/// Scores of one task against what came true.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    task: String,
    model: &'static str,
    scores: usize,
    positives: usize,
    ours: Quality,
    naive: Quality,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Quality {
    auroc: Option<f64>,
    average_precision: Option<f64>,
    log_loss: Option<f64>,
}

impl Quality {
    fn of(scores: &[f64], truths: &[bool]) -> Self {
        Self {
            auroc: metrics::auroc(scores, truths),
            average_precision: metrics::average_precision(scores, truths),
            log_loss: metrics::log_loss(scores, truths),
        }
    }

    fn json(self) -> Json {
        json!({ "auroc": self.auroc, "average_precision": self.average_precision, "log_loss": self.log_loss })
    }
}

impl Verdict {
    pub(super) fn json(&self) -> Json {
        json!({
            "task": self.task, "scores_with_known_label": self.scores, "positives": self.positives,
            self.model: self.ours.json(), "last-k": self.naive.json(),
        })
    }
}

/// One verdict per task.
pub(super) fn verdicts(world: &World, store: &Arc<Store>, records: &[ScoreRecord]) -> Result<Vec<Verdict>, Failure> {
    world.plans.iter().map(|plan| verdict(plan, store, records)).collect()
}

/// At most this many scores are judged, evenly over time: the demo is to end soon.
const JUDGED: usize = 3_000;

fn verdict(plan: &Arc<Plan>, store: &Arc<Store>, records: &[ScoreRecord]) -> Result<Verdict, Failure> {
    let all: Vec<&ScoreRecord> = records.iter().filter(|record| record.task == plan.task.name).collect();
    let judged: Vec<&ScoreRecord> = all.iter().step_by(all.len().div_ceil(JUDGED).max(1)).copied().collect();
    let known = store.as_of(AsOf::live(EventTime::MAX, store.sequence()));
    let newest = store.newest_time();
    let naive = Scorer::new(Arc::clone(store), Arc::new(plan.with_member(Member::LastK)), Bounds::default());
    for record in &judged {
        // Fitted one after the other, before many threads ask for them.
        if let Some((key, _)) = read(record)
            && let Some(as_of) = naive.historical(&key, record.cutoff)?
        {
            naive.context(as_of)?;
        }
    }
    let found = parallel::map(&judged, |record| {
        let Some((key, ours)) = read(record) else { return Ok(None) };
        if record.cutoff.plus(plan.task.horizon()) > newest {
            return Ok(None);
        }
        let Some(label) = plan.executor.target(&known, &key, record.cutoff)? else { return Ok(None) };
        let Some(as_of) = naive.historical(&key, record.cutoff)? else { return Ok(None) };
        let Some(context) = naive.context(as_of)? else { return Ok(None) };
        let Prediction::Binary(theirs) = naive.score(&context, &key, as_of)?.prediction else { return Ok(None) };
        let truth = label.as_f64().is_some_and(|number| number > 0.5);
        Ok::<_, Failure>(Some((ours, theirs, truth)))
    })?;
    let found: Vec<(f64, f64, bool)> = found.into_iter().flatten().collect();
    let truths: Vec<bool> = found.iter().map(|(_, _, truth)| *truth).collect();
    Ok(Verdict {
        task: plan.task.name.clone(),
        model: plan.member.name(),
        scores: found.len(),
        positives: truths.iter().filter(|truth| **truth).count(),
        ours: Quality::of(&found.iter().map(|(ours, ..)| *ours).collect::<Vec<_>>(), &truths),
        naive: Quality::of(&found.iter().map(|(_, naive, _)| *naive).collect::<Vec<_>>(), &truths),
    })
}

/// The demo's keys are whole numbers, and its tasks binary.
fn read(record: &ScoreRecord) -> Option<(Key, f64)> {
    let value: Json = serde_json::from_str(record.value.as_deref()?).ok()?;
    let key = Key::single(Value::Int(record.key.parse().ok()?));
    Some((key, value["prediction"]["probability"].as_f64()?))
}

/// One row per task and model.
pub(super) fn print(verdicts: &[Verdict]) -> std::io::Result<()> {
    let show = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.3}"));
    let rows = verdicts.iter().flat_map(|verdict| {
        [(verdict.model, verdict.ours), ("last-k (naive)", verdict.naive)].map(|(model, quality)| {
            vec![
                verdict.task.clone(),
                model.to_owned(),
                show(quality.auroc),
                show(quality.average_precision),
                show(quality.log_loss),
                format!("{} of {}", verdict.positives, verdict.scores),
            ]
        })
    });
    output::print_table(&["task", "model", "AUROC", "average precision", "log loss", "came true"], rows)
}
