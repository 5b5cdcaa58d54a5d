//! Child rows of one entity, read once for several windows.

use graph_store::{Children, Snapshot, Summary, Version};
use relational::limits::SCAN_ROWS_MAX;
use relational::{EventTime, ForeignKeyId, Key, TableId, Window};

use crate::Error;

/// Rows that are read at a time when a window holds more than [`SCAN_ROWS_MAX`].
const PAGE_ROWS: usize = SCAN_ROWS_MAX;

/// The rows that point at an entity by any of some foreign keys; each counts once.
#[derive(Debug)]
pub(crate) struct Source {
    children: Vec<Children>,
}

impl Source {
    pub(crate) fn open(snapshot: &Snapshot, via: &[ForeignKeyId], entity: &Key) -> Result<Self, Error> {
        let children = via.iter().map(|foreign_key| snapshot.children(*foreign_key, entity));
        Ok(Self { children: children.collect::<Result<_, _>>()? })
    }

    /// All rows of a table.
    pub(crate) fn table(snapshot: &Snapshot, table: TableId) -> Result<Self, Error> {
        Ok(Self { children: vec![snapshot.timeline(table)?] })
    }

    /// The newest rows of the window, newest first by (time, born), at most `limit`.
    pub(crate) fn newest(&self, window: Window, limit: usize) -> Result<Vec<Version>, Error> {
        let mut rows = Vec::new();
        for children in &self.children {
            rows.extend(children.newest(window, limit)?);
        }
        if self.children.len() > 1 {
            rows.sort_by(|a, b| (b.time, b.born, &b.key).cmp(&(a.time, a.born, &a.key)));
            rows.dedup_by(|a, b| a.key == b.key);
            rows.truncate(limit);
        }
        Ok(rows)
    }

    /// Every row of the window, newest first, a page at a time, until `visit` says that it has enough (`false`).
    pub(crate) fn pages(
        &self,
        mut window: Window,
        mut visit: impl FnMut(Vec<Version>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let mut limit = PAGE_ROWS;
        loop {
            let mut page = self.newest(window, limit)?;
            let Some(last) = page.last().filter(|_| page.len() >= limit).map(|version| version.time) else {
                visit(page)?;
                return Ok(());
            };
            // Rows that share the last one's time may lie beyond the page: they are read again with the next one.
            let whole = page.partition_point(|version| version.time > last);
            if whole == 0 {
                limit = limit.saturating_mul(2);
                continue;
            }
            page.truncate(whole);
            if !visit(page)? {
                return Ok(());
            }
            window.end = last;
            limit = PAGE_ROWS;
        }
    }

    /// The rows of the window, summed up; `None` when rows may point at the entity in several ways, for then a row
    /// could be summed twice.
    pub(crate) fn summary(&self, window: Window) -> Result<Option<Summary>, Error> {
        let [children] = self.children.as_slice() else { return Ok(None) };
        Ok(Some(children.summary(window)?))
    }
}

/// The newest rows of a window, kept for the windows inside it.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Newest first.
    rows: Vec<Version>,
    /// Rows up to this time may be missing.
    complete_after: Option<EventTime>,
}

impl Loaded {
    pub(super) fn read(source: &Source, window: Window) -> Result<Self, Error> {
        let rows = source.newest(window, SCAN_ROWS_MAX)?;
        let complete_after = rows.last().filter(|_| rows.len() >= SCAN_ROWS_MAX).map(|version| version.time);
        Ok(Self { rows, complete_after })
    }

    /// The rows of a window, newest first; `None` when not all of them were kept.
    pub(super) fn within(&self, window: Window) -> Option<&[Version]> {
        if self.complete_after.is_some_and(|time| window.start < time) {
            return None;
        }
        let from = self.rows.partition_point(|version| version.time > window.end);
        let to = self.rows.partition_point(|version| version.time > window.end || window.contains(version.time));
        Some(&self.rows[from..to])
    }
}
