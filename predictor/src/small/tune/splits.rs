//! Parting examples by time. Rows are in canonical order, oldest first; those of one anchor are never parted.

use std::ops::Range;

use crate::learn::Examples;

/// Examples that had matured before a fold, at least: fewer cannot be learned from and judged on.
pub(super) const MATURED_MIN: usize = 200;
/// Examples of a fold, at least.
const ASKED_MIN: usize = 30;
/// The folds together are about the newest third.
const ASKED_ONE_IN: usize = 3;

/// A stretch of time whose examples are asked, with what was known before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fold {
    /// The examples whose outcome was known before the first of those asked was taken.
    pub(super) matured: Range<usize>,
    /// The examples that are asked.
    pub(super) asked: Range<usize>,
}

/// At most so many folds, one after another up to the newest example, oldest first.
pub(super) fn folds(examples: &Examples, matures_after: i64, most: usize) -> Vec<Fold> {
    let rows = examples.anchors.len();
    let wanted = (rows / ASKED_ONE_IN / most.max(1)).max(ASKED_MIN);
    let mut folds = Vec::new();
    let mut end = rows;
    while folds.len() < most && end >= wanted {
        let asked = whole(examples, end - wanted)..end;
        let matured = 0..known(examples, matures_after, asked.start);
        if matured.len() < MATURED_MIN {
            break;
        }
        end = asked.start;
        folds.push(Fold { matured, asked });
    }
    folds.reverse();
    folds
}

/// The first row with the anchor of this one.
pub(super) fn whole(examples: &Examples, row: usize) -> usize {
    let anchor = examples.anchors[row];
    examples.anchors.partition_point(|of| *of < anchor)
}

/// How many of the oldest rows had matured when the first row of this one's anchor was taken.
pub(super) fn known(examples: &Examples, matures_after: i64, row: usize) -> usize {
    let anchor = examples.anchors[row];
    examples.anchors.partition_point(|of| of.plus(matures_after) <= anchor).min(whole(examples, row))
}
