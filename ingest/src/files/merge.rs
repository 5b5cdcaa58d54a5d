//! All tables as one ordered stream of changes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use relational::limits::BATCH_BYTES_MAX;
use relational::{Change, EventTime, Position, Schema};

use super::TableFile;
use super::lane::Lane;
use super::names::unknown;
use crate::{Delivery, Error, Source};

/// Plain tables as a source. The order and the positions are those of the [module](super).
#[derive(Debug)]
pub struct TableFiles {
    /// Parents before children.
    lanes: Vec<Lane>,
    /// The next of each lane's records and late columns.
    next: BinaryHeap<Reverse<Next>>,
}

/// What comes next of a lane. The order of the fields is the order of delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    time: EventTime,
    what: What,
    lane: usize,
    late: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The value of a late column: what is known by a time can be read by all that happens at it.
    Late,
    Row,
}

impl TableFiles {
    /// Opens the tables' files and stands at the beginning. Each table of `tables` must be in the schema, as
    /// [`super::infer`] made it or otherwise; its columns are read as the types that they have there.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or lacks a column, or a table is not in the schema.
    pub fn open(tables: &[TableFile], schema: Arc<Schema>) -> Result<Self, Error> {
        let mut lanes = Vec::new();
        for file in tables_in_order(tables) {
            let id = schema.table_named(&file.table).ok_or_else(|| Error::Table {
                table: file.table.clone(),
                reason: unknown("table", &file.table, schema.tables().map(|(_, table)| table.name.as_str())),
            })?;
            lanes.extend(Lane::open(id, schema.table(id), file)?);
        }
        let mut files = Self { lanes, next: BinaryHeap::new() };
        files.start()?;
        Ok(files)
    }

    fn start(&mut self) -> Result<(), Error> {
        self.next.clear();
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            self.next.extend(lane.next_time()?.map(|time| Reverse(Next::row(time, index))));
            self.next.extend(lane.late_times().map(|(late, time)| Reverse(Next::late(time, index, late))));
        }
        Ok(())
    }

    /// Delivers what comes next.
    fn deliver(&mut self, next: Next, woken: &mut Vec<usize>, delivery: &mut Delivery) -> Result<(), Error> {
        let lane = &mut self.lanes[next.lane];
        if next.what == What::Late {
            let change = lane.take_late(next.late);
            delivery.bytes += change.as_ref().map_or(0, Change::bytes);
            delivery.changes.extend(change);
            let following = lane.late_time(next.late).map(|time| Next::late(time, next.lane, next.late));
            self.next.extend(following.map(Reverse));
            return Ok(());
        }
        match lane.take(woken)? {
            Some(Ok(change)) => {
                delivery.bytes += change.bytes();
                delivery.changes.push(change);
            }
            Some(Err(dead_letter)) => delivery.dead_letters.push(dead_letter),
            None => {}
        }
        for late in woken.drain(..) {
            self.next.extend(lane.late_time(late).map(|time| Reverse(Next::late(time, next.lane, late))));
        }
        self.next.extend(lane.next_time()?.map(|time| Reverse(Next::row(time, next.lane))));
        Ok(())
    }
}

impl Source for TableFiles {
    fn seek(&mut self, positions: &[Position]) -> Result<(), Error> {
        let positions: BTreeMap<&str, i64> =
            positions.iter().map(|position| (position.topic.as_ref(), position.offset)).collect();
        for lane in &mut self.lanes {
            lane.seek(&positions)?;
        }
        self.start()
    }

    /// Files never make anyone wait: `_wait` has no effect.
    fn poll(&mut self, limit: usize, _wait: Duration) -> Result<Delivery, Error> {
        let mut delivery = Delivery::default();
        let mut woken = Vec::new();
        while delivery.changes.len() + delivery.dead_letters.len() < limit && delivery.bytes < BATCH_BYTES_MAX {
            let Some(Reverse(next)) = self.next.pop() else { break };
            self.deliver(next, &mut woken, &mut delivery)?;
        }
        for lane in &mut self.lanes {
            lane.tell(&mut delivery.next);
        }
        delivery.caught_up = self.next.is_empty();
        Ok(delivery)
    }

    /// In records; updates of late columns are not counted.
    fn progress(&self) -> (u64, Option<u64>) {
        let lanes = self.lanes.iter().map(Lane::progress);
        let (done, total) = lanes.fold((0, 0), |sum, (done, total)| (sum.0 + done, sum.1 + total));
        (done, Some(total))
    }
}

impl Next {
    fn row(time: EventTime, lane: usize) -> Self {
        Self { time, what: What::Row, lane, late: 0 }
    }

    fn late(time: EventTime, lane: usize, late: usize) -> Self {
        Self { time, what: What::Late, lane, late }
    }
}

/// Parents before children, else as given; a circle is broken at its first table.
fn tables_in_order(tables: &[TableFile]) -> Vec<&TableFile> {
    let mut left: Vec<&TableFile> = tables.iter().collect();
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits_for = |parent: &str, own: &str| parent != own && left.iter().any(|table| table.table == parent);
        let ready =
            left.iter().position(|table| !table.foreign_keys.iter().any(|(_, parent)| waits_for(parent, &table.table)));
        ordered.push(left.remove(ready.unwrap_or(0)));
    }
    ordered
}
