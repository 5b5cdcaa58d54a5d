//! The disk engine, sled: the only file that knows it, beside the error that wraps its own.
//!
//! An insert into sled costs the same whatever its size (some 13 µs), so the pages and the log keep inserts far below
//! one per change. A commit is one transaction over several trees; batches are not used, for they keep garbage alive.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sled::transaction::{ConflictableTransactionError, TransactionError, TransactionalTree};
use sled::{Transactional, Tree};
use xxhash_rust::xxh3::xxh3_128;

use crate::keys::{Kind, large, log, meta, position};
use crate::packed::Large;
use crate::pages::{Page, Scratch};
use crate::{Error, Keyspace, SimulatedDisk};

/// The open store on disk.
pub(crate) struct Disk {
    directory: String,
    engine: Engine,
    scratch: Mutex<Scratch>,
}

/// What holds the trees.
enum Engine {
    Sled { db: sled::Db, committed: [Tree; 9], pages: [Tree; 5], large: Tree },
    Simulated(SimulatedDisk),
}

/// A tree that commits write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Meta,
    Positions,
    Log,
    Space(Keyspace),
}

impl Target {
    fn index(self) -> usize {
        match self {
            Self::Meta => 0,
            Self::Positions => 1,
            Self::Log => 2,
            Self::Space(Keyspace::Dirty) => 3,
            Self::Space(Keyspace::Outbox) => 4,
            Self::Space(Keyspace::Context) => 5,
            Self::Space(Keyspace::Published) => 6,
            Self::Space(Keyspace::Progress) => 7,
            Self::Space(Keyspace::Ahead) => 8,
        }
    }
}

/// A put, or without a value a removal.
pub(crate) type Write = (Target, Vec<u8>, Option<Vec<u8>>);

impl Disk {
    pub(crate) fn open(path: &Path, cache_bytes: u64) -> Result<Self, Error> {
        let directory = path.display().to_string();
        let db = open(path, cache_bytes, &directory)?;
        let [meta, positions, log] = ["meta", "positions", "log"].map(|name| db.open_tree(name));
        let spaces = ["dirty", "outbox", "context", "published", "progress", "ahead"].map(|name| db.open_tree(name));
        let [heads, roots, blocks, nodes, spills] =
            ["heads", "roots", "blocks", "nodes", "spills"].map(|name| db.open_tree(name));
        let [dirty, outbox, context, published, progress, ahead] = spaces;
        let committed = [meta?, positions?, log?, dirty?, outbox?, context?, published?, progress?, ahead?];
        let pages = [heads?, roots?, blocks?, nodes?, spills?];
        let large = db.open_tree("large")?;
        Ok(Self { directory, engine: Engine::Sled { db, committed, pages, large }, scratch: Mutex::default() })
    }

    pub(crate) fn simulated(disk: &SimulatedDisk) -> Self {
        let engine = Engine::Simulated(disk.clone());
        Self { directory: "memory".into(), engine, scratch: Mutex::default() }
    }

    pub(crate) fn damaged(&self, what: impl Into<String>) -> Error {
        Error::Damaged { directory: self.directory.clone(), what: what.into() }
    }

    pub(crate) fn get(&self, target: Target, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match &self.engine {
            Engine::Sled { committed, .. } => Ok(committed[target.index()].get(key)?.map(|value| value.to_vec())),
            Engine::Simulated(disk) => Ok(disk.get(target.index(), key)),
        }
    }

    /// The entries from `start` on, in key order.
    pub(crate) fn range(&self, target: Target, start: &[u8]) -> Entries {
        match &self.engine {
            Engine::Sled { committed, .. } => {
                let entries = committed[target.index()].range(start.to_vec()..);
                Box::new(
                    entries.map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(Error::from)),
                )
            }
            Engine::Simulated(disk) => Box::new(disk.range(target.index(), start).into_iter().map(Ok)),
        }
    }

    /// Writes all of it or nothing. After a crash a commit is there only when all commits before it are.
    pub(crate) fn commit(&self, writes: &[Write]) -> Result<(), Error> {
        match &self.engine {
            Engine::Sled { committed, .. } => commit(committed, writes).map_err(|error| failed(error, &self.directory)),
            Engine::Simulated(disk) => {
                let write = |(target, key, value): &Write| (target.index(), key.clone(), value.clone());
                disk.write(writes.iter().map(write).collect(), Target::Positions.index())
            }
        }
    }

    pub(crate) fn flush(&self) -> Result<(), Error> {
        match &self.engine {
            Engine::Sled { db, .. } => {
                db.flush().map_err(|error| failed(error, &self.directory))?;
                Ok(())
            }
            Engine::Simulated(disk) => disk.flush(),
        }
    }

    pub(crate) fn size(&self) -> Result<u64, Error> {
        match &self.engine {
            Engine::Sled { db, .. } => Ok(db.size_on_disk()?),
            Engine::Simulated(_) => Ok(0),
        }
    }

    pub(crate) fn read_page(&self, id: &[u8]) -> Result<Option<Page>, Error> {
        let kind = Kind::of(id);
        let tree = usize::from(kind.byte());
        let page = match &self.engine {
            Engine::Sled { pages, .. } => pages[tree].get(&id[1..])?.map(|bytes| Page::decode(kind, &bytes)),
            Engine::Simulated(disk) => disk.get(PAGES + tree, &id[1..]).map(|bytes| Page::decode(kind, &bytes)),
        };
        let Some(page) = page else { return Ok(None) };
        Ok(Some(page.ok_or_else(|| self.damaged(format!("page {kind:?} {:02x?} cannot be read", &id[1..])))?))
    }

    /// Pages written in some order are on disk in that order, whenever the process dies.
    pub(crate) fn write_page(&self, id: &[u8], page: &Page) -> Result<(), Error> {
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let (tree, bytes) = (usize::from(Kind::of(id).byte()), page.encode(&mut scratch));
        match &self.engine {
            Engine::Sled { pages, .. } => {
                pages[tree].insert(&id[1..], bytes).map_err(|error| failed(error, &self.directory))?;
                Ok(())
            }
            Engine::Simulated(disk) => {
                let write = (PAGES + tree, id[1..].to_vec(), Some(bytes.to_vec()));
                disk.write(vec![write], Target::Positions.index())
            }
        }
    }

    /// Keeps a value that is too large for a page, unless it is there. It is written before the commit of what refers to it,
    /// and so is there whenever that is.
    pub(crate) fn keep(&self, value: &Large) -> Result<(), Error> {
        if self.part(value.digest, 0)?.is_some() {
            return Ok(());
        }
        for (number, bytes) in large::encode(&value.bytes) {
            let key = large::encode_key(value.digest, number);
            match &self.engine {
                Engine::Sled { large, .. } => {
                    large.insert(key, bytes).map_err(|error| failed(error, &self.directory))?;
                }
                Engine::Simulated(disk) => {
                    disk.write(vec![(LARGE, key.to_vec(), Some(bytes))], Target::Positions.index())?;
                }
            }
        }
        Ok(())
    }

    /// The bytes of a value that is too large for a page; `None` when it is not there, or damaged.
    pub(crate) fn large(&self, digest: u128) -> Result<Option<Vec<u8>>, Error> {
        let Some((parts, mut bytes)) = self.part(digest, 0)?.and_then(|part| large::decode_first(&part)) else {
            return Ok(None);
        };
        for number in 1..parts {
            let Some(part) = self.part(digest, number)?.and_then(|part| large::decode(&part)) else { return Ok(None) };
            bytes.extend(part);
        }
        Ok((xxh3_128(&bytes) == digest).then_some(bytes))
    }

    fn part(&self, digest: u128, number: u32) -> Result<Option<Vec<u8>>, Error> {
        let key = large::encode_key(digest, number);
        match &self.engine {
            Engine::Sled { large, .. } => Ok(large.get(key)?.map(|bytes| bytes.to_vec())),
            Engine::Simulated(disk) => Ok(disk.get(LARGE, &key)),
        }
    }

    /// The names of all pages of heads, in order.
    pub(crate) fn heads(&self) -> Box<dyn Iterator<Item = Result<Vec<u8>, Error>>> {
        let kind = Kind::Heads.byte();
        let named = move |key: &[u8]| [&[kind], key].concat();
        match &self.engine {
            Engine::Sled { pages, .. } => {
                let keys = pages[usize::from(kind)].iter().keys();
                Box::new(keys.map(move |key| key.map(|key| named(&key)).map_err(Error::from)))
            }
            Engine::Simulated(disk) => {
                let entries = disk.range(PAGES + usize::from(kind), &[]).into_iter();
                Box::new(entries.map(move |(key, _)| Ok(named(&key))))
            }
        }
    }

    /// Checks format and schema, and writes them when the store is new. Returns the state of the last commit.
    pub(crate) fn verify(&self, schema: &str) -> Result<meta::State, Error> {
        let Some(format) = self.get(Target::Meta, meta::FORMAT_KEY)? else {
            let state = meta::State::default();
            let put = |key: &[u8], value: Vec<u8>| (Target::Meta, key.to_vec(), Some(value));
            self.commit(&[
                put(meta::FORMAT_KEY, vec![meta::FORMAT]),
                put(meta::SCHEMA_KEY, schema.as_bytes().to_vec()),
                put(meta::STATE_KEY, state.encode()),
            ])?;
            self.flush()?;
            return Ok(state);
        };
        if format != [meta::FORMAT] {
            let wanted = meta::FORMAT;
            let advice = "build it anew from its sources";
            return Err(self.damaged(format!("its format is {format:?} but this version writes [{wanted}]; {advice}")));
        }
        let stored = self.get(Target::Meta, meta::SCHEMA_KEY)?.and_then(|text| String::from_utf8(text).ok());
        let stored = stored.ok_or_else(|| self.damaged("it does not say which schema it was written with"))?;
        if let Some(what) = meta::difference(&stored, schema) {
            return Err(Error::Schema { directory: self.directory.clone(), what });
        }
        let state = self.get(Target::Meta, meta::STATE_KEY)?.and_then(|bytes| meta::State::decode(&bytes));
        state.ok_or_else(|| self.damaged("its state cannot be read"))
    }

    pub(crate) fn positions(&self) -> Result<Vec<relational::Position>, Error> {
        let decode = |entry: Result<(Vec<u8>, Vec<u8>), Error>| {
            let (key, value) = entry?;
            position::decode(&key, &value).ok_or_else(|| self.damaged(format!("position {key:02x?} cannot be read")))
        };
        self.range(Target::Positions, &[]).map(decode).collect()
    }

    /// The values of the log with their first sequences, in order.
    pub(crate) fn log(&self) -> impl Iterator<Item = Result<(u64, Vec<u8>), Error>> + '_ {
        self.range(Target::Log, &[]).map(|entry| {
            let (key, value) = entry?;
            let first =
                log::decode_key(&key).ok_or_else(|| self.damaged(format!("log key {key:02x?} is no number")))?;
            Ok((first, value))
        })
    }
}

/// Entries of a tree, in key order.
type Entries = Box<dyn Iterator<Item = Result<(Vec<u8>, Vec<u8>), Error>>>;

/// The trees of pages stand behind those that commits write to.
const PAGES: usize = 9;
/// Behind those of pages.
const LARGE: usize = PAGES + 5;

/// Why nothing could be written.
fn failed(error: sled::Error, directory: &str) -> Error {
    match error {
        sled::Error::Io(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            Error::Full { directory: directory.into(), error }
        }
        other => other.into(),
    }
}

fn commit(trees: &[Tree; 9], writes: &[Write]) -> Result<(), sled::Error> {
    let [meta, positions, log, dirty, outbox, context, published, progress, ahead] = trees;
    let trees = (meta, positions, log, dirty, outbox, context, published, progress, ahead);
    let result = trees.transaction(|(meta, positions, log, dirty, outbox, context, published, progress, ahead)| {
        let trees: [&TransactionalTree; 9] = [meta, positions, log, dirty, outbox, context, published, progress, ahead];
        for (target, key, value) in writes {
            let tree = trees[target.index()];
            match value {
                Some(value) => tree.insert(key.as_slice(), value.as_slice())?,
                None => tree.remove(key.as_slice())?,
            };
        }
        Ok::<(), ConflictableTransactionError<std::convert::Infallible>>(())
    });
    match result {
        Ok(()) => Ok(()),
        Err(TransactionError::Storage(error)) => Err(error),
        Err(TransactionError::Abort(never)) => match never {},
    }
}

/// Opens sled. After a store was closed in this process, sled's own threads may hold its lock for a moment longer.
fn open(path: &Path, cache_bytes: u64, directory: &str) -> Result<sled::Db, Error> {
    let mut attempts_left = 20;
    loop {
        let config = sled::Config::new().path(path).cache_capacity(cache_bytes).flush_every_ms(None);
        let error = match config.open() {
            Ok(db) => return Ok(db),
            Err(error) => error,
        };
        let locked = matches!(&error, sled::Error::Io(cause) if cause.to_string().contains("could not acquire lock"));
        if !locked {
            let what = "its disk engine finds it corrupt".into();
            let corrupt = matches!(error, sled::Error::Corruption { .. });
            return Err(if corrupt {
                Error::Damaged { directory: directory.into(), what }
            } else {
                failed(error, directory)
            });
        }
        if attempts_left == 0 {
            return Err(Error::InUse(directory.into()));
        }
        attempts_left -= 1;
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("directory", &self.directory).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_faults() {
        let full = failed(sled::Error::Io(ErrorKind::StorageFull.into()), "/data/store").to_string();
        assert!(full.contains("the disk that holds the store in /data/store is full"), "{full}");
        let other = failed(sled::Error::Io(ErrorKind::PermissionDenied.into()), "/data/store").to_string();
        assert!(!other.contains("full"), "{other}");
    }
}
