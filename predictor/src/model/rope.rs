//! Rotary positions (arXiv 2104.09864), with name `inv_freq`: the first half of a head's channels is paired with the
//! second, and pair `i` at place `s` is turned by the angle `s · inv_freq[i]`.

use candle_core::{Result, Tensor};

use super::weights::Weights;

#[derive(Debug, Clone)]
pub(super) struct Rope {
    frequencies: Vec<f32>,
}

impl Rope {
    /// `head_channels` is the width of one head. The reference shares one tensor among all layers, queries and keys.
    pub(super) fn new(head_channels: usize, attention: &Weights, first: Option<&Self>) -> Result<Self> {
        let tensor = attention.at("query_transform").get("inv_freq", &[head_channels / 2])?;
        attention.at("key_transform").same("inv_freq", &tensor)?;
        if let Some(first) = first {
            let shared = Tensor::new(first.frequencies.as_slice(), tensor.device())?;
            attention.at("query_transform").same("inv_freq", &shared)?;
        }
        Ok(Self { frequencies: tensor.to_vec1()? })
    }

    /// Sines and cosines of places `0..count`, each `[count, head_channels / 2]`.
    pub(super) fn table(&self, count: usize) -> Vec<(f32, f32)> {
        #[expect(clippy::cast_precision_loss, reason = "rows have few cells")]
        let places = (0..count).map(|place| place as f32);
        places.flat_map(|place| self.frequencies.iter().map(move |frequency| (place * frequency).sin_cos())).collect()
    }

    /// Turns the head at one place.
    #[inline(always)]
    pub(super) fn turn(head: &mut [f32], angles: &[(f32, f32)]) {
        let (first, second) = head.split_at_mut(angles.len());
        for ((first, second), (sine, cosine)) in first.iter_mut().zip(second).zip(angles) {
            (*first, *second) = (*first * cosine - *second * sine, *second * cosine + *first * sine);
        }
    }
}
