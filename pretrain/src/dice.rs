//! Seeded randomness: streams of random numbers that never change, whatever the machine or the number of threads.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_distr::{Beta, Distribution, Exp1, Gamma, Poisson, StandardNormal, StudentT};

/// One stream of random numbers.
#[derive(Debug, Clone)]
pub struct Dice {
    stream: ChaCha8Rng,
}

impl Dice {
    /// The stream with this seed and this place: streams of different places have nothing to do with each other.
    #[must_use]
    pub fn new(seed: u64, place: &[u64]) -> Self {
        let mut key = [0; 32];
        let mut words = ChaCha8Rng::seed_from_u64(seed);
        for step in place {
            words = ChaCha8Rng::seed_from_u64(words.next_u64() ^ step.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        }
        words.fill_bytes(&mut key);
        Self { stream: ChaCha8Rng::from_seed(key) }
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.stream.next_u64()
    }

    /// Evenly in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let unit = (self.bits() >> 11) as f64 / (1u64 << 53) as f64;
        unit
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Evenly in `[from, to)`.
    pub(crate) fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    /// Between two positive numbers, evenly in their logarithm.
    pub(crate) fn scale(&mut self, from: f64, to: f64) -> f64 {
        self.between(from.ln(), to.ln()).exp()
    }

    /// A whole number in `0..end`; 0 when `end` is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "below `end`, which is a usize")]
        let number = ((u128::from(self.bits()) * end as u128) >> 64) as usize;
        number
    }

    /// A whole number in `from..=to`.
    pub(crate) fn within(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to - from + 1)
    }

    /// One of the items, of which there is at least one.
    pub(crate) fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    /// A place, each with a probability in proportion to its weight.
    pub(crate) fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut left = self.unit() * weights.iter().sum::<f64>();
        for (place, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return place;
            }
        }
        weights.len().saturating_sub(1)
    }

    /// Normally distributed, with mean 0 and variance 1.
    pub(crate) fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.stream)
    }

    /// Exponentially distributed, with this mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        let unit: f64 = Exp1.sample(&mut self.stream);
        unit * mean
    }

    /// Student's t: heavier tails than the normal, the heavier the fewer degrees of freedom.
    pub(crate) fn student(&mut self, freedom: f64) -> f64 {
        StudentT::new(freedom).expect("degrees of freedom are positive").sample(&mut self.stream)
    }

    /// Beta distributed.
    pub(crate) fn beta(&mut self, ones: f64, zeros: f64) -> f64 {
        Beta::new(ones, zeros).expect("both parameters are positive").sample(&mut self.stream)
    }

    /// How often something of this rate happens, 0 for a rate of nothing; rates are held at 1,000.
    pub(crate) fn count(&mut self, rate: f64) -> usize {
        if rate <= 1e-9 || rate.is_nan() {
            return 0;
        }
        let drawn: f64 = Poisson::new(rate.min(1_000.0)).expect("the rate is positive").sample(&mut self.stream);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of at most some thousands"
        )]
        let count = drawn as usize;
        count
    }

    /// Shares of a whole: Dirichlet distributed, the more even the greater `evenness`.
    pub(crate) fn shares(&mut self, parts: usize, evenness: f64) -> Vec<f64> {
        let gamma = Gamma::new(evenness, 1.0).expect("the evenness is positive");
        let drawn: Vec<f64> = (0..parts).map(|_| gamma.sample(&mut self.stream) + 1e-12).collect();
        let sum: f64 = drawn.iter().sum();
        drawn.into_iter().map(|part| part / sum).collect()
    }

    /// Shares that fall by Zipf's law.
    pub(crate) fn zipf(&mut self, parts: usize) -> Vec<f64> {
        let exponent = self.between(0.3, 2.0);
        (1..=parts).map(|rank| float(rank).powf(-exponent)).collect()
    }

    /// The numbers below `end` in random order.
    pub(crate) fn shuffled(&mut self, end: usize) -> Vec<usize> {
        let mut places: Vec<usize> = (0..end).collect();
        for last in (1..end).rev() {
            places.swap(last, self.below(last + 1));
        }
        places
    }

    /// So many different numbers below `end`, in increasing order; all of them when there are fewer.
    pub(crate) fn choose(&mut self, count: usize, end: usize) -> Vec<usize> {
        let mut places = self.shuffled(end);
        places.truncate(count);
        places.sort_unstable();
        places
    }
}

/// A count as a float.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
pub(crate) fn float(count: usize) -> f64 {
    count as f64
}

/// The logistic function.
pub(crate) fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_places_differ() {
        let draw = |seed, place: &[u64]| Dice::new(seed, place).bits();
        assert_eq!(draw(1, &[2, 3]), draw(1, &[2, 3]));
        assert_ne!(draw(1, &[2, 3]), draw(1, &[3, 2]));
        assert_ne!(draw(1, &[2, 3]), draw(2, &[2, 3]));
        assert_ne!(draw(1, &[2]), draw(1, &[2, 0]));
    }

    #[test]
    fn the_first_numbers_never_change() {
        let mut dice = Dice::new(7, &[1]);
        assert_eq!([dice.below(1_000), dice.count(4.0), dice.within(3, 9)], [732, 4, 7]);
    }

    #[test]
    fn choices_are_different_and_inside() {
        let mut dice = Dice::new(3, &[]);
        let chosen = dice.choose(5, 9);
        assert!(chosen.is_sorted_by(|left, right| left < right) && chosen.len() == 5 && chosen[4] < 9);
        assert_eq!(dice.choose(5, 2), [0, 1]);
    }
}
