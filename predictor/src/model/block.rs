//! One transformer block: attention over normalised rows, then a two-layer perceptron, each added to what came in; with
//! names `query_norm` (shared as `key_value_norm`), `attn` and `mlp.{0,1,3}`.

use candle_core::{Result, Tensor};

use super::attention::{Attention, KeyValues};
use super::compute::Compute;
use super::kernels;
use super::linear::Linear;
use super::norm::LayerNorm;
use super::rope::Rope;
use super::rows;
use super::weights::Weights;

#[derive(Debug, Clone)]
pub(super) struct Block {
    norm: LayerNorm,
    attention: Attention,
    mlp_norm: LayerNorm,
    mlp: [Linear; 2],
    compute: Compute,
}

/// How the blocks of one stage are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockShape {
    pub(super) channels: usize,
    pub(super) heads: usize,
    pub(super) norm_bias: bool,
}

impl Block {
    /// `scaled`: whether queries are scaled with the number of keys.
    pub(super) fn new(shape: BlockShape, scaled: bool, weights: &Weights) -> Result<Self> {
        let BlockShape { channels, heads, norm_bias } = shape;
        let norm = LayerNorm::new(channels, norm_bias, &weights.at("query_norm"))?;
        norm.shared_with(&weights.at("key_value_norm"))?;
        let mlp = weights.at("mlp");
        Ok(Self {
            norm,
            attention: Attention::new(channels, heads, scaled, &weights.at("attn"))?,
            mlp_norm: LayerNorm::new(channels, norm_bias, &mlp.at(0))?,
            mlp: [Linear::new(channels, 2 * channels, &mlp.at(1))?, Linear::new(2 * channels, channels, &mlp.at(3))?],
            compute: weights.compute().clone(),
        })
    }

    /// What queries will read of `[batch, keys, channels]`.
    pub(super) fn key_values(&self, x: &Tensor) -> Result<KeyValues> {
        self.attention.key_values(&self.norm.forward(x)?)
    }

    /// Queries `[batch, queries, channels]` after reading `kept`.
    pub(super) fn forward(&self, x: &Tensor, kept: &KeyValues) -> Result<Tensor> {
        self.rest(x, &self.attention.forward(&self.norm.forward(x)?, kept)?)
    }

    /// The first `queries` of each batch's rows after reading all of them.
    pub(super) fn within(&self, x: &Tensor, queries: usize, rope: &Rope) -> Result<Tensor> {
        let read = self.attention.within(&self.norm.forward(x)?, queries, rope)?;
        self.rest(&x.narrow(1, 0, queries)?.contiguous()?, &read)
    }

    fn rest(&self, x: &Tensor, read: &Tensor) -> Result<Tensor> {
        let x = self.sum(read, x)?;
        self.sum(&self.mlp[1].forward(&self.mlp[0].gelu(&self.mlp_norm.forward(&x)?)?)?, &x)
    }

    fn sum(&self, x: &Tensor, other: &Tensor) -> Result<Tensor> {
        if !self.compute.is_loops() {
            return x.broadcast_add(other);
        }
        rows::read(other, |other| rows::change(x, |x| kernels::add(x, other)))?
    }
}
