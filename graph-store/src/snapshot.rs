//! Reading: nothing but what the bounds admit can be read.

use std::sync::Arc;

use relational::{AsOf, ColumnId, EventTime, ForeignKeyId, Key, Row, RowKey, Schema, Sequence, TableId, Value};

use crate::children::Children;
use crate::dropped::{DroppedLinks, shown};
use crate::encoding::{decode_key, encode_key};
use crate::keys::History;
use crate::locate::{Found, Held};
use crate::packed::{Packed, unpack_large};
use crate::pages::entry::{Current, Entry};
use crate::pages::heads;
use crate::pages::version::Version as Stored;
use crate::store::{Shared, lock};
use crate::{Error, Version};

/// The graph as it was: see [`AsOf`] for what can be read. A snapshot stays what it is while the store goes on, unless
/// its own bounds reach beyond the newest change.
#[derive(Debug, Clone)]
pub struct Snapshot {
    as_of: AsOf,
    shared: Arc<Shared>,
    hidden: Option<Hidden>,
    dropped: Option<DroppedLinks>,
}

/// The one row that a snapshot leaves out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hidden {
    table: TableId,
    /// In its table's timeline.
    pub place: u64,
    /// Of the version that would be visible.
    pub time: i64,
    pub born: u64,
}

impl Snapshot {
    pub(crate) fn new(as_of: AsOf, shared: Arc<Shared>) -> Self {
        Self { as_of, shared, hidden: None, dropped: None }
    }

    /// The same graph without some of its edges, to ask what they are worth: the foreign key of such a row is null, and
    /// no way leads from its parent to it. Sums are taken over the rows themselves, which takes as long as there are
    /// rows of the parent.
    #[must_use]
    pub fn without_links(&self, dropped: DroppedLinks) -> Self {
        Self { dropped: Some(dropped), ..self.clone() }
    }

    /// The same graph without one row, to ask what the row is worth: nothing leads to it, and no sum has it. Rows that
    /// point at it stay, and point at nothing. One row is left out at most, the last that was named; a row that is not
    /// visible changes nothing.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn without(&self, key: &RowKey) -> Result<Self, Error> {
        let place = self.place(key.table, &encode_key(&key.key))?;
        let version = match place {
            Some(place) => self.shared.row(key.table, place, &self.as_of)?.map(|held| (place, held.version)),
            None => None,
        };
        let hidden = version.map(|(place, Stored { time, born, .. })| Hidden { table: key.table, place, time, born });
        Ok(Self { hidden, ..self.clone() })
    }

    /// What bounds this snapshot.
    #[must_use]
    pub fn bounds(&self) -> AsOf {
        self.as_of
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.shared.schema
    }

    /// A row's visible version.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn row(&self, key: &RowKey) -> Result<Option<Version>, Error> {
        let place = self.place(key.table, &encode_key(&key.key))?;
        let Some(place) = place.filter(|place| !self.hides(key.table, *place)) else { return Ok(None) };
        match self.shared.row(key.table, place, &self.as_of)? {
            Some(version) => {
                let version = self.shared.unpack(key.key.clone(), &version, |_| true)?;
                Ok(Some(shown(self.dropped.as_ref(), &self.shared.schema, key.table, version)))
            }
            None => Ok(None),
        }
    }

    /// The rows that point at `parent` by this foreign key.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn children(&self, foreign_key: ForeignKeyId, parent: &Key) -> Result<Children, Error> {
        let table = self.shared.schema.foreign_key(foreign_key).child;
        let history = History { index: foreign_key.0, parent: encode_key(parent).into() };
        let children =
            Children::new(Arc::clone(&self.shared), self.as_of, table, history, false, self.hidden_of(table))?;
        Ok(children.without_links(self.dropped, Some(foreign_key)))
    }

    /// All rows of a table by their time.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn timeline(&self, table: TableId) -> Result<Children, Error> {
        let history = self.shared.layout.timeline(table.0);
        let rows = Children::new(Arc::clone(&self.shared), self.as_of, table, history, true, self.hidden_of(table))?;
        Ok(rows.without_links(self.dropped, None))
    }

    /// The keys of a table's visible rows after `after` (exclusive), in key order, at most `limit`.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn keys(&self, table: TableId, after: Option<&Key>, limit: usize) -> Result<Vec<Key>, Error> {
        let after = after.map(encode_key);
        let mut next = Some(lock(&self.shared.pool).heads_for(table.0, after.as_deref().unwrap_or_default()));
        let mut keys = Vec::new();
        while let Some(id) = next {
            let page = self.shared.page(&id)?;
            next = lock(&self.shared.pool).heads_after(&id);
            for (key, place) in page.iter().flat_map(|page| heads::iter(page.slots())) {
                // The page may have been split since it was read.
                let elsewhere = next.as_ref().is_some_and(|next| key[..] >= next[3..]);
                if elsewhere || after.as_ref().is_some_and(|after| key[..] <= after[..]) {
                    continue;
                }
                if keys.len() == limit {
                    return Ok(keys);
                }
                if !self.hides(table, place) && self.shared.row(table, place, &self.as_of)?.is_some() {
                    keys.push(self.shared.key(key)?);
                }
            }
        }
        Ok(keys)
    }

    /// The place of a row, visible or not, in its table's timeline.
    fn place(&self, table: TableId, key: &[u8]) -> Result<Option<u64>, Error> {
        let mut pool = lock(&self.shared.pool);
        let heads = pool.heads_for(table.0, key);
        let page = pool.find(&heads);
        drop(pool);
        let page = if page.is_some() { page } else { self.shared.page(&heads)? };
        Ok(page.and_then(|page| heads::find(page.slots(), key).ok()))
    }

    fn hidden_of(&self, table: TableId) -> Option<Hidden> {
        self.hidden.filter(|hidden| hidden.table == table)
    }

    fn hides(&self, table: TableId, place: u64) -> bool {
        self.hidden_of(table).is_some_and(|hidden| hidden.place == place)
    }
}

impl Shared {
    /// The visible version of the row at a place of its table's timeline.
    pub(crate) fn row(&self, table: TableId, place: u64, bounds: &AsOf) -> Result<Option<Held>, Error> {
        let current = self.newest(table, place, bounds)?;
        Ok(current.filter(|held| held.version.row.is_some() && held.version.time <= bounds.cutoff.0))
    }

    /// The latest admitted version of the row at a place of its table's timeline, deletions included.
    pub(crate) fn newest(&self, table: TableId, place: u64, bounds: &AsOf) -> Result<Option<Held>, Error> {
        let timeline = self.layout.timeline(table.0);
        let load = |id: &[u8]| self.page(id);
        let lost = || self.disk.damaged(format!("table {} has no row {place}", table.0));
        let Found { page, slot } = timeline.find(place, load)?.ok_or_else(lost)?;
        let (current, _) = Entry::read(page.slots(), slot).ok_or_else(lost)?.current(bounds);
        match current {
            Current::Nothing => Ok(None),
            Current::Here(version) => Ok(Some(Held { page, version })),
            Current::Spilled(pages) => timeline.spilled(place, pages, bounds, load),
        }
    }

    /// `None` when it cannot be unpacked. A large value that is not wanted is null.
    pub(crate) fn row_of(&self, packed: Packed<'_>, wanted: impl Fn(ColumnId) -> bool) -> Result<Option<Row>, Error> {
        let mut fault = None;
        let row = packed.unpack(|column, digest| {
            if !u16::try_from(column).is_ok_and(|column| wanted(ColumnId(column))) {
                return Some(Value::Null);
            }
            let bytes = self.disk.large(digest).unwrap_or_else(|error| {
                fault = Some(error);
                None
            });
            unpack_large(&bytes?)
        });
        fault.map_or(Ok(row), Err)
    }

    pub(crate) fn key(&self, bytes: &[u8]) -> Result<Key, Error> {
        decode_key(bytes).ok_or_else(|| self.disk.damaged(format!("no key: {bytes:02x?}")))
    }

    /// A version as it is shown, with those large values that are wanted, by their column.
    pub(crate) fn unpack(&self, key: Key, held: &Held, wanted: impl Fn(ColumnId) -> bool) -> Result<Version, Error> {
        let Stored { sequence, born, valid_from, time, .. } = held.version;
        let row = match held.row() {
            Some(packed) => self.row_of(packed, wanted)?,
            None => None,
        };
        let row = row.ok_or_else(|| self.disk.damaged(format!("change {sequence} has no readable row")))?;
        let (time, valid_from) = (EventTime(time), EventTime(valid_from));
        Ok(Version { key, row, time, born: Sequence(born), sequence: Sequence(sequence), valid_from })
    }
}
