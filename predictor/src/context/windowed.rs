//! Candidates of a task whose label happens in a window after the anchor.

use std::collections::BTreeSet;

use graph_store::{Snapshot, Store};
use relational::{Aggregate, AsOf, EventTime, Key, TimeUnit, Window};

use super::anchors::Anchors;
use super::{Candidate, Drawn, Order, needs};
use crate::Error;
use crate::executor::Executor;
use crate::executor::rows::Source;

/// Anchors that are looked at for one context: as many as hold the context of a task with a single example each.
const ANCHORS_MAX: usize = 1_000;

/// Entities that are looked at for each candidate that is wanted: most have no label where the label needs something
/// rare, and a context should not cost more than that.
const ENTITIES_PER_CANDIDATE: usize = 50;

/// Rows that are read to find the entities that have any in a window. In a busier window every entity is looked at.
const ROWS_MAX: usize = 50_000;

/// How far the start of a window in calendar months may differ from that at the reference anchor: three days a month
/// for a window that starts a year away.
const MONTHS_SLACK_MICROS: i64 = 36 * EventTime::DAY;

/// Keys that are read at a time.
const KEYS_PAGE: usize = 4_096;

/// Draws candidates for one task at one time.
pub(super) struct Windowed<'a> {
    pub(super) store: &'a Store,
    pub(super) executor: &'a Executor,
    pub(super) order: Order,
    /// What bounds the context.
    pub(super) at: AsOf,
    /// What bounds the labels.
    pub(super) labels: AsOf,
    /// Only this entity's candidates.
    pub(super) only: Option<&'a Key>,
}

impl Windowed<'_> {
    /// The most recent candidates: newest anchor first, within an anchor in the seeded order.
    pub(super) fn draw(&self, want: usize) -> Result<Drawn, Error> {
        let mut drawn = Drawn::default();
        let task = self.executor.task();
        let known = self.store.as_of(self.labels);
        let limit = self.labels.cutoff.plus(-task.label_delay(self.executor.schema()));
        let Some(mut anchors) = Anchors::new(task, limit) else { return Ok(drawn) };
        let Some(earliest) = self.earliest(&known)? else { return Ok(drawn) };
        let mut patience = want.saturating_mul(ENTITIES_PER_CANDIDATE);
        let mut tried = 0;
        while let Some(anchor) = anchors.next() {
            if anchor < earliest || drawn.candidates.len() >= want {
                break;
            }
            tried += 1;
            if tried > ANCHORS_MAX || patience == 0 {
                drawn.gave_up_at = Some(anchor);
                break;
            }
            let entities = self.entities(&known, anchor, patience)?;
            patience -= entities.len();
            if entities.is_empty() {
                self.skip_silence(&known, anchor, &mut anchors)?;
            }
            self.label(&known, anchor, entities, want, &mut drawn.candidates)?;
        }
        Ok(drawn)
    }

    /// The time of the earliest row that any label could be made of.
    fn earliest(&self, known: &Snapshot) -> Result<Option<EventTime>, Error> {
        let mut earliest: Option<EventTime> = None;
        for aggregate in self.executor.task().target_aggregates() {
            if let Some(first) = known.timeline(aggregate.table)?.first()? {
                earliest = Some(earliest.map_or(first, |earliest| earliest.min(first)));
            }
        }
        Ok(earliest)
    }

    fn label(
        &self,
        known: &Snapshot,
        anchor: EventTime,
        entities: BTreeSet<(u64, Key)>,
        want: usize,
        into: &mut Vec<Candidate>,
    ) -> Result<(), Error> {
        let past = self.store.as_of(self.executor.example_bounds(self.at, anchor));
        for (place, entity) in entities {
            if into.len() >= want {
                break;
            }
            if !self.executor.exists(&past, &entity, anchor)? || !self.executor.in_population(&past, &entity, anchor)? {
                continue;
            }
            if let Some(label) = self.executor.target_of_existing(known, &entity, anchor)? {
                into.push(Candidate { entity, anchor, label, place });
            }
        }
        Ok(())
    }

    /// The entities that may have a label at `anchor`, and some that do not: the first `at_most` in the seeded order.
    fn entities(&self, known: &Snapshot, anchor: EventTime, at_most: usize) -> Result<BTreeSet<(u64, Key)>, Error> {
        let mut lot = Lot { order: self.order, anchor, at_most, entities: BTreeSet::new() };
        if let Some(only) = self.only {
            lot.add(only.clone());
            return Ok(lot.entities);
        }
        let task = self.executor.task();
        let past = self.store.as_of(self.executor.example_bounds(self.at, anchor));
        for (aggregate, snapshot) in [(needs::of_label(task), known), (needs::of_population(task), &past)] {
            if let Some((aggregate, window)) = aggregate.zip(aggregate.and_then(|aggregate| aggregate.window))
                && self.add_named(snapshot, aggregate, window.at(anchor), ROWS_MAX, &mut lot)?
            {
                return Ok(lot.entities);
            }
        }
        if !self.add_all(&past, &mut lot)? {
            // A table that is only implied has the entities that rows name.
            for aggregate in task.target_aggregates() {
                self.add_named(&past, aggregate, Window::up_to(anchor), usize::MAX, &mut lot)?;
            }
        }
        Ok(lot.entities)
    }

    /// Adds every entity that has a row; `false` when there is none.
    fn add_all(&self, past: &Snapshot, lot: &mut Lot) -> Result<bool, Error> {
        let mut last: Option<Key> = None;
        loop {
            let page = past.keys(self.executor.task().entity, last.as_ref(), KEYS_PAGE)?;
            let full = page.len() == KEYS_PAGE;
            last = page.last().cloned().or(last);
            page.into_iter().for_each(|entity| lot.add(entity));
            if !full {
                return Ok(last.is_some());
            }
        }
    }

    /// Adds the entities that the rows of a window name. `false` when the window has more than `rows_max`: then not all
    /// of them were added.
    fn add_named(
        &self,
        snapshot: &Snapshot,
        aggregate: &Aggregate,
        window: Window,
        rows_max: usize,
        lot: &mut Lot,
    ) -> Result<bool, Error> {
        let schema = self.executor.schema();
        let mut rows = 0usize;
        Source::table(snapshot, aggregate.table)?.pages(window, |page| {
            rows += page.len();
            for version in &page {
                let links = aggregate.via.iter().map(|foreign_key| schema.foreign_key(*foreign_key));
                links.filter_map(|link| Key::of(&version.row, &link.columns)).for_each(|entity| lot.add(entity));
            }
            Ok(rows <= rows_max)
        })?;
        Ok(rows <= rows_max)
    }

    /// Goes back to the first anchor whose window holds a row again, where a label needs one.
    fn skip_silence(&self, known: &Snapshot, anchor: EventTime, anchors: &mut Anchors) -> Result<(), Error> {
        let Some(aggregate) = needs::of_label(self.executor.task()) else { return Ok(()) };
        let Some(window) = aggregate.window else { return Ok(()) };
        let before = Window::up_to(window.at(anchor).start);
        let newest = known.timeline(aggregate.table)?.newest(before, 1)?;
        let Some(row) = newest.first().filter(|row| row.time > EventTime::MIN) else { return Ok(()) };
        // The window starts `start` units after its anchor, so only anchors before this one can hold the row.
        let start = window.at(EventTime(0)).start;
        let slack = if window.unit == TimeUnit::Months { MONTHS_SLACK_MICROS } else { 0 };
        anchors.skip_to_before(row.time.plus(start.0.saturating_neg()).plus(slack));
        Ok(())
    }
}

/// The entities of one anchor in the seeded order: the first of them only, so that millions of entities cost the
/// memory of those that can be looked at.
struct Lot {
    order: Order,
    anchor: EventTime,
    at_most: usize,
    entities: BTreeSet<(u64, Key)>,
}

impl Lot {
    fn add(&mut self, entity: Key) {
        self.entities.insert((self.order.place(&entity, self.anchor), entity));
        if self.entities.len() > self.at_most {
            self.entities.pop_last();
        }
    }
}
