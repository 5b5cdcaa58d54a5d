//! Linear maps: `y = x Wᵀ + b`, with names `weight` (shape `[out, in]`) and `bias`.

use candle_core::{Result, Tensor};

use super::kernels;
use super::product::Packed;
use super::rows;
use super::weights::Weights;

/// A linear map over the last axis.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    weight: Packed,
    bias: Option<Vec<f32>>,
}

impl Linear {
    pub(super) fn new(input: usize, output: usize, weights: &Weights) -> Result<Self> {
        let bias = Some(weights.get("bias", &[output])?.to_vec1()?);
        Ok(Self { bias, ..Self::without_bias(input, output, weights)? })
    }

    pub(super) fn without_bias(input: usize, output: usize, weights: &Weights) -> Result<Self> {
        let weight = weights.get("weight", &[output, input])?;
        Ok(Self { weight: rows::read(&weight, |weight| Packed::of_outputs(weight, input))?, bias: None })
    }

    /// The parts of one tensor that make different outputs: a map for each range.
    pub(super) fn parts<const N: usize>(input: usize, outputs: [usize; N], weights: &Weights) -> Result<[Self; N]> {
        let total = outputs.iter().sum();
        let weight: Vec<f32> = weights.get("weight", &[total, input])?.flatten_all()?.to_vec1()?;
        let bias: Vec<f32> = weights.get("bias", &[total])?.to_vec1()?;
        let mut start = 0;
        Ok(outputs.map(|count| {
            let range = start..start + count;
            start += count;
            Self {
                weight: Packed::of_outputs(&weight[range.start * input..range.end * input], input),
                bias: Some(bias[range].to_vec()),
            }
        }))
    }

    /// `[.., in]` to `[.., out]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.shaped(x, self.map(x)?)
    }

    /// The map followed by GELU.
    pub(super) fn gelu(&self, x: &Tensor) -> Result<Tensor> {
        let mut product = self.product(x)?;
        match &self.bias {
            Some(bias) => kernels::add_bias_gelu(&mut product, bias),
            None => kernels::gelu(&mut product),
        }
        self.shaped(x, product)
    }

    /// The map's numbers, row by row.
    pub(super) fn map(&self, x: &Tensor) -> Result<Vec<f32>> {
        let mut product = self.product(x)?;
        self.bias.iter().for_each(|bias| kernels::add_bias(&mut product, bias));
        Ok(product)
    }

    /// The product alone.
    pub(super) fn product(&self, x: &Tensor) -> Result<Vec<f32>> {
        rows::read(x, |x| self.weight.multiply(x))
    }

    /// The bias, for a caller that adds it itself.
    pub(super) fn bias(&self) -> &[f32] {
        self.bias.as_deref().unwrap_or_default()
    }

    fn shaped(&self, x: &Tensor, values: Vec<f32>) -> Result<Tensor> {
        let mut shape = x.dims().to_vec();
        *shape.last_mut().expect("a map's input has axes") = self.weight.outputs;
        Tensor::from_vec(values, shape, x.device())
    }
}
