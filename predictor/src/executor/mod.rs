//! The one executor of predictive queries: labels for training, context, backtest and tests come from here.
//!
//! Everything is read through a [`Snapshot`], so nothing that the snapshot may not see can enter a label. Comparisons
//! follow three-valued logic (see [`Task`]): unknown is `None` here.

mod aggregate;
mod atom;
mod condition;
mod reader;
pub(crate) mod rows;

use std::sync::Arc;

use graph_store::{Snapshot, Version};
use relational::{
    AsOf, Condition, EventTime, ForeignKeyId, Key, Row, Schema, TableId, Target, Task, TaskKind, Value, Window,
};

use crate::Error;
use atom::Atom;
pub(crate) use condition::{compare, keeps};
use reader::{Reader, Windowless};
use rows::Source;

/// Answers one task's target, population and assumption for any entity at any anchor.
#[derive(Debug, Clone)]
pub struct Executor {
    task: Arc<Task>,
    schema: Arc<Schema>,
    atom: Option<Atom>,
}

impl Executor {
    /// Compiles a task that was resolved against `schema`.
    #[must_use]
    pub fn new(task: Arc<Task>, schema: Arc<Schema>) -> Self {
        let atom = Atom::of(&task);
        Self { task, schema, atom }
    }

    /// The task.
    #[must_use]
    pub fn task(&self) -> &Arc<Task> {
        &self.task
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The target of `entity` at `anchor` from what `snapshot` can see. `None` is no label: the target is unknown, the
    /// entity was not there at the anchor, or the assumption did not come true. The population is not checked.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn target(&self, snapshot: &Snapshot, entity: &Key, anchor: EventTime) -> Result<Option<Value>, Error> {
        let reader = self.target_reader(snapshot, entity, &[anchor])?;
        if !reader.exists(anchor)? {
            return Ok(None);
        }
        self.label(&reader, anchor)
    }

    /// [`Self::target`] for an entity that is known to have been there at the anchor, although it may be gone by now.
    pub(crate) fn target_of_existing(
        &self,
        snapshot: &Snapshot,
        entity: &Key,
        anchor: EventTime,
    ) -> Result<Option<Value>, Error> {
        self.label(&self.target_reader(snapshot, entity, &[anchor])?, anchor)
    }

    /// The target of a row that is its own example, as `version` (a row of the entity's table that `snapshot` shows) has
    /// it.
    pub(crate) fn target_of_row(&self, snapshot: &Snapshot, version: Version) -> Result<Option<Value>, Error> {
        let anchor = version.time;
        let reader = self.target_reader(snapshot, &version.key.clone(), &[anchor])?.with_version(version);
        self.label(&reader, anchor)
    }

    /// Whether the entity's row, or a row that names it, shows that it was there at `anchor`.
    pub(crate) fn exists(&self, snapshot: &Snapshot, entity: &Key, anchor: EventTime) -> Result<bool, Error> {
        self.target_reader(snapshot, entity, &[])?.exists(anchor)
    }

    /// [`Self::target`] as a number ([`Value::as_f64`]) at several anchors, in their order; the child rows are read
    /// once.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn targets(&self, snapshot: &Snapshot, entity: &Key, anchors: &[EventTime]) -> Result<Vec<Option<f64>>, Error> {
        let reader = self.target_reader(snapshot, entity, anchors)?;
        let target = |anchor: &EventTime| {
            if !reader.exists(*anchor)? {
                return Ok(None);
            }
            Ok(self.label(&reader, *anchor)?.and_then(|label| label.as_f64()))
        };
        anchors.iter().map(target).collect()
    }

    /// The target's atoms ([`Self::atom_of`]) of the newest child rows with a time in `window`, newest first, from at
    /// most `limit` rows; rows without an atom are left out. `None` when the target has no atom.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn atoms(
        &self,
        snapshot: &Snapshot,
        entity: &Key,
        window: Window,
        limit: usize,
    ) -> Result<Option<Vec<(EventTime, f64)>>, Error> {
        let Some(atom) = &self.atom else { return Ok(None) };
        let rows = Source::open(snapshot, &atom.via, entity)?.newest(window, limit)?;
        let atoms = rows.iter().filter_map(|version| Some((version.time, atom.value(&version.row)?)));
        Ok(Some(atoms.collect()))
    }

    /// The expression inside the target for one child row: `statusId != 1` or `position <= 3` as 0 or 1, or the
    /// aggregated amount. `None` when it is unknown for this row, or the target has no atom.
    #[must_use]
    pub fn atom_of(&self, row: &Row) -> Option<f64> {
        self.atom.as_ref()?.value(row)
    }

    /// The child table whose rows have an atom, and the foreign keys by which they point at the entity. `None` when
    /// the target is made of no child table or of several, or says nothing of single rows (`COUNT(t.*)`).
    #[must_use]
    pub fn atom_table(&self) -> Option<(TableId, &[ForeignKeyId])> {
        self.atom.as_ref().map(|atom| (atom.table, atom.via.as_slice()))
    }

    /// Whether `condition` holds for `entity` at `anchor`; `None` when that is unknown. An aggregate without a window
    /// reaches up to the anchor.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn holds(
        &self,
        condition: &Condition,
        snapshot: &Snapshot,
        entity: &Key,
        anchor: EventTime,
    ) -> Result<Option<bool>, Error> {
        let entity = (self.task.entity, entity);
        let aggregates = condition.aggregates();
        Reader::open(snapshot, entity, &aggregates, &[anchor], Windowless::ToAnchor)?.holds(condition, anchor)
    }

    /// Whether `entity` is among those that are predicted for at `anchor` (the query's `WHERE`; what is unknown is
    /// out). The entities named in the query are not looked at: contexts are drawn from all.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn in_population(&self, snapshot: &Snapshot, entity: &Key, anchor: EventTime) -> Result<bool, Error> {
        let Some(population) = &self.task.population else { return Ok(true) };
        Ok(self.holds(population, snapshot, entity, anchor)? == Some(true))
    }

    /// What the features of a past example at `anchor` may see, in a context drawn at `at`: what was known at the
    /// anchor; for a row that is its own example (a static target) the rows up to its own time, although each became
    /// known a moment after it happened.
    #[must_use]
    pub fn example_bounds(&self, at: AsOf, anchor: EventTime) -> AsOf {
        let known = if self.task.is_static() { at.known } else { at.known.min(anchor) };
        AsOf { cutoff: anchor, sequence: at.sequence, known }
    }

    fn target_reader<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        entity: &Key,
        anchors: &[EventTime],
    ) -> Result<Reader<'a>, Error> {
        let mut aggregates = self.task.target_aggregates();
        aggregates.extend(self.task.assuming.iter().flat_map(Condition::aggregates));
        Reader::open(snapshot, (self.task.entity, entity), &aggregates, anchors, Windowless::All)
    }

    fn label(&self, reader: &Reader<'_>, anchor: EventTime) -> Result<Option<Value>, Error> {
        if let Some(assuming) = &self.task.assuming
            && reader.holds(assuming, anchor)? != Some(true)
        {
            return Ok(None);
        }
        let label = match &self.task.target {
            Target::Condition(condition) => reader.holds(condition, anchor)?.map_or(Value::Null, Value::Bool),
            Target::Aggregate(aggregate) => reader.aggregate(aggregate, anchor)?,
            Target::Column(column) => {
                let value = reader.version()?.map_or(Value::Null, |version| version.row.value(column.column).clone());
                // A flag that is stored as a number is a flag all the same.
                match (self.task.kind, value.as_f64()) {
                    (TaskKind::Binary, Some(number)) => Value::Bool(number.abs() > 0.0),
                    _ => value,
                }
            }
        };
        Ok((!label.is_null()).then_some(label))
    }
}

#[cfg(test)]
mod tests;
