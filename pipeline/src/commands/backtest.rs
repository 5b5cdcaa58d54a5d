//! `foreshore backtest`

use std::sync::Arc;
use std::time::Duration;

use predictor::learn::Member;
use relational::TaskKind;

use super::{questions, stress};
use crate::backtest::{Asked, Budget, Costs, Evaluation, Figure, Report, Run, Segment};
use crate::backtest::{given, more_is_better, scheduled, step, triggered};
use crate::cli::{Backtest, Format};
use crate::config::{TaskSettings, is_cost};
use crate::driver::ensure_replayed;
use crate::output::{self, count};
use crate::plan::{self, Plan};
use crate::report;
use crate::scorer::Scorer;
use crate::world::{Failure, World};

/// Cutoffs of a schedule, unless it is said where it begins.
const POINTS: i64 = 10;

pub(super) fn backtest(arguments: &Backtest) -> Result<(), Failure> {
    let mut world = World::load(&arguments.common)?;
    let name = task_name(arguments, &world)?;
    questions::override_predictor(&mut world, &name, &arguments.predictor)?;
    let plans = members(arguments, &world, &name)?;
    if arguments.stress && plans[0].ranker.is_some() {
        return Err(Failure::Usage("--stress: a ranking has no single figure of a row to follow".into()));
    }
    let entity = plans[0].task.entity;
    let bounds = questions::bounds(&arguments.regime)?;
    let segment = |text: &String| Segment::parse(text, &world.schema, entity);
    let mut segments = arguments.segment.iter().map(segment).collect::<Result<Vec<_>, _>>()?;
    let review = &settings(&world, &name).review;
    let budget = arguments.budget.or(review.budget);
    let by = arguments.budget_by.as_ref().or(review.by.as_ref()).map(segment).transpose()?;
    segments.extend(by.clone().filter(|by| !segments.contains(by)));
    let costs = arguments.cost_missed.zip(arguments.cost_false_alarm).or(review.costs);
    if costs.is_some_and(|(missed, false_alarm)| !(is_cost(missed) && is_cost(false_alarm))) {
        return Err(Failure::Usage("costs are numbers above 0".into()));
    }
    let store = world.open_store(false)?;
    ensure_replayed(&world, &store)?;
    let scorer = Scorer::new(Arc::clone(&store), Arc::clone(&plans[0]), bounds);
    let asked = asked(arguments, &world, &scorer)?;
    let run = Run {
        members: plans.into_iter().map(|plan| (plan.model().to_owned(), plan)).collect(),
        asked,
        bounds,
        judged_at: None,
        segments,
        budget: budget.map(|per_day| Budget { per_day, by: by.map(|by| by.name) }),
        costs: costs.map(|(missed, false_alarm)| Costs { missed, false_alarm }),
        seed: arguments.seed,
        stress: arguments.stress.then_some(arguments.stress_questions),
        out: arguments.out.clone(),
    };
    let report = run.go(&world, &store)?;
    let html = report::page(&report, &report::command_line(), &world.settings.document.text);
    let file = arguments.out.join("report.html");
    std::fs::write(&file, html).map_err(|error| std::io::Error::other(format!("{}: {error}", file.display())))?;
    match arguments.format {
        Format::Json => {
            let json = serde_json::to_value(&report).map_err(std::io::Error::from)?;
            Ok(output::print_json(&json)?)
        }
        Format::Table => print(arguments, &report),
    }
}

fn task_name(arguments: &Backtest, world: &World) -> Result<String, Failure> {
    match (&arguments.task, world.plans.as_slice()) {
        (Some(name), plans) => Ok(plan::find(plans, name, &world.settings.document)?.task.name.clone()),
        (None, [only]) => Ok(only.task.name.clone()),
        (None, plans) => {
            let names: Vec<&str> = plans.iter().map(|plan| plan.task.name.as_str()).collect();
            Err(Failure::Usage(format!("--task: which of {}?", names.join(", "))))
        }
    }
}

fn settings<'a>(world: &'a World, name: &str) -> &'a TaskSettings {
    world.settings.tasks.iter().find(|task| task.name == name).expect("every plan has its settings")
}

/// The member that is asked about, and what it has to beat.
fn members(arguments: &Backtest, world: &World, name: &str) -> Result<Vec<Arc<Plan>>, Failure> {
    let mut plans = vec![Arc::clone(plan::find(&world.plans, name, &world.settings.document)?)];
    // What everyone has alike puts the candidates of a ranking in no order.
    let constant = (plans[0].task.kind != TaskKind::Ranking).then_some(Member::Constant);
    let settings = settings(world, name);
    for member in [Member::Baseline, Member::LastK].into_iter().chain(constant) {
        if !arguments.only && plans[0].model() != member.name() {
            let settings = TaskSettings { model: member.name().to_owned(), weights: None, ..settings.clone() };
            plans.push(Arc::new(Plan::compile(&settings, &world.schema, &world.settings.document)?));
        }
    }
    Ok(plans)
}

fn asked(arguments: &Backtest, world: &World, scorer: &Scorer) -> Result<Vec<Asked>, Failure> {
    let plan = scorer.plan();
    if let (Some(file), Some(time_column)) = (&arguments.at, &arguments.time_column) {
        let (asked, missing, unreadable) = given(scorer, &questions::read(world, plan, file, time_column)?)?;
        if missing + unreadable > 0 {
            let file = file.display();
            tracing::warn!("of {file} {missing} rows are not in the store, and {unreadable} cannot be read");
        }
        return Ok(asked);
    }
    let time = |flag: &str, text: &Option<String>| text.as_deref().map(|text| questions::time(flag, text)).transpose();
    let (from, to) = (time("--from", &arguments.from)?, time("--to", &arguments.to)?);
    let known = scorer.store().newest_time().plus(-plan.task.matures_after(&world.schema));
    let to = to.unwrap_or(known);
    if plan.task.is_static() && arguments.every.is_none() && world.schema.table(plan.task.entity).time.is_some() {
        return triggered(scorer, from, to);
    }
    let step = arguments.every.as_ref().map_or_else(|| Ok(step(plan)), |text| length("--every", text))?;
    scheduled(scorer, from.unwrap_or_else(|| to.plus(-step.saturating_mul(POINTS)).plus(1)), to, step)
}

/// A length of time of the command line, in microseconds.
fn length(flag: &str, text: &str) -> Result<i64, Failure> {
    let duration: Duration = humantime::parse_duration(text)
        .map_err(|error| Failure::Usage(format!("{flag}: `{text}` is not a length of time such as 7d: {error}")))?;
    i64::try_from(duration.as_micros())
        .ok()
        .filter(|micros| *micros > 0)
        .ok_or_else(|| Failure::Usage(format!("{flag}: `{text}` is too short or too long")))
}

fn print(arguments: &Backtest, report: &Report) -> Result<(), Failure> {
    for evaluation in &report.evaluations {
        let timeframe =
            if report.evaluations.len() > 1 { format!(", timeframe {}", evaluation.timeframe) } else { String::new() };
        let positives = evaluation
            .positives
            .map_or_else(String::new, |positives| format!(", {} came true", count(positives as u64)));
        output::print_line(&format!(
            "{}{timeframe}: {} rows from {} to {}{positives}",
            report.task,
            count(evaluation.rows as u64),
            report.first_cutoff.as_deref().unwrap_or("-"),
            report.last_cutoff.as_deref().unwrap_or("-"),
        ))?;
        print_figures(report, evaluation)?;
        for warning in &evaluation.warnings {
            output::print_line(&format!("warning: {warning}"))?;
        }
    }
    for (reason, rows) in &report.fell_back {
        output::print_line(&format!("warning: {} rows fell back: {reason}", count(*rows as u64)))?;
    }
    if let Some(stress) = &report.stress {
        stress::print(stress)?;
    }
    let out = arguments.out.display();
    Ok(output::print_line(&format!(
        "{out}/report.html is the report; {out}/scores.parquet has every row, {out}/metrics.json every figure"
    ))?)
}

/// A line per figure: each member with the interval of its difference to the one that is asked about.
fn print_figures(report: &Report, evaluation: &Evaluation) -> Result<(), Failure> {
    let Some(own) = evaluation.members.get(&report.model) else { return Ok(()) };
    let mut header = vec!["", report.model.as_str()];
    let beside: Vec<String> = report.beside.iter().flat_map(|name| [name.clone(), format!("gain on {name}")]).collect();
    header.extend(beside.iter().map(String::as_str));
    let rows = own.iter().map(|(name, figure)| {
        let mut row = vec![name.replace('_', " "), interval(figure)];
        for other in &report.beside {
            let value = evaluation.members.get(other).and_then(|figures| figures.get(name)).and_then(|of| of.value);
            row.push(value.map_or_else(|| "-".into(), number));
            let difference = evaluation.differences.get(other).and_then(|figures| figures.get(name));
            row.push(match (difference, more_is_better(name)) {
                (Some(difference), Some(better)) => interval(&gain(difference, better)),
                _ => String::new(),
            });
        }
        row
    });
    Ok(output::print_table(&header, rows)?)
}

/// How much better, whatever the figure's direction.
fn gain(difference: &Figure, more_is_better: bool) -> Figure {
    if more_is_better {
        return *difference;
    }
    let turned = |value: Option<f64>| value.map(|value| -value);
    Figure { value: turned(difference.value), low: turned(difference.high), high: turned(difference.low) }
}

pub(super) fn interval(figure: &Figure) -> String {
    match (figure.value, figure.low, figure.high) {
        (Some(value), Some(low), Some(high)) => format!("{} [{}, {}]", number(value), number(low), number(high)),
        (Some(value), ..) => number(value),
        _ => "-".into(),
    }
}

fn number(value: f64) -> String {
    format!("{value:.4}")
}
