//! Walks a way backwards, from a row to the entities that read it.

use std::collections::BTreeMap;

use graph_store::{Snapshot, Version};
use relational::{EventTime, ForeignKeyId, Key, RowKey, TableId, Window};

use crate::Error;

use super::{Affected, Path, Reach, ReadSet, Step};

/// Backward walks in one snapshot.
pub(crate) struct Walk<'a> {
    set: &'a ReadSet,
    snapshot: &'a Snapshot,
    limit: usize,
    affected: &'a mut Affected,
    /// Newest children that were already read, by foreign key, parent, end and number.
    newest: BTreeMap<(ForeignKeyId, Key, EventTime, usize), Vec<Key>>,
}

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
    /// Finds entities into `affected`.
    pub(crate) fn new(set: &'a ReadSet, snapshot: &'a Snapshot, limit: usize, affected: &'a mut Affected) -> Self {
        Self { set, snapshot, limit, affected, newest: BTreeMap::new() }
    }

    /// The entities for which the way leads to this row.
    pub(crate) fn from(&mut self, path: &Path, row: &Version) -> Result<(), Error> {
        let table = path.table(&self.set.schema, self.set.entity);
        self.back(&path.steps, table, &row.key, Some(row.clone()), &mut Vec::new())
    }

    fn back(
        &mut self,
        steps: &[Step],
        table: TableId,
        key: &Key,
        version: Option<Version>,
        claims: &mut Vec<Claim>,
    ) -> Result<(), Error> {
        if self.full() {
            return Ok(());
        }
        let Some((step, rest)) = steps.split_last() else { return self.arrive(key, version, claims) };
        match *step {
            Step::Down(foreign_key, reach) => {
                let version = match version {
                    Some(version) => Some(version),
                    None => self.snapshot.row(&RowKey { table, key: key.clone() })?,
                };
                let link = self.set.schema.foreign_key(foreign_key);
                let Some(child) = version else { return Ok(()) };
                let Some(parent) = Key::of(&child.row, &link.columns) else { return Ok(()) };
                let claim = Claim { foreign_key, reach, parent: parent.clone(), child };
                if self.set.is_static {
                    claims.push(claim);
                    self.back(rest, link.parent, &parent, None, claims)?;
                    claims.pop();
                } else if self.holds(&claim, self.snapshot.bounds().cutoff, false)? {
                    self.back(rest, link.parent, &parent, None, claims)?;
                }
                Ok(())
            }
            Step::Up(foreign_key) => {
                let children = self.snapshot.children(foreign_key, key)?;
                let child = self.set.schema.foreign_key(foreign_key).child;
                let everything = Window::up_to(EventTime::MAX);
                let mut rows = children.newest(everything, self.limit.saturating_add(1))?;
                if rows.len() > self.limit {
                    self.affected.overflow = true;
                    rows.truncate(self.limit);
                }
                for version in rows {
                    let key = version.key.clone();
                    self.back(rest, child, &key, Some(version), claims)?;
                }
                Ok(())
            }
        }
    }

    /// The walk came to an entity.
    fn arrive(&mut self, key: &Key, version: Option<Version>, claims: &[Claim]) -> Result<(), Error> {
        if self.affected.entities.contains(key) {
            return Ok(());
        }
        if self.set.is_static && !claims.is_empty() {
            let version = match version {
                Some(version) => Some(version),
                None => self.snapshot.row(&RowKey { table: self.set.entity, key: key.clone() })?,
            };
            let Some(entity) = version else { return Ok(()) };
            let timed = entity.time > EventTime::MIN;
            let now = if timed { entity.time } else { self.snapshot.bounds().cutoff };
            for claim in claims {
                if !self.holds(claim, now, timed)? {
                    return Ok(());
                }
            }
        }
        self.affected.entities.insert(key.clone());
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

    fn full(&mut self) -> bool {
        let full = self.affected.entities.len() > self.limit;
        self.affected.overflow |= full;
        full
    }
}
