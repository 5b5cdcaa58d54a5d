//! What computes a network: our own loops on the processor, or candle's operations on a device.
//!
//! The loops give an answer the same bits whatever is asked beside it. A device's products choose their blocks by shape, so
//! that the last bits of its answers change with the batch; both agree with the reference package to rounding.

use candle_core::{Device, Result, Tensor};
use thiserror::Error;

use super::rows;

/// A device's tiles are so many times larger than those of one processor core.
const DEVICE_TILES: usize = 32;

/// Why a device is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// The program was built without the feature.
    #[error("this program was built without GPUs: build it with `cargo build --release -p pipeline --features cuda`")]
    NotBuilt,
    /// The driver refuses.
    #[error("the GPU {number} cannot be used: {reason}")]
    Refused {
        /// Its number.
        number: usize,
        /// Why not.
        reason: String,
    },
}

/// What computes a network.
#[derive(Debug, Clone)]
pub struct Compute(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Loops,
    Operations(Device),
}

impl Compute {
    /// The processor, with our own loops.
    #[must_use]
    pub fn processor() -> Self {
        Self(Kind::Loops)
    }

    /// The GPU of this number, with candle's operations.
    ///
    /// # Errors
    ///
    /// When the program was built without GPUs, or the driver refuses.
    pub fn gpu(number: usize) -> std::result::Result<Self, DeviceError> {
        if !cfg!(feature = "cuda") {
            return Err(DeviceError::NotBuilt);
        }
        let refused = |error: candle_core::Error| DeviceError::Refused { number, reason: error.to_string() };
        Ok(Self(Kind::Operations(Device::new_cuda(number).map_err(refused)?)))
    }

    /// candle's operations on the processor: what runs on a GPU, for tests without one.
    #[cfg(test)]
    pub(super) fn operations() -> Self {
        Self(Kind::Operations(Device::Cpu))
    }

    pub(super) fn is_loops(&self) -> bool {
        matches!(self.0, Kind::Loops)
    }

    pub(super) fn device(&self) -> &Device {
        match &self.0 {
            Kind::Loops => &Device::Cpu,
            Kind::Operations(device) => device,
        }
    }

    /// `work` for each of `0..count`, in order: on the processor in parallel.
    pub(super) fn each<R: Send>(
        &self,
        count: usize,
        work: impl Fn(usize) -> Result<R> + Sync + Send,
    ) -> Result<Vec<R>> {
        if self.is_loops() { rows::each(count, work) } else { (0..count).map(work).collect() }
    }

    /// Applies `work` to tiles along the first axis and puts the results back together: on the processor in parallel.
    /// The tiles do not depend on how many threads there are.
    pub(super) fn tiles(
        &self,
        tensor: &Tensor,
        size: usize,
        work: impl Fn(&Tensor) -> Result<Tensor> + Sync,
    ) -> Result<Tensor> {
        if self.is_loops() {
            return rows::tiles(tensor, size, work);
        }
        let (length, size) = (tensor.dim(0)?, size * DEVICE_TILES);
        if length <= size {
            return work(tensor);
        }
        let tile = |start: usize| work(&tensor.narrow(0, start, size.min(length - start))?.contiguous()?);
        Tensor::cat(&(0..length).step_by(size).map(tile).collect::<Result<Vec<_>>>()?, 0)
    }
}
