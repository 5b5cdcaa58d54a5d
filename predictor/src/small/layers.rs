//! Layers for training. Only operations that candle can differentiate: its fused softmax and norms are not among them,
//! they cut the gradient without a word. On a processor the same layers go through `fused`.

use candle_core::{D, Result, Tensor};

use super::fused::{self, Attend, Norm, Raise};
use super::net::Block;

/// Added to a mean square before its root is taken.
pub(super) const SQUARE_MIN: f64 = 1e-5;
/// Attention over this many keys is as sharp as it was initialised.
pub(super) const KEYS_USUAL: f64 = 128.0;

/// Rows of numbers times a matrix, for any number of leading dimensions.
pub(super) fn linear(rows: &Tensor, matrix: &Tensor) -> Result<Tensor> {
    let mut shape = rows.dims().to_vec();
    let inputs = shape.pop().unwrap_or(1);
    let product = rows.reshape(((), inputs))?.matmul(matrix)?;
    shape.push(matrix.dim(1)?);
    product.reshape(shape)
}

/// Rows divided by the root of their mean square, times a gain per place.
pub(super) fn rms_norm(rows: &Tensor, gain: &Tensor) -> Result<Tensor> {
    if fused::applies(rows) { rows.apply_op2(gain, Norm) } else { composed_norm(rows, gain) }
}

pub(super) fn composed_norm(rows: &Tensor, gain: &Tensor) -> Result<Tensor> {
    let scale = (rows.sqr()?.mean_keepdim(D::Minus1)? + SQUARE_MIN)?.sqrt()?.recip()?;
    rows.broadcast_mul(&scale)?.broadcast_mul(gain)
}

/// Rows plus a bias, the negative ones of the sums set to zero.
pub(super) fn raise(rows: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if fused::applies(rows) { rows.apply_op2(bias, Raise) } else { composed_raise(rows, bias) }
}

pub(super) fn composed_raise(rows: &Tensor, bias: &Tensor) -> Result<Tensor> {
    rows.broadcast_add(bias)?.relu()
}

/// Rows that are not negative and add up to 1.
pub(super) fn softmax(rows: &Tensor) -> Result<Tensor> {
    let greatest = rows.max_keepdim(D::Minus1)?.detach();
    let raised = rows.broadcast_sub(&greatest)?.exp()?;
    raised.broadcast_div(&raised.sum_keepdim(D::Minus1)?)
}

/// For each query the mean of the values, weighted by how well the keys go with it, head by head.
///
/// `queries` are batch × queries × width, scaled already; keys and values batch × keys × width.
pub(super) fn attention(queries: &Tensor, keys: &Tensor, values: &Tensor, heads: usize) -> Result<Tensor> {
    if fused::applies(queries) {
        return queries.apply_op3(keys, values, Attend { heads });
    }
    composed_attention(queries, keys, values, heads)
}

pub(super) fn composed_attention(queries: &Tensor, keys: &Tensor, values: &Tensor, heads: usize) -> Result<Tensor> {
    if heads == 1 {
        return softmax(&queries.matmul(&keys.t()?)?)?.matmul(values);
    }
    let apart = |tensor: &Tensor| -> Result<Tensor> {
        let (batch, rows, width) = tensor.dims3()?;
        let parted = tensor.reshape((batch, rows, heads, width / heads))?.transpose(1, 2)?.contiguous()?;
        parted.reshape((batch * heads, rows, width / heads))
    };
    let (batch, rows, width) = queries.dims3()?;
    let mixed = softmax(&apart(queries)?.matmul(&apart(keys)?.t()?)?)?.matmul(&apart(values)?)?;
    mixed.reshape((batch, heads, rows, width / heads))?.transpose(1, 2)?.reshape((batch, rows, width))
}

impl Block<Tensor> {
    /// Lets rows look at each other: the keys are the first `keys` of each batch entry, `None` for all; the answer
    /// has the rows from `from` on.
    pub(super) fn among(&self, rows: &Tensor, heads: usize, keys: Option<usize>, from: usize) -> Result<Tensor> {
        let normed = rms_norm(rows, &self.norm)?;
        let all = rows.dim(1)?;
        let queries = if from == 0 { normed.clone() } else { normed.narrow(1, from, all - from)?.contiguous()? };
        let rows = if from == 0 { rows.clone() } else { rows.narrow(1, from, all - from)?.contiguous()? };
        let source = match keys {
            Some(keys) if keys < all => normed.narrow(1, 0, keys)?.contiguous()?,
            _ => normed,
        };
        self.attend(&rows, &queries, &source, heads)
    }

    /// Lets rows look at others, the same number for each batch entry. `rows` without a batch of their own serve all.
    pub(super) fn at(&self, rows: &Tensor, others: &Tensor, heads: usize) -> Result<Tensor> {
        let gain = self.norm_keys.as_ref().unwrap_or(&self.norm);
        let source = rms_norm(others, gain)?;
        self.attend(rows, &rms_norm(rows, &self.norm)?, &source, heads)
    }

    fn attend(&self, rows: &Tensor, queries: &Tensor, source: &Tensor, heads: usize) -> Result<Tensor> {
        let (batch, keys, width) = source.dims3()?;
        let queries = linear(queries, &self.scaled_query(heads, keys)?)?;
        let spread = |tensor: &Tensor| -> Result<Tensor> {
            if tensor.rank() == 3 {
                Ok(tensor.clone())
            } else {
                tensor.unsqueeze(0)?.broadcast_as((batch, tensor.dim(0)?, width))?.contiguous()
            }
        };
        let (keys, values) = (linear(source, &self.key)?, linear(source, &self.value)?);
        let mixed = attention(&spread(&queries)?, &keys, &values, heads)?;
        let rows = (spread(rows)? + linear(&mixed, &self.out)?)?;
        let raised = raise(&linear(&rms_norm(&rows, &self.norm_alone)?, &self.up)?, &self.up_bias)?;
        rows + linear(&raised, &self.down)?
    }

    /// The query matrix, with the root of the head's width and the sharpness for this many keys in it.
    fn scaled_query(&self, heads: usize, keys: usize) -> Result<Tensor> {
        let width = self.query.dim(1)?;
        let scale = 1.0 / float(width / heads).sqrt();
        let Some(sharpness) = &self.sharpness else { return &self.query * scale };
        let scale = scale * float(keys).max(2.0).ln() / KEYS_USUAL.ln();
        let per_head = (sharpness.reshape((1, heads, 1))? * scale)?;
        self.query.reshape((width, heads, width / heads))?.broadcast_mul(&per_head)?.reshape((width, width))
    }
}

#[expect(clippy::cast_precision_loss, reason = "dimensions are small")]
pub(super) fn float(number: usize) -> f64 {
    number as f64
}
