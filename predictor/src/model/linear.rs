//! Linear maps: `y = x Wᵀ + b`, with names `weight` (shape `[out, in]`) and `bias`.

use candle_core::{Result, Tensor};

use super::kernels;
use super::product::Packed;
use super::rows;
use super::weights::Weights;

/// A linear map over the last axis.
#[derive(Debug, Clone)]
pub(super) enum Linear {
    /// For our own loops.
    Panels(Panels),
    /// For candle's operations: the weight transposed, `[in, out]`.
    Tensors { weight: Tensor, bias: Option<Tensor> },
}

/// A map whose weight is packed for our own loops.
#[derive(Debug, Clone)]
pub(super) struct Panels {
    weight: Packed,
    bias: Option<Vec<f32>>,
}

impl Linear {
    pub(super) fn new(input: usize, output: usize, weights: &Weights) -> Result<Self> {
        let [map] = Self::parts(input, [output], weights)?;
        Ok(map)
    }

    pub(super) fn without_bias(input: usize, output: usize, weights: &Weights) -> Result<Self> {
        Self::of(&weights.get("weight", &[output, input])?, None, weights)
    }

    /// The parts of one tensor that make different outputs: a map for each range.
    pub(super) fn parts<const N: usize>(input: usize, outputs: [usize; N], weights: &Weights) -> Result<[Self; N]> {
        let total = outputs.iter().sum();
        let weight = weights.get("weight", &[total, input])?;
        let bias = weights.get("bias", &[total])?;
        let mut start = 0;
        let parts = outputs.map(|count| {
            let first = start;
            start += count;
            let part = |tensor: &Tensor| tensor.narrow(0, first, count)?.contiguous();
            Self::of(&part(&weight)?, Some(part(&bias)?), weights)
        });
        let parts: Vec<Self> = parts.into_iter().collect::<Result<_>>()?;
        Ok(parts.try_into().expect("there are as many parts as ranges"))
    }

    /// `weight` is `[out, in]`.
    fn of(weight: &Tensor, bias: Option<Tensor>, weights: &Weights) -> Result<Self> {
        if !weights.compute().is_loops() {
            return Ok(Self::Tensors { weight: weight.t()?.contiguous()?, bias });
        }
        let inputs = weight.dim(1)?;
        let bias = bias.map(|bias| bias.to_vec1()).transpose()?;
        Ok(Self::Panels(Panels { weight: rows::read(weight, |weight| Packed::of_outputs(weight, inputs))?, bias }))
    }

    /// `[.., in]` to `[.., out]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Panels(panels) => panels.shaped(x, panels.map(x)?),
            Self::Tensors { weight, bias } => {
                let mut shape = x.dims().to_vec();
                let inputs = shape.pop().expect("a map's input has axes");
                shape.push(weight.dim(1)?);
                let made = x.contiguous()?.reshape(((), inputs))?.matmul(weight)?;
                bias.as_ref().map_or(Ok(made.clone()), |bias| made.broadcast_add(bias))?.reshape(shape)
            }
        }
    }

    /// The map followed by GELU.
    pub(super) fn gelu(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Panels(panels) => panels.shaped(x, panels.gelu(x)?),
            Self::Tensors { .. } => self.forward(x)?.gelu_erf(),
        }
    }
}

impl Panels {
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

    fn gelu(&self, x: &Tensor) -> Result<Vec<f32>> {
        let mut product = self.product(x)?;
        match &self.bias {
            Some(bias) => kernels::add_bias_gelu(&mut product, bias),
            None => kernels::gelu(&mut product),
        }
        Ok(product)
    }

    fn shaped(&self, x: &Tensor, values: Vec<f32>) -> Result<Tensor> {
        let mut shape = x.dims().to_vec();
        *shape.last_mut().expect("a map's input has axes") = self.weight.outputs;
        Tensor::from_vec(values, shape, x.device())
    }
}
