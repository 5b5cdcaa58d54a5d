//! When changed pages are written.

use std::sync::Arc;

use crate::Error;
use crate::apply::slot;
use crate::disk::{Disk, Target, Write};
use crate::keys::{History, Kind, PageId, log, meta};
use crate::pages::summary::Digest;
use crate::pages::{FANOUT, Page};
use crate::pool::Pool;
use crate::store::{Log, Shared, lock};

/// Changes after which a page must be written. A sweep takes some 50,000 changes more, so a crash leaves some 200,000
/// changes to be redone, which takes a second or two.
const REDO_MAX: u64 = if cfg!(test) { 40 } else { 130_000 };

/// Pages that every commit writes during a sweep, and how many changes let it write one more.
const SWEEP_PAGES: u64 = if cfg!(test) { 2 } else { 16 };
const SWEEP_CHANGES: u64 = if cfg!(test) { 8 } else { 2 };

/// Values of the log that one commit removes.
const REMOVED_MAX: usize = 8;

/// The removals of what the log no longer needs, given that every page on disk holds all changes before `redo_from`.
pub(crate) fn shorten(log: &mut Log, redo_from: u64) -> Vec<Write> {
    let mut writes = Vec::new();
    while writes.len() < REMOVED_MAX && log.chunks.get(1).is_some_and(|second| *second <= redo_from) {
        let first = log.chunks.pop_front().expect("there is a second one");
        writes.push((Target::Log, log::encode_key(first).to_vec(), None));
    }
    writes
}

/// Writes some changed pages when there are too many of them, or one has waited for too long; `changes` were made since
/// the last time. All changes up to `sequence` are committed, and there are no others. Returns whether any was written.
pub(crate) fn round(shared: &Shared, sequence: u64, changes: u64) -> Result<bool, Error> {
    let budget = SWEEP_PAGES + changes / SWEEP_CHANGES;
    let mut written = 0;
    loop {
        let mut pool = lock(&shared.pool);
        if !due(&mut pool, sequence, written < budget) {
            return Ok(written > 0);
        }
        let group = pool.next_to_write();
        drop(pool);
        // Only the writer changes pages, and it is here; readers go on meanwhile.
        write(shared, &group, sequence)?;
        written += group.len() as u64;
    }
}

/// Writes pages while the log is redone, so that memory stays bounded.
pub(crate) fn relieve(shared: &Shared, sequence: u64) -> Result<(), Error> {
    loop {
        let mut pool = lock(&shared.pool);
        if pool.dirty_weight() <= pool.weight_max() / 2 {
            return Ok(());
        }
        let group = pool.next_to_write();
        drop(pool);
        write(shared, &group, sequence)?;
    }
}

/// Writes every changed page, so that there is nothing to redo.
pub(crate) fn close(shared: &Shared, log: &mut Log) -> Result<(), Error> {
    let mut state = lock(&shared.live).state;
    loop {
        let group = lock(&shared.pool).next_to_write();
        if group.is_empty() {
            break;
        }
        write(shared, &group, state.sequence)?;
    }
    state.redo_from = state.sequence + 1;
    while !log.chunks.is_empty() {
        let removed: Vec<u64> = log.chunks.drain(..log.chunks.len().min(100)).collect();
        let remove = |first: u64| (Target::Log, log::encode_key(first).to_vec(), None);
        let mut writes: Vec<Write> = removed.into_iter().map(remove).collect();
        writes.push((Target::Meta, meta::STATE_KEY.to_vec(), Some(state.encode())));
        shared.disk.commit(&writes)?;
    }
    shared.disk.flush()
}

fn due(pool: &mut Pool, sequence: u64, within_budget: bool) -> bool {
    let Some(oldest) = pool.oldest() else { return false };
    let (weight, most, age) = (pool.dirty_weight(), pool.weight_max(), sequence.saturating_sub(oldest));
    if weight > most / 4 * 3 || age > 3 * REDO_MAX {
        return true;
    }
    within_budget && (pool.sweeping() || weight > most / 8 * 5 || age > REDO_MAX)
}

fn write(shared: &Shared, group: &[(PageId, Arc<Page>)], sequence: u64) -> Result<(), Error> {
    for (id, page) in group {
        shared.disk.write_page(id, page)?;
        lock(&shared.pool).wrote(id);
        if let Some(Above { node, slot, digest }) = above(shared, id, page)? {
            let mut pool = lock(&shared.pool);
            pool.load(&shared.disk, &node)?;
            pool.improve(&node, sequence, |page| {
                if let Some(child) = page.node_mut().children.get_mut(slot) {
                    *child = Some(digest);
                }
            });
        }
    }
    Ok(())
}

/// What the node above a page says of it.
struct Above {
    /// The node's name.
    node: Vec<u8>,
    /// The place there.
    slot: usize,
    digest: Arc<Digest>,
}

fn above(shared: &Shared, id: &PageId, page: &Page) -> Result<Option<Above>, Error> {
    let fanout = FANOUT as u64;
    match Kind::of(id) {
        Kind::Block => {
            let (history, number) = History::of_block(id);
            let digest = block_digest(&shared.disk, page, shared.layout.width(history.index))?;
            Ok(Some(Above { node: history.node(1, number / fanout), slot: slot(number), digest }))
        }
        Kind::Node => {
            let (history, level, number) = History::of_node(id);
            let digest = Digest::of_node(page.node(), shared.layout.width(history.index));
            let above = |digest| Above {
                node: history.node(level + 1, number / fanout),
                slot: slot(number),
                digest: Arc::new(digest),
            };
            Ok(digest.map(above))
        }
        Kind::Heads | Kind::Root | Kind::Spill => Ok(None),
    }
}

/// The digest of a block, kept with the page once it is known.
pub(crate) fn block_digest(disk: &Disk, page: &Page, columns: usize) -> Result<Arc<Digest>, Error> {
    let block = page.block();
    if let Some(digest) = block.digest.get() {
        return Ok(Arc::clone(digest));
    }
    let digest = Digest::of_block(&block.entries, columns).ok_or_else(|| disk.damaged("a row cannot be read"))?;
    Ok(Arc::clone(block.digest.get_or_init(|| Arc::new(digest))))
}
