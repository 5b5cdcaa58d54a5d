//! The least of a convex function over weights that are not negative and add up to 1.

/// Steps at most; a handful of experts need some ten.
const STEPS_MAX: u32 = 300;
/// What may be left to gain, of a loss of order 1.
const GAP_MAX: f64 = 1e-6;
/// Halvings of the line search by the golden section: to a billionth of the step.
const SECTIONS: u32 = 40;

/// Weights, and whether they are the best there are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Solution {
    pub(super) weights: Vec<f64>,
    /// No weights have a loss lower than that of these by more than this.
    pub(super) gap: f64,
    pub(super) converged: bool,
}

/// Minimises by pairwise Frank-Wolfe steps: each moves weight from the worst expert that has any to the best one.
/// S. Lacoste-Julien and M. Jaggi, On the Global Linear Convergence of Frank-Wolfe Optimization Variants (2015).
///
/// `loss` gives the loss at weights and writes its gradient.
pub(super) fn minimise(start: &[f64], loss: &dyn Fn(&[f64], &mut [f64]) -> f64) -> Solution {
    let mut weights = start.to_vec();
    let mut gradient = vec![0.0; weights.len()];
    let mut unused = vec![0.0; weights.len()];
    for _ in 0..STEPS_MAX {
        loss(&weights, &mut gradient);
        let best = place(&gradient, |_| true, |one, other| one < other);
        let worst = place(&gradient, |expert| weights[expert] > 0.0, |one, other| one > other);
        let gap: f64 = weights.iter().zip(&gradient).map(|(weight, slope)| weight * (slope - gradient[best])).sum();
        if gap <= GAP_MAX || best == worst {
            return Solution { weights, gap, converged: gap <= GAP_MAX };
        }
        let room = weights[worst];
        let mut at = |step: f64| {
            let mut moved = weights.clone();
            moved[worst] -= step;
            moved[best] += step;
            (loss(&moved, &mut unused), moved)
        };
        let step = golden(room, &mut |step| at(step).0);
        // The line search cannot tell the end of the interval from its neighbourhood.
        let step = if at(room).0 <= at(step).0 { room } else { step };
        let moved = at(step).1;
        if moved == weights {
            return Solution { weights, gap, converged: false };
        }
        weights = moved;
    }
    let slope_of = loss(&weights, &mut gradient);
    debug_assert!(slope_of.is_finite(), "losses are finite");
    let least = gradient.iter().copied().fold(f64::INFINITY, f64::min);
    let gap = weights.iter().zip(&gradient).map(|(weight, slope)| weight * (slope - least)).sum();
    Solution { weights, gap, converged: gap <= GAP_MAX }
}

/// The first place that no other one of those allowed beats.
fn place(values: &[f64], allowed: impl Fn(usize) -> bool, beats: impl Fn(f64, f64) -> bool) -> usize {
    let mut found: Option<usize> = None;
    for index in (0..values.len()).filter(|index| allowed(*index)) {
        if found.is_none_or(|found| beats(values[index], values[found])) {
            found = Some(index);
        }
    }
    found.expect("weights add up to 1")
}

/// The place from 0 to `end` where a convex function is least.
fn golden(end: f64, function: &mut dyn FnMut(f64) -> f64) -> f64 {
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    let (mut low, mut high) = (0.0, end);
    let (mut left, mut right) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut at_left, mut at_right) = (function(left), function(right));
    for _ in 0..SECTIONS {
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - ratio * (high - low);
            at_left = function(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + ratio * (high - low);
            at_right = function(right);
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The squared distance from a point: the nearest weights are known by sorting (J. Duchi and others, 2008).
        #[test]
        fn the_nearest_weights_are_found(point in prop::collection::vec(-1.0..2.0f64, 1..7)) {
            let start = vec![1.0 / f64::from(u32::try_from(point.len()).unwrap()); point.len()];
            let loss = |weights: &[f64], gradient: &mut [f64]| {
                for ((slope, weight), wanted) in gradient.iter_mut().zip(weights).zip(&point) {
                    *slope = 2.0 * (weight - wanted);
                }
                weights.iter().zip(&point).map(|(weight, wanted)| (weight - wanted).powi(2)).sum()
            };
            let solution = minimise(&start, &loss);
            let mut sorted = point.clone();
            sorted.sort_by(|one, other| other.total_cmp(one));
            let (mut sum, mut shift) = (0.0, 0.0);
            for (index, value) in sorted.iter().enumerate() {
                sum += value;
                let tried = (sum - 1.0) / f64::from(u32::try_from(index + 1).unwrap());
                if value - tried > 0.0 {
                    shift = tried;
                }
            }
            prop_assert!(solution.converged, "{solution:?}");
            prop_assert!((solution.weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            for (weight, wanted) in solution.weights.iter().zip(&point) {
                prop_assert!(*weight >= 0.0 && (weight - (wanted - shift).max(0.0)).abs() < 2e-3, "{solution:?}");
            }
        }
    }
}
