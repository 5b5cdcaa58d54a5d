//! Finding an entry of a history.

use std::sync::Arc;

use crate::Error;
use crate::apply::slot;
use crate::keys::History;
use crate::pages::entry::Entry;
use crate::pages::version::Version;
use crate::pages::{Body, FANOUT, Page};
use relational::AsOf;

/// An entry, held by its page.
pub(crate) struct Found {
    page: Arc<Page>,
    place: u64,
}

impl Found {
    pub(crate) fn get(&self) -> &Entry {
        let entries = match &self.page.body {
            Body::Root(root) => &root.tail,
            _ => &self.page.block().entries,
        };
        &entries[slot(self.place)]
    }
}

impl History {
    /// The entry at a place; `None` when the history has none there.
    pub(crate) fn find(
        &self,
        place: u64,
        mut load: impl FnMut(&[u8]) -> Result<Option<Arc<Page>>, Error>,
    ) -> Result<Option<Found>, Error> {
        let Some(root) = load(&self.root())? else { return Ok(None) };
        let fanout = FANOUT as u64;
        let count = root.root().count;
        if place >= count {
            return Ok(None);
        }
        let page = if place / fanout == count / fanout { Some(root) } else { load(&self.block(place / fanout))? };
        Ok(page.map(|page| Found { page, place }))
    }

    /// The current version of an entry of this history, deletions included.
    pub(crate) fn current(
        &self,
        entry: &Entry,
        place: u64,
        bounds: &AsOf,
        mut load: impl FnMut(&[u8]) -> Result<Option<Arc<Page>>, Error>,
    ) -> Result<Option<Arc<Version>>, Error> {
        let spilled = match entry.current(bounds) {
            Ok(version) => return Ok(version.cloned()),
            Err(spilled) => spilled,
        };
        for number in (0..spilled.pages).rev() {
            let page = load(&self.spill(place, number))?;
            let versions = page.iter().flat_map(|page| page.spill());
            if let Some(version) = versions.rev().find(|version| version.admitted(bounds)) {
                return Ok(Some(Arc::clone(version)));
            }
        }
        Ok(None)
    }
}
