//! Candidates of a task whose label is part of the entity's own row.

use std::collections::BTreeSet;

use graph_store::{Snapshot, Store, Version};
use relational::{AsOf, EventTime, Key, RowKey, Window};

use super::{Candidate, Drawn, Order};
use crate::Error;
use crate::executor::Executor;
use crate::executor::rows::Source;

/// Keys that are read at a time.
const KEYS_PAGE: usize = 4_096;

/// Draws candidates for one task at one time.
pub(super) struct Own<'a> {
    pub(super) store: &'a Store,
    pub(super) executor: &'a Executor,
    pub(super) order: Order,
    /// What bounds the context.
    pub(super) at: AsOf,
    /// What bounds the labels.
    pub(super) labels: AsOf,
}

impl Own<'_> {
    /// The most recent candidates: newest row first, rows of the same time in the seeded order. Rows of a table without
    /// a time are all of the same time, which is that of the context.
    pub(super) fn draw(&self, want: usize) -> Result<Drawn, Error> {
        let (task, schema) = (self.executor.task(), self.executor.schema());
        let known = self.store.as_of(self.labels);
        let mut candidates = Vec::new();
        if schema.table(task.entity).time.is_none() {
            self.draw_timeless(&known, want, &mut candidates)?;
            return Ok(Drawn { candidates, gave_up_at: None });
        }
        let window = Window::up_to(self.labels.cutoff.plus(-task.label_delay(schema)));
        Source::table(&known, task.entity)?.pages(window, |page| {
            for versions in page.chunk_by(|a, b| a.time == b.time) {
                self.label(&known, versions, want, &mut candidates)?;
            }
            Ok(candidates.len() < want)
        })?;
        Ok(Drawn { candidates, gave_up_at: None })
    }

    /// Labels rows of the same time until there are enough.
    fn label(
        &self,
        known: &Snapshot,
        versions: &[Version],
        want: usize,
        into: &mut Vec<Candidate>,
    ) -> Result<(), Error> {
        let placed = versions.iter().map(|version| (self.order.place(&version.key, version.time), version));
        let mut placed: Vec<(u64, &Version)> = placed.collect();
        placed.sort_unstable_by(|a, b| (a.0, &a.1.key).cmp(&(b.0, &b.1.key)));
        for (place, version) in placed {
            if into.len() >= want {
                break;
            }
            let (entity, anchor) = (version.key.clone(), version.time);
            let Some(label) = self.executor.target_of_row(known, version.clone())? else { continue };
            if self.in_population(&entity, anchor)? {
                into.push(Candidate { entity, anchor, label, place });
            }
        }
        Ok(())
    }

    fn in_population(&self, entity: &Key, anchor: EventTime) -> Result<bool, Error> {
        if self.executor.task().population.is_none() {
            return Ok(true);
        }
        let past = self.store.as_of(self.executor.example_bounds(self.at, anchor));
        self.executor.in_population(&past, entity, anchor)
    }

    fn draw_timeless(&self, known: &Snapshot, want: usize, into: &mut Vec<Candidate>) -> Result<(), Error> {
        let (table, anchor) = (self.executor.task().entity, self.at.cutoff);
        let mut placed = BTreeSet::new();
        let mut last: Option<Key> = None;
        loop {
            let page = known.keys(table, last.as_ref(), KEYS_PAGE)?;
            let full = page.len() == KEYS_PAGE;
            last = page.last().cloned();
            placed.extend(page.into_iter().map(|key| (self.order.place(&key, EventTime::MIN), key)));
            if !full {
                break;
            }
        }
        for (place, entity) in placed {
            if into.len() >= want {
                break;
            }
            let Some(version) = known.row(&RowKey { table, key: entity.clone() })? else { continue };
            let Some(label) = self.executor.target_of_row(known, Version { time: anchor, ..version })? else {
                continue;
            };
            if self.in_population(&entity, anchor)? {
                into.push(Candidate { entity, anchor, label, place });
            }
        }
        Ok(())
    }
}
