//! Schema-driven features of one entity as of one moment: the same bytes live, in a backtest and in any batch.
//!
//! A [`Featuriser`] is compiled once per task and schema into a flat list of features with stable names; nothing is
//! declared per database. For a query it reads each stream of child rows once (the newest rows, and block summaries for
//! windows that reach further back), so that its cost does not grow with the length of a history.
//!
//! Windowed targets are asked for an entity at a cutoff, and everything up to and including the cutoff is seen. A
//! row-level target ([`relational::Task::is_static`]) is asked for a row at the row's own time T: the row is seen
//! without its target and its late columns, and of all other rows only those strictly before T, so that rows of the
//! same time tell nothing by their order.
//!
//! The list of features follows section 8.2 of the project's model notes; h is the longer of horizon and label delay (a
//! week when both are zero).

mod codes;
mod columns;
mod compile;
mod evaluate;
#[cfg(test)]
pub(crate) mod fixture;
mod history;
mod names;
mod paths;
mod plan;
mod rollup;
pub(crate) mod scale;
mod sources;
mod stream;
mod subject;
#[cfg(test)]
mod tests;
mod told;
mod vocabulary;

use std::sync::Arc;

use graph_store::{Snapshot, Store, Version};
use relational::{AsOf, EventTime, Key, RowKey, TableId, Window};

use crate::Error;
use crate::executor::Executor;
use crate::learn::{CodedRows, Past};
use crate::read_set::Path;

use codes::{Coded, CodedSource};
use history::History;
use plan::{Anchor, Clock, Detail, Plan};
use stream::{Loaded, View};

pub(crate) use evaluate::Read;
pub(crate) use plan::column_names;
pub(crate) use sources::{Source, Told};
pub(crate) use subject::Subject;
pub(crate) use told::column_of_rows;
pub use vocabulary::Vocabulary;

/// One question: the entity, and what may be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Whose features.
    pub entity: Key,
    /// What may be seen. Windowed targets are asked at its cutoff, row-level targets at the row's own time.
    pub as_of: AsOf,
}

/// How much is read and computed. The defaults are the measured ones; none of them depends on a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureOptions {
    /// Past targets that are features one by one.
    pub lags: u8,
    /// Past windows that are looked at for them.
    pub lag_windows: u16,
    /// Newest rows read of a stream of the entity.
    pub rows: usize,
    /// Newest rows read of a stream of a parent.
    pub brief_rows: usize,
    /// Newest rows of a stream that grandchildren are rolled up onto.
    pub rolled_rows: usize,
    /// Newest grandchildren read per row.
    pub rolled_children: usize,
    /// Features kept at most; the rule is in the module `compile`.
    pub features_max: usize,
    /// Newest rows per table that a vocabulary is taken from.
    pub vocabulary_rows: usize,
}

impl Default for FeatureOptions {
    fn default() -> Self {
        Self {
            lags: 10,
            lag_windows: 40,
            rows: 64,
            brief_rows: 40,
            rolled_rows: 16,
            rolled_children: 64,
            features_max: 600,
            vocabulary_rows: relational::limits::SCAN_ROWS_MAX,
        }
    }
}

/// What else was learnt while a feature row was made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Whether a roll-up was cut at its limit, so that newest rows stand for all.
    pub truncated: bool,
    /// What is known of the entity's own past; for a row-level target, that of the earlier rows with the same parents.
    pub past: Past,
}

/// Features of one task, compiled.
#[derive(Debug, Clone)]
pub struct Featuriser {
    executor: Arc<Executor>,
    subject: Subject,
    plan: Plan,
    tables: Vec<TableId>,
    options: FeatureOptions,
}

impl Featuriser {
    /// Compiles the features of the executor's task.
    #[must_use]
    pub fn new(executor: Arc<Executor>, options: &FeatureOptions) -> Self {
        let subject = Subject::of(&executor);
        let plan = compile::compile(executor.schema(), &subject, options);
        let tables = (0..plan.anchors.len()).map(|anchor| plan.table(executor.schema(), anchor)).collect();
        Self { executor, subject, plan, tables, options: options.clone() }
    }

    /// One name per value of a row, unique and stable for equal task, schema and options.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.plan.names
    }

    /// The executor of the task.
    #[must_use]
    pub fn executor(&self) -> &Arc<Executor> {
        &self.executor
    }

    /// Every source of features, in the order of the features.
    pub(crate) fn sources(&self) -> Vec<Told> {
        sources::sources(&self.plan, &self.subject, &self.executor)
    }

    /// Every way by which a row reads something.
    pub(crate) fn paths(&self) -> Vec<Path> {
        paths::paths(&self.plan, &self.subject, &self.executor, &self.options)
    }

    /// The category statistics that rows are made with, as of a context's bounds.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn vocabulary(&self, store: &Store, at: AsOf) -> Result<Vocabulary, Error> {
        Vocabulary::take(store, &self.plan, at, self.options.vocabulary_rows)
    }

    /// Appends one value per name to `out`; not a number where a value is missing. An entity that is not there has
    /// missing values, which is no error.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn row(
        &self,
        store: &Store,
        vocabulary: &Vocabulary,
        query: &Query,
        out: &mut Vec<f32>,
    ) -> Result<Facts, Error> {
        self.row_in(&store.as_of(query.as_of), vocabulary, &query.entity, out)
    }

    /// As [`Self::row`], of a snapshot that may lack a row.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn row_in(
        &self,
        snapshot: &Snapshot,
        vocabulary: &Vocabulary,
        entity: &Key,
        out: &mut Vec<f32>,
    ) -> Result<Facts, Error> {
        let query = &Query { entity: entity.clone(), as_of: snapshot.bounds() };
        let read = self.read(snapshot, query)?;
        out.reserve(self.plan.features.len());
        for feature in &self.plan.features {
            let value = read.value(&self.plan, &self.tables, vocabulary, feature);
            #[expect(clippy::cast_possible_truncation, reason = "learners read single precision")]
            let single = value as f32;
            // One bit pattern for every missing value, so that equal rows are equal bytes.
            out.push(if single.is_finite() { single } else { f32::NAN });
        }
        Ok(Facts {
            truncated: read.streams.iter().any(|stream| stream.truncated),
            past: Past { rows: self.coded(vocabulary, &read), ..self.past(snapshot, query, &read)? },
        })
    }

    fn coded(&self, vocabulary: &Vocabulary, read: &Read) -> Vec<CodedRows> {
        let coded = |of: &Coded| {
            let coders: Vec<_> = of.columns.iter().map(|column| vocabulary.coder(of.table, *column)).collect();
            match of.source {
                CodedSource::Entity => codes::code(read.anchors[0].iter(), &of.columns, &coders),
                CodedSource::Stream(place) => codes::code(read.streams[place].rows.iter(), &of.columns, &coders),
            }
        };
        self.plan.coded.iter().map(coded).collect()
    }

    /// Everything that is read for one query.
    fn read(&self, snapshot: &Snapshot, query: &Query) -> Result<Read, Error> {
        let entity = snapshot.row(&RowKey { table: self.subject.entity, key: query.entity.clone() })?;
        let now = self.subject.now(query.as_of.cutoff, entity.as_ref());
        let clock = Clock { now, unit_micros: self.subject.unit_micros };
        let mut read = Read { clock, anchors: vec![entity], streams: Vec::new(), history: History::default() };
        for anchor in 1..self.plan.anchors.len() {
            if let Anchor::Parent(_) = self.plan.anchors[anchor] {
                read.anchors.push(self.anchor_row(snapshot, &read, anchor)?);
            }
        }
        for place in 0..self.plan.streams.len() {
            let anchor = self.plan.streams[place].anchor;
            while read.anchors.len() <= anchor {
                let row = self.anchor_row(snapshot, &read, read.anchors.len())?;
                read.anchors.push(row);
            }
            let loaded = self.stream(snapshot, query, &read, place)?;
            read.streams.push(loaded);
        }
        while read.anchors.len() < self.plan.anchors.len() {
            let row = self.anchor_row(snapshot, &read, read.anchors.len())?;
            read.anchors.push(row);
        }
        if !self.subject.is_static {
            read.history =
                History::read(&self.executor, &self.subject, snapshot, &query.entity, &clock, &self.options)?;
        }
        Ok(read)
    }

    fn stream(&self, snapshot: &Snapshot, query: &Query, read: &Read, place: usize) -> Result<Loaded, Error> {
        let stream = &self.plan.streams[place];
        let key = match self.plan.anchors[stream.anchor] {
            Anchor::Entity => Some(query.entity.clone()),
            _ => self.anchor_key(read, stream.anchor),
        };
        // A row-level target is asked of a row: without the row there is nothing to ask.
        let asked = !self.subject.is_static || read.anchors[0].is_some();
        let Some(key) = key.filter(|_| asked && stream.read) else { return Ok(Loaded::default()) };
        let strict = read.anchors[0].as_ref().is_some_and(|entity| self.subject.strict(entity));
        let siblings = self.subject.is_static && stream.child == self.subject.entity && stream.detail != Detail::Brief;
        let view = View {
            snapshot,
            clock: Clock { now: read.clock.now.plus(-stream.shift_micros), ..read.clock },
            strict,
            without: (siblings && !strict).then_some(&query.entity),
        };
        // A stream of labels follows that of the rows themselves.
        let siblings =
            (stream.labels && strict).then(|| &read.streams[place - 1]).filter(|_| self.plan.streams[place - 1].read);
        Loaded::read(stream, &key, &view, siblings, &self.executor, &self.options)
    }

    /// The key that leads to an anchor, from the row that points at it.
    fn anchor_key(&self, read: &Read, anchor: usize) -> Option<Key> {
        let (row, foreign_key) = match self.plan.anchors[anchor] {
            Anchor::Entity => return None,
            Anchor::Parent(foreign_key) => (read.anchors[0].as_ref()?, foreign_key),
            Anchor::LastParent { stream, foreign_key } => (read.streams[stream].rows.first()?, foreign_key),
        };
        Key::of(&row.row, &self.executor.schema().foreign_key(foreign_key).columns)
    }

    fn anchor_row(&self, snapshot: &Snapshot, read: &Read, anchor: usize) -> Result<Option<Version>, Error> {
        let Some(key) = self.anchor_key(read, anchor) else { return Ok(None) };
        Ok(snapshot.row(&RowKey { table: self.tables[anchor], key })?)
    }

    fn past(&self, snapshot: &Snapshot, query: &Query, read: &Read) -> Result<Past, Error> {
        if !self.subject.is_static {
            let labels = read.history.defined.iter().map(|(_, target)| *target).collect();
            return Ok(Past { labels, atoms: self.atoms(snapshot, query, read)?, rows: Vec::new() });
        }
        let mut labels: Vec<(EventTime, f64)> = Vec::new();
        for (stream, loaded) in self.plan.streams.iter().zip(&read.streams) {
            if stream.labels && !stream.numbers.is_empty() {
                let rows = loaded.rows.iter().enumerate().map(|(row, version)| (version.time, loaded.cell(row, 0)));
                labels.extend(rows.filter(|(_, label)| !label.is_nan()));
            }
        }
        // Stable, so that rows of the same time stay in the order of their streams.
        labels.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        Ok(Past { labels: labels.into_iter().map(|(_, label)| label).collect(), ..Past::default() })
    }

    /// The newest atoms of the target that are known by now, newest first: of the stream of the same rows where it was
    /// read.
    fn atoms(&self, snapshot: &Snapshot, query: &Query, read: &Read) -> Result<Vec<f64>, Error> {
        let Some((table, via)) = self.executor.atom_table() else { return Ok(Vec::new()) };
        let end = read.clock.now.plus(-self.subject.delay_micros);
        let same =
            |stream: &plan::Stream| stream.anchor == 0 && stream.child == table && stream.via == via && stream.read;
        if let Some(place) = self.plan.streams.iter().position(same) {
            let known = read.streams[place].rows.iter().filter(|version| version.time <= end);
            return Ok(known.filter_map(|version| self.executor.atom_of(&version.row)).collect());
        }
        let atoms = self.executor.atoms(snapshot, &query.entity, Window::up_to(end), self.options.rows)?;
        Ok(atoms.unwrap_or_default().into_iter().map(|(_, atom)| atom).collect())
    }
}
