//! `foreshore score`

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ingest::files::Questions;
use predictor::explain::Explanation;
use relational::{AsOf, EventTime, Key, Reason, RowKey, TaskKind};
use serde_json::json;
use sinks::ScoreRecord;

use super::{columns, questions};
use crate::cli::{Format, Score};
use crate::driver::ensure_replayed;
use crate::explanation;
use crate::output::{self, count};
use crate::plan;
use crate::scorer::{FittedContext, Moment, Scored, Scorer};
use crate::world::{Failure, World, now};

pub(super) fn score(arguments: &Score) -> Result<(), Failure> {
    let mut world = World::load(&arguments.common)?;
    let plan = Arc::clone(plan::find(&world.plans, &arguments.task, &world.settings.document)?);
    questions::override_predictor(&mut world, &arguments.task, &arguments.predictor)?;
    let plan = world.plans.iter().find(|other| other.task.name == plan.task.name).map(Arc::clone).unwrap_or(plan);
    if arguments.explain && matches!(plan.task.kind, TaskKind::Ranking | TaskKind::Forecast) {
        let kind = plan.task.kind.name();
        return Err(Failure::Usage(format!("--explain: the score of a {kind} is a list, which is not explained")));
    }
    let bounds = questions::bounds(&arguments.regime)?;
    if let Some(entity) = &arguments.entity {
        let key = questions::key(&world, plan.task.entity, entity)?;
        let at = arguments.at.as_deref().map(|text| questions::time("--at", text)).transpose()?;
        let store = world.open_store(false)?;
        ensure_replayed(&world, &store)?;
        let scorer = Scorer::new(store, plan, bounds).keeping(&world.settings.app.store, false);
        return one(arguments, &world, &scorer, &key, at);
    }
    let (Some(file), Some(time_column), Some(out)) = (&arguments.at, &arguments.time_column, &arguments.out) else {
        return Err(Failure::Usage("--at FILE goes with --time-column and --out".into()));
    };
    let questions = questions::read(&world, &plan, Path::new(file), time_column)?;
    let explained = if arguments.explain { Some(only_row(&questions, file)?) } else { None };
    let store = world.open_store(false)?;
    ensure_replayed(&world, &store)?;
    let scorer = Scorer::new(store, Arc::clone(&plan), bounds).keeping(&world.settings.app.store, false);
    let answers = answer(&scorer, &questions)?;
    let columns = columns::of(&plan.task, &answers.scored);
    ingest::files::write_answers(out, &questions, &columns)?;
    match explained {
        Some((key, time)) => one(arguments, &world, &scorer, &key, Some(time)),
        None => summarise(arguments, &answers, out),
    }
}

/// The row that `--explain` is about.
fn only_row(questions: &Questions, file: &str) -> Result<(Key, EventTime), Failure> {
    let rows = questions.rows();
    let [row] = rows else {
        return Err(Failure::Usage(format!("--explain is about one row, and {file} has {}", rows.len())));
    };
    let readable = row.key.clone().zip(row.time);
    readable.ok_or_else(|| Failure::Usage(format!("key or time of the row of {file} cannot be read")))
}

struct Answers {
    scored: Vec<Option<Scored>>,
    unreadable: u64,
    without_context: u64,
    not_there: u64,
    contexts: Vec<Arc<FittedContext>>,
}

/// Rows are scored cutoff by cutoff, so that each context is fitted once.
fn answer(scorer: &Scorer, questions: &Questions) -> Result<Answers, Failure> {
    let rows = questions.rows();
    let mut by_moment: BTreeMap<Moment, Vec<(usize, Key, AsOf)>> = BTreeMap::new();
    let (mut unreadable, mut not_there, mut without_context) = (0, 0, 0);
    for (index, row) in rows.iter().enumerate() {
        let (Some(key), Some(time)) = (&row.key, row.time) else {
            unreadable += 1;
            continue;
        };
        match scorer.historical(key, time)? {
            Some(as_of) => by_moment.entry(scorer.moment(as_of)).or_default().push((index, key.clone(), as_of)),
            None => not_there += 1,
        }
    }
    let bar = output::progress("scoring", Some(rows.len() as u64));
    let mut scored = vec![None; rows.len()];
    let mut contexts = Vec::new();
    for group in by_moment.values() {
        let (_, _, first) = group.first().expect("a group is made with its first row");
        let Some(context) = scorer.context(*first)? else {
            without_context += group.len() as u64;
            continue;
        };
        let questions: Vec<(&Key, AsOf)> = group.iter().map(|(_, key, as_of)| (key, *as_of)).collect();
        let made = scorer.score_all(&context, &questions)?;
        for ((index, ..), made) in group.iter().zip(made) {
            scored[*index] = Some(made);
        }
        contexts.push(context);
        bar.inc(group.len() as u64);
    }
    bar.finish_and_clear();
    Ok(Answers { scored, unreadable, without_context, not_there, contexts })
}

fn summarise(arguments: &Score, answers: &Answers, out: &Path) -> Result<(), Failure> {
    let scored = answers.scored.iter().flatten().count() as u64;
    let fallbacks: Vec<&str> = answers.contexts.iter().filter_map(|context| context.fallback()).collect();
    let mut warnings: Vec<&str> =
        answers.contexts.iter().flat_map(|context| context.warnings.iter().map(String::as_str)).collect();
    warnings.sort_unstable();
    warnings.dedup();
    if arguments.format == Format::Json {
        return Ok(output::print_json(&json!({
            "task": arguments.task, "scored": scored, "unreadable": answers.unreadable, "not_there": answers.not_there,
            "without_context": answers.without_context, "contexts": answers.contexts.len(),
            "contexts_that_fell_back": fallbacks.len(), "warnings": warnings, "out": out,
        }))?);
    }
    let rows = [
        ("scored", scored),
        ("no labelled past to predict from", answers.without_context),
        ("row not in the store", answers.not_there),
        ("key or time not readable", answers.unreadable),
        ("contexts fitted", answers.contexts.len() as u64),
        ("contexts that fell back to another model", fallbacks.len() as u64),
    ];
    output::print_table(&["rows", "number"], rows.map(|(what, number)| vec![what.to_owned(), count(number)]))?;
    for warning in warnings.iter().take(10) {
        output::print_line(&format!("warning: {warning}"))?;
    }
    Ok(())
}

/// One score, and what is told beside it.
struct One<'a> {
    world: &'a World,
    plan: &'a plan::Plan,
    key: &'a Key,
    as_of: AsOf,
    context: &'a FittedContext,
    scored: Scored,
    in_population: bool,
    explanation: Option<Explanation>,
}

/// Scores one entity, at the newest time unless one is given.
fn one(arguments: &Score, world: &World, scorer: &Scorer, key: &Key, at: Option<EventTime>) -> Result<(), Failure> {
    let at = at.unwrap_or_else(|| scorer.store().newest_time());
    let missing = |what: &str| Failure::Usage(format!("{what}; nothing to score for `{key}` at {at}"));
    let as_of = scorer.historical(key, at)?.ok_or_else(|| missing("there is no such row"))?;
    let context = scorer.context(as_of)?.ok_or_else(|| missing("there is no labelled past to predict from"))?;
    let scored = scorer.score(&context, key, as_of)?;
    let explanation = arguments.explain.then(|| scorer.explain(&context, key, as_of)).transpose()?;
    let in_population = scorer.wanted(key, as_of)?;
    let (plan, context) = (scorer.plan(), &context);
    print_one(arguments.format, &One { world, plan, key, as_of, context, scored, in_population, explanation })
}

fn print_one(format: Format, one: &One<'_>) -> Result<(), Failure> {
    let One { world, plan, key, as_of, context, scored, .. } = one;
    let score = relational::Score {
        task: Arc::from(plan.task.name.as_str()),
        entity: RowKey { table: plan.task.entity, key: (*key).clone() },
        prediction: Some(scored.prediction.clone()),
        cutoff: as_of.cutoff,
        sequence: as_of.sequence,
        model: context.model(),
        fallback: context.fallback().map(Arc::from),
        context: context.id,
        examples: context.examples,
        revision: 0,
        reason: Reason::Request,
        trigger: None,
        truncated: scored.truncated,
    };
    if format == Format::Json {
        let record = ScoreRecord::new(&score, &world.schema, &world.origin(), now(), None);
        let value = record.value.unwrap_or_default();
        let mut json: serde_json::Value = serde_json::from_str(&value).map_err(std::io::Error::from)?;
        if let Some(explanation) = &one.explanation {
            json["explanation"] = explanation::to_json(explanation, &world.schema);
        }
        return Ok(output::print_json(&json)?);
    }
    let mut rows = vec![
        vec!["entity".to_owned(), format!("{} {key}", world.schema.table(plan.task.entity).name)],
        vec!["cutoff".to_owned(), as_of.cutoff.to_string()],
    ];
    rows.extend(score.prediction.iter().flat_map(columns::lines));
    rows.push(vec!["model".into(), score.model.to_string()]);
    rows.extend(score.fallback.iter().map(|reason| vec!["fell back".into(), reason.to_string()]));
    rows.push(vec![
        "context".into(),
        format!("{} of {} examples, drawn at {}", context.id, context.examples, context.point),
    ]);
    if !one.in_population {
        rows.push(vec!["note".into(), "not in the task's population at this time".into()]);
    }
    output::print_table(&["", &plan.task.name], rows)?;
    match &one.explanation {
        Some(explanation) => Ok(explanation::print(explanation, &world.schema)?),
        None => Ok(()),
    }
}
