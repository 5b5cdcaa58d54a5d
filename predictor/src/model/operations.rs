//! The network's parts in candle's operations, for devices that our own loops do not run on.

use candle_core::{D, DType, Result, Tensor};

use super::graph::Edges;
use super::rope::Rope;

/// Numbers of neighbours' vectors that are gathered at once.
const GATHERED: usize = 1 << 26;

/// Normalises the last axis to mean 0 and variance 1, then scales and shifts it.
pub(super) fn layer_norm(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    const EPSILON: f64 = 1e-5;
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = centred.broadcast_div(&(variance + EPSILON)?.sqrt()?)?.broadcast_mul(weight)?;
    bias.map_or(Ok(normed.clone()), |bias| normed.broadcast_add(bias))
}

/// `[batch, rows, channels]` to `[batch, heads, rows, head channels]`.
pub(super) fn split_heads(x: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, count, channels) = x.dims3()?;
    x.reshape((batch, count, heads, channels / heads))?.transpose(1, 2)?.contiguous()
}

/// Queries `[batch, queries, channels]` read keys and values `[batch, heads, keys, head channels]`; nought where there is
/// no key.
pub(super) fn attend(queries: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor> {
    let (batch, heads, count, _) = keys.dims4()?;
    if count == 0 {
        return queries.zeros_like();
    }
    let queries = queries.expand((batch, queries.dim(1)?, queries.dim(2)?))?.contiguous()?;
    read(&split_heads(&queries, heads)?, keys, values)
}

/// All in heads; the answer is `[batch, queries, channels]`.
fn read(queries: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor> {
    let (batch, heads, count, head) = queries.dims4()?;
    #[expect(clippy::cast_precision_loss, reason = "a head has few channels")]
    let scale = 1.0 / (head as f64).sqrt();
    let scores = (queries.matmul(&keys.transpose(2, 3)?.contiguous()?)? * scale)?;
    let scores = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    let shares = scores.broadcast_div(&scores.sum_keepdim(D::Minus1)?)?;
    shares.matmul(values)?.transpose(1, 2)?.contiguous()?.reshape((batch, count, heads * head))
}

/// Within each batch the first `count` rows read all rows. `all` is `[batch, rows, 3 channels]`: queries, keys, values.
pub(super) fn attend_within(all: &Tensor, count: usize, heads: usize, rope: &Rope) -> Result<Tensor> {
    let (_, length, width) = all.dims3()?;
    let channels = width / 3;
    let part = |index: usize| split_heads(&all.narrow(2, index * channels, channels)?.contiguous()?, heads);
    let (sines, cosines): (Vec<f32>, Vec<f32>) = rope.table(length).into_iter().unzip();
    let angles = |values: Vec<f32>| {
        let half = values.len() / length.max(1);
        Tensor::from_vec(values, (1, 1, length, half), all.device())
    };
    let (sines, cosines) = (angles(sines)?, angles(cosines)?);
    let turn = |x: &Tensor| {
        let half = x.dim(3)? / 2;
        let (first, second) = (x.narrow(3, 0, half)?.contiguous()?, x.narrow(3, half, half)?.contiguous()?);
        let turned_first = (first.broadcast_mul(&cosines)? - second.broadcast_mul(&sines)?)?;
        let turned_second = (second.broadcast_mul(&cosines)? + first.broadcast_mul(&sines)?)?;
        Tensor::cat(&[turned_first, turned_second], 3)
    };
    let queries = turn(&part(0)?)?.narrow(2, 0, count)?.contiguous()?;
    read(&queries, &turn(&part(1)?)?, &part(2)?)
}

/// The vectors `[rows, channels]` of the examples that own the rows; zeros where none does.
pub(super) fn of_owners(labels: &Tensor, owners: &[Option<u32>]) -> Result<Tensor> {
    let (count, channels) = labels.dims2()?;
    let none = u32::try_from(count).expect("examples are few");
    let places: Vec<u32> = owners.iter().map(|owner| owner.unwrap_or(none)).collect();
    let nought = Tensor::zeros((1, channels), labels.dtype(), labels.device())?;
    Tensor::cat(&[labels, &nought], 0)?.index_select(&Tensor::new(places, labels.device())?, 0)
}

/// The five summaries of the neighbours of each of some rows, `[rows, 5 channels]`; zeros where there are none.
pub(super) fn messages(sources: &Tensor, types: &Tensor, edges: &Edges, targets: &[usize]) -> Result<Tensor> {
    let channels = sources.dim(1)?;
    let degree = |target: &usize| edges.offsets[target + 1] - edges.offsets[*target];
    let most = targets.iter().map(degree).max().unwrap_or(0);
    if most == 0 {
        return Tensor::zeros((targets.len(), 5 * channels), DType::F32, sources.device());
    }
    let rows = (GATHERED / (most * channels)).max(1);
    let made = targets.chunks(rows).map(|targets| summaries(sources, types, edges, targets, most));
    Tensor::cat(&made.collect::<Result<Vec<_>>>()?, 0)
}

fn summaries(sources: &Tensor, types: &Tensor, edges: &Edges, targets: &[usize], most: usize) -> Result<Tensor> {
    /// Below this variance the spread counts as none.
    const VARIANCE_MIN: f64 = 1e-5;
    /// Beyond any vector's numbers.
    const FAR: f64 = 1e30;
    let (count, channels, device) = (targets.len(), sources.dim(1)?, sources.device());
    let [mut from, mut kinds] = [vec![0u32; count * most], vec![0u32; count * most]];
    let (mut is_there, mut degrees) = (vec![0.0f32; count * most], vec![0.0f32; count]);
    for (row, target) in targets.iter().enumerate() {
        for (place, edge) in (edges.offsets[*target]..edges.offsets[target + 1]).enumerate() {
            let place = row * most + place;
            from[place] = u32::try_from(edges.sources[edge]).expect("a graph has fewer rows");
            kinds[place] = u32::try_from(edges.kinds[edge]).expect("kinds are few");
            is_there[place] = 1.0;
            degrees[row] += 1.0;
        }
    }
    let gather = |x: &Tensor, places: Vec<u32>| x.index_select(&Tensor::new(places, device)?, 0);
    let values = (gather(sources, from)? + gather(types, kinds)?)?.reshape((count, most, channels))?;
    let is_there = Tensor::from_vec(is_there, (count, most, 1), device)?;
    let degrees = Tensor::from_vec(degrees, (count, 1), device)?;
    let (divisor, any) = (degrees.maximum(1.0)?, degrees.minimum(1.0)?);
    let total = values.broadcast_mul(&is_there)?.sum(1)?;
    let mean = total.broadcast_div(&divisor)?;
    let squares = values.sqr()?.broadcast_mul(&is_there)?.sum(1)?.broadcast_div(&divisor)?;
    let variance = (squares - mean.sqr()?)?;
    let spread = (variance.maximum(0.0)?.sqrt()? * variance.gt(VARIANCE_MIN)?.to_dtype(DType::F32)?)?;
    let far = is_there.affine(-FAR, FAR)?;
    let least = values.broadcast_add(&far)?.min(1)?.broadcast_mul(&any)?;
    let most = values.broadcast_sub(&far)?.max(1)?.broadcast_mul(&any)?;
    Tensor::cat(&[total, mean, spread, least, most], 1)
}
