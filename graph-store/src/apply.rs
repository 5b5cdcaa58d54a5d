//! What a resolved change does to the pages, for the first time or again after a crash.
//!
//! Every page is changed only if it does not hold the change yet. Whenever content moves from one page to another (a
//! full tail becomes a block, old versions become a page, a page of heads is split), the page that gave it is written
//! after the page that got it.

use std::sync::Arc;

use crate::Error;
use crate::disk::Disk;
use crate::keys::History;
use crate::keys::log::{Edge, Place, Record};
use crate::keys::page::heads_id;
use crate::layout::Layout;
use crate::pages::entry::{Entry, amend, encode_first};
use crate::pages::slots::Slots;
use crate::pages::version::Version;
use crate::pages::{Block, Body, FANOUT, Page, heads};
use crate::pool::Pool;

/// Rows of a page of heads before it is split.
const HEADS_MAX: usize = if cfg!(test) { 4 } else { 128 };

/// Bytes of keys on a page of heads before it is split.
const HEADS_BYTES_MAX: usize = 64 << 10;

const FANOUT_WIDE: u64 = FANOUT as u64;

/// Applies one change to the pages.
pub(crate) fn apply(pool: &mut Pool, disk: &Disk, layout: &Layout, record: &Record) -> Result<(), Error> {
    let mut pages = Pages { pool, disk, sequence: record.version.sequence };
    let version = record.version.borrow();
    let timeline = layout.timeline(record.table);
    if record.new {
        pages.insert_head(record.table, &record.key, record.place)?;
        let joined = record.edges.iter().map(|edge| edge.joined.as_ref().map_or(0, |place| place.entry + 1));
        let links: Vec<u64> = joined.collect();
        pages.append(&timeline, record.place, &encode_first(&record.key, &links, &version))?;
    } else {
        pages.amend(&timeline, record.place, &version, &record.edges)?;
    }
    for (index, edge) in layout.foreign_keys(record.table).zip(&record.edges) {
        let history = |place: &Place| History { index, parent: Arc::clone(&place.parent) };
        if let Some(left) = &edge.left {
            let end = Version { row: None, time: i64::MIN, ..version };
            pages.amend(&history(left), left.entry, &end, &[])?;
        }
        if let Some(kept) = &edge.kept {
            pages.amend(&history(kept), kept.entry, &version, &[])?;
        }
        if let Some(joined) = &edge.joined {
            let entry = encode_first(&record.key, &[record.place], &version);
            pages.append(&history(joined), joined.entry, &entry)?;
        }
    }
    Ok(())
}

struct Pages<'a> {
    pool: &'a mut Pool,
    disk: &'a Disk,
    sequence: u64,
}

impl Pages<'_> {
    fn edit(&mut self, id: &[u8], edit: impl FnOnce(&mut Page)) -> Result<bool, Error> {
        self.pool.edit(self.disk, id, self.sequence, edit)
    }

    /// Adds an entry to a history.
    fn append(&mut self, history: &History, place: u64, entry: &[u8]) -> Result<(), Error> {
        let id = history.root();
        let mut found = place;
        let mut full = None;
        self.edit(&id, |page| {
            let root = page.root_mut();
            found = root.count;
            root.tail.push(entry);
            root.count += 1;
            if root.tail.len() == FANOUT {
                full = Some(std::mem::take(&mut root.tail));
            }
        })?;
        if found != place {
            return Err(self.disk.damaged(format!("history {history:02x?} has {found} entries instead of {place}")));
        }
        if let Some(entries) = full {
            let block = history.block(place / FANOUT_WIDE);
            // After a crash the block may be on disk already, with later changes: then it stays as it is.
            self.edit(&block, |page| page.body = Body::Block(Block { entries, ..Block::default() }))?;
            self.pool.require(&id, &block);
        }
        self.complete(history, place + 1)
    }

    /// Lets the nodes above know of every subtree that the last of `count` entries completes.
    fn complete(&mut self, history: &History, count: u64) -> Result<(), Error> {
        let (mut level, mut children) = (1, count);
        while children.is_multiple_of(FANOUT_WIDE) {
            children /= FANOUT_WIDE;
            let last = children - 1;
            let slot = slot(last);
            self.edit(&history.node(level, last / FANOUT_WIDE), |page| {
                let node = page.node_mut();
                while node.children.len() <= slot {
                    node.children.push(None);
                }
            })?;
            level += 1;
        }
        Ok(())
    }

    /// Adds a version to an entry. With edges, the entry is of a timeline, and its links follow them.
    fn amend(&mut self, history: &History, place: u64, version: &Version<&[u8]>, edges: &[Edge]) -> Result<(), Error> {
        let root_id = history.root();
        let root = self.pool.load(self.disk, &root_id)?;
        let count = root.as_ref().map_or(0, |page| page.root().count);
        if place >= count {
            return Err(self.disk.damaged(format!("history {history:02x?} has {count} entries, none at {place}")));
        }
        let in_tail = place / FANOUT_WIDE == count / FANOUT_WIDE;
        let id = if in_tail { root_id } else { history.block(place / FANOUT_WIDE) };
        drop(root);
        let mut missing = false;
        let mut spilled = None;
        self.edit(&id, |page| {
            let (slots, slot) = (page.slots_mut(), slot(place));
            let links = links(slots, slot, edges);
            match amend(slots, slot, version, links.as_deref()) {
                Some(moved) => spilled = moved,
                None => missing = true,
            }
        })?;
        if missing {
            return Err(self.disk.damaged(format!("history {history:02x?} has lost entry {place}")));
        }
        if let Some((number, versions)) = spilled {
            let spill = history.spill(place, number);
            self.edit(&spill, |page| page.body = Body::Spill(versions))?;
            self.pool.require(&id, &spill);
        }
        if in_tail { Ok(()) } else { self.forget(history, place / FANOUT_WIDE, count / FANOUT_WIDE) }
    }

    /// Drops what the nodes above a block say of it.
    fn forget(&mut self, history: &History, block: u64, blocks: u64) -> Result<(), Error> {
        let (mut level, mut child, mut children) = (1, block, blocks);
        while child < children {
            let id = history.node(level, child / FANOUT_WIDE);
            let node = self.pool.load(self.disk, &id)?;
            if node.is_some_and(|page| page.node().children.get(slot(child)).is_some_and(Option::is_some)) {
                self.edit(&id, |page| page.node_mut().children[slot(child)] = None)?;
            }
            level += 1;
            child /= FANOUT_WIDE;
            children /= FANOUT_WIDE;
        }
        Ok(())
    }

    /// Notes where a new row is.
    fn insert_head(&mut self, table: u16, key: &[u8], place: u64) -> Result<(), Error> {
        let id = self.pool.heads_for(table, key);
        let mut split = None;
        self.edit(&id, |page| {
            let rows = page.slots_mut();
            let Err(at) = heads::find(rows, key) else { return };
            let last = at == rows.len();
            heads::insert(rows, at, key, place);
            if rows.len() > HEADS_MAX || rows.weight() > HEADS_BYTES_MAX && rows.len() > 1 {
                // Keys that grow leave full pages behind.
                split = Some(rows.split_off(if last { at } else { rows.len() / 2 }));
            }
        })?;
        self.pool.add_heads(&id);
        if let Some(rows) = split {
            let new = heads_id(table, heads::key(&rows, 0));
            self.edit(&new, |page| page.body = Body::Heads(rows))?;
            self.pool.add_heads(&new);
            self.pool.require(&id, &new);
        }
        Ok(())
    }
}

/// The new links of a timeline's entry; `None` when they stay.
fn links(slots: &Slots, slot: usize, edges: &[Edge]) -> Option<Vec<u64>> {
    if edges.iter().all(|edge| edge.left.is_none() && edge.joined.is_none()) || slot >= slots.len() {
        return None;
    }
    let links = Entry::read(slots, slot)?.links();
    let moved = links.zip(edges).map(|(link, edge)| match (&edge.left, &edge.joined) {
        (_, Some(joined)) => joined.entry + 1,
        (Some(_), None) => 0,
        (None, None) => link,
    });
    Some(moved.collect())
}

/// The place of a child in its block or node.
pub(crate) fn slot(number: u64) -> usize {
    (number % FANOUT_WIDE) as usize
}
