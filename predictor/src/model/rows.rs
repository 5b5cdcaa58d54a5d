//! Tensors as rows of numbers, and tiles of fixed size that are worked on in parallel.

use candle_core::{Result, Storage, Tensor, bail};
use rayon::prelude::*;

/// Runs `work` on the numbers of a contiguous tensor.
pub(super) fn read<R>(tensor: &Tensor, work: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else { bail!("the loops of the model run on the CPU") };
    let Some((start, end)) = layout.contiguous_offsets() else { bail!("the tensor is not contiguous") };
    Ok(work(&storage.as_slice::<f32>()?[start..end]))
}

/// The numbers of a tensor, and what `work` makes of them, in the same shape.
pub(super) fn change(tensor: &Tensor, work: impl FnOnce(&mut [f32])) -> Result<Tensor> {
    let mut values = read(tensor, <[f32]>::to_vec)?;
    work(&mut values);
    Tensor::from_vec(values, tensor.shape(), tensor.device())
}

/// Applies `work` to tiles of `size` along the first axis, the last one smaller, in parallel, and puts the results back
/// together. The tiles do not depend on how many threads there are.
pub(super) fn tiles(tensor: &Tensor, size: usize, work: impl Fn(&Tensor) -> Result<Tensor> + Sync) -> Result<Tensor> {
    let length = tensor.dim(0)?;
    if length <= size {
        return work(tensor);
    }
    let starts: Vec<usize> = (0..length).step_by(size).collect();
    let tile = |start: &usize| work(&tensor.narrow(0, *start, size.min(length - start))?.contiguous()?);
    let made: Vec<Tensor> = starts.par_iter().map(tile).collect::<Result<_>>()?;
    Tensor::cat(&made, 0)
}

/// `work` for each of `0..count`, in parallel and in order.
pub(super) fn each<R: Send>(count: usize, work: impl Fn(usize) -> Result<R> + Sync + Send) -> Result<Vec<R>> {
    (0..count).into_par_iter().map(work).collect()
}
