//! Ranking: which rows of another table an entity's rows will point at.
//!
//! One question per (entity, candidate): will the entity have a row in the window that points at the candidate? The
//! candidates are a bounded number of rows that the entity pointed at before, that entities like it pointed at, and
//! that are popular. The features of a pair are those of the entity, those of the candidate, and what the two have had
//! with each other. What belongs to all entities (popularity, company, the candidates' own features) is taken as of a
//! context's time, for examples as of the time of the context that a query at their anchor would have had.

mod market;
mod pair;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use graph_store::Store;
use relational::{
    Aggregate, AsOf, ColumnId, EventTime, ForeignKeyId, Function, Key, Problem, Row, Schema, TableId, Target, Task,
    TaskKind, Value,
};

use crate::Error;
use crate::context::Order;
use crate::executor::{Executor, keeps};
use crate::features::{FeatureOptions, Featuriser, Query, Vocabulary};

pub use market::Market;
pub use pair::{Candidate, Candidates};

/// Features of the entity, and as many of the candidate: pairs are many, and what tells candidates apart is mostly in
/// the pair.
const FEATURES_MAX: usize = 120;

/// A ranking task, compiled.
#[derive(Debug, Clone)]
pub struct Ranker {
    aggregate: Aggregate,
    column: ColumnId,
    schema: Arc<Schema>,
    of_entity: Featuriser,
    of_candidate: Featuriser,
    names: Vec<String>,
    order: Order,
    /// h: the longer of horizon and label delay, in microseconds.
    unit_micros: i64,
    /// The length of the target's window, in microseconds.
    step_micros: i64,
}

impl Ranker {
    /// Of an executor's task; `None` where it ranks nothing.
    #[must_use]
    pub fn new(executor: &Executor) -> Option<Self> {
        let (task, schema) = (executor.task(), executor.schema());
        let Target::Aggregate(aggregate) = &task.target else { return None };
        let column = aggregate.column.filter(|_| task.kind == TaskKind::Ranking)?;
        let window = aggregate.window?.at(EventTime(0));
        let (link, foreign_key) = schema.parents_of(aggregate.table).find(|(_, link)| link.columns == [column])?;
        let options = FeatureOptions { features_max: FEATURES_MAX, ..FeatureOptions::default() };
        let rows = Aggregate { function: Function::CountDistinct, ..aggregate.clone() };
        let of_entity = Featuriser::new(asking(Task::clone(task), schema, rows), &options);
        let rows = Aggregate { function: Function::Count, column: None, via: vec![link], ..aggregate.clone() };
        let popularity = Task { entity: foreign_key.parent, only: None, population: None, ..Task::clone(task) };
        let popularity = Task { assuming: None, ..popularity };
        let of_candidate = Featuriser::new(asking(popularity, schema, rows), &options);
        let named = |whose: &'static str| move |name: &String| format!("{whose} {name}");
        let names = of_entity.names().iter().map(named("entity"));
        let names = names.chain(of_candidate.names().iter().map(named("candidate")));
        Some(Self {
            names: names.chain(pair::NAMES.iter().map(|name| format!("pair {name}"))).collect(),
            aggregate: aggregate.clone(),
            column,
            schema: Arc::clone(schema),
            of_entity,
            of_candidate,
            order: Order::new(task, 0),
            unit_micros: task.horizon().max(task.label_delay(schema)).max(1),
            step_micros: window.end.since(window.start).max(1),
        })
    }

    /// The features of an entity.
    #[must_use]
    pub fn of_entity(&self) -> &Featuriser {
        &self.of_entity
    }

    /// One name per feature of a pair: those of the entity, those of the candidate, and those of both.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The category statistics of both sides' features, as of a context's bounds.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn vocabulary(&self, store: &Store, at: AsOf) -> Result<Vocabulary, Error> {
        Ok(self.of_entity.vocabulary(store, at)?.joined(self.of_candidate.vocabulary(store, at)?))
    }

    /// Popularity and company as of `at`.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn market(&self, store: &Store, at: AsOf) -> Result<Market, Error> {
        Market::take(self, store, at)
    }

    /// The features of a candidate as of a market's time. `None` where there was no such row.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn candidate(
        &self,
        store: &Store,
        vocabulary: &Vocabulary,
        candidate: &Value,
        market: &Market,
    ) -> Result<Option<Vec<f32>>, Error> {
        let query = Query { entity: Key::single(candidate.clone()), as_of: market.at() };
        let executor = self.of_candidate.executor();
        if !executor.exists(&store.as_of(query.as_of), &query.entity, query.as_of.cutoff)? {
            return Ok(None);
        }
        let mut features = Vec::with_capacity(self.of_candidate.names().len());
        self.of_candidate.row(store, vocabulary, &query, &mut features)?;
        Ok(Some(features))
    }

    /// The order of candidates that are equally likely: by a seeded hash, which knows nothing of the order of keys.
    #[must_use]
    pub fn tie(&self, candidate: &Value) -> u64 {
        self.order.place(&Key::single(candidate.clone()), EventTime::MIN)
    }

    /// The place of a pair in a seeded order.
    #[must_use]
    pub fn place(&self, entity: &Key, anchor: EventTime, candidate: &Value) -> u64 {
        let pair = Key::new(entity.values().iter().chain(std::iter::once(candidate)).cloned());
        self.order.place(&pair, anchor)
    }

    fn child(&self) -> TableId {
        self.aggregate.table
    }

    /// Whether the target counts this row of the child table.
    fn counts(&self, row: &Row) -> bool {
        !row.value(self.column).is_null() && keeps(self.aggregate.filter.as_deref(), row)
    }

    /// The entities that a row of the child table points at.
    fn entities_of(&self, row: &Row) -> impl Iterator<Item = Key> {
        let links = self.aggregate.via.iter().map(|link: &ForeignKeyId| self.schema.foreign_key(*link));
        links.filter_map(|link| Key::of(row, &link.columns))
    }
}

/// An executor of a task that asks for an aggregate of the same rows.
fn asking(task: Task, schema: &Arc<Schema>, aggregate: Aggregate) -> Arc<Executor> {
    let target = Target::Aggregate(aggregate);
    let task = Task { target, problem: Problem::Plain, kind: TaskKind::Regression, ..task };
    Arc::new(Executor::new(Arc::new(task), Arc::clone(schema)))
}
