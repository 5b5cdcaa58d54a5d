//! AdamW with a moving average of the weights. Plain loops over all weights at once, so that a step is the same bits
//! everywhere.
//!
//! I. Loshchilov and F. Hutter, Decoupled Weight Decay Regularization (2019).

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Schedule;
use super::net::{Slot, Start};

/// How slowly the mean gradient and its mean square forget.
const FORGETTING: [f64; 2] = [0.9, 0.98];
/// Added to the root of the mean square.
const ROOT_MIN: f64 = 1e-8;

/// Weights and all that the next step depends on. Every part has one number per weight.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Optimiser {
    pub(super) schedule: Schedule,
    pub(super) taken: u64,
    /// Weights, mean gradient, mean square of it, moving average of the weights.
    pub(super) parts: [Vec<f32>; 4],
    /// Whether a weight decays: it belongs to a matrix.
    decays: Vec<bool>,
}

impl Optimiser {
    /// Fresh weights, drawn from the seed.
    pub(super) fn new(slots: &[Slot], schedule: Schedule, seed: u64) -> Self {
        let weights: Vec<f32> = slots.iter().flat_map(|slot| start(slot, seed)).collect();
        let zeros = vec![0.0; weights.len()];
        let parts = [weights.clone(), zeros.clone(), zeros, weights];
        Self::from_parts(slots, schedule, 0, parts)
    }

    /// A state that was kept.
    pub(super) fn from_parts(slots: &[Slot], schedule: Schedule, taken: u64, parts: [Vec<f32>; 4]) -> Self {
        let decays = slots.iter().flat_map(|slot| std::iter::repeat_n(slot.shape[0] > 1, slot.size())).collect();
        Self { schedule, taken, parts, decays }
    }

    pub(super) fn weights(&self) -> &[f32] {
        &self.parts[0]
    }

    pub(super) fn average(&self) -> &[f32] {
        &self.parts[3]
    }

    pub(super) fn steps(&self) -> u64 {
        self.taken
    }

    /// Steps along a gradient of the given length; without one only the step's number moves on.
    pub(super) fn step(&mut self, gradient: Option<&Vec<f32>>, norm: f64) {
        let step = self.taken;
        self.taken += 1;
        let Some(gradient) = gradient else { return };
        let cut = if norm > self.schedule.clip { self.schedule.clip / norm } else { 1.0 };
        let rate = self.schedule.rate_at(step);
        let keep = self.schedule.average_at(step);
        let exponent = i32::try_from(step + 1).unwrap_or(i32::MAX);
        let [of_mean, of_square] = FORGETTING.map(|forgetting| 1.0 - forgetting.powi(exponent));
        let [weights, means, squares, average] = &mut self.parts;
        let state = weights.iter_mut().zip(means).zip(squares).zip(average);
        for ((((weight, mean), square), average), (part, decays)) in state.zip(gradient.iter().zip(&self.decays)) {
            let part = f64::from(*part) * cut;
            *mean = single(FORGETTING[0] * f64::from(*mean) + (1.0 - FORGETTING[0]) * part);
            *square = single(FORGETTING[1] * f64::from(*square) + (1.0 - FORGETTING[1]) * part * part);
            let direction = f64::from(*mean) / of_mean / ((f64::from(*square) / of_square).sqrt() + ROOT_MIN);
            let decay = if *decays { self.schedule.decay * f64::from(*weight) } else { 0.0 };
            *weight = single(f64::from(*weight) - rate * (direction + decay));
            *average = single(keep * f64::from(*average) + (1.0 - keep) * f64::from(*weight));
        }
    }
}

/// What a tensor's weights start as; the same for the same name and seed.
fn start(slot: &Slot, seed: u64) -> Vec<f32> {
    let deviation = match slot.start {
        Start::Zeros => return vec![0.0; slot.size()],
        Start::Ones => return vec![1.0; slot.size()],
        Start::Normal(deviation) => deviation,
    };
    let stream = xxh3_64_with_seed(slot.name.as_bytes(), seed);
    let draw = |place: usize, half: u8| {
        let mut key = [half; 9];
        key[..8].copy_from_slice(&(place as u64).to_le_bytes());
        uniform(xxh3_64_with_seed(&key, stream))
    };
    // Box and Muller's transform of two uniform numbers.
    let normal = |place: usize| (-2.0 * draw(place, 0).ln()).sqrt() * (std::f64::consts::TAU * draw(place, 1)).cos();
    (0..slot.size()).map(|place| single(deviation * normal(place))).collect()
}

/// A number between 0 and 1, neither included.
#[expect(clippy::cast_precision_loss, reason = "53 bits")]
fn uniform(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

#[expect(clippy::cast_possible_truncation, reason = "weights are single precision")]
fn single(value: f64) -> f32 {
    value as f32
}
