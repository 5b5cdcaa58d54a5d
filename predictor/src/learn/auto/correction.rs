//! What came true of late, against what the mix had said: rates drift, and what was learned grows too sure of itself.

use super::super::platt::probability;

/// Standard deviations that slopes and shifts are expected to have, over tasks and times.
const SLOPE_DEVIATION: f64 = 0.3;
const SHIFT_DEVIATION: f64 = 0.4;
/// No slope falls below this, so that the order of the answers is kept.
const SLOPE_MIN: f64 = 0.1;
/// Newton steps; about 5 suffice.
const STEPS_MAX: u32 = 50;

/// Log-odds become `slope · log-odds + shift`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Correction {
    pub(super) slope: f64,
    pub(super) shift: f64,
}

/// An outcome: the log-odds that were given to it, whether it came true, and what it stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) logit: f64,
    pub(super) truth: bool,
    pub(super) weight: f64,
}

impl Correction {
    /// Changes nothing.
    pub(super) const NONE: Self = Self { slope: 1.0, shift: 0.0 };

    /// The most probable correction: it fits the outcomes and is close to none. [`Self::NONE`] where the solver does
    /// not converge.
    pub(super) fn fit(outcomes: &[Outcome]) -> Self {
        let free = Self::NONE.descend(outcomes, true).unwrap_or(Self::NONE);
        if free.slope >= SLOPE_MIN {
            return free;
        }
        // The outcomes go against all that was said.
        Self { slope: SLOPE_MIN, shift: 0.0 }.descend(outcomes, false).unwrap_or(Self::NONE)
    }

    /// Goes down to the least loss, with the slope as it is unless it is free.
    fn descend(self, outcomes: &[Outcome], slope_is_free: bool) -> Option<Self> {
        let mut at = self;
        let mut loss = at.loss(outcomes);
        for _ in 0..STEPS_MAX {
            let (gradient, step) = at.newton(outcomes, slope_is_free);
            let descent = gradient[0] * step[0] + gradient[1] * step[1];
            // Twice what is left to gain, to second order.
            if descent <= 1e-9 * (1.0 + loss) {
                return Some(at);
            }
            let mut size = 1.0;
            loop {
                let tried = Self { slope: at.slope - size * step[0], shift: at.shift - size * step[1] };
                let reached = tried.loss(outcomes);
                if reached <= loss - 1e-4 * size * descent {
                    (at, loss) = (tried, reached);
                    break;
                }
                size /= 2.0;
                if size < 1e-12 {
                    return None;
                }
            }
        }
        None
    }

    /// Corrected log-odds.
    pub(super) fn apply(self, logit: f64) -> f64 {
        self.slope * logit + self.shift
    }

    fn loss(self, outcomes: &[Outcome]) -> f64 {
        let of = |outcome: &Outcome| {
            let logit = self.apply(outcome.logit);
            let margin = if outcome.truth { logit } else { -logit };
            outcome.weight * if margin > 0.0 { (-margin).exp().ln_1p() } else { margin.exp().ln_1p() - margin }
        };
        let (slope, shift) = ((self.slope - 1.0) / SLOPE_DEVIATION, self.shift / SHIFT_DEVIATION);
        outcomes.iter().map(of).sum::<f64>() + 0.5 * (slope * slope + shift * shift)
    }

    /// Gradient and Newton step, each by slope and shift.
    fn newton(self, outcomes: &[Outcome], slope_is_free: bool) -> ([f64; 2], [f64; 2]) {
        let (of_slope, of_shift) = (SLOPE_DEVIATION.powi(-2), SHIFT_DEVIATION.powi(-2));
        let (mut g0, mut g1) = ((self.slope - 1.0) * of_slope, self.shift * of_shift);
        let (mut h00, mut h01, mut h11) = (of_slope, 0.0, of_shift);
        for Outcome { logit, truth, weight } in outcomes {
            let given = probability(self.apply(*logit));
            let error = weight * (given - f64::from(*truth));
            let curvature = weight * given * (1.0 - given);
            g0 += error * logit;
            g1 += error;
            h00 += curvature * logit * logit;
            h01 += curvature * logit;
            h11 += curvature;
        }
        if !slope_is_free {
            return ([0.0, g1], [0.0, g1 / h11]);
        }
        let determinant = h00 * h11 - h01 * h01;
        ([g0, g1], [(h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Log-odds from -2 to 2 whose outcomes have the log-odds `slope · logit + shift`, spread evenly.
    fn outcomes(many: u32, slope: f64, shift: f64) -> Vec<Outcome> {
        let outcome = |place: u32| {
            let logit = f64::from(place % 41) / 10.0 - 2.0;
            let dice = f64::from((place * 7_919) % 1_009) / 1_009.0;
            Outcome { logit, truth: dice < probability(slope * logit + shift), weight: 1.0 }
        };
        (0..many).map(outcome).collect()
    }

    #[test]
    fn many_outcomes_are_followed_and_few_are_not() {
        let found = Correction::fit(&outcomes(20_000, 0.7, -0.4));
        assert!((found.slope - 0.7).abs() < 0.05 && (found.shift + 0.4).abs() < 0.05, "{found:?}");
        let found = Correction::fit(&outcomes(10, 0.7, -0.4));
        assert!((found.slope - 1.0).abs() < 0.1 && found.shift.abs() < 0.3, "{found:?}");
        assert_eq!(Correction::fit(&[]), Correction::NONE);
    }

    #[test]
    fn outcomes_against_all_that_was_said_turn_nothing_round() {
        let found = Correction::fit(&outcomes(20_000, -1.0, -0.5));
        assert!((found.slope - SLOPE_MIN).abs() < 1e-15 && (found.shift + 0.4).abs() < 0.1, "{found:?}");
    }

    #[test]
    fn where_nothing_came_true_as_said_little_is_left_of_it() {
        let found = Correction::fit(&outcomes(400, 0.0, 0.0));
        assert!((SLOPE_MIN..0.35).contains(&found.slope) && found.shift.abs() < 0.25, "{found:?}");
    }
}
