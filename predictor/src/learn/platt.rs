//! Scores to probabilities: logistic regression on one column.

use super::metrics::count;
use super::standard::Standard;

/// Penalty on half the squared slope: a slope of 1 or so is expected. It matters below a hundred examples, where
/// it saves up to a seventh of the log loss on real tasks, and is not felt above.
const PENALTY: f64 = 1.0;
/// The slope never falls below this, so that the order of the scores is kept.
const SLOPE_MIN: f64 = 0.1;
/// Newton steps, each with a line search; about 8 suffice.
const STEPS_MAX: u32 = 100;

/// A fitted logistic of one score: probability of true = 1 / (1 + exp(-(slope * standardised score + intercept))).
/// J. Platt, Probabilistic Outputs for Support Vector Machines (1999); the solver is Newton's method with back-tracking
/// as in Lin, Lin and Weng (2007), for undamped steps run in circles on rare classes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Logistic {
    standard: Standard,
    slope: f64,
    intercept: f64,
    /// Newton steps taken.
    pub(super) iterations: u32,
    /// Whether the gradient vanished.
    pub(super) converged: bool,
}

impl Logistic {
    /// Fits scores to truths. `None` when the scores do not differ or there is one class only.
    pub(super) fn fit(scores: &[f64], truths: &[bool]) -> Option<Self> {
        let examples = count(scores.len());
        let positives = count(truths.iter().filter(|truth| **truth).count());
        let standard = Standard::fit(scores);
        let varies = standard.deviation.is_finite() && standard.deviation > 0.0;
        if !varies || positives < 0.5 || positives > examples - 0.5 {
            return None;
        }
        let odds = (positives / (examples - positives)).ln();
        let mut fitted = Self { standard, slope: 0.0, intercept: odds, iterations: 0, converged: false };
        let points: Vec<(f64, bool)> =
            scores.iter().map(|score| standard.scale(*score)).zip(truths.iter().copied()).collect();
        fitted.solve(&points, true);
        if fitted.slope < SLOPE_MIN {
            fitted.slope = SLOPE_MIN;
            fitted.iterations = 0;
            fitted.solve(&points, false);
        }
        Some(fitted)
    }

    /// The log-odds of true at a score.
    pub(super) fn logit(&self, score: f64) -> f64 {
        self.slope * self.standard.scale(score) + self.intercept
    }

    /// How much the log-odds rise per unit of the score.
    pub(super) fn slope_per_unit(&self) -> f64 {
        self.slope / self.standard.deviation
    }

    /// Minimises the penalised loss over the intercept, and over the slope when it is free.
    fn solve(&mut self, points: &[(f64, bool)], slope_is_free: bool) {
        let mut loss = penalised_loss(points, self.slope, self.intercept);
        self.converged = false;
        while !self.converged && self.iterations < STEPS_MAX {
            self.iterations += 1;
            let (gradient, step) = newton(points, self.slope, self.intercept, slope_is_free);
            let descent = gradient.0 * step.0 + gradient.1 * step.1;
            // Twice what is left to gain, to second order; below rounding no line search can tell steps apart.
            self.converged = descent <= 1e-11 * (1.0 + loss);
            let mut size = 1.0;
            let (slope, intercept, reached) = loop {
                let (slope, intercept) = (self.slope - size * step.0, self.intercept - size * step.1);
                let tried = penalised_loss(points, slope, intercept);
                if self.converged || tried <= loss - 1e-4 * size * descent {
                    break (slope, intercept, tried);
                }
                size /= 2.0;
                if size < 1e-12 {
                    return;
                }
            };
            (self.slope, self.intercept, loss) = (slope, intercept, reached);
        }
    }
}

/// The logistic function.
pub(crate) fn probability(logit: f64) -> f64 {
    if logit >= 0.0 {
        1.0 / (1.0 + (-logit).exp())
    } else {
        let odds = logit.exp();
        odds / (1.0 + odds)
    }
}

/// The inverse of [`probability`], held off the ends.
pub(crate) fn log_odds(probability: f64) -> f64 {
    let held = probability.clamp(1e-9, 1.0 - 1e-9);
    (held / (1.0 - held)).ln()
}

fn penalised_loss(points: &[(f64, bool)], slope: f64, intercept: f64) -> f64 {
    let losses = points.iter().map(|(score, truth)| {
        let logit = slope * score + intercept;
        let margin = if *truth { logit } else { -logit };
        // log(1 + exp(-margin)), without overflow.
        if margin > 0.0 { (-margin).exp().ln_1p() } else { margin.exp().ln_1p() - margin }
    });
    losses.sum::<f64>() + 0.5 * PENALTY * slope * slope
}

/// Gradient and Newton step, each for (slope, intercept).
fn newton(points: &[(f64, bool)], slope: f64, intercept: f64, slope_is_free: bool) -> ((f64, f64), (f64, f64)) {
    let (mut g0, mut g1) = (PENALTY * slope, 0.0);
    let (mut h00, mut h01, mut h11) = (PENALTY, 0.0, 0.0);
    for (score, truth) in points {
        let predicted = probability(slope * score + intercept);
        let error = predicted - f64::from(*truth);
        let weight = (predicted * (1.0 - predicted)).max(1e-12);
        g0 += error * score;
        g1 += error;
        h00 += weight * score * score;
        h01 += weight * score;
        h11 += weight;
    }
    if !slope_is_free {
        return ((0.0, g1), (0.0, g1 / h11));
    }
    let determinant = (h00 * h11 - h01 * h01).max(f64::MIN_POSITIVE);
    ((g0, g1), ((h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rare and skewed: almost all scores equal, few true examples, heavy tails on either side.
    fn adversarial() -> impl Strategy<Value = Vec<(f64, bool)>> {
        let score = prop_oneof![4 => Just(0.0), 2 => -1.0..1.0f64, 1 => (-30.0..30.0f64).prop_map(f64::exp)];
        let truth = prop_oneof![9 => Just(false), 1 => Just(true)];
        prop::collection::vec((score, truth), 10..300)
    }

    proptest! {
        #[test]
        fn slope_is_positive_and_the_solver_converges(points in adversarial()) {
            let (scores, truths): (Vec<f64>, Vec<bool>) = points.into_iter().unzip();
            if let Some(fitted) = Logistic::fit(&scores, &truths) {
                prop_assert!(fitted.slope >= SLOPE_MIN);
                prop_assert!(fitted.converged, "{fitted:?}");
                prop_assert!(fitted.logit(0.0).is_finite());
            }
        }

        #[test]
        fn mean_probability_is_the_base_rate(points in adversarial()) {
            let (scores, truths): (Vec<f64>, Vec<bool>) = points.into_iter().unzip();
            if let Some(fitted) = Logistic::fit(&scores, &truths) {
                let predicted: f64 = scores.iter().map(|score| probability(fitted.logit(*score))).sum();
                let happened = count(truths.iter().filter(|truth| **truth).count());
                prop_assert!((predicted - happened).abs() < 1e-5 * count(truths.len()));
            }
        }
    }

    /// Three true examples in a thousand, far above the rest: Newton with clipped steps circles here and stops on a
    /// negative slope.
    #[test]
    fn the_known_two_cycle_ends_on_a_positive_slope() {
        let mut scores: Vec<f64> = (0..997).map(|index| f64::from(index % 7) * 1e-3).collect();
        scores.extend([0.9, 1.0, 0.2]);
        let truths: Vec<bool> = (0..1000).map(|index| index >= 997).collect();
        let fitted = Logistic::fit(&scores, &truths).unwrap();
        assert!(fitted.converged && fitted.slope > 0.2, "{fitted:?}");
        assert!(probability(fitted.logit(1.0)) > 0.5 && probability(fitted.logit(0.0)) < 0.01);
    }

    #[test]
    fn inverted_scores_get_the_floor() {
        let scores: Vec<f64> = (0..100).map(f64::from).collect();
        let truths: Vec<bool> = (0..100).map(|index| index < 50).collect();
        let fitted = Logistic::fit(&scores, &truths).unwrap();
        assert!((fitted.slope - SLOPE_MIN).abs() < 1e-15 && fitted.converged);
    }

    #[test]
    fn equal_scores_or_one_class_give_nothing() {
        assert_eq!(Logistic::fit(&[1.0, 1.0], &[true, false]), None);
        assert_eq!(Logistic::fit(&[1.0, 2.0], &[true, true]), None);
    }
}
