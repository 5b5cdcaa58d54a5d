//! One row's membership in a history: its key and its versions there, the oldest ones moved out when there are many.

use std::sync::Arc;

use relational::AsOf;

use crate::bytes::{Reader, put, put_bytes};
use crate::pages::version::{Base, Extent, Version};

/// Versions that stay with the entry; twice as many are let in before the older half moves out.
pub(crate) const SPILL_VERSIONS: usize = if cfg!(test) { 2 } else { 16 };

/// A row in the history of a parent, or in the timeline of its table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// The row's primary key, encoded.
    pub key: Arc<[u8]>,
    /// In a parent's history: the row's place in its table's timeline. In a timeline: for each foreign key of the
    /// table, 1 + the row's present place in its parent's history, 0 where it has no parent.
    pub links: Box<[u64]>,
    /// In sequence order; never empty.
    pub versions: Versions,
    /// What has moved out.
    pub spilled: Option<Box<Spilled>>,
}

/// Versions in sequence order, at least one. Most entries have one or two.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Versions {
    first: Arc<Version>,
    later: Vec<Arc<Version>>,
}

/// The versions of an entry that live in pages of their own, [`SPILL_VERSIONS`] in each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spilled {
    /// How many pages.
    pub pages: u64,
    /// Over all of them.
    pub extent: Extent,
}

impl Versions {
    pub(crate) fn new(first: Arc<Version>) -> Self {
        Self { first, later: Vec::new() }
    }

    pub(crate) fn newest(&self) -> &Arc<Version> {
        self.later.last().unwrap_or(&self.first)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Version>> {
        std::iter::once(&self.first).chain(&self.later)
    }
}

impl Entry {
    pub(crate) fn new(key: Arc<[u8]>, links: Box<[u64]>, first: Arc<Version>) -> Self {
        Self { key, links, versions: Versions::new(first), spilled: None }
    }

    /// Adds a version. Returns the number of a new page and the versions that must move there.
    pub(crate) fn push(&mut self, version: Arc<Version>) -> Option<(u64, Vec<Arc<Version>>)> {
        self.versions.later.push(version);
        if self.versions.later.len() < 2 * SPILL_VERSIONS {
            return None;
        }
        let kept = self.versions.later.split_off(SPILL_VERSIONS);
        let mut moved = std::mem::replace(&mut self.versions.later, kept);
        // The newest of the moved ones stays as the first.
        let first = moved.pop()?;
        moved.insert(0, std::mem::replace(&mut self.versions.first, first));
        let spilled = self.spilled.get_or_insert_with(|| Box::new(Spilled { pages: 0, extent: Extent::EMPTY }));
        moved.iter().for_each(|version| spilled.extent.add(version));
        spilled.pages += 1;
        Some((spilled.pages - 1, moved))
    }

    /// The current version among those at hand; `Err` when none of them is admitted but a spilled one may be.
    pub(crate) fn current(&self, bounds: &AsOf) -> Result<Option<&Arc<Version>>, &Spilled> {
        match self.versions.iter().rev().find(|version| version.admitted(bounds)) {
            Some(version) => Ok(Some(version)),
            None => match &self.spilled {
                Some(spilled) if !spilled.extent.unseen(bounds) => Err(spilled),
                _ => Ok(None),
            },
        }
    }

    pub(crate) fn extent(&self) -> Extent {
        let mut extent = self.spilled.as_ref().map_or(Extent::EMPTY, |spilled| spilled.extent);
        self.versions.iter().for_each(|version| extent.add(version));
        extent
    }

    /// About how much memory it takes beside its versions.
    pub(crate) fn weight(&self) -> usize {
        128 + self.key.len() + 8 * self.links.len()
    }

    /// Layout: key, number of links and links, versions, number of spilled pages and (if any) their extent.
    pub(crate) fn put(&self, out: &mut Vec<u8>, base: &mut Base) {
        put_bytes(out, &self.key);
        put(out, self.links.len() as u64);
        self.links.iter().for_each(|link| put(out, *link));
        put(out, self.versions.later.len() as u64 + 1);
        self.versions.iter().for_each(|version| base.put(out, version));
        put(out, self.spilled.as_ref().map_or(0, |spilled| spilled.pages));
        if let Some(spilled) = &self.spilled {
            spilled.extent.put(out);
        }
    }

    pub(crate) fn take(reader: &mut Reader<'_>, base: &mut Base) -> Option<Self> {
        let key = Arc::from(reader.bytes()?);
        let count = reader.length()?;
        let mut links = Vec::with_capacity(count);
        for _ in 0..count {
            links.push(reader.number()?);
        }
        let mut versions = base.take_all(reader)?.into_iter();
        let versions = Versions { first: versions.next()?, later: versions.collect() };
        let pages = reader.number()?;
        let spilled = if pages == 0 { None } else { Some(Box::new(Spilled { pages, extent: Extent::take(reader)? })) };
        Some(Self { key, links: links.into(), versions, spilled })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pages::version::tests::version;

    pub(crate) fn entry() -> impl Strategy<Value = Entry> {
        let key = prop::collection::vec(any::<u8>(), 0..9);
        let links = prop::collection::vec(any::<u64>(), 0..3);
        (key, links, prop::collection::vec(version(), 1..80)).prop_map(|(key, links, versions)| {
            let mut versions = versions.into_iter().map(Arc::new);
            let first = versions.next().expect("at least one");
            let mut entry = Entry::new(key.into(), links.into(), first);
            versions.for_each(|version| drop(entry.push(version)));
            entry
        })
    }

    proptest! {
        #[test]
        fn entries_round_trip(entry in entry()) {
            let mut out = Vec::new();
            entry.put(&mut out, &mut Base::default());
            prop_assert_eq!(Entry::take(&mut Reader::new(&out), &mut Base::default()), Some(entry));
        }

        #[test]
        fn spilling_loses_no_version(versions in prop::collection::vec(version(), 1..100)) {
            let versions: Vec<_> = versions.into_iter().map(Arc::new).collect();
            let mut entry = Entry::new(Arc::from([]), Box::default(), Arc::clone(&versions[0]));
            let mut kept = Vec::new();
            for version in &versions[1..] {
                if let Some((page, moved)) = entry.push(Arc::clone(version)) {
                    prop_assert_eq!(page * SPILL_VERSIONS as u64, kept.len() as u64);
                    kept.extend(moved);
                }
            }
            kept.extend(entry.versions.iter().cloned());
            prop_assert_eq!(kept, versions);
        }
    }
}
