//! What computes the relational model.

use predictor::model::{Compute, DeviceError};
use tracing::warn;

/// The config's `app.device`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The first GPU where the program was built for GPUs and one is there, else the processor.
    Auto,
    /// The processor.
    Cpu,
    /// The GPU of this number.
    Cuda(usize),
}

impl Device {
    /// `auto`, `cpu` or `cuda:` and a number.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "cpu" => Some(Self::Cpu),
            _ => text.strip_prefix("cuda:")?.parse().ok().map(Self::Cuda),
        }
    }

    /// Makes it ready.
    ///
    /// # Errors
    ///
    /// When a GPU is asked for by its number and cannot be used.
    pub fn open(self) -> Result<Compute, DeviceError> {
        match self {
            Self::Cpu => Ok(Compute::processor()),
            Self::Cuda(number) => Compute::gpu(number),
            Self::Auto => Ok(Compute::gpu(0).unwrap_or_else(|reason| {
                if reason != DeviceError::NotBuilt {
                    warn!(%reason, "the processor computes instead");
                }
                Compute::processor()
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named() {
        assert_eq!(Device::parse("auto"), Some(Device::Auto));
        assert_eq!(Device::parse("cpu"), Some(Device::Cpu));
        assert_eq!(Device::parse("cuda:1"), Some(Device::Cuda(1)));
        for text in ["cuda", "cuda:first", "cuda:-1", "gpu"] {
            assert_eq!(Device::parse(text), None, "{text}");
        }
    }

    #[test]
    fn without_gpus_there_is_always_the_processor() {
        assert!(Device::Auto.open().is_ok() && Device::Cpu.open().is_ok());
    }
}
