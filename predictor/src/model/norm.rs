//! Layer normalisation over the last axis, with names `weight` and, in the classifier, `bias`.

use candle_core::{Result, Tensor};

use super::kernels;
use super::operations;
use super::rows;
use super::weights::Weights;

#[derive(Debug, Clone)]
pub(super) struct LayerNorm {
    weight: Tensor,
    bias: Option<Tensor>,
    is_loops: bool,
}

impl LayerNorm {
    pub(super) fn new(channels: usize, has_bias: bool, weights: &Weights) -> Result<Self> {
        let weight = weights.get("weight", &[channels])?;
        let bias = if has_bias { Some(weights.get("bias", &[channels])?) } else { None };
        Ok(Self { weight, bias, is_loops: weights.compute().is_loops() })
    }

    /// Notes where the tensors under another name differ from these.
    pub(super) fn shared_with(&self, weights: &Weights) -> Result<()> {
        weights.same("weight", &self.weight)?;
        self.bias.as_ref().map_or(Ok(()), |bias| weights.same("bias", bias))
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !self.is_loops {
            return operations::layer_norm(x, &self.weight, self.bias.as_ref());
        }
        let norm = |bias: Option<&[f32]>| {
            rows::read(&self.weight, |weight| rows::read(x, |rows| kernels::layer_norm(rows, weight, bias)))?
        };
        let values = match &self.bias {
            Some(bias) => rows::read(bias, |bias| norm(Some(bias)))?,
            None => norm(None),
        };
        Tensor::from_vec(values?, x.shape(), x.device())
    }
}
