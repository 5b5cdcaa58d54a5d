//! Byte strings in one buffer: what a page holds is kept as it is stored, and read where it lies.

use crate::bytes::{Reader, put};
use crate::packed::Packed;
use crate::pages::version::Version;

/// Some byte strings, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Slots {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// A part of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: usize,
    pub end: usize,
}

/// Where a packed row lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowSpan {
    /// A whole row.
    pub full: Span,
    /// What differs from it.
    pub diff: Span,
}

impl Span {
    pub(crate) const EMPTY: Self = Self { start: 0, end: 0 };
}

impl Slots {
    /// The packed row of a version on this page.
    pub(crate) fn row(&self, version: &Version<RowSpan>) -> Option<Packed<'_>> {
        let RowSpan { full, diff } = version.row?;
        Some(Packed { full: self.at(full), diff: self.at(diff), time: version.time })
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where a slot lies.
    pub(crate) fn span(&self, slot: usize) -> Span {
        let start = if slot == 0 { 0 } else { self.ends[slot - 1] };
        Span { start, end: self.ends[slot] }
    }

    pub(crate) fn get(&self, slot: usize) -> &[u8] {
        self.at(self.span(slot))
    }

    pub(crate) fn at(&self, span: Span) -> &[u8] {
        &self.bytes[span.start..span.end]
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.insert(self.len(), bytes);
    }

    /// Makes a new slot, before the one that has this number now.
    pub(crate) fn insert(&mut self, slot: usize, bytes: &[u8]) {
        let at = if slot == 0 { 0 } else { self.ends[slot - 1] };
        self.ends.insert(slot, at);
        self.splice(slot, at..at, bytes);
    }

    /// Adds bytes to the end of a slot.
    pub(crate) fn extend(&mut self, slot: usize, bytes: &[u8]) {
        let end = self.ends[slot];
        self.splice(slot, end..end, bytes);
    }

    /// Gives a slot another content.
    pub(crate) fn replace(&mut self, slot: usize, bytes: &[u8]) {
        let span = self.span(slot);
        self.splice(slot, span.start..span.end, bytes);
    }

    fn splice(&mut self, slot: usize, range: std::ops::Range<usize>, bytes: &[u8]) {
        let needed = self.bytes.len() + bytes.len();
        if needed > self.bytes.capacity() {
            self.bytes.reserve_exact(capacity(needed) - self.bytes.len());
        }
        let removed = range.len();
        if range.start == self.bytes.len() {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.bytes.splice(range, bytes.iter().copied());
        }
        for end in &mut self.ends[slot..] {
            *end = *end + bytes.len() - removed;
        }
    }

    /// Moves the slots from this one on into new ones.
    pub(crate) fn split_off(&mut self, slot: usize) -> Self {
        let mut ends = self.ends.split_off(slot);
        let at = self.ends.last().copied().unwrap_or(0);
        ends.iter_mut().for_each(|end| *end -= at);
        Self { bytes: self.bytes.split_off(at), ends }
    }

    /// How much memory it takes.
    pub(crate) fn weight(&self) -> usize {
        self.bytes.capacity() + 8 * self.ends.capacity()
    }

    /// Layout: number of slots, their lengths, their bytes.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put(out, self.len() as u64);
        let mut start = 0;
        for end in &self.ends {
            put(out, (end - start) as u64);
            start = *end;
        }
        out.extend_from_slice(&self.bytes);
    }

    pub(crate) fn take(reader: &mut Reader<'_>) -> Option<Self> {
        let count = reader.length()?;
        let mut ends = Vec::with_capacity(count);
        let mut end = 0usize;
        for _ in 0..count {
            end = end.checked_add(reader.length()?)?;
            ends.push(end);
        }
        let stored = reader.take(end)?;
        let mut bytes = Vec::with_capacity(capacity(end));
        bytes.extend_from_slice(stored);
        Some(Self { bytes, ends })
    }
}

/// Some room to grow, without doubling: there are many pages, and they stop growing. Few different sizes, so that the
/// allocator finds again what it freed.
fn capacity(needed: usize) -> usize {
    let step = if needed < 1_024 { 128 } else { 1_024 };
    (needed + needed / 8 + 1).next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slots(strings: &[Vec<u8>]) -> Slots {
        let mut slots = Slots::default();
        strings.iter().for_each(|bytes| slots.push(bytes));
        slots
    }

    fn strings() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5), 1..6)
    }

    proptest! {
        #[test]
        fn slots_round_trip(strings in strings()) {
            let slots = slots(&strings);
            let mut out = Vec::new();
            slots.put(&mut out);
            prop_assert_eq!(Slots::take(&mut Reader::new(&out)), Some(slots));
        }

        #[test]
        fn slots_are_a_list_of_strings(strings in strings(), at in any::<prop::sample::Index>(), new in strings()) {
            let (mut slots, mut list) = (slots(&strings), strings);
            let at = at.index(list.len());
            for (number, bytes) in new.into_iter().enumerate() {
                match number % 3 {
                    0 => {
                        slots.insert(at, &bytes);
                        list.insert(at, bytes);
                    }
                    1 => {
                        slots.extend(at, &bytes);
                        list[at].extend(bytes);
                    }
                    _ => {
                        slots.replace(at, &bytes);
                        list[at] = bytes;
                    }
                }
            }
            let (rest, list_rest) = (slots.split_off(at), list.split_off(at));
            for (slots, list) in [(slots, list), (rest, list_rest)] {
                prop_assert_eq!((0..slots.len()).map(|slot| slots.get(slot).to_vec()).collect::<Vec<_>>(), list);
            }
        }
    }
}
