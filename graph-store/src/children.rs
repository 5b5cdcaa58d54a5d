//! The rows of one parent, or of a table, as of a snapshot.
//!
//! A history is a row of blocks of 64 entries and, above them, nodes of 64 children each with a digest of what is
//! below. A question goes down only where a digest does not answer it: where the window or the snapshot cuts through.
//! So the cost does not grow with the length of the history.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use relational::{AsOf, EventTime, ForeignKeyId, TableId, Window};

use crate::apply::slot;
use crate::dropped::{DroppedLinks, shown};
use crate::keys::History;
use crate::locate::Held;
use crate::pages::entry::{Current, Entry};
use crate::pages::summary::{Digest, add_row, merge};
use crate::pages::{FANOUT, Page};
use crate::search::{End, Search};
use crate::snapshot::Hidden;
use crate::store::Shared;
use crate::write_back::block_digest;
use crate::{Error, Summary, Version};

const FANOUT_WIDE: u64 = FANOUT as u64;

/// Child rows of one parent (or all rows of a table) as of a snapshot.
#[derive(Debug, Clone)]
pub struct Children {
    pub(crate) shared: Arc<Shared>,
    pub(crate) bounds: AsOf,
    table: TableId,
    pub(crate) history: History,
    timeline: bool,
    /// A row of this table that is left out.
    hidden: Option<Hidden>,
    /// Edges that are left out, and the foreign key that these rows point by; none for the rows of a table.
    dropped: Option<(DroppedLinks, Option<ForeignKeyId>)>,
    pub(crate) root: Option<Arc<Page>>,
    /// The blocks that were looked at, by number: a query asks for several windows, and each cuts through the same few.
    looked: RefCell<Vec<(u64, Rc<Block>)>>,
}

/// A part of a history: blocks are at level 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subtree {
    pub(crate) level: u8,
    pub(crate) number: u64,
}

/// A visible row of a block.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The slot of its entry.
    pub(crate) slot: usize,
    pub(crate) held: Held,
}

/// A block that was looked at.
#[derive(Debug)]
pub(crate) struct Block {
    page: Arc<Page>,
    /// Those that are visible.
    pub(crate) rows: Vec<Seen>,
}

impl Children {
    pub(crate) fn new(
        shared: Arc<Shared>,
        bounds: AsOf,
        table: TableId,
        history: History,
        timeline: bool,
        hidden: Option<Hidden>,
    ) -> Result<Self, Error> {
        let root = shared.page(&history.root())?;
        Ok(Self { shared, bounds, table, history, timeline, hidden, dropped: None, root, looked: RefCell::default() })
    }

    pub(crate) fn without_links(self, dropped: Option<DroppedLinks>, by: Option<ForeignKeyId>) -> Self {
        Self { dropped: dropped.map(|dropped| (dropped, by)), ..self }
    }

    /// The newest rows of the window, newest first by (time, born), at most `limit`.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn newest(&self, window: Window, limit: usize) -> Result<Vec<Version>, Error> {
        let mut search = Search::new(self, self.clamp(window), End::Newest)?;
        let mut rows = Vec::new();
        while rows.len() < limit
            && let Some((block, number)) = search.next()?
        {
            let Seen { slot, held } = &block.rows[number];
            rows.push(self.row(&block.page, *slot, held)?);
        }
        Ok(rows)
    }

    /// The time of the earliest row.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn first(&self) -> Result<Option<EventTime>, Error> {
        let mut search = Search::new(self, Window::up_to(self.bounds.cutoff), End::Oldest)?;
        Ok(search.next()?.map(|(block, number)| EventTime(block.rows[number].held.version.time)))
    }

    /// The rows among the `limit` arrivals before `place`, newest arrival first, each with its place; and the place
    /// to go on before, 0 when nothing is left. A place is the number of an arrival in this history: it never changes,
    /// so a walk can go on where it stopped, whatever has arrived since. `u64::MAX` begins with the newest arrival.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn arrivals(&self, place: u64, limit: usize) -> Result<(Vec<(u64, Version)>, u64), Error> {
        let mut rows = Vec::new();
        let Some(root) = self.root.as_ref() else { return Ok((rows, 0)) };
        let end = place.min(root.root().count);
        let start = end.saturating_sub(limit as u64);
        let open = root.root().count / FANOUT_WIDE;
        let blocks = start / FANOUT_WIDE..end.div_ceil(FANOUT_WIDE);
        for number in blocks.rev() {
            let page = if number == open { Arc::clone(root) } else { self.block(number)? };
            let first = number * FANOUT_WIDE;
            for place in (start.max(first)..end.min(first + FANOUT_WIDE)).rev() {
                if let Some(held) = self.visible(&page, slot(place), place)? {
                    rows.push((place, self.row(&page, slot(place), &held)?));
                }
            }
        }
        Ok((rows, start))
    }

    /// The rows of the window, summed up.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn summary(&self, window: Window) -> Result<Summary, Error> {
        let window = self.clamp(window);
        let mut sum = self.nothing();
        let Some(root) = self.root.as_ref() else { return Ok(sum) };
        let (mut level, mut children) = (0, root.root().count / FANOUT_WIDE);
        if self.may_hold(root, &window) {
            self.add_entries(&mut sum, root, children, &window)?;
        }
        while children > 0 {
            // The open subtree one level up: its complete children, then the open one.
            let mut above = self.nothing();
            let open = children / FANOUT_WIDE;
            let node = self.shared.page(&self.history.node(level + 1, open))?;
            for number in open * FANOUT_WIDE..children {
                let digest = child(node.as_ref(), number);
                self.add_subtree(&mut above, Subtree { level, number }, digest, &window)?;
            }
            merge(&mut above, &sum);
            sum = above;
            level += 1;
            children = open;
        }
        Ok(sum)
    }

    /// A version as it is shown.
    fn row(&self, page: &Page, slot: usize, held: &Held) -> Result<Version, Error> {
        let wanted = |column| !self.shared.unlisted.contains(&(self.table, column));
        let version = self.shared.unpack(self.shared.key(self.entry(page, slot)?.key)?, held, wanted)?;
        let dropped = self.dropped.as_ref().map(|(dropped, _)| dropped);
        Ok(shown(dropped, &self.shared.schema, self.table, version))
    }

    /// Whether the entries that do not fill a block yet may hold a row of the window.
    pub(crate) fn may_hold(&self, root: &Page, window: &Window) -> bool {
        root.root().extent().is_none_or(|extent| !extent.unseen(&self.bounds) && !extent.outside(window))
    }

    /// No row after the cutoff is visible.
    fn clamp(&self, window: Window) -> Window {
        Window { start: window.start, end: window.end.min(self.bounds.cutoff) }
    }

    fn nothing(&self) -> Summary {
        Digest::empty(self.shared.layout.width(self.history.index)).summary
    }

    fn add_subtree(
        &self,
        into: &mut Summary,
        subtree: Subtree,
        digest: Option<&Arc<Digest>>,
        window: &Window,
    ) -> Result<(), Error> {
        let answer = |digest: &Digest| {
            let nothing = digest.extent.unseen(&self.bounds) || digest.extent.outside(window);
            let hides = self.hidden.is_some_and(|hidden| digest.extent.may_hold(hidden.time, hidden.born));
            let drops = matches!(self.dropped, Some((_, Some(_))));
            let whole = digest.extent.seen(&self.bounds) && digest.extent.inside(window) && !hides && !drops;
            (nothing, whole)
        };
        let known = digest.map(|digest| answer(digest));
        match (known, digest) {
            (Some((true, _)), _) => return Ok(()),
            (Some((_, true)), Some(digest)) => return merge_into(into, &digest.summary),
            _ => {}
        }
        if subtree.level > 0 {
            let mut sum = self.nothing();
            let node = self.shared.page(&self.history.node(subtree.level, subtree.number))?;
            for number in subtree.children() {
                let below = Subtree { level: subtree.level - 1, number };
                self.add_subtree(&mut sum, below, child(node.as_ref(), number), window)?;
            }
            return merge_into(into, &sum);
        }
        let page = self.block(subtree.number)?;
        if known.is_none() {
            // The block has changed since it was last written. Its digest is made once and stays with it.
            let digest = block_digest(&self.shared.disk, &page, self.shared.layout.width(self.history.index))?;
            match answer(&digest) {
                (true, _) => return Ok(()),
                (_, true) => return merge_into(into, &digest.summary),
                _ => {}
            }
        }
        let mut sum = self.nothing();
        self.add_entries(&mut sum, &page, subtree.number, window)?;
        merge_into(into, &sum)
    }

    fn add_entries(&self, into: &mut Summary, page: &Arc<Page>, block: u64, window: &Window) -> Result<(), Error> {
        for Seen { held, .. } in &self.look(page, block)?.rows {
            if window.contains(EventTime(held.version.time))
                && let Some(row) = held.row()
            {
                add_row(into, row).ok_or_else(|| self.shared.disk.damaged("a row cannot be read"))?;
            }
        }
        Ok(())
    }

    /// The visible rows of a block, or of the entries that do not fill one yet.
    pub(crate) fn look(&self, page: &Arc<Page>, block: u64) -> Result<Rc<Block>, Error> {
        if let Some((_, looked)) = self.looked.borrow().iter().find(|(number, _)| *number == block) {
            return Ok(Rc::clone(looked));
        }
        let mut rows = Vec::new();
        for (place, slot) in (block * FANOUT_WIDE..).zip(0..page.slots().len()) {
            rows.extend(self.visible(page, slot, place)?.map(|held| Seen { slot, held }));
        }
        let looked = Rc::new(Block { page: Arc::clone(page), rows });
        self.looked.borrow_mut().push((block, Rc::clone(&looked)));
        Ok(looked)
    }

    fn entry<'a>(&self, page: &'a Page, slot: usize) -> Result<Entry<'a>, Error> {
        let lost = || self.shared.disk.damaged(format!("an entry of history {:02x?} is garbled", self.history));
        Entry::read(page.slots(), slot).ok_or_else(lost)
    }

    pub(crate) fn block(&self, number: u64) -> Result<Arc<Page>, Error> {
        let page = self.shared.page(&self.history.block(number))?;
        page.ok_or_else(|| self.shared.disk.damaged(format!("history {:02x?} has lost block {number}", self.history)))
    }

    /// The version of an entry that is a visible row of this parent.
    fn visible(&self, page: &Arc<Page>, slot: usize, place: u64) -> Result<Option<Held>, Error> {
        let entry = self.entry(page, slot)?;
        if let Some(hidden) = &self.hidden
            && hidden.place == if self.timeline { place } else { entry.links().next().unwrap_or(u64::MAX) }
        {
            return Ok(None);
        }
        if let Some((dropped, Some(by))) = &self.dropped
            && dropped.drops(*by, entry.key)
        {
            return Ok(None);
        }
        let (current, ended) = entry.current(&self.bounds);
        let current = match current {
            Current::Nothing => None,
            Current::Here(version) => Some(Held { page: Arc::clone(page), version }),
            Current::Spilled(pages) => self.history.spilled(place, pages, &self.bounds, |id| self.shared.page(id))?,
        };
        let cutoff = self.bounds.cutoff.0;
        let Some(held) = current.filter(|held| held.version.row.is_some() && held.version.time <= cutoff) else {
            return Ok(None);
        };
        // The row has left, but its leaving is not admitted. A later version elsewhere may be: then the row is there.
        if !self.timeline && ended {
            let row = entry.links().next().unwrap_or(u64::MAX);
            let newest = self.shared.newest(self.table, row, &self.bounds)?;
            let same = newest.is_some_and(|newest| newest.version.sequence == held.version.sequence);
            return Ok(same.then_some(held));
        }
        Ok(Some(held))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the last step of functions that can fail")]
fn merge_into(into: &mut Summary, part: &Summary) -> Result<(), Error> {
    merge(into, part);
    Ok(())
}

impl Subtree {
    pub(crate) fn children(self) -> std::ops::Range<u64> {
        self.number * FANOUT_WIDE..(self.number + 1) * FANOUT_WIDE
    }
}

/// What a node says of the child with this number.
pub(crate) fn child(node: Option<&Arc<Page>>, number: u64) -> Option<&Arc<Digest>> {
    node?.node().children.get(slot(number))?.as_ref()
}
