//! From a query to a score: the context that answers it, fitted once and kept, and the prediction.

mod bank;
mod digest;
mod disturbance;
mod draw;
mod examples;
mod explain;
mod fitted;
mod forecast;
mod kept;
mod labels;
mod neighbourhoods;
mod panel;
mod ranking;

use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use graph_store::{Store, Transaction};
use lru::LruCache;
use predictor::context::{Selection, select};
use predictor::executor::Executor;
use predictor::features::{Query, Vocabulary};
use predictor::learn::{Mix, Past};
use relational::limits::RANKING_EXAMPLES_MAX;
use relational::{AsOf, EventTime, Key, Prediction, Sequence, TaskKind};

use crate::parallel;
use crate::plan::Plan;
pub use disturbance::Disturbance;
pub use draw::Moment;
use draw::{Draw, Draws};
use examples::KeptExamples;
use fitted::Answerer;
pub use fitted::FittedContext;
use kept::Kept;
pub use panel::{Answered, Panel};

/// What `score` may be told not to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// No row after this time is seen.
    pub data_until: Option<EventTime>,
    /// No label after this time enters a context.
    pub labels_until: Option<EventTime>,
}

/// A prediction and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The prediction.
    pub prediction: Prediction,
    /// Whether a neighbourhood was cut at its limit.
    pub truncated: bool,
    /// A digest of the features and the context: equal digests mean equal scores.
    pub digest: u64,
}

/// How long a score took, its context fitted: never part of what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Took {
    /// To read what it is made of from the graph.
    pub read: Duration,
    /// For the member to answer.
    pub model: Duration,
}

type Slot = Arc<OnceLock<Option<Arc<FittedContext>>>>;

/// Scores one task's queries.
#[derive(Debug)]
pub struct Scorer {
    store: Arc<Store>,
    plan: Arc<Plan>,
    bounds: Bounds,
    draws: Arc<Draws>,
    contexts: Mutex<LruCache<Moment, Slot>>,
    /// By the timeframe's number and the time.
    mixes: Mutex<LruCache<(usize, Moment), Arc<Mix>>>,
    examples: Arc<Mutex<KeptExamples>>,
    kept: Option<Kept>,
    /// Of a stress test.
    disturbance: Option<Disturbance>,
}

/// What is read for one query.
#[derive(Debug)]
struct Reading {
    features: Vec<f32>,
    past: Past,
    truncated: bool,
}

/// Neighbourhoods that are in memory at once.
const QUERIES_AT_ONCE: usize = 512;

/// Contexts kept at once: the newest few for late queries, not the whole history.
const CONTEXTS_KEPT: NonZero<usize> = NonZero::new(4).expect("4 is not 0");

impl Scorer {
    /// A scorer of `plan` over `store`.
    #[must_use]
    pub fn new(store: Arc<Store>, plan: Arc<Plan>, bounds: Bounds) -> Self {
        // The largest context that the task can have.
        let examples = Arc::new(Mutex::new(KeptExamples::new(plan.context.size_max)));
        let draws = Arc::new(Draws::new(&plan.task));
        Self::sharing(store, plan, bounds, draws, examples)
    }

    /// A scorer of the same task by another member of the same features, which reads the examples that this one has read
    /// already.
    #[must_use]
    pub fn beside(&self, plan: Arc<Plan>) -> Self {
        let (draws, examples) = (Arc::clone(&self.draws), Arc::clone(&self.examples));
        let beside = Self::sharing(Arc::clone(&self.store), plan, self.bounds, draws, examples);
        Self { disturbance: self.disturbance, ..beside }
    }

    fn sharing(
        store: Arc<Store>,
        plan: Arc<Plan>,
        bounds: Bounds,
        draws: Arc<Draws>,
        examples: Arc<Mutex<KeptExamples>>,
    ) -> Self {
        let contexts = Mutex::new(LruCache::new(CONTEXTS_KEPT));
        let timeframes = NonZero::new(plan.timeframes.len()).unwrap_or(NonZero::<usize>::MIN);
        let mixes = Mutex::new(LruCache::new(CONTEXTS_KEPT.saturating_mul(timeframes)));
        Self { store, plan, bounds, draws, contexts, mixes, examples, kept: None, disturbance: None }
    }

    /// Takes encoded contexts from files in the store's directory; `writes` says whether it keeps those that it makes.
    #[must_use]
    pub fn keeping(self, directory: &Path, writes: bool) -> Self {
        Self { kept: Some(Kept::new(directory, &self.plan.task.name, writes)), ..self }
    }

    /// An engine goes on where the store stands, and tells from now on what arrives.
    pub fn begin(&self) {
        self.draws.begin(self.store.sequence());
    }

    /// A change has arrived that is seen from `effective` on, in event time and in knowledge.
    pub fn arrived(&self, sequence: Sequence, effective: EventTime) {
        self.draws.arrived(sequence, effective);
    }

    /// Writes down as of which arrivals contexts were drawn since the last call.
    pub fn save_draws(&self, transaction: &mut Transaction<'_>) {
        self.draws.save(transaction);
    }

    /// What is read.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The task.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// When the context that answers a query at `cutoff` was drawn: one refresh point before the newest, so that a
    /// live run has a whole step to fit it off the scoring path, and a replay uses the very same.
    #[must_use]
    pub fn context_point(&self, cutoff: EventTime) -> EventTime {
        let newest = self.plan.refresh_point(cutoff);
        let point = self.plan.refresh_point(newest.plus(-1));
        self.bounds.data_until.map_or(point, |until| point.min(until))
    }

    /// When the context that answers a query was drawn, and by when of what arrived: queries of one moment share it.
    #[must_use]
    pub fn moment(&self, as_of: AsOf) -> Moment {
        Moment::new(self.context_point(as_of.cutoff), as_of.sequence)
    }

    /// The context that answers a query within `as_of`, fitted now if it is not there yet. `None` when there is no
    /// labelled past to draw from.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn context(&self, as_of: AsOf) -> Result<Option<Arc<FittedContext>>, predictor::Error> {
        self.context_at(self.moment(as_of))
    }

    /// Fits the context that will be needed next, once the input is complete up to `watermark`: what is drawn then is
    /// what a later replay draws.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn prepare(&self, watermark: EventTime) -> Result<(), predictor::Error> {
        self.context_at(Moment::new(self.plan.refresh_point(watermark), self.store.sequence())).map(drop)
    }

    fn context_at(&self, asked: Moment) -> Result<Option<Arc<FittedContext>>, predictor::Error> {
        let moment = self.draws.resolve(&self.store, asked)?;
        let slot = {
            let mut contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(contexts.get_or_insert(moment, Slot::default))
        };
        if let Some(context) = slot.get() {
            return Ok(context.clone());
        }
        let context = self.fit(moment)?.map(Arc::new);
        Ok(slot.get_or_init(|| context).clone())
    }

    fn fit(&self, moment: Moment) -> Result<Option<FittedContext>, predictor::Error> {
        match &self.plan.relational {
            Some(member) => self.fit_relational(member, moment),
            None if self.plan.task.kind == TaskKind::Forecast => self.fit_forecast(moment),
            None => self.fit_features(moment, 0),
        }
    }

    /// The labelled examples that the context drawn at `point` holds.
    fn select(&self, executor: &Executor, point: EventTime, draw: Draw) -> Result<Selection, predictor::Error> {
        let mut spec = self.plan.context.clone();
        spec.labels_until = self.bounds.labels_until;
        if let Some(Disturbance { delay: delay @ 1.., .. }) = self.disturbance {
            let until = point.plus(-delay);
            spec.labels_until = Some(spec.labels_until.map_or(until, |bound| bound.min(until)));
        }
        if self.plan.ranker.is_some() {
            spec.size = spec.size.min(RANKING_EXAMPLES_MAX);
        }
        select(&self.store, executor, AsOf::historical(point, draw.sequence), &spec)
    }

    /// The bounds of a query about `entity` at `cutoff`, as a live run would have had them: for a row that triggers
    /// its own score, what had arrived with it; otherwise what was known at the cutoff. `None` when the row of a
    /// row-level task is not there.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn historical(&self, entity: &Key, cutoff: EventTime) -> Result<Option<AsOf>, predictor::Error> {
        self.historical_of(entity, cutoff, self.store.sequence())
    }

    fn historical_of(
        &self,
        entity: &Key,
        cutoff: EventTime,
        sequence: Sequence,
    ) -> Result<Option<AsOf>, predictor::Error> {
        let known = self.bounds.data_until.map_or(cutoff, |until| until.min(cutoff));
        let whole = AsOf { cutoff, sequence, known };
        if !self.plan.task.is_static() || self.store.schema().table(self.plan.task.entity).time.is_none() {
            return Ok(Some(whole));
        }
        let row_key = relational::RowKey { table: self.plan.task.entity, key: entity.clone() };
        let Some(row) = self.store.as_of(AsOf::live(EventTime::MAX, sequence)).row(&row_key)? else { return Ok(None) };
        // As it came in: a later update may have moved its time.
        let first = self.store.as_of(AsOf::live(EventTime::MAX, row.born)).row(&row_key)?;
        Ok(first.map(|first| AsOf {
            cutoff: first.time,
            sequence: row.born,
            known: self.bounds.data_until.unwrap_or(EventTime::MAX),
        }))
    }

    /// The prediction for `entity`, read within `as_of`.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn score(&self, context: &FittedContext, entity: &Key, as_of: AsOf) -> Result<Scored, predictor::Error> {
        self.score_timed(context, entity, as_of).map(|(scored, _)| scored)
    }

    /// As [`Self::score`], and how long it took.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn score_timed(
        &self,
        context: &FittedContext,
        entity: &Key,
        as_of: AsOf,
    ) -> Result<(Scored, Took), predictor::Error> {
        let query = Query { entity: entity.clone(), as_of };
        let started = Instant::now();
        let took = |read: Duration| Took { read, model: started.elapsed().saturating_sub(read) };
        match &context.answerer {
            Answerer::Features { fitted, vocabulary, .. } => {
                let reading = self.read(vocabulary, &query)?;
                let read = started.elapsed();
                Ok((context.answer(fitted, &reading), took(read)))
            }
            // Candidates are read one by one as they are asked about.
            Answerer::Ranking(ranked) => Ok((self.score_ranking(context, ranked, &query)?, took(Duration::ZERO))),
            Answerer::Forecast { steps, vocabulary } => {
                let reading = self.read(vocabulary, &query)?;
                let read = started.elapsed();
                Ok((self.forecast(context, steps, &query, &reading), took(read)))
            }
            Answerer::Relational(answerer) => {
                let mut scored = self.score_relational(context, answerer, &[query])?;
                Ok(scored.pop().expect("one query has one answer"))
            }
        }
    }

    /// What members that read features read for a query.
    fn read(&self, vocabulary: &Vocabulary, query: &Query) -> Result<Reading, predictor::Error> {
        let mut features = Vec::with_capacity(self.plan.featuriser.names().len());
        let snapshot = self.snapshot(query.as_of);
        let facts = self.plan.featuriser.row_in(&snapshot, vocabulary, &query.entity, &mut features)?;
        let reading = Reading { features, past: facts.past, truncated: facts.truncated };
        Ok(self.disturb(&query.entity, query.as_of.cutoff, reading))
    }

    /// The predictions for several queries, in their order and on all cores.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn score_all(
        &self,
        context: &FittedContext,
        questions: &[(&Key, AsOf)],
    ) -> Result<Vec<Scored>, predictor::Error> {
        Ok(self.score_all_timed(context, questions)?.into_iter().map(|(scored, _)| scored).collect())
    }

    fn score_all_timed(
        &self,
        context: &FittedContext,
        questions: &[(&Key, AsOf)],
    ) -> Result<Vec<(Scored, Took)>, predictor::Error> {
        let Answerer::Relational(answerer) = &context.answerer else {
            return parallel::map(questions, |(key, as_of)| self.score_timed(context, key, *as_of));
        };
        let query = |(key, as_of): &(&Key, AsOf)| Query { entity: (*key).clone(), as_of: *as_of };
        let mut scored = Vec::with_capacity(questions.len());
        for questions in questions.chunks(QUERIES_AT_ONCE) {
            let queries: Vec<Query> = questions.iter().map(query).collect();
            scored.extend(self.score_relational(context, answerer, &queries)?);
        }
        Ok(scored)
    }

    /// The named features of `entity` within `as_of`, as the context at its cutoff reads them.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn features(&self, entity: &Key, as_of: AsOf) -> Result<Vec<(String, f32)>, predictor::Error> {
        let vocabulary = self.vocabulary(self.draws.resolve(&self.store, self.moment(as_of))?)?;
        let mut features = Vec::new();
        let query = Query { entity: entity.clone(), as_of };
        self.plan.featuriser.row(&self.store, &vocabulary, &query, &mut features)?;
        Ok(self.plan.featuriser.names().iter().cloned().zip(features).collect())
    }

    /// Whether `entity` is to be scored at all: it is there, the query names it, and it is in the population.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn wanted(&self, entity: &Key, as_of: AsOf) -> Result<bool, predictor::Error> {
        if self.plan.task.only.as_ref().is_some_and(|only| !only.contains(entity)) {
            return Ok(false);
        }
        self.plan.executor.in_population(&self.store.as_of(as_of), entity, as_of.cutoff)
    }
}
