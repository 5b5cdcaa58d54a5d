//! The rows of a window in the order of time, from either end.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::sync::Arc;

use relational::{EventTime, Window};

use crate::Error;
use crate::children::{Block, Children, Seen, Subtree, child};
use crate::pages::{FANOUT, Page};

const FANOUT_WIDE: u64 = FANOUT as u64;

/// Something that may hold the next row.
struct Candidate {
    /// Time, and a tie-breaker; the greatest is looked at first.
    rank: (i64, u64),
    what: What,
}

enum What {
    Below(Subtree),
    /// One of the visible rows of a block, by its number among them.
    Row(Rc<Block>, usize),
}

/// Which end of the time axis is looked for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum End {
    Newest,
    Oldest,
}

/// Goes through the rows of a window from one end of time, looking into the most promising part first. So the order is
/// exact whatever the order of arrival, and where rows arrived in order only few parts are looked into.
pub(crate) struct Search<'a> {
    children: &'a Children,
    window: Window,
    end: End,
    queue: BinaryHeap<Candidate>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(children: &'a Children, window: Window, end: End) -> Result<Self, Error> {
        let mut search = Self { children, window, end, queue: BinaryHeap::new() };
        let Some(root) = children.root.as_ref() else { return Ok(search) };
        let (mut level, mut complete) = (0, root.root().count / FANOUT_WIDE);
        if children.may_hold(root, &window) {
            search.push_entries(root, complete)?;
        }
        while complete > 0 {
            let open = complete / FANOUT_WIDE;
            search.push_children(Subtree { level: level + 1, number: open }, open * FANOUT_WIDE..complete)?;
            level += 1;
            complete = open;
        }
        Ok(search)
    }

    /// The next row: one of the visible rows of a block, by its number among them.
    pub(crate) fn next(&mut self) -> Result<Option<(Rc<Block>, usize)>, Error> {
        while let Some(candidate) = self.queue.pop() {
            match candidate.what {
                What::Row(block, number) => return Ok(Some((block, number))),
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
        let block = self.children.look(page, block)?;
        for (number, Seen { held, .. }) in block.rows.iter().enumerate() {
            let (time, born) = (held.version.time, held.version.born);
            if self.window.contains(EventTime(time)) {
                let rank = match self.end {
                    End::Newest => (time, born),
                    End::Oldest => (!time, 1),
                };
                self.queue.push(Candidate { rank, what: What::Row(Rc::clone(&block), number) });
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
