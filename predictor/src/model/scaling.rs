//! Query-aware scalable softmax (QASSMax, arXiv 2602.11139): queries grow with the number of keys.
//!
//! `q̃ = q · MLP_scale(log n) · (1 + tanh(MLP_gate(q)))`, the first per head and channel, the second per query and head,
//! with names `scale.{0,2}` and `gate.{0,2}`.

use candle_core::{Device, Result, Tensor};

use super::kernels;
use super::linear::Linear;
use super::rows;
use super::weights::Weights;

/// Width of the hidden layers, which the published architecture does not vary.
const HIDDEN: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct QassMax {
    scale: [Linear; 2],
    gate: [Linear; 2],
    head_channels: usize,
    device: Device,
}

impl QassMax {
    pub(super) fn new(channels: usize, heads: usize, weights: &Weights) -> Result<Self> {
        let head = channels / heads;
        let pair = |name: &str, input, output| -> Result<[Linear; 2]> {
            let weights = weights.at(name);
            Ok([Linear::new(input, HIDDEN, &weights.at(0))?, Linear::new(HIDDEN, output, &weights.at(2))?])
        };
        let device = weights.compute().device().clone();
        Ok(Self { scale: pair("scale", 1, channels)?, gate: pair("gate", head, head)?, head_channels: head, device })
    }

    /// The scale of every head and channel among `keys` keys.
    pub(super) fn scale(&self, keys: usize) -> Result<Tensor> {
        #[expect(clippy::cast_precision_loss, reason = "the reference takes the logarithm in 32 bits too")]
        let log = (keys.max(1) as f32).ln();
        let log = Tensor::from_vec(vec![log], (1, 1), &self.device)?;
        self.scale[1].forward(&self.scale[0].gelu(&log)?)
    }

    /// Scaled queries `[.., channels]`.
    pub(super) fn forward(&self, queries: &Tensor, scale: &Tensor) -> Result<Tensor> {
        let heads = queries.reshape(((), self.head_channels))?;
        let hidden = self.gate[0].gelu(&heads)?;
        let Linear::Panels(gate) = &self.gate[1] else {
            let gates = (self.gate[1].forward(&hidden)?.tanh()? + 1.0)?.reshape(queries.shape())?;
            return queries.mul(&gates)?.broadcast_mul(scale);
        };
        let (gates, bias) = (gate.product(&hidden)?, gate.bias());
        rows::read(scale, |scale| rows::change(queries, |queries| kernels::modulate(queries, &gates, bias, scale)))?
    }
}
