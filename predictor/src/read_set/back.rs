//! Walks a way backwards, from a row to the entities that read it.

use std::collections::{BTreeMap, BTreeSet};

use graph_store::{Snapshot, Version};
use relational::{EventTime, ForeignKeyId, Key, RowKey, TableId, Window};

use crate::Error;

use super::{Path, Reach, ReadSet, Step};

/// Backward walks in one snapshot.
pub(crate) struct Walk<'a> {
    set: &'a ReadSet,
    snapshot: &'a Snapshot,
    /// Newest children that were already read, by foreign key, parent, end and number.
    newest: BTreeMap<(ForeignKeyId, Key, EventTime, usize), Vec<Key>>,
}

/// Where a walk was cut.
pub(crate) struct Cut {
    /// The row at whose children it was cut.
    pub(crate) hub: Key,
    /// The next of them to follow, and the next of its children, and so on.
    pub(crate) places: Vec<u64>,
}

/// One walk along one way.
struct Trip<'a> {
    claims: Vec<Claim>,
    /// The places at which to go on, down from the current row; empty to begin with the newest.
    resume: Vec<u64>,
    /// How many more rows may be followed.
    left: &'a mut usize,
    /// How many entities are enough.
    enough: usize,
    entities: &'a mut BTreeSet<Key>,
}

/// Arrivals that are read at a time.
const PAGE: usize = 64;

/// A step down that the walk came by: its row must be among those that the step reads, which for row-level tasks
/// depends on the entity's own time and is therefore checked at the end.
#[derive(Clone)]
struct Claim {
    foreign_key: ForeignKeyId,
    reach: Reach,
    parent: Key,
    child: Version,
}

impl<'a> Walk<'a> {
    /// Nothing walked yet.
    pub(crate) fn new(set: &'a ReadSet, snapshot: &'a Snapshot) -> Self {
        Self { set, snapshot, newest: BTreeMap::new() }
    }

    /// Adds the entities for which the way leads to this row. Cut before the next row is followed once `left` rows were
    /// or `enough` entities are there; goes on at `resume` where a walk before was cut.
    pub(crate) fn from(
        &mut self,
        path: &Path,
        row: &Version,
        resume: Vec<u64>,
        left: &mut usize,
        enough: usize,
        entities: &mut BTreeSet<Key>,
    ) -> Result<Option<Cut>, Error> {
        let table = path.table(&self.set.schema, self.set.entity);
        let mut trip = Trip { claims: Vec::new(), resume, left, enough, entities };
        self.back(&path.steps, table, &row.key, Some(row.clone()), &mut trip)
    }

    fn back(
        &mut self,
        steps: &[Step],
        table: TableId,
        key: &Key,
        version: Option<Version>,
        trip: &mut Trip<'_>,
    ) -> Result<Option<Cut>, Error> {
        let Some((step, rest)) = steps.split_last() else {
            self.arrive(key, version, trip)?;
            return Ok(None);
        };
        match *step {
            Step::Down(foreign_key, reach) => {
                let version = match version {
                    Some(version) => Some(version),
                    None => self.snapshot.row(&RowKey { table, key: key.clone() })?,
                };
                let link = self.set.schema.foreign_key(foreign_key);
                let Some(child) = version else { return Ok(None) };
                let Some(parent) = Key::of(&child.row, &link.columns) else { return Ok(None) };
                let (parent_table, claim) = (link.parent, Claim { foreign_key, reach, parent: parent.clone(), child });
                if self.set.is_static {
                    trip.claims.push(claim);
                    let cut = self.back(rest, parent_table, &parent, None, trip);
                    trip.claims.pop();
                    cut
                } else if self.holds(&claim, self.snapshot.bounds().cutoff, false)? {
                    self.back(rest, parent_table, &parent, None, trip)
                } else {
                    Ok(None)
                }
            }
            Step::Up(foreign_key) => self.fan_out(rest, foreign_key, key, trip),
        }
    }

    /// Follows every child of a row, newest arrival first.
    fn fan_out(
        &mut self,
        rest: &[Step],
        foreign_key: ForeignKeyId,
        parent: &Key,
        trip: &mut Trip<'_>,
    ) -> Result<Option<Cut>, Error> {
        let children = self.snapshot.children(foreign_key, parent)?;
        let table = self.set.schema.foreign_key(foreign_key).child;
        let mut below = std::mem::take(&mut trip.resume);
        let entered = (!below.is_empty()).then(|| below.remove(0));
        let mut before = entered.map_or(u64::MAX, |place| place.saturating_add(1));
        loop {
            let (rows, next) = children.arrivals(before, PAGE)?;
            for (place, version) in rows {
                // The child at which the walk was cut was paid for, and so every call comes further.
                if entered == Some(place) {
                    trip.resume = std::mem::take(&mut below);
                } else if *trip.left == 0 || trip.entities.len() >= trip.enough {
                    return Ok(Some(Cut { hub: parent.clone(), places: vec![place] }));
                } else {
                    *trip.left -= 1;
                }
                let key = version.key.clone();
                if let Some(mut cut) = self.back(rest, table, &key, Some(version), trip)? {
                    cut.places.insert(0, place);
                    return Ok(Some(Cut { hub: parent.clone(), ..cut }));
                }
                trip.resume.clear();
            }
            if next == 0 {
                return Ok(None);
            }
            before = next;
        }
    }

    /// The walk came to an entity.
    fn arrive(&mut self, key: &Key, version: Option<Version>, trip: &mut Trip<'_>) -> Result<(), Error> {
        if trip.entities.contains(key) {
            return Ok(());
        }
        if self.set.is_static && !trip.claims.is_empty() {
            let version = match version {
                Some(version) => Some(version),
                None => self.snapshot.row(&RowKey { table: self.set.entity, key: key.clone() })?,
            };
            let Some(entity) = version else { return Ok(()) };
            let timed = entity.time > EventTime::MIN;
            let now = if timed { entity.time } else { self.snapshot.bounds().cutoff };
            for claim in &trip.claims {
                if !self.holds(claim, now, timed)? {
                    return Ok(());
                }
            }
        }
        trip.entities.insert(key.clone());
        Ok(())
    }

    /// Whether the claim's row is among those that its step reads at `now`.
    fn holds(&mut self, claim: &Claim, now: EventTime, strict: bool) -> Result<bool, Error> {
        let end = if strict { now.plus(-1) } else { now };
        if claim.child.time > end {
            return Ok(false);
        }
        match claim.reach {
            Reach::All => Ok(true),
            Reach::Newest(rows) => self.among_newest(claim, end, rows),
            Reach::Recent { micros, .. } if claim.child.time > now.plus(-micros) => Ok(true),
            Reach::Recent { rows, .. } => self.among_newest(claim, end, rows),
        }
    }

    fn among_newest(&mut self, claim: &Claim, end: EventTime, rows: usize) -> Result<bool, Error> {
        let place = (claim.foreign_key, claim.parent.clone(), end, rows);
        if let Some(keys) = self.newest.get(&place) {
            return Ok(keys.contains(&claim.child.key));
        }
        let children = self.snapshot.children(claim.foreign_key, &claim.parent)?;
        let newest = children.newest(Window::up_to(end), rows)?;
        let keys: Vec<Key> = newest.into_iter().map(|version| version.key).collect();
        let found = keys.contains(&claim.child.key);
        self.newest.insert(place, keys);
        Ok(found)
    }
}
