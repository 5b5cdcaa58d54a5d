//! The one executor of predictive queries: labels for training, context, backtest and tests come from here.
//!
//! Everything is read through a [`Snapshot`], so nothing that the snapshot may not see can enter a label. Comparisons
//! follow three-valued logic (see [`Task`]): unknown is `None` here.

use std::sync::Arc;

use graph_store::Snapshot;
use relational::{AsOf, Condition, EventTime, ForeignKeyId, Key, Row, Schema, TableId, Task, Value, Window};

use crate::Error;

/// Answers one task's target, population and assumption for any entity at any anchor.
#[derive(Debug, Clone)]
pub struct Executor {
    task: Arc<Task>,
    schema: Arc<Schema>,
}

impl Executor {
    /// Compiles a task that was resolved against `schema`.
    #[must_use]
    pub fn new(task: Arc<Task>, schema: Arc<Schema>) -> Self {
        Self { task, schema }
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
    pub fn target(&self, _snapshot: &Snapshot, _entity: &Key, _anchor: EventTime) -> Result<Option<Value>, Error> {
        Ok(None)
    }

    /// [`Self::target`] as a number ([`Value::as_f64`]) at several anchors, in their order; the child rows are read
    /// once.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn targets(
        &self,
        _snapshot: &Snapshot,
        _entity: &Key,
        anchors: &[EventTime],
    ) -> Result<Vec<Option<f64>>, Error> {
        Ok(vec![None; anchors.len()])
    }

    /// The target's atoms ([`Self::atom_of`]) of the newest child rows with a time in `window`, newest first, from at
    /// most `limit` rows; rows without an atom are left out. `None` when the target has no atom.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn atoms(
        &self,
        _snapshot: &Snapshot,
        _entity: &Key,
        _window: Window,
        _limit: usize,
    ) -> Result<Option<Vec<(EventTime, f64)>>, Error> {
        Ok(None)
    }

    /// The expression inside the target for one child row: `statusId != 1` or `position <= 3` as 0 or 1, or the
    /// aggregated amount. `None` when it is unknown for this row, or the target has no atom.
    #[must_use]
    pub fn atom_of(&self, _row: &Row) -> Option<f64> {
        None
    }

    /// The child table whose rows have an atom, and the foreign keys by which they point at the entity. `None` when
    /// the target is made of no child table or of several, or says nothing of single rows (`COUNT(t.*)`).
    #[must_use]
    pub fn atom_table(&self) -> Option<(TableId, &[ForeignKeyId])> {
        None
    }

    /// Whether `condition` holds for `entity` at `anchor`; `None` when that is unknown.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn holds(
        &self,
        _condition: &Condition,
        _snapshot: &Snapshot,
        _entity: &Key,
        _anchor: EventTime,
    ) -> Result<Option<bool>, Error> {
        Ok(None)
    }

    /// Whether `entity` is among those that are predicted for at `anchor` (the query's `WHERE`). The entities named in
    /// the query are not looked at: contexts are drawn from all.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn in_population(&self, _snapshot: &Snapshot, _entity: &Key, _anchor: EventTime) -> Result<bool, Error> {
        Ok(true)
    }

    /// What the features of a past example at `anchor` may see, in a context drawn at `at`: what was known at the
    /// anchor; for a row that is its own example (a static target) the rows up to its own time, although each became
    /// known a moment after it happened.
    #[must_use]
    pub fn example_bounds(&self, at: AsOf, anchor: EventTime) -> AsOf {
        let known = if self.task.is_static() { at.known } else { at.known.min(anchor) };
        AsOf { cutoff: anchor, sequence: at.sequence, known }
    }
}
