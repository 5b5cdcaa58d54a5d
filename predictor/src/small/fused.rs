//! Layers in one pass over their rows, on a processor in single precision: what `layers` composes from many, each with
//! a pass of its own. Training spends most of its time there.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Error, Layout, Result, Shape, Storage, Tensor, bail};

use super::attend::{attention, attention_gradient};
use super::dense::{rms_norm, scale};

/// Whether a tensor can take the short way.
pub(super) fn applies(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() == candle_core::DType::F32
}

/// Rows divided by the root of their mean square, times a gain.
pub(super) struct Norm;

/// Rows plus a bias, the negative ones of the sums set to zero.
pub(super) struct Raise;

/// Attention with these heads.
pub(super) struct Attend {
    pub(super) heads: usize,
}

impl CustomOp2 for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn cpu_fwd(&self, rows: &CpuStorage, rl: &Layout, gain: &CpuStorage, gl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, gain) = (plain(rows, rl)?, plain(gain, gl)?);
        let mut onto = Vec::with_capacity(rows.len());
        rms_norm(rows, gain, &mut onto);
        Ok((CpuStorage::F32(onto), rl.shape().clone()))
    }

    fn bwd(
        &self,
        rows: &Tensor,
        gain: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut of_gain = vec![0.0; gain.elem_count()];
        let of_rows = with([rows, gain, gradient], |[rows, gain, gradient]| {
            let mut onto = Vec::with_capacity(rows.len());
            let width = gain.len();
            for (row, gradient) in rows.chunks_exact(width).zip(gradient.chunks_exact(width)) {
                norm_gradient(row, gain, gradient, &mut onto, &mut of_gain);
            }
            onto
        })?;
        let of_rows = Tensor::from_vec(of_rows, rows.shape(), rows.device())?;
        Ok((Some(of_rows), Some(Tensor::from_vec(of_gain, gain.shape(), gain.device())?)))
    }
}

fn norm_gradient(row: &[f32], gain: &[f32], gradient: &[f32], onto: &mut Vec<f32>, of_gain: &mut [f32]) {
    let scale = scale(row);
    let mut along = 0.0;
    for (((value, gain), gradient), of_gain) in row.iter().zip(gain).zip(gradient).zip(of_gain) {
        let normed = value * scale;
        *of_gain += gradient * normed;
        along += normed * gain * gradient;
    }
    let along = along / float(row.len());
    let parts = row.iter().zip(gain).zip(gradient);
    onto.extend(parts.map(|((value, gain), gradient)| scale * (gain * gradient - value * scale * along)));
}

impl CustomOp2 for Raise {
    fn name(&self) -> &'static str {
        "raise"
    }

    fn cpu_fwd(&self, rows: &CpuStorage, rl: &Layout, bias: &CpuStorage, bl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, bias) = (plain(rows, rl)?, plain(bias, bl)?);
        let mut onto = Vec::with_capacity(rows.len());
        for row in rows.chunks_exact(bias.len()) {
            onto.extend(row.iter().zip(bias).map(|(value, bias)| (value + bias).max(0.0)));
        }
        Ok((CpuStorage::F32(onto), rl.shape().clone()))
    }

    fn bwd(
        &self,
        rows: &Tensor,
        bias: &Tensor,
        raised: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut of_bias = vec![0.0; bias.elem_count()];
        let of_rows = with([raised, gradient, bias], |[raised, gradient, bias]| {
            let mut onto = Vec::with_capacity(raised.len());
            let width = bias.len();
            for (raised, gradient) in raised.chunks_exact(width).zip(gradient.chunks_exact(width)) {
                let start = onto.len();
                let parts = raised.iter().zip(gradient);
                onto.extend(parts.map(|(raised, gradient)| if *raised > 0.0 { *gradient } else { 0.0 }));
                of_bias.iter_mut().zip(&onto[start..]).for_each(|(sum, part)| *sum += part);
            }
            onto
        })?;
        let of_rows = Tensor::from_vec(of_rows, rows.shape(), rows.device())?;
        Ok((Some(of_rows), Some(Tensor::from_vec(of_bias, bias.shape(), bias.device())?)))
    }
}

impl CustomOp3 for Attend {
    fn name(&self) -> &'static str {
        "attend"
    }

    fn cpu_fwd(
        &self,
        queries: &CpuStorage,
        ql: &Layout,
        keys: &CpuStorage,
        kl: &Layout,
        values: &CpuStorage,
        vl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (queries, keys, values) = (plain(queries, ql)?, plain(keys, kl)?, plain(values, vl)?);
        let (batch, _, width) = ql.shape().dims3()?;
        let mut mixed = Vec::with_capacity(queries.len());
        let parts = keys.chunks_exact(keys.len() / batch).zip(values.chunks_exact(values.len() / batch));
        for (queries, (keys, values)) in queries.chunks_exact(queries.len() / batch).zip(parts) {
            attention([queries, keys, values], width, self.heads, &mut mixed);
        }
        Ok((CpuStorage::F32(mixed), ql.shape().clone()))
    }

    fn bwd(
        &self,
        queries: &Tensor,
        keys: &Tensor,
        values: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (batch, many, width) = queries.dims3()?;
        let found = keys.dim(1)?;
        let gradients = with([queries, keys, values, gradient], |[queries, keys, values, gradient]| {
            let mut onto = [queries, keys, values].map(|slice| vec![0.0; slice.len()]);
            let [of_queries, of_keys, of_values] = &mut onto;
            for place in 0..batch {
                let (of_rows, of_found) = (
                    place * many * width..(place + 1) * many * width,
                    place * found * width..(place + 1) * found * width,
                );
                attention_gradient(
                    [
                        &queries[of_rows.clone()],
                        &keys[of_found.clone()],
                        &values[of_found.clone()],
                        &gradient[of_rows.clone()],
                    ],
                    [&mut of_queries[of_rows], &mut of_keys[of_found.clone()], &mut of_values[of_found]],
                    width,
                    self.heads,
                );
            }
            onto
        })?;
        let [of_queries, of_keys, of_values] = gradients;
        let tensor = |gradient, like: &Tensor| Tensor::from_vec(gradient, like.shape(), like.device()).map(Some);
        Ok((tensor(of_queries, queries)?, tensor(of_keys, keys)?, tensor(of_values, values)?))
    }
}

/// The numbers of a tensor that is stored row by row.
fn plain<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (Some((start, end)), CpuStorage::F32(values)) = (layout.contiguous_offsets(), storage) else {
        bail!("a fused layer takes contiguous tensors of single precision");
    };
    Ok(&values[start..end])
}

/// Works on the numbers of tensors, in place.
fn with<const N: usize, T>(tensors: [&Tensor; N], work: impl FnOnce([&[f32]; N]) -> T) -> Result<T> {
    let mut kept = Vec::with_capacity(N);
    for tensor in tensors {
        kept.push(tensor.contiguous()?);
    }
    let guards: Vec<_> = kept.iter().map(Tensor::storage_and_layout).collect();
    let mut slices = [&[] as &[f32]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        let Storage::Cpu(storage) = &**storage else {
            return Err(Error::Msg("a fused layer works on a processor".into()));
        };
        *slice = plain(storage, layout)?;
    }
    Ok(work(slices))
}

#[expect(clippy::cast_precision_loss, reason = "widths are small")]
fn float(number: usize) -> f32 {
    number as f32
}
