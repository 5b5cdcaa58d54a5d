//! How scores change over time: the population stability index.

use relational::EventTime;
use serde::{Deserialize, Serialize};

use super::read::Answers;
use super::slices::by_time;

/// How far one period's scores are from those of the first half of all rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Drift {
    pub period: String,
    pub rows: usize,
    /// 0 for the same distribution; above 0.25 it is usually called a shift.
    pub stability_index: f64,
}

/// Bins of the reference, of about equally many rows.
const BINS: usize = 10;
/// Shares below this count as this much, so that an empty bin has a logarithm.
const SHARE_MIN: f64 = 1e-4;

/// Of one member, by the periods that figures are sliced by. Empty for classes and rankings.
pub(super) fn drift(cutoffs: &[EventTime], answers: &Answers) -> Vec<Drift> {
    let scores: Vec<f64> = match answers {
        Answers::Binary(scores) => scores.clone(),
        Answers::Quantiles(quantiles) => quantiles.iter().map(|quantiles| quantiles[4]).collect(),
        Answers::Classes(_) | Answers::Rankings(_) => return Vec::new(),
    };
    // The rows are in the order of their cutoffs.
    let reference = &scores[..scores.len().div_ceil(2)];
    if reference.len() < BINS {
        return Vec::new();
    }
    let edges = edges(reference);
    let expected = shares(reference, &edges);
    let of_period = |slice: super::slices::Slice| {
        let own: Vec<f64> = slice.rows.iter().map(|row| scores[*row]).collect();
        let stability_index = index(&shares(&own, &edges), &expected);
        Drift { period: slice.name, rows: own.len(), stability_index }
    };
    by_time(cutoffs.iter().copied()).into_iter().map(of_period).collect()
}

fn edges(reference: &[f64]) -> Vec<f64> {
    let mut sorted = reference.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut edges: Vec<f64> = (1..BINS).map(|bin| sorted[bin * sorted.len() / BINS]).collect();
    edges.dedup();
    edges
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn shares(scores: &[f64], edges: &[f64]) -> Vec<f64> {
    let mut found = vec![0_usize; edges.len() + 1];
    scores.iter().for_each(|score| found[edges.partition_point(|edge| edge <= score)] += 1);
    found.into_iter().map(|found| (found as f64 / scores.len().max(1) as f64).max(SHARE_MIN)).collect()
}

/// The sum of `(own - expected) ln(own / expected)` over the bins (B. Yurdakul, "Statistical properties of population
/// stability index", 2018).
fn index(own: &[f64], expected: &[f64]) -> f64 {
    own.iter().zip(expected).map(|(own, expected)| (own - expected) * (own / expected).ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_distribution_has_no_distance_and_another_one_has() {
        let day = |row: i64| EventTime(row.div_euclid(100) * EventTime::DAY);
        let cutoffs: Vec<EventTime> = (0..400).map(day).collect();
        let score = |row: i64| f64::from(i32::try_from(row % 100).unwrap()) / 100.0;
        let same = Answers::Binary((0..400).map(score).collect());
        assert!(drift(&cutoffs, &same).iter().all(|drift| drift.stability_index < 1e-9 && drift.rows == 100));
        let moved =
            Answers::Binary((0..400).map(|row| if row < 300 { score(row) } else { 0.5 * score(row) }).collect());
        let moved: Vec<f64> = drift(&cutoffs, &moved).iter().map(|drift| drift.stability_index).collect();
        assert!(moved[0] < 1e-9 && moved[2] < 1e-9 && moved[3] > 0.25, "{moved:?}");
    }

    #[test]
    fn the_index_by_hand() {
        let wanted = 0.3 * (0.8_f64 / 0.5).ln() - 0.3 * (0.2_f64 / 0.5).ln();
        assert!((index(&[0.8, 0.2], &[0.5, 0.5]) - wanted).abs() < 1e-12);
    }
}
