//! The store: one writer, any number of readers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relational::{AsOf, ColumnId, EventTime, Position, Schema, Sequence, TableId};

use crate::disk::{Disk, Target};
use crate::keys::log::Chunk;
use crate::keys::meta::{State, describe};
use crate::layout::Layout;
use crate::pages::{Page, heads};
use crate::pool::Pool;
use crate::snapshot::Snapshot;
use crate::transaction::Transaction;
use crate::{Error, KeyValues, Keyspace, Options, SimulatedDisk, Statistics, apply, write_back};

/// The temporal graph. One writer at a time, any number of readers.
///
/// A commit writes the changes, resolved, to a log on disk. The pages of the indexes are changed in memory and written
/// later; opening the store redoes the changes that the pages on disk lack.
#[derive(Debug)]
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: Mutex<Log>,
    pub(crate) options: Options,
}

/// What readers and the writer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub schema: Arc<Schema>,
    pub layout: Layout,
    pub disk: Disk,
    /// See [`Options::unlisted`].
    pub unlisted: BTreeSet<(TableId, ColumnId)>,
    pub pool: Mutex<Pool>,
    pub live: Mutex<Live>,
}

/// What changes with every change. Ahead of the disk while a transaction is open.
#[derive(Debug)]
pub(crate) struct Live {
    pub state: State,
    pub positions: BTreeMap<(Arc<str>, i32), i64>,
    /// Puts and removals that are not committed yet.
    pub pending: BTreeMap<(Keyspace, Vec<u8>), Option<Vec<u8>>>,
    pub poisoned: bool,
}

/// The first sequences of the values in the log on disk.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub chunks: VecDeque<u64>,
}

/// Locks; a panic of another holder has poisoned the store by itself, for its transaction was not committed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the store in `directory`, and makes it when there is none.
    ///
    /// # Errors
    ///
    /// When the directory cannot be used, is in use, holds something else or rows of another schema.
    pub fn open(directory: &Path, schema: Arc<Schema>, options: &Options) -> Result<Self, Error> {
        // Decoded pages are what reads and writes need; sled's cache only saves it reading its own pages again.
        let cache_bytes = options.memory_bytes / 4;
        Self::on(Disk::open(directory, cache_bytes)?, schema, options)
    }

    /// Opens the store that is on a simulated disk, and makes it when there is none.
    ///
    /// # Errors
    ///
    /// When the disk has stopped, or holds rows of another schema.
    pub fn open_simulated(disk: &SimulatedDisk, schema: Arc<Schema>, options: &Options) -> Result<Self, Error> {
        Self::on(Disk::simulated(disk), schema, options)
    }

    fn on(disk: Disk, schema: Arc<Schema>, options: &Options) -> Result<Self, Error> {
        let layout = Layout::new(&schema).ok_or_else(|| disk.damaged("the schema has too many tables"))?;
        let state = disk.verify(&describe(&schema))?;
        let pages = usize::try_from(options.memory_bytes - options.memory_bytes / 4).unwrap_or(usize::MAX);
        let place = |position: Position| ((position.topic, position.partition), position.offset);
        let positions = disk.positions()?.into_iter().map(place).collect();
        let live = Live { state, positions, pending: BTreeMap::new(), poisoned: false };
        let (pool, live) = (Mutex::new(Pool::new(pages)), Mutex::new(live));
        let shared = Shared { schema, layout, disk, unlisted: options.unlisted.clone(), pool, live };
        let log = recover(&shared, &state)?;
        Ok(Self { shared: Arc::new(shared), writer: Mutex::new(log), options: options.clone() })
    }

    /// The schema that the store was opened with.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.shared.schema
    }

    /// Starts a micro-batch; waits for the one before.
    pub fn begin(&self) -> Transaction<'_> {
        Transaction::new(self)
    }

    /// The only way to read the graph.
    #[must_use]
    pub fn as_of(&self, as_of: AsOf) -> Snapshot {
        Snapshot::new(as_of, Arc::clone(&self.shared))
    }

    /// The sequence of the newest change; 0 when there is none.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        Sequence(lock(&self.shared.live).state.sequence)
    }

    /// The latest time at which any version took effect; [`EventTime::MIN`] when there is none.
    #[must_use]
    pub fn newest_time(&self) -> EventTime {
        EventTime(lock(&self.shared.live).state.newest)
    }

    /// Where to read on, per topic and partition: the position after the last one committed.
    #[must_use]
    pub fn positions(&self) -> Vec<Position> {
        let live = lock(&self.shared.live);
        let position = |((topic, partition), offset): (&(Arc<str>, i32), &i64)| Position {
            topic: Arc::clone(topic),
            partition: *partition,
            offset: *offset,
        };
        live.positions.iter().map(position).collect()
    }

    /// The entries of a keyspace from `start` on (inclusive), in key order, at most `limit`.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn range(&self, keyspace: Keyspace, start: &[u8], limit: usize) -> Result<KeyValues, Error> {
        let mut pending = self.pending(keyspace, start).into_iter().peekable();
        let mut stored = self.shared.disk.range(Target::Space(keyspace), start).peekable();
        let mut found = Vec::new();
        while found.len() < limit {
            // An error sorts before everything, so that it is met.
            let stored_key = stored.peek().map(|entry| entry.as_ref().map_or(&[][..], |(key, _)| key.as_slice()));
            let next = match (stored_key, pending.peek()) {
                (None, None) => break,
                (Some(stored_key), Some((key, _))) if stored_key == key => {
                    stored.next();
                    continue;
                }
                (Some(stored_key), Some((key, _))) if key.as_slice() < stored_key => pending.next(),
                (None, Some(_)) => pending.next(),
                (Some(_), _) => stored.next().transpose()?.map(|(key, value)| (key, Some(value))),
            };
            found.extend(next.and_then(|(key, value)| Some((key, value?))));
        }
        Ok(found)
    }

    /// One entry of a keyspace.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if let Some(pending) = lock(&self.shared.live).pending.get(&(keyspace, key.to_vec())) {
            return Ok(pending.clone());
        }
        self.shared.disk.get(Target::Space(keyspace), key)
    }

    /// How large the store is, in memory and on disk.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn statistics(&self) -> Result<Statistics, Error> {
        let state = lock(&self.shared.live).state;
        let mut pool = lock(&self.shared.pool);
        let (pages, dirty_pages, page_bytes) = pool.counts();
        let oldest = pool.oldest().unwrap_or(state.sequence + 1);
        drop(pool);
        Ok(Statistics {
            rows: state.rows,
            versions: state.versions,
            disk_bytes: self.shared.disk.size()?,
            pages: pages as u64,
            dirty_pages: dirty_pages as u64,
            page_bytes: page_bytes as u64,
            redo_changes: (state.sequence + 1).saturating_sub(oldest),
        })
    }

    fn pending(&self, keyspace: Keyspace, start: &[u8]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let live = lock(&self.shared.live);
        let from = live.pending.range((keyspace, start.to_vec())..);
        from.take_while(|((space, _), _)| *space == keyspace)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect()
    }
}

impl Drop for Store {
    /// Leaves nothing to redo. When this fails, the log on disk still has everything.
    fn drop(&mut self) {
        if !lock(&self.shared.live).poisoned {
            let mut log = lock(&self.writer);
            drop(write_back::close(&self.shared, &mut log));
        }
    }
}

impl Shared {
    /// A page for a reader: the writer is not held up while the disk is read.
    pub(crate) fn page(&self, id: &[u8]) -> Result<Option<Arc<Page>>, Error> {
        let mut pool = lock(&self.pool);
        if let Some(page) = pool.find(id) {
            return Ok(Some(page));
        }
        let written = pool.written();
        drop(pool);
        let Some(page) = self.disk.read_page(id)?.map(Arc::new) else { return Ok(None) };
        lock(&self.pool).offer(id, &page, written);
        Ok(Some(page))
    }
}

/// Redoes the changes that the pages on disk lack.
fn recover(shared: &Shared, state: &State) -> Result<Log, Error> {
    let Shared { disk, layout, .. } = shared;
    let clean = state.redo_from > state.sequence;
    let mut last: Option<Vec<u8>> = None;
    for id in disk.heads() {
        let id = id?;
        if let Some(last) = last.filter(|_| !clean) {
            trim(shared, &last, &id, state.redo_from)?;
        }
        lock(&shared.pool).add_heads(&id);
        last = Some(id);
    }
    let mut log = Log::default();
    let mut next = state.redo_from;
    for chunk in disk.log() {
        let (first, bytes) = chunk?;
        log.chunks.push_back(first);
        if clean {
            continue;
        }
        let records = Chunk::decode(&bytes, |table| layout.edges(table));
        let records = records.ok_or_else(|| disk.damaged(format!("the log from change {first} on cannot be read")))?;
        for record in records.into_iter().filter(|record| record.version.sequence >= state.redo_from) {
            if record.version.sequence != next {
                return Err(disk.damaged(format!("change {next} is missing in the log")));
            }
            apply::apply(&mut lock(&shared.pool), disk, layout, &record)?;
            next += 1;
        }
        write_back::relieve(shared, next - 1)?;
    }
    if next <= state.sequence {
        return Err(disk.damaged(format!("the log ends before change {next} of {}", state.sequence)));
    }
    Ok(log)
}

/// Takes the rows of the next page off a page of heads: it was split, and its new half alone was written.
fn trim(shared: &Shared, id: &[u8], next: &[u8], redo_from: u64) -> Result<(), Error> {
    if id[..3] != next[..3] {
        return Ok(());
    }
    let Some(page) = shared.disk.read_page(id)? else { return Ok(()) };
    let kept = match heads::find(page.slots(), &next[3..]) {
        Ok(_) => heads::iter(page.slots()).take_while(|(key, _)| *key < &next[3..]).count(),
        Err(slot) => slot,
    };
    if kept < page.slots().len() {
        let mut pool = lock(&shared.pool);
        pool.load(&shared.disk, id)?;
        pool.improve(id, redo_from, |page| {
            page.slots_mut().split_off(kept);
        });
    }
    Ok(())
}
