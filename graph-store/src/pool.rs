//! The pages in memory.
//!
//! A changed page stays in memory as *dirty* until it is written; it remembers the first change that its copy on disk
//! lacks, and the log is kept from the least of those on. Clean pages are dropped, the least recently used first, when
//! memory is short. Readers hold pages by reference count; a page that a reader holds is copied before it changes.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use lru::LruCache;
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::Error;
use crate::disk::Disk;
use crate::keys::page::heads_id;
use crate::keys::{Kind, PageId};
use crate::pages::Page;

/// See the module.
#[derive(Debug)]
pub(crate) struct Pool {
    clean: LruCache<PageId, Clean, FxBuildHasher>,
    clean_weight: usize,
    dirty: FxHashMap<PageId, Dirty>,
    dirty_weight: usize,
    /// Dirty pages by their first unwritten change. Entries whose page was written since are skipped.
    order: VecDeque<(u64, PageId)>,
    /// The pages that are being written, in the order of their names: sled keeps neighbours together, and reads and
    /// rewrites them together.
    sweep: VecDeque<PageId>,
    /// The name of every page of heads.
    directory: BTreeSet<PageId>,
    /// Counts writes of pages: see [`Pool::offer`].
    written: u64,
    weight_max: usize,
}

#[derive(Debug)]
struct Clean {
    page: Arc<Page>,
    weight: usize,
}

#[derive(Debug)]
struct Dirty {
    page: Arc<Page>,
    /// As it was counted; the page itself may get a digest while it is here.
    weight: usize,
    first: u64,
    /// Pages that took over content of this page and must be written before it.
    requires: Vec<PageId>,
}

impl Pool {
    pub(crate) fn new(weight_max: usize) -> Self {
        Self {
            clean: LruCache::unbounded_with_hasher(FxBuildHasher),
            clean_weight: 0,
            dirty: FxHashMap::default(),
            dirty_weight: 0,
            order: VecDeque::new(),
            sweep: VecDeque::new(),
            directory: BTreeSet::new(),
            written: 0,
            weight_max,
        }
    }

    /// The page, when it is in memory.
    pub(crate) fn find(&mut self, id: &[u8]) -> Option<Arc<Page>> {
        match self.dirty.get(id) {
            Some(dirty) => Some(Arc::clone(&dirty.page)),
            None => self.clean.get(id).map(|clean| Arc::clone(&clean.page)),
        }
    }

    /// The page, from the disk if need be; `None` when there is none.
    pub(crate) fn load(&mut self, disk: &Disk, id: &[u8]) -> Result<Option<Arc<Page>>, Error> {
        if let Some(page) = self.find(id) {
            return Ok(Some(page));
        }
        let Some(page) = disk.read_page(id)?.map(Arc::new) else { return Ok(None) };
        self.keep(Arc::from(id), Arc::clone(&page));
        Ok(Some(page))
    }

    /// Changes a page unless it holds the change already; makes it when there is none. Returns whether it was changed.
    pub(crate) fn edit(
        &mut self,
        disk: &Disk,
        id: &[u8],
        sequence: u64,
        edit: impl FnOnce(&mut Page),
    ) -> Result<bool, Error> {
        if !self.dirty.contains_key(id) {
            let page = self.load(disk, id)?.unwrap_or_else(|| Arc::new(Page::empty(Kind::of(id))));
            if page.sequence >= sequence {
                return Ok(false);
            }
            self.dirty_up(Arc::from(id), page, sequence);
        }
        let dirty = self.dirty.get_mut(id).expect("it was there or has just been put there");
        if dirty.page.sequence >= sequence {
            return Ok(false);
        }
        let page = Arc::make_mut(&mut dirty.page);
        edit(page);
        page.sequence = sequence;
        self.dirty_weight -= dirty.weight;
        dirty.weight = page.weight();
        self.dirty_weight += dirty.weight;
        Ok(true)
    }

    /// Improves a page in memory without a change of what it says; losing this in a crash does no harm.
    pub(crate) fn improve(&mut self, id: &[u8], now: u64, edit: impl FnOnce(&mut Page)) {
        if !self.dirty.contains_key(id) {
            let Some(page) = self.clean.get(id).map(|clean| Arc::clone(&clean.page)) else { return };
            self.dirty_up(Arc::from(id), page, now);
        }
        let dirty = self.dirty.get_mut(id).expect("it was there or has just been put there");
        let page = Arc::make_mut(&mut dirty.page);
        edit(page);
        self.dirty_weight -= dirty.weight;
        dirty.weight = page.weight();
        self.dirty_weight += dirty.weight;
    }

    /// `id` gave content to `other`, which must be written first.
    pub(crate) fn require(&mut self, id: &[u8], other: &[u8]) {
        if let Some(dirty) = self.dirty.get_mut(id) {
            dirty.requires.push(Arc::from(other));
        }
    }

    fn dirty_up(&mut self, id: PageId, page: Arc<Page>, first: u64) {
        if let Some(clean) = self.clean.pop(&id) {
            self.clean_weight -= clean.weight;
        }
        let weight = page.weight();
        self.dirty_weight += weight;
        self.order.push_back((first, Arc::clone(&id)));
        self.dirty.insert(id, Dirty { page, weight, first, requires: Vec::new() });
    }

    fn keep(&mut self, id: PageId, page: Arc<Page>) {
        let weight = page.weight();
        self.clean_weight += weight;
        if let Some(before) = self.clean.put(id, Clean { page, weight }) {
            self.clean_weight -= before.weight;
        }
        while self.clean_weight > 0 && self.clean_weight + self.dirty_weight > self.weight_max {
            let Some((_, dropped)) = self.clean.pop_lru() else { return };
            self.clean_weight -= dropped.weight;
        }
    }

    /// How many writes of pages there were: ask before reading the disk, for [`Self::offer`].
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Keeps a page that a reader has read from the disk, unless any page has been written since it looked: then this
    /// one may be old.
    pub(crate) fn offer(&mut self, id: &[u8], page: &Arc<Page>, written: u64) {
        if self.written == written && !self.dirty.contains_key(id) && !self.clean.contains(id) {
            self.keep(Arc::from(id), Arc::clone(page));
        }
    }

    /// The first change that some page on disk lacks.
    pub(crate) fn oldest(&mut self) -> Option<u64> {
        while let Some((first, id)) = self.order.front() {
            if self.dirty.get(id).is_some_and(|dirty| dirty.first == *first) {
                return Some(*first);
            }
            self.order.pop_front();
        }
        None
    }

    /// Whether a sweep over the changed pages is under way.
    pub(crate) fn sweeping(&self) -> bool {
        !self.sweep.is_empty()
    }

    /// The next page to write, after those that must be written before it. Begins a sweep over all pages that are dirty
    /// now when none is under way; empty when there are none.
    pub(crate) fn next_to_write(&mut self) -> Vec<(PageId, Arc<Page>)> {
        let mut group = Vec::new();
        // What is left of a sweep may have been written already with other pages.
        while group.is_empty() && self.oldest().is_some() {
            match self.sweep.pop_front() {
                Some(id) => self.collect(&id, &mut group),
                None => {
                    let names: BTreeSet<PageId> = self.order.iter().map(|(_, id)| Arc::clone(id)).collect();
                    self.sweep.extend(names);
                }
            }
        }
        group
    }

    fn collect(&self, id: &PageId, group: &mut Vec<(PageId, Arc<Page>)>) {
        let Some(dirty) = self.dirty.get(id) else { return };
        for other in &dirty.requires {
            if group.iter().all(|(id, _)| id != other) {
                self.collect(other, group);
            }
        }
        group.push((Arc::clone(id), Arc::clone(&dirty.page)));
    }

    /// The page was written as it is.
    pub(crate) fn wrote(&mut self, id: &PageId) {
        if let Some(dirty) = self.dirty.remove(id) {
            self.written += 1;
            self.dirty_weight -= dirty.weight;
            self.keep(Arc::clone(id), dirty.page);
        }
    }

    pub(crate) fn dirty_weight(&self) -> usize {
        self.dirty_weight
    }

    pub(crate) fn weight_max(&self) -> usize {
        self.weight_max
    }

    /// Pages, dirty pages and the weight of all.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        (self.clean.len() + self.dirty.len(), self.dirty.len(), self.clean_weight + self.dirty_weight)
    }

    /// The heads page that holds this key, or would.
    pub(crate) fn heads_for(&self, table: u16, key: &[u8]) -> PageId {
        let id = heads_id(table, key);
        let before = self.directory.range::<[u8], _>((Unbounded, Included(id.as_slice()))).next_back();
        // A table's first page begins at the empty key.
        before.filter(|before| before[..3] == id[..3]).cloned().unwrap_or_else(|| Arc::from(&id[..3]))
    }

    /// The heads page after this one, if it is of the same table.
    pub(crate) fn heads_after(&self, id: &[u8]) -> Option<PageId> {
        let next = self.directory.range::<[u8], _>((Excluded(id), Unbounded)).next();
        next.filter(|next| next[..3] == id[..3]).cloned()
    }

    pub(crate) fn add_heads(&mut self, id: &[u8]) {
        if !self.directory.contains(id) {
            self.directory.insert(Arc::from(id));
        }
    }
}
