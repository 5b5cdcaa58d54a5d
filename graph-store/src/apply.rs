//! What a resolved change does to the pages, for the first time or again after a crash.
//!
//! Every page is changed only if it does not hold the change yet. Whenever content moves from one page to another (a
//! full tail becomes a block, old versions become a page, a page of heads is split), the page that gave it is written
//! after the page that got it.

use std::sync::Arc;

use crate::Error;
use crate::disk::Disk;
use crate::keys::History;
use crate::keys::log::{Place, Record};
use crate::keys::page::heads_id;
use crate::layout::Layout;
use crate::pages::entry::Entry;
use crate::pages::version::Version;
use crate::pages::{Block, Body, FANOUT, Page};
use crate::pool::Pool;

/// Rows of a page of heads before it is split.
const HEADS_MAX: usize = if cfg!(test) { 4 } else { 128 };

/// Bytes of keys on a page of heads before it is split.
const HEADS_BYTES_MAX: usize = 64 << 10;

const FANOUT_WIDE: u64 = FANOUT as u64;

/// Applies one change to the pages.
pub(crate) fn apply(pool: &mut Pool, disk: &Disk, layout: &Layout, record: &Record) -> Result<(), Error> {
    let members = 1 + record.edges.len();
    let mut pages = Pages { pool, disk, sequence: record.version.sequence, weight: record.version.weight() / members };
    let timeline = layout.timeline(record.table);
    if record.new {
        pages.insert_head(record.table, &record.key, record.place)?;
        let links = record.edges.iter().map(|edge| edge.joined.as_ref().map_or(0, |place| place.entry + 1)).collect();
        let entry = Entry::new(Arc::clone(&record.key), links, Arc::clone(&record.version));
        pages.append(&timeline, record.place, entry)?;
    } else {
        pages.amend(&timeline, record.place, Arc::clone(&record.version), |entry| {
            for (link, edge) in entry.links.iter_mut().zip(&record.edges) {
                match (&edge.left, &edge.joined) {
                    (_, Some(joined)) => *link = joined.entry + 1,
                    (Some(_), None) => *link = 0,
                    (None, None) => {}
                }
            }
        })?;
    }
    for (index, edge) in layout.foreign_keys(record.table).zip(&record.edges) {
        let history = |place: &Place| History { index, parent: Arc::clone(&place.parent) };
        if let Some(left) = &edge.left {
            let end = Version { row: None, time: i64::MIN, ..(*record.version).clone() };
            pages.amend(&history(left), left.entry, Arc::new(end), |_| ())?;
        }
        if let Some(kept) = &edge.kept {
            pages.amend(&history(kept), kept.entry, Arc::clone(&record.version), |_| ())?;
        }
        if let Some(joined) = &edge.joined {
            let links = Box::from([record.place]);
            let entry = Entry::new(Arc::clone(&record.key), links, Arc::clone(&record.version));
            pages.append(&history(joined), joined.entry, entry)?;
        }
    }
    Ok(())
}

struct Pages<'a> {
    pool: &'a mut Pool,
    disk: &'a Disk,
    sequence: u64,
    /// The part of the version's weight that falls to each page that shares it.
    weight: usize,
}

impl Pages<'_> {
    fn edit(&mut self, id: &[u8], edit: impl FnOnce(&mut Page)) -> Result<bool, Error> {
        self.pool.edit(self.disk, id, self.sequence, edit)
    }

    /// Adds an entry to a history.
    fn append(&mut self, history: &History, place: u64, entry: Entry) -> Result<(), Error> {
        let id = history.root();
        let weight = entry.weight() + self.weight;
        let mut found = place;
        let mut full = None;
        self.edit(&id, |page| {
            let root = page.root_mut();
            found = root.count;
            root.tail.push(entry);
            root.count += 1;
            page.weight += weight;
            if page.root().tail.len() == FANOUT {
                full = Some((std::mem::take(&mut page.root_mut().tail), page.weight));
                page.weigh();
            }
        })?;
        if found != place {
            return Err(self.disk.damaged(format!("history {history:02x?} has {found} entries instead of {place}")));
        }
        if let Some((entries, weight)) = full {
            let block = history.block(place / FANOUT_WIDE);
            // After a crash the block may be on disk already, with later changes: then it stays as it is.
            self.edit(&block, |page| {
                page.body = Body::Block(Block { entries, ..Block::default() });
                page.weight = weight;
            })?;
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

    /// Adds a version to an entry.
    fn amend(
        &mut self,
        history: &History,
        place: u64,
        version: Arc<Version>,
        change: impl FnOnce(&mut Entry),
    ) -> Result<(), Error> {
        let root_id = history.root();
        let root = self.pool.load(self.disk, &root_id)?;
        let count = root.as_ref().map_or(0, |page| page.root().count);
        if place >= count {
            return Err(self.disk.damaged(format!("history {history:02x?} has {count} entries, none at {place}")));
        }
        let in_tail = place / FANOUT_WIDE == count / FANOUT_WIDE;
        let id = if in_tail { root_id } else { history.block(place / FANOUT_WIDE) };
        drop(root);
        let weight = self.weight;
        let mut missing = false;
        let mut spilled = None;
        self.edit(&id, |page| {
            let entries = match &mut page.body {
                Body::Root(root) => &mut root.tail,
                _ => {
                    let block = page.block_mut();
                    block.digest.take();
                    &mut block.entries
                }
            };
            let Some(entry) = entries.get_mut(slot(place)) else { return missing = true };
            change(entry);
            spilled = entry.push(version);
            page.weight += weight;
            if spilled.is_some() {
                page.weigh();
            }
        })?;
        if missing {
            return Err(self.disk.damaged(format!("history {history:02x?} has lost the block of entry {place}")));
        }
        if let Some((number, versions)) = spilled {
            let spill = history.spill(place, number);
            self.edit(&spill, |page| {
                page.body = Body::Spill(versions);
                page.weigh();
            })?;
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
    fn insert_head(&mut self, table: u16, key: &Arc<[u8]>, place: u64) -> Result<(), Error> {
        let id = self.pool.heads_for(table, key);
        let mut split = None;
        self.edit(&id, |page| {
            page.weight += 64 + key.len();
            let full = page.weight > HEADS_BYTES_MAX;
            let rows = &mut page.heads_mut().rows;
            let Err(at) = rows.binary_search_by(|(other, _)| other.cmp(key)) else { return };
            let last = at == rows.len();
            rows.insert(at, (Arc::clone(key), place));
            if rows.len() > 1 && (rows.len() > HEADS_MAX || full) {
                // Keys that grow leave full pages behind.
                split = Some(rows.split_off(if last { at } else { rows.len() / 2 }));
                page.weigh();
            }
        })?;
        self.pool.add_heads(&id);
        if let Some(rows) = split {
            let new = heads_id(table, &rows[0].0);
            self.edit(&new, |page| {
                page.heads_mut().rows = rows;
                page.weigh();
            })?;
            self.pool.add_heads(&new);
            self.pool.require(&id, &new);
        }
        Ok(())
    }
}

/// The place of a child in its block or node.
#[expect(clippy::cast_possible_truncation, reason = "less than 64")]
pub(crate) fn slot(number: u64) -> usize {
    (number % FANOUT_WIDE) as usize
}
