//! Curves of a yes or no, as points: for plots.

use predictor::learn::metrics::Sorted;
use serde::{Deserialize, Serialize};

/// Points of each curve, at most.
const POINTS: usize = 200;
/// From one point to the next, but for the first and the last: of two shares that rise from 0 to 1.
const STEP: f64 = 2.0 / 198.0;
/// Bins of the calibration.
const BINS: u32 = 10;

/// The curves of one member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Curves {
    /// The share of the false, then of the true, that score at least so high; from (0, 0) to (1, 1).
    pub roc: Vec<(f64, f64)>,
    /// Recall and precision, from the highest scores down.
    pub precision_recall: Vec<(f64, f64)>,
    /// Mean score, share of true and number of rows, of bins of about equally many rows.
    pub calibration: Vec<(f64, f64, f64)>,
    /// The share of rows that are looked at, and how many times more often they are true than all.
    pub lift: Vec<(f64, f64)>,
    /// The share of rows that are acted on, and the mean cost of a row.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub cost: Vec<(f64, f64)>,
}

impl Curves {
    /// `costs` are those of a missed true and of a false alarm. `None` with one class only.
    pub(super) fn of(scores: &[f64], truths: &[bool], costs: Option<(f64, f64)>) -> Option<Self> {
        let sorted = Sorted::new(scores, truths);
        let taken = sorted.taken();
        let (all_true, all_false) = *taken.last()?;
        let all = all_true + all_false;
        if all_true == 0.0 || all_false == 0.0 {
            return None;
        }
        let kept = thinned(&taken, (all_true, all_false));
        let points = |of: &dyn Fn(f64, f64) -> (f64, f64)| {
            kept.iter().map(|(of_true, of_false)| of(*of_true, *of_false)).collect::<Vec<_>>()
        };
        let mut roc = vec![(0.0, 0.0)];
        roc.extend(points(&|of_true, of_false| (of_false / all_false, of_true / all_true)));
        let cost = costs.map_or_else(Vec::new, |(missed, false_alarm)| {
            let mut curve = vec![(0.0, missed * all_true / all)];
            curve.extend(points(&|of_true, of_false| {
                ((of_true + of_false) / all, (missed * (all_true - of_true) + false_alarm * of_false) / all)
            }));
            curve
        });
        Some(Self {
            roc,
            precision_recall: points(&|of_true, of_false| (of_true / all_true, of_true / (of_true + of_false))),
            calibration: sorted
                .calibration(BINS, |_| 1.0)
                .into_iter()
                .map(|bin| (bin.predicted, bin.observed, bin.weight))
                .collect(),
            lift: points(&|of_true, of_false| {
                let seen = of_true + of_false;
                (seen / all, of_true / seen / (all_true / all))
            }),
            cost,
        })
    }
}

/// Spread evenly over the shares of the true and of the false that are passed, with the first and the last: rows alone
/// would leave hardly a point to the few that are true.
fn thinned(points: &[(f64, f64)], (all_true, all_false): (f64, f64)) -> Vec<(f64, f64)> {
    if points.len() <= POINTS {
        return points.to_vec();
    }
    let passed = |(of_true, of_false): (f64, f64)| of_true / all_true + of_false / all_false;
    let last = points.len() - 1;
    let mut kept = vec![points[0]];
    for (place, point) in points.iter().enumerate().skip(1) {
        if place == last || passed(*point) - passed(kept[kept.len() - 1]) >= STEP {
            kept.push(*point);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_by_hand() {
        let curves = Curves::of(&[0.9, 0.6, 0.6, 0.1], &[true, true, false, false], Some((4.0, 2.0))).expect("curves");
        assert_eq!(curves.roc, [(0.0, 0.0), (0.0, 0.5), (0.5, 1.0), (1.0, 1.0)]);
        assert_eq!(curves.precision_recall, [(0.5, 1.0), (1.0, 2.0 / 3.0), (1.0, 0.5)]);
        assert_eq!(curves.lift, [(0.25, 2.0), (0.75, 4.0 / 3.0), (1.0, 1.0)]);
        assert_eq!(curves.cost, [(0.0, 2.0), (0.25, 1.0), (0.75, 0.5), (1.0, 1.0)]);
        assert_eq!(Curves::of(&[0.5], &[true], None), None);
    }

    #[test]
    fn long_curves_are_thinned_to_their_ends() {
        let scores: Vec<f64> = (0..5_000).map(f64::from).collect();
        let truths: Vec<bool> = (0..5_000).map(|row| row % 3 == 0).collect();
        let curves = Curves::of(&scores, &truths, None).expect("curves");
        assert!((POINTS / 2..=POINTS + 1).contains(&curves.roc.len()), "{}", curves.roc.len());
        assert_eq!(curves.roc.last(), Some(&(1.0, 1.0)));
    }

    #[test]
    fn the_few_that_are_true_have_their_points() {
        let scores: Vec<f64> = (0..100_000).map(f64::from).collect();
        let truths: Vec<bool> = (0..100_000).map(|row| row >= 99_900).collect();
        let curves = Curves::of(&scores, &truths, None).expect("curves");
        assert!(curves.precision_recall.len() <= POINTS);
        let found = curves.precision_recall.iter().filter(|(_, precision)| *precision > 0.999);
        assert!(found.count() > 45, "{:?}", curves.precision_recall);
    }
}
