//! One row's membership in a history: its key and its versions there, the oldest ones moved out when there are many.
//!
//! | part | content |
//! |---|---|
//! | key | length and bytes |
//! | links | number of links, links |
//! | spilled | number of pages that older versions have moved to; unless it is 0 their extent |
//! | versions | up to the end of the slot, in sequence order; at least one |

use relational::AsOf;

use crate::bytes::{Reader, put, put_bytes};
use crate::pages::slots::{RowSpan, Slots, Span};
use crate::pages::version::{Base, Extent, Version};

/// Versions that stay with the entry; twice as many are let in before the older half moves out.
pub(crate) const SPILL_VERSIONS: usize = if cfg!(test) { 2 } else { 16 };

/// A row in the history of a parent, or in the timeline of its table, where it lies on a page.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'a> {
    /// The row's primary key, encoded.
    pub key: &'a [u8],
    links: Reader<'a>,
    links_count: usize,
    /// What has moved out.
    pub spilled: Option<Spilled>,
    versions: Reader<'a>,
    /// Where the slot ends on its page.
    end: usize,
}

/// The versions of an entry that live in pages of their own, [`SPILL_VERSIONS`] in each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spilled {
    /// How many pages.
    pub pages: u64,
    /// Over all of them.
    pub extent: Extent,
}

/// Where the current version of an entry is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Current {
    /// No version is admitted.
    Nothing,
    /// On the entry's own page.
    Here(Version<RowSpan>),
    /// If anywhere, on one of so many pages.
    Spilled(u64),
}

/// Writes a new entry.
///
/// In a parent's history there is one link, the row's place in its table's timeline. In a timeline there is one for
/// each foreign key of the table, 1 + the row's present place in its parent's history, or 0 where it has no parent.
pub(crate) fn encode(key: &[u8], links: &[u64], spilled: Option<&Spilled>) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    put_bytes(&mut out, key);
    put(&mut out, links.len() as u64);
    links.iter().for_each(|link| put(&mut out, *link));
    put(&mut out, spilled.map_or(0, |spilled| spilled.pages));
    if let Some(spilled) = spilled {
        spilled.extent.put(&mut out);
    }
    out
}

/// A new entry with one version.
pub(crate) fn encode_first(key: &[u8], links: &[u64], version: &Version<&[u8]>) -> Vec<u8> {
    let mut out = encode(key, links, None);
    Base::default().put(&mut out, version, &mut None);
    out
}

impl<'a> Entry<'a> {
    /// The entry in a slot; `None` for bytes that are not one.
    pub(crate) fn read(slots: &'a Slots, slot: usize) -> Option<Self> {
        let span = slots.span(slot);
        let mut reader = Reader::new(slots.at(span));
        let key = reader.bytes()?;
        let links_count = reader.length()?;
        let links = reader;
        for _ in 0..links_count {
            reader.number()?;
        }
        let pages = reader.number()?;
        let spilled = if pages == 0 { None } else { Some(Spilled { pages, extent: Extent::take(&mut reader)? }) };
        Some(Self { key, links, links_count, spilled, versions: reader, end: span.end })
    }

    /// See [`encode`].
    pub(crate) fn links(&self) -> impl Iterator<Item = u64> + use<'a> {
        let mut reader = self.links;
        (0..self.links_count).map_while(move |_| reader.number())
    }

    /// The versions at hand, in sequence order, with where their rows lie on the page.
    pub(crate) fn versions(&self) -> impl Iterator<Item = Version<RowSpan>> + use<'a> {
        let (mut base, mut reader, page_end) = (Base::default(), self.versions, self.end);
        let (mut whole, mut full) = (None, Span::EMPTY);
        std::iter::from_fn(move || {
            let version = base.take(&mut reader, &mut whole)?;
            // A row is the last part of its version.
            let end = page_end - reader.remaining();
            let row = version.row.map(|row| {
                if row.diff.is_empty() {
                    full = Span { start: end - row.full.len(), end };
                    return RowSpan { full, diff: Span::EMPTY };
                }
                RowSpan { full, diff: Span { start: end - row.diff.len(), end } }
            });
            Some(version.with(row))
        })
    }

    /// The newest version.
    pub(crate) fn newest(&self) -> Option<Version<RowSpan>> {
        self.versions().last()
    }

    /// The current version among those at hand, and whether the newest one of all has no row.
    pub(crate) fn current(&self, bounds: &AsOf) -> (Current, bool) {
        let (mut current, mut ended) = (None, false);
        for version in self.versions() {
            ended = version.row.is_none();
            if version.admitted(bounds) {
                current = Some(version);
            }
        }
        let current = match (current, self.spilled) {
            (None, Some(spilled)) if !spilled.extent.unseen(bounds) => Current::Spilled(spilled.pages),
            (Some(version), _) => Current::Here(version),
            (None, _) => Current::Nothing,
        };
        (current, ended)
    }

    pub(crate) fn extent(&self) -> Extent {
        let mut extent = self.spilled.map_or(Extent::EMPTY, |spilled| spilled.extent);
        self.versions().for_each(|version| extent.add(&version));
        extent
    }
}

/// Adds a version to the entry in a slot, and gives it other links if there are any. Returns the number of a new page
/// and the versions that must move there, as one entry; `None` for a slot that holds no entry.
pub(crate) fn amend(
    slots: &mut Slots,
    slot: usize,
    version: &Version<&[u8]>,
    links: Option<&[u64]>,
) -> Option<Option<(u64, Slots)>> {
    let entry = Entry::read(slots, slot)?;
    let (mut base, mut whole, mut reader, mut count) = (Base::default(), None, entry.versions, 0);
    while !reader.is_empty() {
        base.take(&mut reader, &mut whole)?;
        count += 1;
    }
    if links.is_none() && count < 2 * SPILL_VERSIONS {
        let mut out = Vec::with_capacity(64);
        base.put(&mut out, version, &mut whole);
        slots.extend(slot, &out);
        return Some(None);
    }
    let mut versions = Vec::with_capacity(count);
    for version in entry.versions() {
        let row = match slots.row(&version) {
            Some(row) => Some(row.whole()?),
            None => None,
        };
        versions.push(version.with(row));
    }
    let mut moved = None;
    let mut spilled = entry.spilled;
    if count >= 2 * SPILL_VERSIONS {
        let kept = versions.split_off(SPILL_VERSIONS);
        let Spilled { pages, extent } = spilled.get_or_insert(Spilled { pages: 0, extent: Extent::EMPTY });
        versions.iter().for_each(|version| extent.add(version));
        let mut page = Slots::default();
        page.push(&encode_all(encode(&[], &[], None), versions.iter().map(Version::borrow)));
        moved = Some((*pages, page));
        *pages += 1;
        versions = kept;
    }
    let links: Vec<u64> = links.map_or_else(|| entry.links().collect(), <[u64]>::to_vec);
    let header = encode(entry.key, &links, spilled.as_ref());
    let out = encode_all(header, versions.iter().map(Version::borrow).chain([*version]));
    slots.replace(slot, &out);
    Some(moved)
}

fn encode_all<'a>(mut out: Vec<u8>, versions: impl Iterator<Item = Version<&'a [u8]>>) -> Vec<u8> {
    let (mut base, mut whole) = (Base::default(), None);
    versions.for_each(|version| base.put(&mut out, &version, &mut whole));
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pages::version::tests::{extent, version, whole};

    type Owned = Version<Box<[u8]>>;

    fn owned(slots: &Slots) -> Vec<Owned> {
        let entry = Entry::read(slots, 0).expect("an entry");
        entry.versions().map(|version| whole(&version.with(slots.row(&version)))).collect()
    }

    proptest! {
        #[test]
        fn amending_loses_no_version(
            key in prop::collection::vec(any::<u8>(), 0..9),
            links in prop::collection::vec(any::<u64>(), 0..3),
            versions in prop::collection::vec(version(), 1..100),
            relink in any::<prop::sample::Index>(),
        ) {
            let mut slots = Slots::default();
            slots.push(&encode_first(&key, &[7], &versions[0].borrow()));
            slots.push(b"the next slot");
            let mut kept: Vec<Owned> = Vec::new();
            for (number, version) in versions.iter().enumerate().skip(1) {
                let links = (number == relink.index(versions.len())).then_some(links.as_slice());
                let moved = amend(&mut slots, 0, &version.borrow(), links).expect("an entry");
                if let Some((page, moved)) = moved {
                    prop_assert_eq!(page * SPILL_VERSIONS as u64, kept.len() as u64);
                    kept.extend(owned(&moved));
                }
            }
            let entry = Entry::read(&slots, 0).expect("an entry");
            prop_assert_eq!(entry.key, key.as_slice());
            prop_assert_eq!(entry.spilled.map(|spilled| spilled.extent), (!kept.is_empty()).then(|| extent(&kept)));
            prop_assert_eq!(entry.extent(), extent(&versions));
            let expected = if relink.index(versions.len()) == 0 { vec![7] } else { links };
            prop_assert_eq!(entry.links().collect::<Vec<_>>(), expected);
            kept.extend(owned(&slots));
            prop_assert_eq!(kept, versions);
            prop_assert_eq!(slots.get(1), b"the next slot");
        }

        #[test]
        fn damaged_bytes_never_panic(bytes in prop::collection::vec(0u8..20, 0..60)) {
            let mut slots = Slots::default();
            slots.push(&bytes);
            let count = Entry::read(&slots, 0).map_or(0, |entry| entry.versions().count());
            prop_assert!(count <= bytes.len());
            let version =
                Version { sequence: 1, born: 1, valid_from: 0, known: 0, time: 0, from_snapshot: false, row: None };
            prop_assert!(amend(&mut slots, 0, &version, None).is_some() || slots.get(0) == bytes);
        }
    }
}
