//! Random draws, in the order in which the reference package makes them.

/// Where random draws come from: a seed in use, a recording in the tests against the reference package.
pub trait Dice {
    /// A random order of `0..length`.
    fn permutation(&mut self, length: usize) -> Vec<usize>;

    /// Numbers of the standard normal distribution.
    fn normals(&mut self, count: usize) -> Vec<f32>;
}

/// Draws that follow from a seed.
#[derive(Debug, Clone)]
pub struct Seeded {
    state: u64,
}

impl Seeded {
    /// Equal seeds give equal draws.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in (0, 1].
    fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let bits = ((self.next() >> 11) + 1) as f64;
        bits / 9_007_199_254_740_992.0
    }
}

impl Dice for Seeded {
    /// Fisher and Yates' shuffle; the remainder's bias is below length / 2⁶⁴.
    fn permutation(&mut self, length: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..length).collect();
        for last in (1..length).rev() {
            let choices = u64::try_from(last + 1).expect("a length fits into 64 bits");
            let other = usize::try_from(self.next() % choices).expect("it is less than a length");
            order.swap(last, other);
        }
        order
    }

    /// Box and Muller's method.
    fn normals(&mut self, count: usize) -> Vec<f32> {
        let mut draw = || {
            let (radius, angle) = ((-2.0 * self.unit().ln()).sqrt(), std::f64::consts::TAU * self.unit());
            #[expect(clippy::cast_possible_truncation, reason = "the model takes 32 bits")]
            let value = (radius * angle.cos()) as f32;
            value
        };
        (0..count).map(|_| draw()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permutations_hold_everything_once() {
        let mut order = Seeded::new(1).permutation(100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn normals_have_mean_nought_and_variance_one() {
        let draws = Seeded::new(2).normals(20_000);
        let mean = draws.iter().sum::<f32>() / 20_000.0;
        let square = draws.iter().map(|draw| draw * draw).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (square - 1.0).abs() < 0.05, "seed 2: mean {mean}, square {square}");
    }
}
