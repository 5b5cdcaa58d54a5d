//! A micro-batch: changes are resolved against the newest versions, applied to the pages and collected for the log.

use std::sync::{Arc, MutexGuard};

use relational::limits::KEY_BYTES_MAX;
use relational::{Change, EventTime, Key, Op, Position, Row, Sequence, Table, TableId, Value};

use crate::disk::{Target, Write};
use crate::encoding::{decode_key, encode_key};
use crate::keys::log::{self, Chunk, Edge, Place, Record};
use crate::keys::page::heads_id;
use crate::keys::{History, meta, position};
use crate::locate::Found;
use crate::packed::pack;
use crate::pages::entry::Entry;
use crate::pages::heads;
use crate::pages::version::Version;
use crate::pool::Pool;
use crate::store::{Log, Store, lock};
use crate::{Applied, Error, Keyspace, Resolution, apply, resolve, write_back};

/// Bytes of changes in one value of the log, about, before compression: sled keeps up to 16 values together, and they
/// must fit into one of its segments of 512 KiB.
const CHUNK_BYTES: usize = if cfg!(test) { 200 } else { 24 << 10 };

/// Lists inside lists in one row: deeper ones are refused, for reading them back takes stack.
const LIST_DEPTH_MAX: usize = 16;

/// A micro-batch in the making. What it applied can be read at once by snapshots; it is kept once [`Self::commit`]
/// returns. Dropped without a commit, the store is poisoned.
#[derive(Debug)]
pub struct Transaction<'a> {
    store: &'a Store,
    log: MutexGuard<'a, Log>,
    chunk: Chunk,
    /// The first change of `chunk`.
    chunk_first: u64,
    writes: Vec<Write>,
    /// Whether there is anything to commit or to lose.
    open: bool,
    changes: u64,
}

/// A row's newest version and where it stands.
struct Current {
    place: u64,
    links: Vec<u64>,
    version: Version<()>,
    row: Option<Row>,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        let log = lock(&store.writer);
        Self { store, log, chunk: Chunk::default(), chunk_first: 0, writes: Vec::new(), open: false, changes: 0 }
    }

    /// Applies one change and adds what it did to `applied`: nothing for a duplicate, one entry per row for a truncate.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the change does not fit its table: the transaction goes on without it.
    pub fn apply(&mut self, change: &Change, applied: &mut Vec<Applied>) -> Result<(), Error> {
        let shared = Arc::clone(&self.store.shared);
        if lock(&shared.live).poisoned {
            return Err(Error::Poisoned);
        }
        if shared.layout.edges(change.table.0).is_none() {
            return Err(Error::Refused(format!("there is no table #{}", change.table.0)));
        }
        if change.op == Op::Truncate {
            return self.truncate(change, applied);
        }
        self.apply_row(change, applied).inspect_err(|error| {
            if !matches!(error, Error::Refused(_)) {
                lock(&shared.live).poisoned = true;
            }
        })
    }

    fn truncate(&mut self, change: &Change, applied: &mut Vec<Applied>) -> Result<(), Error> {
        let mut page_id = Some(heads_id(change.table.0, &[]));
        while let Some(id) = page_id {
            let shared = &self.store.shared;
            let page = shared.page(&id)?;
            page_id = lock(&shared.pool).heads_after(&id).map(|id| id.to_vec());
            for (key, _) in page.iter().flat_map(|page| heads::iter(page.slots())) {
                let key = decode_key(key).ok_or_else(|| shared.disk.damaged(format!("no key: {key:02x?}")))?;
                self.apply_row(&Change { key, op: Op::Delete, ..change.clone() }, applied)?;
            }
        }
        Ok(())
    }

    fn apply_row(&mut self, change: &Change, applied: &mut Vec<Applied>) -> Result<(), Error> {
        let shared = &self.store.shared;
        let mut pool = lock(&shared.pool);
        let key: Arc<[u8]> = encode_key(&change.key).into();
        let mut current = self.current(&mut pool, change.table, &key)?;
        let state = current.as_mut().map(|current| (current.version.from_snapshot, current.row.take()));
        let (row, carried) = match resolve(change, state.as_ref()) {
            Resolution::Nothing => return Ok(()),
            Resolution::Delete => (None, 0),
            Resolution::Set { row, carried } => (Some(row), carried),
        };
        let old = state.and_then(|(_, row)| row);
        let table = shared.schema.table(change.table);
        let time = row.as_ref().map_or(Ok(EventTime::MIN), |row| time_of(table, row))?;
        check(table, &key, "key")?;
        let (packed, large) = row.as_ref().map(|row| pack(row, time)).unzip();
        for large in large.into_iter().flatten() {
            shared.disk.keep(&large)?;
        }
        let mut live = lock(&shared.live);
        let sequence = live.state.sequence + 1;
        let valid_from = if current.is_some() { change.known } else { time };
        let version = Version {
            sequence,
            born: current.as_ref().filter(|_| old.is_some()).map_or(sequence, |current| current.version.born),
            valid_from: valid_from.0,
            known: change.known.0,
            time: time.0,
            from_snapshot: matches!(change.op, Op::Snapshot(_)),
            row: packed,
        };
        let edges = self.edges(&mut pool, change.table, current.as_ref(), old.as_ref(), row.as_ref())?;
        let place = match &current {
            Some(current) => current.place,
            None => self.count(&mut pool, &shared.layout.timeline(change.table.0))?,
        };
        let record = Record { table: change.table.0, key, version, place, new: current.is_none(), edges };
        self.open = true;
        apply::apply(&mut pool, &shared.disk, &shared.layout, &record)?;
        live.state.sequence = sequence;
        live.state.newest = live.state.newest.max(valid_from.0);
        live.state.versions += 1;
        live.state.rows = live.state.rows + u64::from(row.is_some()) - u64::from(old.is_some());
        drop((pool, live));
        self.changes += 1;
        self.record(&record);
        let (table, key, sequence) = (change.table, change.key.clone(), Sequence(sequence));
        applied.push(Applied { sequence, table, key, old, new: row, valid_from, carried });
        Ok(())
    }

    fn current(&self, pool: &mut Pool, table: TableId, key: &[u8]) -> Result<Option<Current>, Error> {
        let shared = &self.store.shared;
        let id = pool.heads_for(table.0, key);
        let heads = pool.load(&shared.disk, &id)?;
        let Some(place) = heads.and_then(|page| heads::find(page.slots(), key).ok()) else { return Ok(None) };
        let lost = || shared.disk.damaged(format!("row {place} of table {} cannot be read", table.0));
        let timeline = shared.layout.timeline(table.0);
        let Found { page, slot } = timeline.find(place, |id| pool.load(&shared.disk, id))?.ok_or_else(lost)?;
        let entry = Entry::read(page.slots(), slot).ok_or_else(lost)?;
        let version = entry.newest().ok_or_else(lost)?;
        let row = match page.slots().row(&version) {
            Some(row) => Some(shared.row_of(row, |_| true)?.ok_or_else(lost)?),
            None => None,
        };
        Ok(Some(Current { place, links: entry.links().collect(), version: version.with(None), row }))
    }

    fn edges(
        &self,
        pool: &mut Pool,
        table: TableId,
        current: Option<&Current>,
        old: Option<&Row>,
        new: Option<&Row>,
    ) -> Result<Vec<Edge>, Error> {
        let shared = &self.store.shared;
        let mut edges = Vec::new();
        for (number, (index, columns)) in shared.layout.columns(table).enumerate() {
            let parent = |row: Option<&Row>| Key::of(row?, columns);
            let link = current.map_or(0, |current| current.links[number]);
            let old = parent(old).filter(|_| link > 0);
            let new = parent(new);
            let place = |key: &Key| Place { parent: encode_key(key).into(), entry: link.saturating_sub(1) };
            if old.is_some() && old == new {
                edges.push(Edge { kept: old.as_ref().map(place), ..Edge::default() });
                continue;
            }
            let mut edge = Edge { left: old.as_ref().map(place), ..Edge::default() };
            if let Some(key) = new {
                let parent: Arc<[u8]> = encode_key(&key).into();
                check(shared.schema.table(table), &parent, "foreign key")?;
                let history = History { index: index.0, parent };
                let entry = self.count(pool, &history)?;
                edge.joined = Some(Place { parent: history.parent, entry });
            }
            edges.push(edge);
        }
        Ok(edges)
    }

    fn count(&self, pool: &mut Pool, history: &History) -> Result<u64, Error> {
        let root = pool.load(&self.store.shared.disk, &history.root())?;
        Ok(root.map_or(0, |page| page.root().count))
    }

    fn record(&mut self, record: &Record) {
        if self.chunk.len() == 0 {
            self.chunk_first = record.version.sequence;
        }
        self.chunk.put(record);
        if self.chunk.len() >= CHUNK_BYTES {
            self.seal();
        }
    }

    fn seal(&mut self) {
        if self.chunk.len() > 0 {
            let chunk = std::mem::take(&mut self.chunk);
            self.log.chunks.push_back(self.chunk_first);
            self.writes.push((Target::Log, log::encode_key(self.chunk_first).to_vec(), Some(chunk.encode())));
        }
    }

    /// Reading goes on at this position after a restart.
    pub fn set_position(&mut self, next: Position) {
        self.open = true;
        let key = position::encode_key(&next.topic, next.partition);
        let value = position::encode_value(next.offset);
        self.writes.push((Target::Positions, key, Some(value)));
        lock(&self.store.shared.live).positions.insert((next.topic, next.partition), next.offset);
    }

    /// Writes an entry of a keyspace.
    pub fn put(&mut self, keyspace: Keyspace, key: Vec<u8>, value: Vec<u8>) {
        self.open = true;
        lock(&self.store.shared.live).pending.insert((keyspace, key), Some(value));
    }

    /// Removes an entry of a keyspace.
    pub fn remove(&mut self, keyspace: Keyspace, key: Vec<u8>) {
        self.open = true;
        lock(&self.store.shared.live).pending.insert((keyspace, key), None);
    }

    /// Makes the batch durable: all of it or nothing.
    ///
    /// # Errors
    ///
    /// When the disk fails; the store is then poisoned.
    pub fn commit(mut self) -> Result<(), Error> {
        if lock(&self.store.shared.live).poisoned {
            return Err(Error::Poisoned);
        }
        if self.open {
            // On failure it stays open, and so poisons the store when it is dropped.
            self.write()?;
            self.open = false;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), Error> {
        self.seal();
        let shared = &self.store.shared;
        let oldest = lock(&shared.pool).oldest();
        let mut live = lock(&shared.live);
        let sequence = live.state.sequence;
        live.state.redo_from = oldest.unwrap_or(sequence + 1);
        let state = live.state;
        let pending = live.pending.iter();
        self.writes.extend(pending.map(|((space, key), value)| (Target::Space(*space), key.clone(), value.clone())));
        drop(live);
        self.writes.push((Target::Meta, meta::STATE_KEY.to_vec(), Some(state.encode())));
        self.writes.extend(write_back::shorten(&mut self.log, state.redo_from));
        shared.disk.commit(&self.writes)?;
        lock(&shared.live).pending.clear();
        let written = write_back::round(shared, sequence, self.changes)?;
        // Without a flush sled writes when its buffer of half a MiB is full: always whole commits, in order.
        if written || self.store.options.sync { shared.disk.flush() } else { Ok(()) }
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open {
            lock(&self.store.shared.live).poisoned = true;
        }
    }
}

fn time_of(table: &Table, row: &Row) -> Result<EventTime, Error> {
    if row.values().iter().any(|value| depth(value) > LIST_DEPTH_MAX) {
        return Err(Error::Refused(format!("a list of table `{}` is nested too deep", table.name)));
    }
    row.time(table.time).ok_or_else(|| {
        let name = table.time.map_or("", |column| &table.columns[usize::from(column.0)].name);
        Error::Refused(format!("time column `{name}` of table `{}` is empty or not a time", table.name))
    })
}

fn depth(value: &Value) -> usize {
    match value {
        Value::List(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn check(table: &Table, key: &[u8], what: &str) -> Result<(), Error> {
    if key.len() <= KEY_BYTES_MAX {
        return Ok(());
    }
    let bytes = key.len();
    Err(Error::Refused(format!("a {what} of table `{}` takes {bytes} bytes, more than {KEY_BYTES_MAX}", table.name)))
}
