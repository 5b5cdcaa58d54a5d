//! What a query reads, and its inverse: which entities read a row that has changed.
//!
//! A read set is compiled once per task into the ways that lead from an entity to rows. Its inverse walks each way
//! backwards from the changed row, in the graph before and after the change, and checks at every step that the row is
//! among those that are read. So an entity is found exactly when its features or its sample have read the old version
//! or read the new one; where a walk meets a hub and is cut, the answer says so, and the rest is for the sweep.

mod back;
mod path;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use graph_store::{Applied, Store};
use relational::{AsOf, Key, RowKey, Schema, Sequence, TableId};

use crate::Error;
use crate::features::Featuriser;
use crate::sampler::Sampler;

use back::Walk;

pub(crate) use path::{Path, Reach, Step};

/// The entities whose queries read a changed row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Affected {
    /// Their keys. An entity is named even when its own row has not arrived yet.
    pub entities: BTreeSet<Key>,
    /// Whether there may be more: a hub was met, or the limit was reached.
    pub overflow: bool,
}

/// What the queries of one task read.
#[derive(Debug, Clone)]
pub struct ReadSet {
    schema: Arc<Schema>,
    entity: TableId,
    is_static: bool,
    paths: Vec<Path>,
}

impl ReadSet {
    /// Of everything that a featuriser reads and, where a model reads samples, of everything that is sampled. The
    /// category statistics of a vocabulary are no part of it: they belong to the context.
    #[must_use]
    pub fn new(featuriser: &Featuriser, sampler: Option<&Sampler>) -> Self {
        let mut paths: BTreeSet<Path> = featuriser.paths().into_iter().collect();
        paths.extend(sampler.iter().flat_map(|sampler| sampler.paths()));
        let executor = featuriser.executor();
        Self {
            schema: Arc::clone(executor.schema()),
            entity: executor.task().entity,
            is_static: executor.task().is_static(),
            paths: paths.into_iter().collect(),
        }
    }

    /// Whether the change is a new row that asks for its own score: a row of the entity's table that was not there
    /// before, of a row-level task.
    #[must_use]
    pub fn triggers(&self, applied: &Applied) -> bool {
        self.is_static && applied.table == self.entity && applied.old.is_none() && applied.new.is_some()
    }

    /// The entities that read the changed row at `bounds`, before the change or after it; at most about `limit` of
    /// them, and at most `limit` rows are followed from any row. For several changes ask for each of them: whatever
    /// differs between the graph before the first and after the last is found.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn affected(&self, store: &Store, applied: &Applied, bounds: AsOf, limit: usize) -> Result<Affected, Error> {
        let mut affected = Affected::default();
        if applied.sequence > bounds.sequence {
            return Ok(affected);
        }
        let key = RowKey { table: applied.table, key: applied.key.clone() };
        let before = store.as_of(AsOf { sequence: Sequence(applied.sequence.0 - 1), ..bounds });
        let after = store.as_of(AsOf { sequence: applied.sequence, ..bounds });
        let (old, new) = (before.row(&key)?, after.row(&key)?);
        if old.as_ref().map(|version| version.sequence) == new.as_ref().map(|version| version.sequence) {
            return Ok(affected);
        }
        for (snapshot, version) in [(before, old), (after, new)] {
            let Some(version) = version else { continue };
            let mut walk = Walk::new(self, &snapshot, limit, &mut affected);
            for path in self.paths.iter().filter(|path| path.table(&self.schema, self.entity) == applied.table) {
                walk.from(path, &version)?;
            }
        }
        Ok(affected)
    }

    /// The ways that lead to what is read, one a line, with the most rows that each can lead to.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let line = |path: &Path| {
            let rows = path.rows_max().map_or("as many as there are".to_owned(), |rows| format!("at most {rows}"));
            format!("{}: {rows}", path.describe(&self.schema, self.entity))
        };
        self.paths.iter().map(line).collect()
    }
}
