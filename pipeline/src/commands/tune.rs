//! `foreshore tune`

use std::fs;
use std::sync::Arc;

use graph_store::Store;
use predictor::features::FeatureOptions;
use predictor::learn::Member;
use predictor::sampler::SampleOptions;
use relational::{EventTime, TaskKind};
use serde_json::{Value as Json, json};
use sinks::key_text;
use toml_edit::{Array, DocumentMut, Item, value};
use xxhash_rust::xxh3::xxh3_64;

use super::questions;
use crate::backtest::{Asked, Evaluation, Figure, Run, last_points, more_is_better, triggered};
use crate::cli::{Format, Tune};
use crate::config::TaskSettings;
use crate::driver::ensure_replayed;
use crate::output;
use crate::plan::{self, Plan};
use crate::relational_member::ESTIMATORS;
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

/// Past targets that are features, for members that learn from features of a target in a window.
const LAGS: [u8; 4] = [0, 3, 10, 20];
/// Hops, and the children that each follows, for the member that reads neighbourhoods.
const FANOUTS: [&[usize]; 4] = [&[16], &[8, 4], &[16, 8], &[32, 16]];

/// Shuffled views that it averages.
const VIEWS: [usize; 4] = [1, 2, 4, 8];

/// What else decides how the chosen member reads: only what it reads at all.
fn readings(plan: &Plan, chosen: &TaskSettings) -> Vec<TaskSettings> {
    if plan.relational.is_some() {
        let with = |fanout: &&[usize]| TaskSettings { fanout: Some(fanout.to_vec()), ..chosen.clone() };
        let of_views = |estimators: &usize| TaskSettings { estimators: Some(*estimators), ..chosen.clone() };
        return FANOUTS.iter().map(with).chain(VIEWS.iter().map(of_views)).collect();
    }
    let with = |lags: &u8| TaskSettings { lags: Some(*lags), ..chosen.clone() };
    if plan.reads_lags() { LAGS.iter().map(with).collect() } else { Vec::new() }
}

/// A way to answer, with its name and plan; the first of several is what the others are compared with.
type Way = (String, TaskSettings, Arc<Plan>);

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
    let trial =
        Trial { arguments, world: &world, store, until, bounds, asked: asked(arguments, &world, &scorer, until)? };

    let members = CANDIDATES.iter().map(|candidate| candidate.settings(settings));
    // A ranking has no network.
    let is_served = |of: &TaskSettings| current.task.kind != TaskKind::Ranking || of.model != Member::Small.name();
    let first = trial.run(&trial.ways((settings, &current), members.filter(is_served))?)?;
    let (_, chosen, plan) = first.chosen();
    let ways = trial.ways((chosen, plan), readings(plan, chosen).into_iter())?;
    let second = if ways.len() > 1 { Some(trial.run(&ways)?) } else { None };
    tell(arguments, &first, second.as_ref())?;
    let better = |outcome: &&Outcome| outcome.choice.better.is_some();
    let notes: Vec<String> =
        std::iter::once(&first).chain(&second).filter(better).map(|outcome| outcome.note(until)).collect();
    let (_, chosen, _) = second.as_ref().unwrap_or(&first).chosen();
    if notes.is_empty() || arguments.dry_run { Ok(()) } else { write(&world, arguments, chosen, &notes) }
}

/// The past questions, and what may be seen.
struct Trial<'a> {
    arguments: &'a Tune,
    world: &'a World,
    store: Arc<Store>,
    until: EventTime,
    bounds: Bounds,
    asked: Vec<Asked>,
}

/// Ways that were tried, and what came of them.
struct Outcome {
    ways: Vec<Way>,
    evaluation: Evaluation,
    choice: Choice,
}

impl Trial<'_> {
    /// What there is, and other ways; what is tried already is not tried again.
    fn ways(
        &self,
        (settings, plan): (&TaskSettings, &Arc<Plan>),
        others: impl Iterator<Item = TaskSettings>,
    ) -> Result<Vec<Way>, Failure> {
        let mut ways: Vec<Way> = vec![(name(settings), settings.clone(), Arc::clone(plan))];
        for settings in others {
            let name = name(&settings);
            if ways.iter().all(|(other, ..)| *other != name) {
                let plan = Plan::compile(&settings, &self.world.schema, &self.world.settings.document)?;
                ways.push((name, settings, Arc::new(plan)));
            }
        }
        Ok(ways)
    }

    fn run(&self, ways: &[Way]) -> Result<Outcome, Failure> {
        let folder = tempfile::tempdir()?;
        let run = Run {
            members: ways.iter().map(|(name, _, plan)| (name.clone(), Arc::clone(plan))).collect(),
            asked: self.asked.clone(),
            bounds: self.bounds,
            judged_at: Some(self.until),
            segments: Vec::new(),
            budget: None,
            costs: None,
            seed: self.arguments.seed,
            stress: None,
            out: folder.path().to_owned(),
        };
        let report = run.go(self.world, &self.store)?;
        let evaluation = report.evaluations.into_iter().next().filter(|evaluation| evaluation.rows > 0);
        let evaluation = evaluation.ok_or_else(|| {
            let (task, until) = (&self.arguments.task, self.until);
            Failure::Usage(format!("task `{task}` has no question with a known label up to {until}"))
        })?;
        let choice = Choice::of(&ways[0].0, &evaluation);
        Ok(Outcome { ways: ways.to_vec(), evaluation, choice })
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
    let lags = match settings.lags {
        Some(lags) if lags != FeatureOptions::default().lags => format!(", {lags} lags"),
        _ => String::new(),
    };
    let fanout = match &settings.fanout {
        Some(fanout) if *fanout != SampleOptions::default().fanout => format!(", fan-out {fanout:?}"),
        _ => String::new(),
    };
    let views = match settings.estimators {
        Some(estimators) if estimators != ESTIMATORS => format!(", {estimators} estimators"),
        _ => String::new(),
    };
    format!("{}{size}{policy}{lags}{fanout}{views}", settings.model)
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
}

impl Outcome {
    /// What there was before.
    fn before(&self) -> &str {
        &self.ways[0].0
    }

    /// The better way, or what there was before.
    fn chosen(&self) -> &Way {
        let better = self.choice.better.as_ref();
        let found = better.and_then(|(name, _)| self.ways.iter().find(|(other, ..)| other == name));
        found.unwrap_or(&self.ways[0])
    }

    fn value(&self, name: &str) -> Option<f64> {
        self.evaluation.members.get(name)?.get(self.choice.figure)?.value
    }

    fn json(&self) -> Json {
        let figure = self.choice.figure;
        let tried = self.evaluation.members.keys().map(|name| json!({ "way": name, figure: self.value(name) }));
        json!({
            "rows": self.evaluation.rows, "figure": figure, "config": self.before(), "chosen": self.chosen().0,
            "is_better": self.choice.better.is_some(), "tried": tried.collect::<Vec<_>>(),
            "warnings": self.evaluation.warnings,
        })
    }

    fn print(&self, before: &str) -> Result<(), Failure> {
        let figure = self.choice.figure;
        let rows = self.evaluation.members.keys().map(|name| {
            let value = self.value(name).map_or_else(|| "-".into(), |value| format!("{value:.4}"));
            let difference = self.evaluation.differences.get(name).and_then(|figures| figures.get(figure));
            let difference =
                difference.and_then(|of| Some(format!("{:+.4} [{:+.4}, {:+.4}]", of.value?, of.low?, of.high?)));
            let mark = if *name == self.chosen().0 { "chosen" } else { "" };
            vec![name.clone(), value, difference.unwrap_or_default(), mark.to_owned()]
        });
        let title = figure.replace('_', " ");
        output::print_table(&["way to answer", &title, &format!("{before} less this one's"), ""], rows)?;
        for warning in &self.evaluation.warnings {
            output::print_line(&format!("warning: {warning}"))?;
        }
        Ok(())
    }

    /// For the config file.
    fn note(&self, until: EventTime) -> String {
        let value = |name: &str| self.value(name).unwrap_or(f64::NAN);
        let (name, gain) = self.choice.better.as_ref().expect("there is something to note");
        let ends = gain.low.zip(gain.high).map_or_else(String::new, |(low, high)| format!(" [{low:.4}, {high:.4}]"));
        let (before, rows) = (self.before(), self.evaluation.rows);
        format!(
            "chosen by `foreshore tune` on {rows} past rows, labels up to {until}: {} {name} {:.4}, {before} {:.4}, gain \
             {:.4}{ends}",
            self.choice.figure.replace('_', " "),
            value(name),
            value(before),
            gain.value.unwrap_or(f64::NAN),
        )
    }
}

fn tell(arguments: &Tune, first: &Outcome, second: Option<&Outcome>) -> Result<(), Failure> {
    let chosen = &second.unwrap_or(first).chosen().0;
    if arguments.format == Format::Json {
        let mut json = first.json();
        json["task"] = json!(arguments.task);
        json["reading"] = second.map_or(Json::Null, Outcome::json);
        json["chosen"] = json!(chosen);
        json["is_better"] = json!(*chosen != first.before());
        return Ok(output::print_json(&json)?);
    }
    first.print("config's")?;
    match second {
        Some(second) => second.print("the chosen one's")?,
        None => output::print_line(&format!(
            "{} reads neither earlier targets one by one nor neighbourhoods: lags, hops and fan-out are nothing to it",
            first.chosen().0
        ))?,
    }
    if *chosen == first.before() {
        output::print_line("nothing is better than the config by more than noise: it stays as it is")?;
    }
    Ok(())
}

/// Changes the task's keys in the config file, and nothing else.
fn write(world: &World, arguments: &Tune, settings: &TaskSettings, notes: &[String]) -> Result<(), Failure> {
    let file = &world.settings.document.file;
    let named = |error: &dyn std::fmt::Display| std::io::Error::other(format!("{}: {error}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| named(&error))?;
    let mut document: DocumentMut = text.parse().map_err(|error| named(&error))?;
    let task = &mut document["tasks"][arguments.task.as_str()];
    task["model"] = value(settings.model.as_str());
    if let Some(mut key) = task.as_table_like_mut().and_then(|task| task.key_mut("model")) {
        let notes: String = notes.iter().map(|note| format!("# {note}\n")).collect();
        key.leaf_decor_mut().set_prefix(notes);
    }
    let mut set = |name: &str, wanted: Option<Item>| match (wanted, task.as_table_like_mut()) {
        (Some(wanted), _) => task[name] = wanted,
        (None, Some(task)) => drop(task.remove(name)),
        (None, None) => {}
    };
    set("context_size", settings.context_size.and_then(|size| i64::try_from(size).ok()).map(value));
    set("context_policy", settings.context_policy.as_deref().map(value));
    set("lags", settings.lags.map(|lags| value(i64::from(lags))));
    let fanout = |fanout: &Vec<usize>| fanout.iter().filter_map(|hop| i64::try_from(*hop).ok()).collect::<Array>();
    set("fanout", settings.fanout.as_ref().map(fanout).map(value));
    set("estimators", settings.estimators.and_then(|count| i64::try_from(count).ok()).map(value));
    if settings.weights.is_none() {
        set("weights", None);
    }
    let unfinished = file.with_extension("unfinished");
    fs::write(&unfinished, document.to_string())
        .and_then(|()| fs::rename(&unfinished, file))
        .map_err(|error| named(&error))?;
    Ok(output::print_line(&format!("{} now says so", file.display()))?)
}
