//! Finding an entry of a history, and its current version.

use std::sync::Arc;

use relational::AsOf;

use crate::Error;
use crate::apply::slot;
use crate::keys::History;
use crate::packed::Packed;
use crate::pages::entry::Entry;
use crate::pages::slots::RowSpan;
use crate::pages::version::Version;
use crate::pages::{FANOUT, Page};

/// An entry, held by its page.
pub(crate) struct Found {
    pub page: Arc<Page>,
    pub slot: usize,
}

/// A version, held by the page that its row lies on.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub page: Arc<Page>,
    pub version: Version<RowSpan>,
}

impl Held {
    /// The packed row.
    pub(crate) fn row(&self) -> Option<Packed<'_>> {
        self.page.slots().row(&self.version)
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
        Ok(page.filter(|page| slot(place) < page.slots().len()).map(|page| Found { page, slot: slot(place) }))
    }

    /// The newest admitted version among the spilled ones of an entry.
    pub(crate) fn spilled(
        &self,
        place: u64,
        pages: u64,
        bounds: &AsOf,
        mut load: impl FnMut(&[u8]) -> Result<Option<Arc<Page>>, Error>,
    ) -> Result<Option<Held>, Error> {
        for number in (0..pages).rev() {
            let Some(page) = load(&self.spill(place, number))? else { continue };
            let entry = Entry::read(page.slots(), 0);
            let current = entry.and_then(|entry| entry.versions().filter(|version| version.admitted(bounds)).last());
            if let Some(version) = current {
                return Ok(Some(Held { page, version }));
            }
        }
        Ok(None)
    }
}
