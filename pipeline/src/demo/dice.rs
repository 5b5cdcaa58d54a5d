//! Seeded randomness for the generator: the same seed gives the same database.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(super) struct Dice {
    seed: u64,
    drawn: u64,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// Evenly in `[0, 1)`.
    pub(super) fn unit(&mut self) -> f64 {
        self.drawn += 1;
        let bits = xxh3_64_with_seed(&self.drawn.to_le_bytes(), self.seed) >> 11;
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let unit = bits as f64 / (1u64 << 53) as f64;
        unit
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A whole number below `end`.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below a u32 and not negative")]
        let number = (self.unit() * f64::from(end)) as u32;
        number.min(end.saturating_sub(1))
    }

    /// Normally distributed, by Box and Muller's transform.
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// How often something of this rate happens in one step: Poisson distributed, by Knuth's product of uniforms.
    pub(super) fn count(&mut self, rate: f64) -> u32 {
        let floor = (-rate).exp();
        let mut product = self.unit();
        let mut count = 0;
        while product > floor && count < 1_000 {
            product *= self.unit();
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_and_have_the_right_means() {
        let draw = |seed| (0..20_000).map(move |_| ()).scan(Dice::new(seed), |dice, ()| Some(dice.count(1.5)));
        let total: u32 = draw(7).sum();
        assert!((29_000..31_000).contains(&total), "mean of 20,000 counts of rate 1.5: {total}");
        assert!(draw(7).eq(draw(7)) && !draw(7).eq(draw(8)));
    }
}
