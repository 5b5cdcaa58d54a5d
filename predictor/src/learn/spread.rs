//! How far the truth lies from a point prediction: residuals of the context, local in the prediction.

use relational::Prediction;

use super::metrics::count;

/// The neighbours looked at: this many, or a share of the square root of the context's size.
const NEIGHBOURS_MIN: f64 = 50.0;
const NEIGHBOURS_PER_ROOT: f64 = 4.0;

/// Held-out residuals by predicted score.
#[derive(Debug, Clone)]
pub(super) struct Spread {
    /// Score and residual, by score.
    sorted: Vec<(f64, f64)>,
    neighbours: usize,
}

impl Spread {
    /// Residuals (truth minus prediction) of at least one example, each with the score that was predicted.
    pub(super) fn fit(scores: &[f64], residuals: &[f64]) -> Self {
        let mut sorted: Vec<(f64, f64)> = scores.iter().copied().zip(residuals.iter().copied()).collect();
        sorted.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.total_cmp(&right.1)));
        let wanted = NEIGHBOURS_MIN.max(NEIGHBOURS_PER_ROOT * count(sorted.len()).sqrt());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
        let neighbours = (wanted as usize).min(sorted.len());
        Self { sorted, neighbours }
    }

    /// What to add to a prediction of this score to get each of [`Prediction::LEVELS`]; never decreasing.
    pub(super) fn offsets(&self, score: f64) -> [f64; 9] {
        let place = self.sorted.partition_point(|(other, _)| *other < score);
        let start = place.saturating_sub(self.neighbours / 2).min(self.sorted.len() - self.neighbours);
        let near = &self.sorted[start..start + self.neighbours];
        let mut residuals: Vec<f64> = near.iter().map(|(_, residual)| *residual).collect();
        residuals.sort_by(f64::total_cmp);
        Prediction::LEVELS.map(|level| quantile(&residuals, level))
    }
}

/// The quantile of sorted values, linear between the middles of their ranks.
pub(super) fn quantile(sorted: &[f64], level: f64) -> f64 {
    let place = (level * count(sorted.len()) - 0.5).clamp(0.0, count(sorted.len() - 1));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the slice")]
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let share = place - place.floor();
    (sorted[below] * (1.0 - share) + sorted[above] * share).clamp(sorted[below], sorted[above])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_local() {
        let scores: Vec<f64> = (0..1000).map(f64::from).collect();
        let residuals: Vec<f64> = (0..1000).map(|index| f64::from(index % 11 - 5) * f64::from(index)).collect();
        let spread = Spread::fit(&scores, &residuals);
        let width = |score: f64| spread.offsets(score)[8] - spread.offsets(score)[0];
        assert!(width(900.0) > 5.0 * width(100.0));
    }

    #[test]
    fn one_residual_is_every_quantile() {
        let offsets = Spread::fit(&[0.0], &[3.0]).offsets(7.0);
        assert!(offsets.iter().all(|offset| offset.to_bits() == 3.0f64.to_bits()));
    }
}
