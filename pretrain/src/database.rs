//! A synthetic database in a store of its own.

use std::path::Path;
use std::sync::Arc;

use graph_store::{Options, Store};
use relational::{EventTime, Schema};
use tempfile::TempDir;

use crate::draft::{self, Draft};
use crate::{Error, World};

/// Memory for a store of a few thousand rows, in bytes.
const MEMORY_BYTES: u64 = 64 << 20;

/// Changes of one transaction.
const BATCH: usize = 1_000;

/// A store in a temporary folder, filled with a world's changes.
#[derive(Debug)]
pub struct Database {
    /// The graph.
    pub store: Store,
    // After the store, which writes into it when it is dropped.
    _folder: TempDir,
}

impl Database {
    /// Applies a world's changes to a store in a new folder below `scratch`.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used.
    pub fn fill(world: &World, scratch: &Path) -> Result<Self, Error> {
        Self::of(&world.tables, scratch)
    }

    fn of(tables: &[Draft], scratch: &Path) -> Result<Self, Error> {
        let folder = tempfile::Builder::new().prefix("pretrain-").tempdir_in(scratch).map_err(Error::file(scratch))?;
        let options = Options { memory_bytes: MEMORY_BYTES, sync: false, ..Options::default() };
        let store = Store::open(folder.path(), Arc::new(draft::schema(tables)), &options)?;
        let mut applied = Vec::new();
        for batch in draft::changes(tables).chunks(BATCH) {
            let mut transaction = store.begin();
            for change in batch {
                transaction.apply(change, &mut applied)?;
            }
            transaction.commit()?;
            applied.clear();
        }
        Ok(Self { store, _folder: folder })
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        self.store.schema()
    }

    /// The time of the newest change.
    #[must_use]
    pub fn end(&self) -> EventTime {
        self.store.newest_time()
    }
}
