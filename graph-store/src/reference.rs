//! The store's meaning in the fewest lines: everything in memory, every read by brute force. Property tests compare the
//! real store with it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use relational::{
    AsOf, Change, EventTime, ForeignKeyId, Key, Op, Position, Row, RowKey, Schema, Sequence, TableId, Window,
};

use crate::{Applied, ColumnSummary, Error, KeyValues, Keyspace, Options, Resolution, Summary, Version, resolve};

#[derive(Debug, Clone)]
struct Stored {
    sequence: Sequence,
    born: Sequence,
    valid_from: EventTime,
    known: EventTime,
    from_snapshot: bool,
    row: Option<Row>,
}

#[derive(Debug)]
struct State {
    sequence: Sequence,
    newest: EventTime,
    versions: BTreeMap<RowKey, Vec<Stored>>,
    positions: BTreeMap<(Arc<str>, i32), i64>,
    bytes: BTreeMap<(Keyspace, Vec<u8>), Vec<u8>>,
}

/// The temporal graph. One writer at a time, any number of readers.
#[derive(Debug)]
pub struct Store {
    schema: Arc<Schema>,
    state: Arc<RwLock<State>>,
    writer: Mutex<()>,
}

impl Store {
    /// Opens the store in `directory`, and makes it when there is none.
    ///
    /// # Errors
    ///
    /// When the directory cannot be used, or holds something else.
    pub fn open(_directory: &Path, schema: Arc<Schema>, _options: &Options) -> Result<Self, Error> {
        let state = State {
            sequence: Sequence::default(),
            newest: EventTime::MIN,
            versions: BTreeMap::new(),
            positions: BTreeMap::new(),
            bytes: BTreeMap::new(),
        };
        Ok(Self { schema, state: Arc::new(RwLock::new(state)), writer: Mutex::default() })
    }

    /// The schema that the store was opened with.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Starts a micro-batch; waits for the one before.
    pub fn begin(&self) -> Transaction<'_> {
        let guard = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        Transaction { store: self, _guard: guard }
    }

    /// The only way to read the graph.
    #[must_use]
    pub fn as_of(&self, as_of: AsOf) -> Snapshot {
        Snapshot { as_of, schema: Arc::clone(&self.schema), state: Arc::clone(&self.state), hidden: None }
    }

    /// The sequence of the newest change; 0 when there is none.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.read(|state| state.sequence)
    }

    /// The latest time at which any version took effect; [`EventTime::MIN`] when there is none.
    #[must_use]
    pub fn newest_time(&self) -> EventTime {
        self.read(|state| state.newest)
    }

    /// Where to read on, per topic and partition: the position after the last one committed.
    #[must_use]
    pub fn positions(&self) -> Vec<Position> {
        self.read(|state| {
            let position = |((topic, partition), offset): (&(Arc<str>, i32), &i64)| Position {
                topic: Arc::clone(topic),
                partition: *partition,
                offset: *offset,
            };
            state.positions.iter().map(position).collect()
        })
    }

    /// The entries of a keyspace from `start` on (inclusive), in key order, at most `limit`.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn range(&self, keyspace: Keyspace, start: &[u8], limit: usize) -> Result<KeyValues, Error> {
        self.read(|state| {
            let from = state.bytes.range((keyspace, start.to_vec())..);
            let within = from.take_while(|((space, _), _)| *space == keyspace).take(limit);
            Ok(within.map(|((_, key), value)| (key.clone(), value.clone())).collect())
        })
    }

    /// One entry of a keyspace.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.read(|state| Ok(state.bytes.get(&(keyspace, key.to_vec())).cloned()))
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A micro-batch in the making. What it applied can be read at once by snapshots; it is kept once [`Self::commit`]
/// returns. Dropped without a commit, the store is poisoned.
#[derive(Debug)]
pub struct Transaction<'a> {
    store: &'a Store,
    _guard: MutexGuard<'a, ()>,
}

impl Transaction<'_> {
    /// Applies one change and adds what it did to `applied`: nothing for a duplicate, one entry per row for a truncate.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the change does not fit its table: the transaction goes on without it.
    pub fn apply(&mut self, change: &Change, applied: &mut Vec<Applied>) -> Result<(), Error> {
        let mut state = self.store.state.write().unwrap_or_else(PoisonError::into_inner);
        if change.op == Op::Truncate {
            let keys: Vec<RowKey> = state.versions.keys().filter(|key| key.table == change.table).cloned().collect();
            for key in keys {
                let delete = Change { key: key.key, op: Op::Delete, ..change.clone() };
                state.apply(&self.store.schema, &delete, applied)?;
            }
            return Ok(());
        }
        state.apply(&self.store.schema, change, applied)
    }

    /// Reading goes on at this position after a restart.
    pub fn set_position(&mut self, next: Position) {
        let mut state = self.store.state.write().unwrap_or_else(PoisonError::into_inner);
        state.positions.insert((next.topic, next.partition), next.offset);
    }

    /// Writes an entry of a keyspace.
    pub fn put(&mut self, keyspace: Keyspace, key: Vec<u8>, value: Vec<u8>) {
        let mut state = self.store.state.write().unwrap_or_else(PoisonError::into_inner);
        state.bytes.insert((keyspace, key), value);
    }

    /// Removes an entry of a keyspace.
    pub fn remove(&mut self, keyspace: Keyspace, key: Vec<u8>) {
        let mut state = self.store.state.write().unwrap_or_else(PoisonError::into_inner);
        state.bytes.remove(&(keyspace, key));
    }

    /// Makes the batch durable: all of it or nothing.
    ///
    /// # Errors
    ///
    /// When the disk fails; the store is then poisoned.
    pub fn commit(self) -> Result<(), Error> {
        Ok(())
    }
}

impl State {
    fn apply(&mut self, schema: &Schema, change: &Change, applied: &mut Vec<Applied>) -> Result<(), Error> {
        let key = RowKey { table: change.table, key: change.key.clone() };
        let chain = self.versions.entry(key).or_default();
        let current = chain.last().map(|stored| (stored.from_snapshot, stored.row.clone()));
        let (row, carried) = match resolve(change, current.as_ref()) {
            Resolution::Nothing => return Ok(()),
            Resolution::Delete => (None, 0),
            Resolution::Set { row, carried } => (Some(row), carried),
        };
        let old = current.and_then(|(_, row)| row);
        let table = schema.table(change.table);
        let time = match &row {
            Some(row) => row.time(table.time).ok_or_else(|| {
                let name = table.time.map_or("", |column| &table.columns[usize::from(column.0)].name);
                Error::Refused(format!("time column `{name}` of table `{}` is empty or not a time", table.name))
            })?,
            None => EventTime::MIN,
        };
        let sequence = Sequence(self.sequence.0 + 1);
        let first = chain.is_empty();
        let valid_from = if first { time } else { change.known };
        let born = if old.is_some() { chain.last().map_or(sequence, |stored| stored.born) } else { sequence };
        let from_snapshot = matches!(change.op, Op::Snapshot(_));
        chain.push(Stored { sequence, born, valid_from, known: change.known, from_snapshot, row: row.clone() });
        self.sequence = sequence;
        self.newest = self.newest.max(valid_from);
        applied.push(Applied {
            sequence,
            table: change.table,
            key: change.key.clone(),
            old,
            new: row,
            valid_from,
            carried,
        });
        Ok(())
    }
}

/// The graph as it was: see [`AsOf`] for what can be read.
#[derive(Debug, Clone)]
pub struct Snapshot {
    as_of: AsOf,
    schema: Arc<Schema>,
    state: Arc<RwLock<State>>,
    hidden: Option<RowKey>,
}

impl Snapshot {
    /// The same graph without one row, to ask what the row is worth. One row is left out at most, the last that was
    /// named.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn without(&self, key: &RowKey) -> Result<Self, Error> {
        Ok(Self { hidden: Some(key.clone()), ..self.clone() })
    }

    /// What bounds this snapshot.
    #[must_use]
    pub fn bounds(&self) -> AsOf {
        self.as_of
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// A row's visible version.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn row(&self, key: &RowKey) -> Result<Option<Version>, Error> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Ok(state.versions.get(key).and_then(|chain| self.visible(key, chain)))
    }

    /// The rows that point at `parent` by this foreign key.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn children(&self, foreign_key: ForeignKeyId, parent: &Key) -> Result<Children, Error> {
        let link = self.schema.foreign_key(foreign_key);
        let mut rows = self.all(link.child);
        rows.retain(|version| Key::of(&version.row, &link.columns).as_ref() == Some(parent));
        Ok(Children { rows, columns: self.schema.table(link.child).columns.len() })
    }

    /// All rows of a table by their time.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn timeline(&self, table: TableId) -> Result<Children, Error> {
        Ok(Children { rows: self.all(table), columns: self.schema.table(table).columns.len() })
    }

    /// The keys of a table's visible rows after `after` (exclusive), in key order, at most `limit`.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn keys(&self, table: TableId, after: Option<&Key>, limit: usize) -> Result<Vec<Key>, Error> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let within =
            state.versions.iter().filter(|(key, _)| key.table == table && after.is_none_or(|after| key.key > *after));
        let visible = within.filter(|(key, chain)| self.visible(key, chain).is_some());
        Ok(visible.take(limit).map(|(key, _)| key.key.clone()).collect())
    }

    fn all(&self, table: TableId) -> Vec<Version> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let within = state.versions.iter().filter(|(key, _)| key.table == table);
        let mut rows: Vec<Version> = within.filter_map(|(key, chain)| self.visible(key, chain)).collect();
        rows.sort_by_key(|version| (version.time, version.born));
        rows
    }

    fn visible(&self, key: &RowKey, chain: &[Stored]) -> Option<Version> {
        if self.hidden.as_ref() == Some(key) {
            return None;
        }
        let bounds = self.as_of;
        let current = chain.iter().rev().find(|stored| {
            stored.valid_from <= bounds.cutoff && stored.sequence <= bounds.sequence && stored.known <= bounds.known
        })?;
        let row = current.row.clone()?;
        let time = row.time(self.schema.table(key.table).time)?;
        (time <= bounds.cutoff).then(|| Version {
            key: key.key.clone(),
            row,
            time,
            born: current.born,
            sequence: current.sequence,
            valid_from: current.valid_from,
        })
    }
}

/// Child rows of one parent (or all rows of a table) as of a snapshot.
#[derive(Debug, Clone)]
pub struct Children {
    rows: Vec<Version>,
    columns: usize,
}

impl Children {
    /// The newest rows of the window, newest first by (time, born), at most `limit`.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn newest(&self, window: Window, limit: usize) -> Result<Vec<Version>, Error> {
        let inside = self.rows.iter().rev().filter(|version| window.contains(version.time));
        Ok(inside.take(limit).cloned().collect())
    }

    /// The time of the earliest row.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn first(&self) -> Result<Option<EventTime>, Error> {
        Ok(self.rows.first().map(|version| version.time))
    }

    /// The rows of the window, summed up.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn summary(&self, window: Window) -> Result<Summary, Error> {
        let mut summary = Summary { rows: 0, columns: vec![ColumnSummary::EMPTY; self.columns] };
        for version in self.rows.iter().filter(|version| window.contains(version.time)) {
            summary.rows += 1;
            for (column, value) in summary.columns.iter_mut().zip(version.row.values()) {
                if let Some(number) = value.as_f64() {
                    column.add(number);
                }
            }
        }
        Ok(summary)
    }
}
