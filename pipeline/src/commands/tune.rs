//! `foreshore tune`

use std::fs;
use std::sync::Arc;

use predictor::learn::Member;
use relational::{EventTime, TaskKind};
use serde_json::json;
use sinks::key_text;
use toml_edit::{DocumentMut, Item, value};
use xxhash_rust::xxh3::xxh3_64;

use super::questions;
use crate::backtest::{Asked, Evaluation, Figure, Run, last_points, more_is_better, triggered};
use crate::cli::{Format, Tune};
use crate::config::TaskSettings;
use crate::driver::ensure_replayed;
use crate::output;
use crate::plan::{self, Plan};
use crate::scorer::{Bounds, Scorer};
use crate::world::{Failure, World};

/// Cutoffs of a schedule that are asked about.
const POINTS: i64 = 8;

/// A way to answer a task.
struct Candidate {
    model: Member,
    context_size: Option<usize>,
    context_policy: Option<&'static str>,
}

/// Members with their own context sizes, then the sizes and policies that matter most for the one that is cheapest to ask.
const CANDIDATES: [Candidate; 9] = [
    Candidate::of(Member::Auto, None, None),
    Candidate::of(Member::Baseline, None, None),
    Candidate::of(Member::Trees, None, None),
    Candidate::of(Member::Small, None, None),
    Candidate::of(Member::LastK, None, None),
    Candidate::of(Member::Baseline, Some(300), None),
    Candidate::of(Member::Baseline, Some(4_000), None),
    Candidate::of(Member::Baseline, None, Some("spread")),
    Candidate::of(Member::Small, None, Some("spread")),
];

impl Candidate {
    const fn of(model: Member, context_size: Option<usize>, context_policy: Option<&'static str>) -> Self {
        Self { model, context_size, context_policy }
    }

    fn settings(&self, base: &TaskSettings) -> TaskSettings {
        TaskSettings {
            model: self.model.name().to_owned(),
            weights: None,
            context_size: self.context_size,
            context_policy: self.context_policy.map(str::to_owned),
            ..base.clone()
        }
    }
}

pub(super) fn tune(arguments: &Tune) -> Result<(), Failure> {
    let world = World::load(&arguments.common)?;
    let current = Arc::clone(plan::find(&world.plans, &arguments.task, &world.settings.document)?);
    let settings = world.settings.tasks.iter().find(|task| task.name == arguments.task);
    let settings = settings.expect("every plan has its settings");
    let store = world.open_store(false)?;
    ensure_replayed(&world, &store)?;
    let newest = store.newest_time();
    let until = arguments.until.as_deref().map(|text| questions::time("--until", text)).transpose()?;
    let until = until.map_or(newest, |until| until.min(newest));
    let bounds = Bounds { data_until: Some(until), labels_until: Some(until) };
    let scorer = Scorer::new(Arc::clone(&store), Arc::clone(&current), bounds);
    let asked = asked(arguments, &world, &scorer, until)?;

    let mut tried = vec![(name(settings), settings.clone(), Arc::clone(&current))];
    for settings in CANDIDATES.iter().map(|candidate| candidate.settings(settings)) {
        // A ranking has no network; and what is asked about already is not asked again.
        let is_served = current.task.kind != TaskKind::Ranking || settings.model != Member::Small.name();
        let name = name(&settings);
        if is_served && tried.iter().all(|(other, ..)| *other != name) {
            let plan = Arc::new(Plan::compile(&settings, &world.schema, &world.settings.document)?);
            tried.push((name, settings, plan));
        }
    }
    let folder = tempfile::tempdir()?;
    let run = Run {
        members: tried.iter().map(|(name, _, plan)| (name.clone(), Arc::clone(plan))).collect(),
        asked,
        bounds,
        judged_at: Some(until),
        segments: Vec::new(),
        budget: None,
        costs: None,
        seed: arguments.seed,
        stress: None,
        out: folder.path().to_owned(),
    };
    let report = run.go(&world, &store)?;
    let evaluation = report.evaluations.first().filter(|evaluation| evaluation.rows > 0);
    let evaluation = evaluation.ok_or_else(|| {
        Failure::Usage(format!("task `{}` has no question with a known label up to {until}", arguments.task))
    })?;
    let choice = Choice::of(&report.model, evaluation);
    choice.tell(arguments, &report.model, evaluation)?;
    match &choice.better {
        Some((name, _)) if !arguments.dry_run => {
            let (_, settings, _) = tried.iter().find(|(other, ..)| other == name).expect("it was tried");
            write(&world, arguments, settings, &choice.note(&report.model, evaluation, until))
        }
        _ => Ok(()),
    }
}

/// Past questions whose labels were known by `until`: of all of them a part that does not depend on their order.
fn asked(arguments: &Tune, world: &World, scorer: &Scorer, until: EventTime) -> Result<Vec<Asked>, Failure> {
    let plan = scorer.plan();
    let to = until.plus(-plan.task.matures_after(&world.schema));
    let is_row = plan.task.is_static() && world.schema.table(plan.task.entity).time.is_some();
    let mut asked = if is_row { triggered(scorer, None, to)? } else { last_points(scorer, to, POINTS)? };
    let place = |asked: &Asked| xxh3_64(format!("{} {}", key_text(&asked.entity), asked.as_of.cutoff.0).as_bytes());
    asked.sort_by_key(place);
    asked.truncate(arguments.questions);
    Ok(asked)
}

fn name(settings: &TaskSettings) -> String {
    let size = settings.context_size.map_or_else(String::new, |size| format!(", {size} examples"));
    let policy = settings.context_policy.as_ref().map_or_else(String::new, |policy| format!(", {policy}"));
    format!("{}{size}{policy}", settings.model)
}

/// What is better than the config, if anything is.
struct Choice {
    /// What is compared.
    figure: &'static str,
    /// Its name, and what it gains: the whole interval is on the better side.
    better: Option<(String, Figure)>,
}

impl Choice {
    fn of(current: &str, evaluation: &Evaluation) -> Self {
        let own = &evaluation.members[current];
        let figure = ["log_loss", "pinball", "ndcg"].into_iter().find(|figure| own.contains_key(*figure));
        let figure = figure.expect("every kind of task has one of them");
        let sign = if more_is_better(figure) == Some(true) { -1.0 } else { 1.0 };
        // Differences are the config's figure less the other's.
        let gains = evaluation.differences.iter().filter_map(|(name, figures)| {
            let of = figures.get(figure)?;
            let (value, low, high) = (sign * of.value?, sign * of.low?, sign * of.high?);
            Some((name.clone(), Figure { value: Some(value), low: Some(low.min(high)), high: Some(low.max(high)) }))
        });
        let sure = gains.filter(|(_, gain)| gain.low.is_some_and(|low| low > 0.0));
        let value = |gain: &Figure| gain.value.unwrap_or(f64::NEG_INFINITY);
        let better = sure.max_by(|one, other| value(&one.1).total_cmp(&value(&other.1)));
        Self { figure, better }
    }

    fn value(&self, evaluation: &Evaluation, name: &str) -> Option<f64> {
        evaluation.members.get(name)?.get(self.figure)?.value
    }

    fn tell(&self, arguments: &Tune, current: &str, evaluation: &Evaluation) -> Result<(), Failure> {
        let chosen = self.better.as_ref().map_or(current, |(name, _)| name);
        if arguments.format == Format::Json {
            let tried =
                evaluation.members.keys().map(|name| json!({ "way": name, self.figure: self.value(evaluation, name) }));
            return Ok(output::print_json(&json!({
                "task": arguments.task, "rows": evaluation.rows, "figure": self.figure, "config": current,
                "chosen": chosen, "is_better": self.better.is_some(), "tried": tried.collect::<Vec<_>>(),
                "warnings": evaluation.warnings,
            }))?);
        }
        let rows = evaluation.members.keys().map(|name| {
            let value = self.value(evaluation, name).map_or_else(|| "-".into(), |value| format!("{value:.4}"));
            let difference = evaluation.differences.get(name).and_then(|figures| figures.get(self.figure));
            let difference =
                difference.and_then(|of| Some(format!("{:+.4} [{:+.4}, {:+.4}]", of.value?, of.low?, of.high?)));
            let mark = if name == chosen { "chosen" } else { "" };
            vec![name.clone(), value, difference.unwrap_or_default(), mark.to_owned()]
        });
        let title = self.figure.replace('_', " ");
        output::print_table(&["way to answer", &title, "config's less this one's", ""], rows)?;
        for warning in &evaluation.warnings {
            output::print_line(&format!("warning: {warning}"))?;
        }
        if self.better.is_none() {
            output::print_line("nothing is better than the config by more than noise: it stays as it is")?;
        }
        Ok(())
    }

    /// For the config file.
    fn note(&self, current: &str, evaluation: &Evaluation, until: EventTime) -> String {
        let value = |name: &str| self.value(evaluation, name).unwrap_or(f64::NAN);
        let (name, gain) = self.better.as_ref().expect("there is something to note");
        let ends = gain.low.zip(gain.high).map_or_else(String::new, |(low, high)| format!(" [{low:.4}, {high:.4}]"));
        format!(
            "chosen by `foreshore tune` on {} past rows, labels up to {until}: {} {:.4}, {current} {:.4}, gain {:.4}{ends}",
            evaluation.rows,
            self.figure.replace('_', " "),
            value(name),
            value(current),
            gain.value.unwrap_or(f64::NAN),
        )
    }
}

/// Changes the task's keys in the config file, and nothing else.
fn write(world: &World, arguments: &Tune, settings: &TaskSettings, note: &str) -> Result<(), Failure> {
    let file = &world.settings.document.file;
    let named = |error: &dyn std::fmt::Display| std::io::Error::other(format!("{}: {error}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| named(&error))?;
    let mut document: DocumentMut = text.parse().map_err(|error| named(&error))?;
    let task = &mut document["tasks"][arguments.task.as_str()];
    task["model"] = value(settings.model.as_str());
    if let Some(mut key) = task.as_table_like_mut().and_then(|task| task.key_mut("model")) {
        key.leaf_decor_mut().set_prefix(format!("# {note}\n"));
    }
    let mut set = |name: &str, wanted: Option<Item>| match (wanted, task.as_table_like_mut()) {
        (Some(wanted), _) => task[name] = wanted,
        (None, Some(task)) => drop(task.remove(name)),
        (None, None) => {}
    };
    set("context_size", settings.context_size.and_then(|size| i64::try_from(size).ok()).map(value));
    set("context_policy", settings.context_policy.as_deref().map(value));
    set("weights", None);
    let unfinished = file.with_extension("unfinished");
    fs::write(&unfinished, document.to_string())
        .and_then(|()| fs::rename(&unfinished, file))
        .map_err(|error| named(&error))?;
    Ok(output::print_line(&format!("{} now says so", file.display()))?)
}
