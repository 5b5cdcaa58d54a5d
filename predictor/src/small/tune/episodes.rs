//! Episodes of a task's own past: at a moment, what was known by then, and some of what was asked next.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::splits::{known, whole};
use crate::learn::Examples;
use crate::small::Episode;

/// Queries of an episode.
pub(super) const QUERIES: usize = 48;
/// With fewer queries an episode tells too little.
const QUERIES_MIN: usize = 12;
/// The smallest context.
const CONTEXT_MIN: usize = 40;
/// Queries are drawn from so many times as many examples after the moment.
const AHEAD: usize = 4;
/// How often another moment is tried.
const TRIES: u64 = 8;

/// Where episodes are drawn from.
#[derive(Debug, Clone)]
pub(super) struct Moments<'a> {
    pub(super) examples: &'a Examples,
    pub(super) matures_after: i64,
    /// The rows that may be asked.
    pub(super) asked: Range<usize>,
}

impl Moments<'_> {
    /// The episode of this seed, with at most `context` examples that were all known when the first query was taken.
    /// `None` where no moment has enough before and after it.
    pub(super) fn episode(&self, context: usize, seed: u64) -> Option<Episode> {
        (0..TRIES).find_map(|attempt| self.at_moment(context, mixed(seed, attempt)))
    }

    fn at_moment(&self, context: usize, seed: u64) -> Option<Episode> {
        let row = self.asked.start + below(mixed(seed, 1), self.asked.len())?;
        let start = whole(self.examples, row).max(self.asked.start);
        let known = known(self.examples, self.matures_after, row);
        let last = self.examples.anchors[row];
        let same = self.examples.anchors.partition_point(|anchor| *anchor <= last);
        let end = same.max(start + AHEAD * QUERIES).min(self.asked.end);
        if known < CONTEXT_MIN || end - start < QUERIES_MIN {
            return None;
        }
        // Mostly what a live fit gets, the newest; sometimes examples of further back.
        let size = context.min(known);
        let reach = if below(mixed(seed, 2), 10)? < 7 { size } else { (3 * size).min(known) };
        let chosen = chosen(known - reach..known, size, mixed(seed, 3));
        let asked = self::chosen(start..end, QUERIES, mixed(seed, 4));
        let examples = |rows: &[usize]| Examples { prior: None, ..self.examples.select(rows) };
        Some(Episode { context: examples(&chosen), queries: examples(&asked) })
    }
}

/// So many of the rows, in their order; all where there are fewer.
fn chosen(rows: Range<usize>, size: usize, seed: u64) -> Vec<usize> {
    let mut ranked: Vec<(u64, usize)> = rows.map(|row| (mixed(seed, row as u64), row)).collect();
    ranked.sort_unstable();
    ranked.truncate(size);
    let mut rows: Vec<usize> = ranked.into_iter().map(|(_, row)| row).collect();
    rows.sort_unstable();
    rows
}

/// A number below `end`; `None` when there is none.
fn below(bits: u64, end: usize) -> Option<usize> {
    usize::try_from(bits.checked_rem(end as u64)?).ok()
}

/// Bits that follow from a seed and a place.
pub(super) fn mixed(seed: u64, place: u64) -> u64 {
    xxh3_64_with_seed(&place.to_le_bytes(), seed)
}
