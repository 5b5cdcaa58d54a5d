//! What a query reads, and its inverse: which entities read a row that has changed.
//!
//! A read set is compiled once per task into the ways that lead from an entity to rows. Its inverse walks each way
//! backwards from the changed row, in the graph before and after the change, and checks at every step that the row is
//! among those that are read. So an entity is found exactly when its features or its sample have read the old version
//! or read the new one. Where a walk meets a hub and is cut, the answer names the [`Rest`], from which the walk can go
//! on at any later time, and finds what one uncut walk would have found.

mod back;
mod path;
mod rest;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use graph_store::{Applied, Store};
use relational::{AsOf, Key, RowKey, Schema, TableId};

use crate::Error;
use crate::features::Featuriser;
use crate::sampler::Sampler;

use back::Walk;

pub(crate) use path::{Path, Reach, Step};
pub use rest::{Hub, Rest, Side};

/// The entities whose queries read a changed row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Affected {
    /// Their keys. An entity is named even when its own row has not arrived yet.
    pub entities: BTreeSet<Key>,
    /// Where the walk was cut, if it was.
    pub rest: Vec<Rest>,
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
        let mut paths: Vec<Path> = paths.into_iter().collect();
        // Ways that cannot fan out come first: what a change is about most closely is not left to a sweep.
        paths.sort_by_key(|path| (path.fans(), path.steps.len()));
        Self {
            schema: Arc::clone(executor.schema()),
            entity: executor.task().entity,
            is_static: executor.task().is_static(),
            paths,
        }
    }

    /// Whether the change is a new row that asks for its own score: a row of the entity's table that was not there
    /// before, of a row-level task.
    #[must_use]
    pub fn triggers(&self, applied: &Applied) -> bool {
        self.is_static && applied.table == self.entity && applied.old.is_none() && applied.new.is_some()
    }

    /// The entities that read the changed row at `bounds`, before the change or after it. At most about `limit` are
    /// found and `limit` rows followed at once; the answer says where to go on. For several changes ask for each of
    /// them: whatever differs between the graph before the first and after the last is found.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn affected(&self, store: &Store, applied: &Applied, bounds: AsOf, limit: usize) -> Result<Affected, Error> {
        let mut affected = Affected::default();
        if applied.sequence > bounds.sequence {
            return Ok(affected);
        }
        let row = RowKey { table: applied.table, key: applied.key.clone() };
        let [before, after] =
            [Side::Before, Side::After].map(|side| store.as_of(side.bounds(applied.sequence, bounds)));
        let (old, new) = (before.row(&row)?, after.row(&row)?);
        if old.as_ref().map(|version| version.sequence) == new.as_ref().map(|version| version.sequence) {
            return Ok(affected);
        }
        let stayed = old.is_some() && new.is_some();
        let mut walks = [(Side::Before, &before, old), (Side::After, &after, new)]
            .map(|(side, snapshot, version)| version.map(|version| (side, Walk::new(self, snapshot), version)));
        let mut left = limit;
        for (number, path) in (0..).zip(&self.paths) {
            if path.table(&self.schema, self.entity) != applied.table {
                continue;
            }
            let once = stayed && path.ends_at_parent(&self.schema, self.entity);
            for (side, walk, version) in walks.iter_mut().flatten() {
                if once && *side == Side::Before {
                    continue;
                }
                let cut = walk.from(path, version, Vec::new(), &mut left, limit, &mut affected.entities)?;
                affected.rest.extend(cut.map(|cut| {
                    let hub = Hub { path: number, side: *side, key: cut.hub, row: self.is_static.then(|| row.clone()) };
                    Rest { hub, row: row.clone(), sequence: applied.sequence, places: cut.places }
                }));
            }
        }
        Ok(affected)
    }

    /// Goes on with a walk that was cut, for `limit` more rows: the entities found, and the rest, if there still is one.
    /// `bounds` are those of the walk's change.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn resume(&self, store: &Store, rest: Rest, bounds: AsOf, limit: usize) -> Result<Affected, Error> {
        let mut affected = Affected::default();
        // The queries may have changed since the rest was written down.
        let path = self.paths.get(usize::from(rest.hub.path));
        let Some(path) = path.filter(|path| path.table(&self.schema, self.entity) == rest.row.table) else {
            return Ok(affected);
        };
        let snapshot = store.as_of(rest.hub.side.bounds(rest.sequence, bounds));
        let Some(version) = snapshot.row(&rest.row)? else { return Ok(affected) };
        let mut left = limit;
        let mut walk = Walk::new(self, &snapshot);
        let cut = walk.from(path, &version, rest.places.clone(), &mut left, limit, &mut affected.entities)?;
        affected.rest.extend(cut.map(|cut| Rest { places: cut.places, ..rest }));
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
