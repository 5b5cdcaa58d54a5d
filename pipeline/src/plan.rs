//! One task, compiled: what its query means, what it reads, and when its scores are due.

use std::sync::Arc;

use predictor::context::{ContextSpec, Policy, refresh_point};
use predictor::executor::Executor;
use predictor::features::{FeatureOptions, Featuriser};
use predictor::in_context;
use predictor::learn::Member;
use predictor::ranking::Ranker;
use predictor::read_set::ReadSet;
use relational::limits::{CONTEXT_EXAMPLES_MAX, CONTEXT_VALUES_MAX};
use relational::{EventTime, Schema, Table, Task};
use xxhash_rust::xxh3::xxh3_64;

use crate::config::{ConfigError, Document, Emit, TaskSettings, nearest};
use crate::relational_member::RelationalMember;
use crate::tuned::{self, TunedNetwork};

/// A compiled task.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The resolved query.
    pub task: Arc<Task>,
    /// Labels, population and assumption; of a forecast those of its first timeframe.
    pub executor: Arc<Executor>,
    /// One per timeframe of a forecast, the first included; for every other task that one alone.
    pub timeframes: Vec<Arc<Executor>>,
    /// Features of the entity.
    pub featuriser: Featuriser,
    /// Candidates and their features, where rows of another table are ranked.
    pub ranker: Option<Arc<Ranker>>,
    /// What a score reads, and its inverse.
    pub read_set: ReadSet,
    /// The predictor's member that is asked for, where it reads features.
    pub member: Member,
    /// The member that reads neighbourhoods, where it is asked for instead.
    pub relational: Option<Arc<RelationalMember>>,
    /// Weights of the task's own, for `foreshore-small`.
    pub tuned: Option<Arc<TunedNetwork>>,
    /// What contexts are wanted.
    pub context: ContextSpec,
    /// How often a context is drawn anew, in microseconds of event time; `None` for what suits the horizon.
    pub refresh: Option<i64>,
    /// When scores are due.
    pub emit: Emit,
    /// For scores per event: how old a row may be for its score to be corrected, in microseconds; 0 for never.
    pub corrections: i64,
    /// No score has a cutoff before this time.
    pub from: EventTime,
}

impl Plan {
    /// Compiles a task of the config.
    ///
    /// # Errors
    ///
    /// With the place in the config, when the query does not fit the schema or cannot be served.
    pub fn compile(settings: &TaskSettings, schema: &Arc<Schema>, document: &Document) -> Result<Self, ConfigError> {
        let task = Arc::new(resolve(settings, schema, document)?);
        let emit = settings.emit.unwrap_or_else(|| Emit::suiting(task.is_static()));
        check_emit(settings, &task, emit, schema, document)?;
        let of_timeframe = |task: Task| Arc::new(Executor::new(Arc::new(task), Arc::clone(schema)));
        let timeframes: Vec<Arc<Executor>> = task.timeframes().into_iter().map(of_timeframe).collect();
        let executor = Arc::clone(&timeframes[0]);
        let ranker = Ranker::new(&executor).map(Arc::new);
        let featuriser = match &ranker {
            Some(ranker) => ranker.of_entity().clone(),
            None => Featuriser::new(Arc::clone(&executor), &feature_options(settings)),
        };
        let relational = match settings.model.as_str() {
            in_context::NAME => Some(Arc::new(RelationalMember::load(settings, task.kind, &executor, document)?)),
            _ => None,
        };
        let read_set = ReadSet::new(&featuriser, relational.as_ref().map(|member| member.sampler()));
        let member = Member::parse(&settings.model).unwrap_or(Member::Baseline);
        let tuned = tuned_network(settings, member, &task, schema, document)?;
        let columns = ranker.as_ref().map_or_else(|| featuriser.names().len(), |ranker| ranker.names().len());
        let context = context_spec(settings, member, columns);
        let from = settings.from.unwrap_or(EventTime::MIN);
        let (refresh, corrections) = (settings.refresh, settings.corrections);
        Ok(Self {
            task,
            executor,
            timeframes,
            featuriser,
            ranker,
            read_set,
            member,
            relational,
            tuned,
            context,
            refresh,
            emit,
            corrections,
            from,
        })
    }

    /// The same task, and the same contexts, for another member of the predictor's family.
    #[must_use]
    pub fn with_member(&self, member: Member) -> Self {
        Self { member, relational: None, tuned: None, ..self.clone() }
    }

    /// The same task with contexts of at most this size.
    #[must_use]
    pub fn with_context_size(&self, size: usize) -> Self {
        let context = ContextSpec { size: size.min(self.context.size_max), ..self.context.clone() };
        Self { context, ..self.clone() }
    }

    /// The same task as it would be if the values that a row's own label is made of arrived so much later, in
    /// microseconds: what is read of earlier labels waits for them, too. The task itself where its label happens in a
    /// window: the rows that it is made of come as they come.
    #[must_use]
    pub fn delayed(&self, by: i64) -> Self {
        if !self.task.is_static() || self.ranker.is_some() || by == 0 {
            return self.clone();
        }
        let schema = self.executor.schema();
        let mut tables: Vec<Table> = schema.tables().map(|(_, table)| table.clone()).collect();
        for column in self.task.own_target_columns() {
            let column = &mut tables[usize::from(self.task.entity.0)].columns[usize::from(column.0)];
            column.arrives_after = column.arrives_after.saturating_add(by);
        }
        let links = schema.foreign_keys().map(|(_, link)| link.clone()).collect();
        let schema = Arc::new(Schema::new(tables, links).expect("it was a schema before"));
        let executor = Arc::new(Executor::new(Arc::clone(&self.task), schema));
        // The one option that a config has, lags, is of labels in windows.
        let featuriser = Featuriser::new(Arc::clone(&executor), &FeatureOptions::default());
        Self { timeframes: vec![Arc::clone(&executor)], executor, featuriser, ..self.clone() }
    }

    /// Whether the features of another plan for the same task are the same.
    #[must_use]
    pub fn reads_as(&self, other: &Self) -> bool {
        self.featuriser.names() == other.featuriser.names()
    }

    /// Whether features are made of the target's own past, lag by lag.
    #[must_use]
    pub fn reads_lags(&self) -> bool {
        let learns = matches!(self.member, Member::Baseline | Member::Trees | Member::Small | Member::Auto);
        learns && self.relational.is_none() && self.ranker.is_none() && !self.task.is_static()
    }

    /// The name of the member that is asked for.
    #[must_use]
    pub fn model(&self) -> &'static str {
        if self.relational.is_some() { in_context::NAME } else { self.member.name() }
    }

    /// Whether weights that the task names are read.
    #[must_use]
    pub fn takes_weights(&self) -> bool {
        self.relational.is_some() || takes_tuned(self.member)
    }

    /// The latest time up to `cutoff` at which a context is drawn anew.
    #[must_use]
    pub fn refresh_point(&self, cutoff: EventTime) -> EventTime {
        match self.refresh {
            Some(step) => floor(cutoff, step),
            None => refresh_point(&self.task, self.executor.schema(), cutoff),
        }
    }

    /// When the weights of the experts that answer with a context drawn at `point` are learned: once per generation of
    /// labels, for they change as labels mature.
    #[must_use]
    pub fn weights_point(&self, point: EventTime) -> EventTime {
        let generation = self.task.matures_after(self.executor.schema());
        let here = self.refresh_point(point);
        let step = here.since(self.refresh_point(here.plus(-1)));
        floor(here, generation.max(step)).min(point)
    }

    /// When the category statistics of a context drawn at `point` are taken: every fourth refresh; for `auto` when its
    /// weights are learned, so that the examples that these are learned from are read in the same way.
    #[must_use]
    pub fn vocabulary_point(&self, point: EventTime) -> EventTime {
        if self.relational.is_none() && self.member == Member::Auto {
            return self.weights_point(point);
        }
        let here = self.refresh_point(point);
        let step = here.since(self.refresh_point(here.plus(-1)));
        floor(here, step.saturating_mul(4)).min(point)
    }
}

/// Whether the network of `foreshore-small` is part of it.
fn takes_tuned(member: Member) -> bool {
    matches!(member, Member::Auto | Member::Small)
}

/// The weights that the task's config names, where the member takes any.
fn tuned_network(
    settings: &TaskSettings,
    member: Member,
    task: &Task,
    schema: &Schema,
    document: &Document,
) -> Result<Option<Arc<TunedNetwork>>, ConfigError> {
    let Some(folder) = settings.weights.as_ref().filter(|_| takes_tuned(member)) else {
        return Ok(None);
    };
    let read = tuned::read(folder, &pql::print(task, schema));
    let wrong = |error: tuned::TunedError| {
        let error = document.error(&["tasks", settings.name.as_str(), "weights"], error.to_string());
        error.hint("`foreshore fine-tune` makes weights for a task; without `weights` those in the program are used")
    };
    Ok(Some(Arc::new(read.map_err(wrong)?)))
}

/// How much is read and computed for features.
fn feature_options(settings: &TaskSettings) -> FeatureOptions {
    let default = FeatureOptions::default();
    FeatureOptions { lags: settings.lags.unwrap_or(default.lags), ..default }
}

/// The task that the query means.
fn resolve(settings: &TaskSettings, schema: &Schema, document: &Document) -> Result<Task, ConfigError> {
    let at = ["tasks", settings.name.as_str(), "query"];
    let task = pql::compile(&settings.name, &settings.query, schema)
        .map_err(|error| document.error(&at, format!("the query of task `{}` is wrong: {error}", settings.name)))?;
    match pql::unsupported(&task, schema) {
        Some(reason) => Err(document.error(&at, format!("task `{}` cannot be served: {reason}", settings.name))),
        None => Ok(task),
    }
}

fn check_emit(
    settings: &TaskSettings,
    task: &Task,
    emit: Emit,
    schema: &Schema,
    document: &Document,
) -> Result<(), ConfigError> {
    if emit == Emit::PerEvent && (!task.is_static() || schema.table(task.entity).time.is_none()) {
        let message = format!(
            "task `{}` cannot be scored per event: that takes a label in the row itself, and a time column",
            settings.name
        );
        let error = document.error(&["tasks", settings.name.as_str(), "emit"], message);
        return Err(error.hint("emit = \"latest\" keeps the score of every entity up to date"));
    }
    if settings.corrections > 0 && emit != Emit::PerEvent {
        let message = format!("the scores of task `{}` are not corrected: that takes one for each row", settings.name);
        let error = document.error(&["tasks", settings.name.as_str(), "corrections"], message);
        return Err(error.hint("`corrections` goes with emit = \"per_event\""));
    }
    Ok(())
}

fn floor(time: EventTime, step: i64) -> EventTime {
    EventTime(time.0.div_euclid(step).saturating_mul(step))
}

/// The seed is the task's name, so that a context is drawn the same way wherever it is drawn.
fn context_spec(settings: &TaskSettings, member: Member, columns: usize) -> ContextSpec {
    let policy = match settings.context_policy.as_deref() {
        Some("spread") => Policy::Spread { cutoffs: 8 },
        Some("random") => Policy::Random,
        Some("stratified") => Policy::Stratified,
        _ => Policy::Recent,
    };
    let size = settings.context_size.unwrap_or_else(|| member.context_size());
    let size_max = (CONTEXT_VALUES_MAX / columns.max(1)).min(CONTEXT_EXAMPLES_MAX);
    ContextSpec { policy, size, size_max, labels_until: None, seed: xxh3_64(settings.name.as_bytes()) }
}

/// The plan of this name.
///
/// # Errors
///
/// With the nearest name, when there is none.
pub fn find<'a>(plans: &'a [Arc<Plan>], name: &str, document: &Document) -> Result<&'a Arc<Plan>, ConfigError> {
    let names = || plans.iter().map(|plan| plan.task.name.as_str());
    plans.iter().find(|plan| plan.task.name == name).ok_or_else(|| {
        let error = document.error(&["tasks"], format!("no task is named `{name}`"));
        match nearest(name, names()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("the tasks are: {}", names().collect::<Vec<_>>().join(", "))),
        }
    })
}
