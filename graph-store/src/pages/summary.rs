//! The rows of a page or of a subtree of pages, summed up.
//!
//! Sums are always associated in the same way, whatever the question: the rows of a block of 64 entries one after the
//! other, the sums of 64 blocks, the sums of 64 of those, and so on. A row that is not seen adds nothing, and adding
//! nothing leaves a sum's bits as they are, so that later rows, updates and deletions cannot change them.

use crate::bytes::{Reader, put};
use crate::packed::Packed;
use crate::pages::entry::Entry;
use crate::pages::slots::Slots;
use crate::pages::version::Extent;
use crate::pages::{FANOUT, Node};
use crate::{ColumnSummary, Summary};

/// A [`Summary`] of the newest versions, and the extent of all versions: it holds for every snapshot that sees all of
/// them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Digest {
    pub extent: Extent,
    pub summary: Summary,
}

impl Digest {
    /// Of nothing, for a table with this many columns.
    pub(crate) fn empty(columns: usize) -> Self {
        Self { extent: Extent::EMPTY, summary: Summary { rows: 0, columns: vec![ColumnSummary::EMPTY; columns] } }
    }

    /// Of the entries of a block; `None` when a row cannot be unpacked.
    pub(crate) fn of_block(entries: &Slots, columns: usize) -> Option<Self> {
        let mut digest = Self::empty(columns);
        for slot in 0..entries.len() {
            let entry = Entry::read(entries, slot)?;
            digest.extent.merge(&entry.extent());
            if let Some(row) = entries.row(&entry.newest()?) {
                add_row(&mut digest.summary, row)?;
            }
        }
        Some(digest)
    }

    /// Of a complete node; `None` when it is not complete or a child is not summed up.
    pub(crate) fn of_node(node: &Node, columns: usize) -> Option<Self> {
        let mut digest = Self::empty(columns);
        for child in &node.children {
            digest.merge(child.as_ref()?);
        }
        (node.children.len() == FANOUT).then_some(digest)
    }

    /// Adds what lies below the next child.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.extent.merge(&other.extent);
        merge(&mut self.summary, &other.summary);
    }

    /// About how much memory it takes.
    pub(crate) fn weight(&self) -> usize {
        128 + 40 * self.summary.columns.len()
    }

    /// Layout: extent, rows, number of columns; then for each column its count and, unless that is 0, sum, sum of
    /// squares, least and greatest value as 8 bytes each, little-endian.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        self.extent.put(out);
        put(out, self.summary.rows);
        put(out, self.summary.columns.len() as u64);
        for column in &self.summary.columns {
            put(out, column.count);
            if column.count > 0 {
                for number in [column.sum, column.sum_squares, column.min, column.max] {
                    out.extend(number.to_bits().to_le_bytes());
                }
            }
        }
    }

    pub(crate) fn take(reader: &mut Reader<'_>) -> Option<Self> {
        let extent = Extent::take(reader)?;
        let rows = reader.number()?;
        let count = reader.length()?;
        let mut columns = Vec::with_capacity(count);
        for _ in 0..count {
            let mut column = ColumnSummary::EMPTY;
            column.count = reader.number()?;
            if column.count > 0 {
                for number in [&mut column.sum, &mut column.sum_squares, &mut column.min, &mut column.max] {
                    *number = f64::from_bits(u64::from_le_bytes(reader.array()?));
                }
            }
            columns.push(column);
        }
        Some(Self { extent, summary: Summary { rows, columns } })
    }
}

/// Adds a packed row; `None` when it cannot be unpacked.
pub(crate) fn add_row(summary: &mut Summary, row: Packed<'_>) -> Option<()> {
    summary.rows += 1;
    row.numbers(|column, number| {
        if let Some(column) = summary.columns.get_mut(column) {
            column.add(number);
        }
    })
}

/// Adds the next part's sums to those of the parts before it.
pub(crate) fn merge(into: &mut Summary, part: &Summary) {
    into.rows += part.rows;
    for (column, other) in into.columns.iter_mut().zip(&part.columns) {
        column.count += other.count;
        column.sum += other.sum;
        column.sum_squares += other.sum_squares;
        column.min = least(column.min, other.min);
        column.max = greatest(column.max, other.max);
    }
}

/// Unlike [`f64::min`], of a negative and a positive zero always the negative one.
pub(crate) fn least(a: f64, b: f64) -> f64 {
    if b.total_cmp(&a).is_lt() { b } else { a }
}

/// Unlike [`f64::max`], of a negative and a positive zero always the positive one.
pub(crate) fn greatest(a: f64, b: f64) -> f64 {
    if b.total_cmp(&a).is_gt() { b } else { a }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pages::version::tests::{extent, version};

    proptest! {
        #[test]
        fn digests_round_trip(
            versions in prop::collection::vec(version(), 0..4),
            values in prop::collection::vec(prop::collection::vec(-1e9..1e9, 0..4), 0..5),
        ) {
            let mut digest = Digest::empty(values.len());
            digest.extent = extent(&versions);
            digest.summary.rows = versions.len() as u64;
            for (column, values) in digest.summary.columns.iter_mut().zip(&values) {
                values.iter().for_each(|value| column.add(*value));
            }
            let mut out = Vec::new();
            digest.put(&mut out);
            prop_assert_eq!(Digest::take(&mut Reader::new(&out)), Some(digest));
        }
    }
}
