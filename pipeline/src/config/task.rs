//! What a config says of a task, after its values are checked.

use std::path::PathBuf;

use predictor::in_context;
use predictor::learn::Member;
use relational::EventTime;

use super::device::Device;
use super::raw::{RawEmit, RawReview, RawTask};
use super::report::{ConfigError, Document};
use super::settings::known;

/// `emit = "latest"` without its own times: soon enough to look live, late enough to gather a burst.
const QUIET_MICROS: i64 = 200_000;
const MAX_DELAY_MICROS: i64 = 2_000_000;

/// Past windows that are looked at for targets ([`predictor::features::FeatureOptions::lag_windows`]).
const LAG_WINDOWS: u16 = 40;
/// A sample grows with the product of its hops.
const HOPS_MAX: usize = 3;
const CHILDREN_MAX: usize = 64;
/// The published package averages 8.
const ESTIMATORS_MAX: usize = 16;

/// `[tasks.<name>]`
#[derive(Debug, Clone, PartialEq)]
pub struct TaskSettings {
    /// The task's name.
    pub name: String,
    /// Its query.
    pub query: String,
    /// When scores are emitted; `None` for what suits the query.
    pub emit: Option<Emit>,
    /// For `per_event`: how old a row may be for its score to be corrected, in microseconds; 0 for never.
    pub corrections: i64,
    /// No score has a cutoff before this time.
    pub from: Option<EventTime>,
    /// The predictor's member, by name.
    pub model: String,
    /// The folder of its weights.
    pub weights: Option<PathBuf>,
    /// What computes the member that has weights; the same for all tasks.
    pub device: Device,
    /// How many labelled examples a context holds; `None` for what suits the labels.
    pub context_size: Option<usize>,
    /// How they are chosen, by name.
    pub context_policy: Option<String>,
    /// How often a context is drawn anew, in microseconds of event time; `None` for what suits the horizon.
    pub refresh: Option<i64>,
    /// How many past targets are features one by one; `None` for the default.
    pub lags: Option<u8>,
    /// How many children of a row are followed along each foreign key, one entry per hop; `None` for the default.
    pub fanout: Option<Vec<usize>>,
    /// How many differently shuffled views of the tables are averaged; `None` for the default.
    pub estimators: Option<usize>,
    /// Where scores go.
    pub topic: String,
    /// What is done with them.
    pub review: ReviewSettings,
}

/// `[tasks.<name>.review]`: what a backtest counts the use of scores by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReviewSettings {
    /// How many can be looked at each day.
    pub budget: Option<usize>,
    /// `table.column`: rows of one day with one value of it are looked at together.
    pub by: Option<String>,
    /// What it costs to miss something true, and to act on something false.
    pub costs: Option<(f64, f64)>,
}

/// When scores are emitted. Times in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emit {
    /// Each new row of the entity's table is scored once, at its own time.
    PerEvent,
    /// An entity is scored when something that its score depends on has changed.
    Latest {
        /// How long it must be quiet before.
        quiet: i64,
        /// How long the score may wait at most.
        max_delay: i64,
    },
    /// Every entity is scored at each multiple of `step` in event time.
    Every {
        /// The step.
        step: i64,
    },
    /// Only on request.
    Never,
}

impl Emit {
    /// What suits a task that does not say: a row's own label is asked for as the row comes in; what happens in a
    /// window after the cutoff is kept up to date.
    #[must_use]
    pub fn suiting(is_static: bool) -> Self {
        if is_static { Self::PerEvent } else { Self::Latest { quiet: QUIET_MICROS, max_delay: MAX_DELAY_MICROS } }
    }
}

pub(super) fn check(
    document: &Document,
    name: &str,
    raw: &RawTask,
    (app, device): (&str, Device),
) -> Result<TaskSettings, ConfigError> {
    let path = |key| ["tasks", name, key];
    let model = raw.model.clone().unwrap_or_else(|| Member::Auto.name().into());
    let models: Vec<&str> = Member::ALL.iter().map(|member| member.name()).chain([in_context::NAME]).collect();
    known(document, &path("model"), "model", &model, &models)?;
    if let Some(policy) = &raw.context_policy {
        known(
            document,
            &path("context_policy"),
            "context policy",
            policy,
            &["recent", "spread", "random", "stratified", "own"],
        )?;
    }
    let emit = match (raw.emit, raw.every) {
        (Some(RawEmit::Every), Some(step)) if step.0 > 0 => Some(Emit::Every { step: step.0 }),
        (Some(RawEmit::Every), _) => {
            return Err(document.error(&path("emit"), "a schedule needs its step").hint("add every = \"1d\""));
        }
        (_, Some(_)) => {
            return Err(document.error(&path("every"), "`every` goes with emit = \"every\""));
        }
        (Some(RawEmit::PerEvent), None) => Some(Emit::PerEvent),
        (Some(RawEmit::Never), None) => Some(Emit::Never),
        (None, None) if raw.quiet.is_none() && raw.max_delay.is_none() => None,
        (Some(RawEmit::Latest) | None, None) => {
            let quiet = raw.quiet.map_or(QUIET_MICROS, |micros| micros.0);
            let max_delay = raw.max_delay.map_or(MAX_DELAY_MICROS.max(quiet), |micros| micros.0);
            Some(Emit::Latest { quiet, max_delay })
        }
    };
    Ok(TaskSettings {
        name: name.to_owned(),
        query: raw.query.clone(),
        emit,
        corrections: raw.corrections.map_or(0, |corrections| corrections.0),
        from: raw.from.map(|instant| instant.0),
        model,
        weights: raw.weights.as_ref().map(|folder| PathBuf::from(&folder.0)),
        device,
        context_size: raw.context_size,
        context_policy: raw.context_policy.clone(),
        refresh: raw.refresh.map(|micros| micros.0.max(1)),
        lags: check_lags(document, name, raw.lags)?,
        fanout: check_fanout(document, name, raw.fanout.as_deref())?,
        estimators: check_estimators(document, name, raw.estimators)?,
        topic: raw.topic.as_ref().map_or_else(|| format!("{app}.{name}"), |topic| topic.0.clone()),
        review: raw
            .review
            .as_ref()
            .map_or_else(|| Ok(ReviewSettings::default()), |raw| check_review(document, name, raw))?,
    })
}

fn check_lags(document: &Document, task: &str, lags: Option<u8>) -> Result<Option<u8>, ConfigError> {
    match lags {
        Some(lags) if u16::from(lags) > LAG_WINDOWS => Err(document.error(
            &["tasks", task, "lags"],
            format!("past targets are looked for in {LAG_WINDOWS} windows: there are no {lags} of them"),
        )),
        lags => Ok(lags),
    }
}

fn check_fanout(document: &Document, task: &str, fanout: Option<&[usize]>) -> Result<Option<Vec<usize>>, ConfigError> {
    let at = ["tasks", task, "fanout"];
    match fanout {
        Some(hops) if hops.is_empty() || hops.len() > HOPS_MAX => Err(document
            .error(&at, format!("{} hops: one entry per hop, from 1 to {HOPS_MAX}", hops.len()))
            .hint("fanout = [16, 8] is the default: two hops")),
        Some(hops) if hops.iter().any(|children| !(1..=CHILDREN_MAX).contains(children)) => {
            Err(document.error(&at, format!("each hop follows from 1 to {CHILDREN_MAX} children along a foreign key")))
        }
        hops => Ok(hops.map(<[usize]>::to_vec)),
    }
}

fn check_estimators(document: &Document, task: &str, estimators: Option<usize>) -> Result<Option<usize>, ConfigError> {
    match estimators {
        Some(count) if !(1..=ESTIMATORS_MAX).contains(&count) => {
            let message = format!("{count} views: from 1 to {ESTIMATORS_MAX} can be averaged");
            Err(document.error(&["tasks", task, "estimators"], message))
        }
        estimators => Ok(estimators),
    }
}

/// Whether a number can be weighed against another cost.
#[must_use]
pub fn is_cost(cost: f64) -> bool {
    cost.is_finite() && cost > 0.0
}

fn check_review(document: &Document, task: &str, raw: &RawReview) -> Result<ReviewSettings, ConfigError> {
    let error = |key, message| Err(document.error(&["tasks", task, "review", key], message));
    if raw.budget.is_none() && raw.by.is_some() {
        return error("by", "what is looked at needs a `budget` of how many a day");
    }
    let costs = match (raw.cost_missed, raw.cost_false_alarm) {
        (Some(missed), _) if !is_cost(missed) => return error("cost_missed", "costs are numbers above 0"),
        (_, Some(alarm)) if !is_cost(alarm) => return error("cost_false_alarm", "costs are numbers above 0"),
        (Some(_), None) => return error("cost_missed", "it is weighed against a `cost_false_alarm`"),
        (None, Some(_)) => return error("cost_false_alarm", "it is weighed against a `cost_missed`"),
        (missed, alarm) => missed.zip(alarm),
    };
    Ok(ReviewSettings { budget: raw.budget, by: raw.by.clone(), costs })
}
