//! How good rankings were. A ranking is given as one truth per ranked row, the likeliest first, with the number of rows
//! that came true in all, ranked or not. Each figure is of one ranking; `None` where nothing came true, which says
//! nothing of the ranking. The usual figure of a table is the mean over its rankings.

use super::count;

/// Average precision at k: the sum over the first k places that came true of the share of true among the places up to
/// there, over the most that can come true (k, or all if they are fewer). Its mean is RelBench's `link_prediction_map`.
#[must_use]
pub fn average_precision_at(k: usize, ranked: &[bool], all: usize) -> Option<f64> {
    let mut found = 0;
    let sums = ranked.iter().zip(1..).take(k).map(|(truth, place)| {
        found += usize::from(*truth);
        if *truth { count(found) / count(place) } else { 0.0 }
    });
    let sum: f64 = sums.sum();
    (all > 0 && k > 0).then(|| sum / count(all.min(k)))
}

/// Normalised discounted cumulative gain at k with gains of 0 and 1: the sum of 1 / log2(place + 1) over the first k
/// places that came true, over the greatest such sum (Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR
/// techniques", 2002, with the discount of Burges and others, 2005).
#[must_use]
pub fn gain_at(k: usize, ranked: &[bool], all: usize) -> Option<f64> {
    let discount = |place: usize| 1.0 / count(place + 2).log2();
    let gained: f64 =
        ranked.iter().take(k).enumerate().filter(|(_, truth)| **truth).map(|(place, _)| discount(place)).sum();
    let most: f64 = (0..all.min(k)).map(discount).sum();
    (all > 0 && k > 0).then(|| gained / most)
}

/// One over the first place, counted from 1, that came true; 0 where none did (its mean is the mean reciprocal rank).
#[must_use]
pub fn reciprocal_rank(ranked: &[bool], all: usize) -> Option<f64> {
    let first = ranked.iter().position(|truth| *truth);
    (all > 0).then(|| first.map_or(0.0, |place| 1.0 / count(place + 1)))
}

/// The share of what came true that stands in the first k places.
#[must_use]
pub fn recall_at(k: usize, ranked: &[bool], all: usize) -> Option<f64> {
    let found = ranked.iter().take(k).filter(|truth| **truth).count();
    (all > 0).then(|| count(found) / count(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANKED: [bool; 5] = [false, true, true, false, true];

    fn close(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-12), "{found:?}, not {expected}");
    }

    /// By hand: true at the places 2, 3 and 5, four true in all.
    #[test]
    fn figures_are_those_made_by_hand() {
        close(average_precision_at(5, &RANKED, 4), (1.0 / 2.0 + 2.0 / 3.0 + 3.0 / 5.0) / 4.0);
        close(average_precision_at(3, &RANKED, 4), (1.0 / 2.0 + 2.0 / 3.0) / 3.0);
        close(reciprocal_rank(&RANKED, 4), 0.5);
        close(recall_at(3, &RANKED, 4), 0.5);
        close(recall_at(5, &RANKED, 4), 0.75);
        // Discounts 1, 1 / log2 3, 1/2, 1 / log2 5, 1 / log2 6.
        let (third, fifth) = (1.0 / 3f64.log2(), 1.0 / 5f64.log2());
        close(gain_at(3, &RANKED, 4), (third + 0.5) / (1.0 + third + 0.5));
        close(gain_at(5, &RANKED, 4), (third + 0.5 + 1.0 / 6f64.log2()) / (1.0 + third + 0.5 + fifth));
    }

    #[test]
    fn the_best_ranking_has_1_and_the_worst_0() {
        for measure in [average_precision_at, gain_at] {
            close(measure(3, &[true, true, false], 2), 1.0);
            close(measure(2, &[true, true], 9), 1.0);
            close(measure(3, &[false; 3], 2), 0.0);
        }
        close(reciprocal_rank(&[false; 3], 2), 0.0);
    }

    #[test]
    fn where_nothing_came_true_there_is_no_figure() {
        assert_eq!(average_precision_at(3, &[false; 3], 0), None);
        assert_eq!(gain_at(3, &[false; 3], 0), None);
        assert_eq!(reciprocal_rank(&[false; 3], 0), None);
        assert_eq!(recall_at(3, &[false; 3], 0), None);
    }
}
