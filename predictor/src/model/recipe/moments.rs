//! Means and spreads of columns of 32-bit numbers, summed in 64 bits.

/// Mean and variance of the finite numbers, and how many they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moments {
    pub(super) count: f64,
    pub(super) mean: f64,
    /// The sum of squared distances from the mean.
    pub(super) squares: f64,
}

impl Moments {
    pub(super) fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let finite = || values.clone().filter(|value| value.is_finite());
        #[expect(clippy::cast_precision_loss, reason = "a column has fewer rows than 2^53")]
        let count = finite().count() as f64;
        let mean = if count > 0.0 { finite().sum::<f64>() / count } else { 0.0 };
        let squares = finite().map(|value| (value - mean) * (value - mean)).sum();
        Self { count, mean, squares }
    }

    /// Over the number of values.
    pub(super) fn variance(&self) -> f64 {
        if self.count > 0.0 { self.squares / self.count } else { 0.0 }
    }

    /// Whether the reference takes the column for constant: what varies is below the precision of 32 bits.
    pub(super) fn is_constant(&self) -> bool {
        let epsilon = f64::from(f32::EPSILON);
        let variance = self.variance();
        variance <= self.count * epsilon * variance + (self.count * self.mean * epsilon).powi(2)
    }
}

/// The nearest 32-bit number.
#[expect(clippy::cast_possible_truncation, reason = "the network takes 32 bits")]
pub(super) fn narrow(value: f64) -> f32 {
    value as f32
}
