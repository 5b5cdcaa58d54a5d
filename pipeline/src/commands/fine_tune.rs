//! `foreshore fine-tune`

use std::sync::Arc;

use predictor::learn::Member;
use predictor::small::{FoldScore, Gain, Tuned, Tuning, Weights, fine_tune};
use relational::{EventTime, TaskKind};
use serde_json::{Value as Json, json};

use super::questions;
use crate::cli::{FineTune, Format};
use crate::driver::ensure_replayed;
use crate::output::{self, count};
use crate::plan::{self, Plan};
use crate::scorer::{Bounds, Scorer};
use crate::tuned::{self, FoldRecord, GainRecord, Record, digest_text};
use crate::world::{Failure, World};

pub(super) fn run(arguments: &FineTune) -> Result<(), Failure> {
    let mut world = World::load(&arguments.common)?;
    let plan = plan(&mut world, arguments)?;
    let until = arguments.until.as_deref().map(|text| questions::time("--until", text)).transpose()?;
    let store = world.open_store(false)?;
    ensure_replayed(&world, &store)?;
    let until = until.map_or(store.newest_time(), |until| until.min(store.newest_time()));
    let bounds = Bounds { data_until: Some(until), labels_until: Some(until) };
    let context = plan.context.size;
    let asked = Arc::new(plan.with_context_size(arguments.examples));
    let Some(examples) = Scorer::new(store, Arc::clone(&asked), bounds).labelled(until)? else {
        return Err(Failure::Usage(format!("task `{}` has no labelled past up to {until}", arguments.task)));
    };
    let base = Weights::shipped();
    let tuning = Tuning { seed: arguments.seed, steps: arguments.steps, ..Tuning::default() };
    let bar = output::progress("fine-tuning", Some(1));
    let matures_after = plan.task.matures_after(&world.schema);
    let tuned = fine_tune(&base, &examples, matures_after, context, &tuning, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let made =
        Made { arguments, query: pql::print(&plan.task, &world.schema), until, examples: examples.anchors.len() };
    if let Ok(weights) = &tuned.weights {
        tuned::write(&arguments.out, weights, &made.record(&base, weights, &tuned))?;
    }
    made.tell(&tuned)
}

/// The task, asked of `foreshore-small`.
fn plan(world: &mut World, arguments: &FineTune) -> Result<Arc<Plan>, Failure> {
    let document = world.settings.document.clone();
    let task = &plan::find(&world.plans, &arguments.task, &document)?.task;
    if matches!(task.kind, TaskKind::Ranking | TaskKind::Forecast) {
        let kind = task.kind.name();
        return Err(Failure::Usage(format!("task `{}` is a {kind}, for which no network is trained", task.name)));
    }
    let name = task.name.clone();
    let settings = world.settings.tasks.iter_mut().find(|task| task.name == name).expect("a plan is of a task");
    Member::Small.name().clone_into(&mut settings.model);
    settings.weights = None;
    Ok(Arc::new(Plan::compile(settings, &world.schema, &document)?))
}

/// What was made, of what.
struct Made<'a> {
    arguments: &'a FineTune,
    query: String,
    until: EventTime,
    examples: usize,
}

impl Made<'_> {
    fn record(&self, base: &Weights, weights: &Weights, tuned: &Tuned) -> Record {
        let (gain, over_baseline) = tuned.gains.expect("weights are kept only where folds spoke for them");
        Record {
            version: Record::VERSION,
            task: self.arguments.task.clone(),
            query: self.query.clone(),
            base: digest_text(base.digest()),
            weights: digest_text(weights.digest()),
            seed: self.arguments.seed,
            until: self.until.to_string(),
            examples: self.examples,
            steps: tuned.steps,
            folds: tuned.folds.iter().map(FoldRecord::from).collect(),
            gain: gain.into(),
            gain_over_baseline: over_baseline.into(),
        }
    }

    fn tell(&self, tuned: &Tuned) -> Result<(), Failure> {
        let out = &self.arguments.out;
        if self.arguments.format == Format::Json {
            let folds: Vec<FoldRecord> = tuned.folds.iter().map(FoldRecord::from).collect();
            let gain =
                |place: fn(&(Gain, Gain)) -> Gain| tuned.gains.as_ref().map(|gains| GainRecord::from(place(gains)));
            let outcome = if tuned.weights.is_ok() { "written" } else { "declined" };
            return Ok(output::print_json(&json!({
                "task": self.arguments.task, "outcome": outcome, "reason": tuned.weights.as_ref().err(),
                "out": tuned.weights.is_ok().then_some(out), "until": self.until.to_string(),
                "examples": self.examples, "steps": tuned.steps, "folds": as_json(&folds)?,
                "gain": as_json(&gain(|gains| gains.0))?, "gain_over_baseline": as_json(&gain(|gains| gains.1))?,
            }))?);
        }
        let header = ["fold", "matured before", "examples", "steps", "fine-tuned", "shipped", "baseline"];
        output::print_table(&header, tuned.folds.iter().map(line))?;
        for (whom, gain) in
            tuned.gains.iter().flat_map(|(shipped, baseline)| [("shipped", shipped), ("baseline", baseline)])
        {
            output::print_line(&format!("loss below {whom}: {:+.4}, standard error {:.4}", gain.mean, gain.error))?;
        }
        Ok(output::print_line(&match &tuned.weights {
            Ok(_) => {
                format!("written to {} after {} steps: weights = \"{}\"", out.display(), tuned.steps, out.display())
            }
            Err(reason) => format!("declined, nothing is written: {reason}"),
        })?)
    }
}

fn as_json(value: &impl serde::Serialize) -> Result<Json, Failure> {
    Ok(serde_json::to_value(value).map_err(std::io::Error::from)?)
}

fn line(fold: &FoldScore) -> Vec<String> {
    let (from, to) = fold.anchors;
    let day = |time: EventTime| time.civil().map_or_else(|| time.to_string(), |civil| civil.date().to_string());
    let [tuned, shipped, anchor] = [fold.tuned, fold.shipped, fold.anchor].map(|loss| format!("{loss:.4}"));
    vec![
        format!("{} to {}", day(from), day(to)),
        count(fold.matured as u64),
        count(fold.asked as u64),
        fold.steps.to_string(),
        tuned,
        shipped,
        anchor,
    ]
}
