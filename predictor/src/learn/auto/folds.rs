//! Past points in time at which experts could have been asked: each with what had matured by then.

use std::ops::Range;

use super::super::examples::Examples;

/// How many points.
const FOLDS: usize = 4;
/// Examples asked at all points together, about; at most half of all.
const ASKED: usize = 2_000;
/// Examples that are asked at one point, at least, where there are so many.
const ASKED_MIN: usize = 10;
/// Examples that had matured by a point, at least.
const MATURED_MIN: usize = 30;

/// One point. Rows are in canonical order, oldest first, and those of one anchor in no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fold {
    /// The examples whose outcome was known before the first of those asked was taken.
    pub(super) matured: Range<usize>,
    /// The examples that are asked, evenly from all that came next.
    pub(super) asked: Vec<usize>,
}

/// Folds from the newest back, as far as there are enough examples. The outcome of an example is known
/// `matures_after` microseconds after its anchor. No anchor belongs to two folds.
pub(super) fn folds(examples: &Examples, matures_after: i64) -> Vec<Fold> {
    let rows = examples.anchors.len();
    let wanted = (ASKED.min(rows / 2) / FOLDS).max(ASKED_MIN);
    let mut folds = Vec::new();
    let mut end = rows;
    while folds.len() < FOLDS && end >= wanted {
        let first = examples.anchors[end - wanted];
        let start = examples.anchors.partition_point(|anchor| *anchor < first);
        let matured = examples.anchors.partition_point(|anchor| anchor.plus(matures_after) <= first).min(start);
        if matured < MATURED_MIN {
            break;
        }
        let next = end - start;
        let asked = (0..wanted).map(|place| start + place * next / wanted).collect();
        folds.push(Fold { matured: 0..matured, asked });
        end = start;
    }
    folds
}
