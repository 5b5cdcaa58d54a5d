//! The rows of one parent, or of a table, as of a snapshot.
//!
//! A history is a row of blocks of 64 entries and, above them, nodes of 64 children each with a digest of what is
//! below. A question goes down only where a digest does not answer it: where the window or the snapshot cuts through.
//! So the cost does not grow with the length of the history.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use relational::{AsOf, EventTime, ForeignKeyId, TableId, Window};

use crate::apply::slot;
use crate::dropped::{DroppedLinks, shown};
use crate::keys::History;
use crate::locate::Held;
use crate::pages::entry::{Current, Entry};
use crate::pages::summary::{Digest, add_row, merge};
use crate::pages::{FANOUT, Page};
use crate::snapshot::Hidden;
use crate::store::Shared;
use crate::write_back::block_digest;
use crate::{Error, Summary, Version};

const FANOUT_WIDE: u64 = FANOUT as u64;

/// Child rows of one parent (or all rows of a table) as of a snapshot.
#[derive(Debug, Clone)]
pub struct Children {
    shared: Arc<Shared>,
    bounds: AsOf,
    table: TableId,
    history: History,
    timeline: bool,
    /// A row of this table that is left out.
    hidden: Option<Hidden>,
    /// Edges that are left out, and the foreign key that these rows point by; none for the rows of a table.
    dropped: Option<(DroppedLinks, Option<ForeignKeyId>)>,
    root: Option<Arc<Page>>,
}

/// A part of a history: blocks are at level 0.
#[derive(Debug, Clone, Copy)]
struct Subtree {
    level: u8,
    number: u64,
}

/// Something that may hold the next row.
struct Candidate {
    /// Time, and a tie-breaker; the greatest is looked at first.
    rank: (i64, u64),
    what: What,
}

enum What {
    Below(Subtree),
    /// A version, and the page and slot of its entry.
    Row(Held, Arc<Page>, usize),
}

/// Which end of the time axis is looked for.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Newest,
    Oldest,
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
        Ok(Self { shared, bounds, table, history, timeline, hidden, dropped: None, root })
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
            && let Some((held, page, slot)) = search.next()?
        {
            rows.push(self.row(&page, slot, &held)?);
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
        Ok(search.next()?.map(|(held, ..)| EventTime(held.version.time)))
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
        self.add_entries(&mut sum, root, children, &window)?;
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
        let version = self.shared.unpack(self.shared.key(self.entry(page, slot)?.key)?, held)?;
        let dropped = self.dropped.as_ref().map(|(dropped, _)| dropped);
        Ok(shown(dropped, &self.shared.schema, self.table, version))
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
        for (place, slot) in (block * FANOUT_WIDE..).zip(0..page.slots().len()) {
            if let Some(held) = self.visible(page, slot, place)?
                && window.contains(EventTime(held.version.time))
                && let Some(row) = held.row()
            {
                add_row(into, row).ok_or_else(|| self.shared.disk.damaged("a row cannot be read"))?;
            }
        }
        Ok(())
    }

    fn entry<'a>(&self, page: &'a Page, slot: usize) -> Result<Entry<'a>, Error> {
        let lost = || self.shared.disk.damaged(format!("an entry of history {:02x?} is garbled", self.history));
        Entry::read(page.slots(), slot).ok_or_else(lost)
    }

    fn block(&self, number: u64) -> Result<Arc<Page>, Error> {
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

/// What a node says of the child with this number.
fn child(node: Option<&Arc<Page>>, number: u64) -> Option<&Arc<Digest>> {
    node?.node().children.get(slot(number))?.as_ref()
}

impl Subtree {
    fn children(self) -> std::ops::Range<u64> {
        self.number * FANOUT_WIDE..(self.number + 1) * FANOUT_WIDE
    }
}

/// Goes through the rows of a window from one end of time, looking into the most promising part first. So the order is
/// exact whatever the order of arrival, and where rows arrived in order only few parts are looked into.
struct Search<'a> {
    children: &'a Children,
    window: Window,
    end: End,
    queue: BinaryHeap<Candidate>,
}

impl<'a> Search<'a> {
    fn new(children: &'a Children, window: Window, end: End) -> Result<Self, Error> {
        let mut search = Self { children, window, end, queue: BinaryHeap::new() };
        let Some(root) = children.root.as_ref() else { return Ok(search) };
        let (mut level, mut complete) = (0, root.root().count / FANOUT_WIDE);
        search.push_entries(root, complete)?;
        while complete > 0 {
            let open = complete / FANOUT_WIDE;
            search.push_children(Subtree { level: level + 1, number: open }, open * FANOUT_WIDE..complete)?;
            level += 1;
            complete = open;
        }
        Ok(search)
    }

    fn next(&mut self) -> Result<Option<(Held, Arc<Page>, usize)>, Error> {
        while let Some(candidate) = self.queue.pop() {
            match candidate.what {
                What::Row(held, page, slot) => return Ok(Some((held, page, slot))),
                What::Below(subtree) if subtree.level == 0 => {
                    let page = self.children.block(subtree.number)?;
                    self.push_entries(&page, subtree.number)?;
                }
                What::Below(subtree) => self.push_children(subtree, subtree.children())?,
            }
        }
        Ok(None)
    }

    fn push_children(&mut self, node: Subtree, numbers: std::ops::Range<u64>) -> Result<(), Error> {
        if numbers.is_empty() {
            return Ok(());
        }
        let page = self.children.shared.page(&self.children.history.node(node.level, node.number))?;
        for number in numbers {
            let digest = child(page.as_ref(), number);
            let extent = digest.map(|digest| digest.extent);
            if extent.is_some_and(|extent| extent.unseen(&self.children.bounds) || extent.outside(&self.window)) {
                continue;
            }
            let rank = match (self.end, extent) {
                (End::Newest, Some(extent)) => (extent.time.1.min(self.window.end.0), extent.born),
                (End::Newest, None) => (self.window.end.0, u64::MAX),
                (End::Oldest, Some(extent)) => (!extent.time.0, 0),
                (End::Oldest, None) => (i64::MAX, 0),
            };
            self.queue.push(Candidate { rank, what: What::Below(Subtree { level: node.level - 1, number }) });
        }
        Ok(())
    }

    fn push_entries(&mut self, page: &Arc<Page>, block: u64) -> Result<(), Error> {
        for (place, slot) in (block * FANOUT_WIDE..).zip(0..page.slots().len()) {
            let Some(held) = self.children.visible(page, slot, place)? else { continue };
            let (time, born) = (held.version.time, held.version.born);
            if self.window.contains(EventTime(time)) {
                let rank = match self.end {
                    End::Newest => (time, born),
                    End::Oldest => (!time, 1),
                };
                self.queue.push(Candidate { rank, what: What::Row(held, Arc::clone(page), slot) });
            }
        }
        Ok(())
    }
}

impl Candidate {
    /// Among equals, parts come before rows: they may hold a row of the same rank.
    fn order(&self) -> ((i64, u64), bool) {
        (self.rank, matches!(self.what, What::Below(_)))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}
