//! Encoded contexts as bytes, so that they outlive a restart.
//!
//! Layout, little-endian: the version (1 byte), then for each estimator its tables' summaries, its edge types and what its
//! in-context block reads. A list is its length (8 bytes) and its items, an optional thing a list of at most one; counts
//! have 8 bytes, class numbers and floats 4. What is cheap to make again from the examples (the recipes) is not kept.

use candle_core::{Device, Tensor};

use super::network::NetworkContext;

/// It rises with the layout, and when the same examples and weights come to be encoded into other numbers.
const VERSION: u8 = 1;

/// What can be written and read back, bit for bit.
pub(super) trait Keep: Sized {
    /// Appends itself. `None` where it lies on a device: that is not kept.
    fn keep(&self, onto: &mut Vec<u8>) -> Option<()>;

    /// Takes itself off the front. `None` where the bytes are something else.
    fn restore(from: &mut &[u8]) -> Option<Self>;
}

/// The contexts of all estimators.
pub(super) fn write(contexts: &[&NetworkContext]) -> Option<Vec<u8>> {
    let mut bytes = vec![VERSION];
    contexts.len().keep(&mut bytes)?;
    contexts.iter().try_for_each(|context| context.keep(&mut bytes))?;
    Some(bytes)
}

/// What [`write()`] wrote, whole.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<NetworkContext>> {
    let (version, mut rest) = bytes.split_first()?;
    let contexts: Vec<NetworkContext> = Keep::restore(&mut rest)?;
    (*version == VERSION && rest.is_empty()).then_some(contexts)
}

fn bytes<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

impl Keep for usize {
    fn keep(&self, onto: &mut Vec<u8>) -> Option<()> {
        onto.extend(u64::try_from(*self).ok()?.to_le_bytes());
        Some(())
    }

    fn restore(from: &mut &[u8]) -> Option<Self> {
        Self::try_from(u64::from_le_bytes(bytes(from)?)).ok()
    }
}

impl Keep for u32 {
    fn keep(&self, onto: &mut Vec<u8>) -> Option<()> {
        onto.extend(self.to_le_bytes());
        Some(())
    }

    fn restore(from: &mut &[u8]) -> Option<Self> {
        bytes(from).map(Self::from_le_bytes)
    }
}

impl Keep for f32 {
    fn keep(&self, onto: &mut Vec<u8>) -> Option<()> {
        onto.extend(self.to_le_bytes());
        Some(())
    }

    fn restore(from: &mut &[u8]) -> Option<Self> {
        bytes(from).map(Self::from_le_bytes)
    }
}

impl<T: Keep> Keep for Vec<T> {
    fn keep(&self, onto: &mut Vec<u8>) -> Option<()> {
        self.len().keep(onto)?;
        self.iter().try_for_each(|item| item.keep(onto))
    }

    fn restore(from: &mut &[u8]) -> Option<Self> {
        let length = usize::restore(from)?;
        // A wrong length ends with the bytes, not with the memory.
        let mut items = Self::with_capacity(length.min(from.len() / size_of::<T>().max(1)));
        for _ in 0..length {
            items.push(T::restore(from)?);
        }
        Some(items)
    }
}

impl<T: Keep> Keep for Option<T> {
    fn keep(&self, onto: &mut Vec<u8>) -> Option<()> {
        usize::from(self.is_some()).keep(onto)?;
        self.iter().try_for_each(|item| item.keep(onto))
    }

    fn restore(from: &mut &[u8]) -> Option<Self> {
        match usize::restore(from)? {
            0 => Some(None),
            1 => T::restore(from).map(Some),
            _ => None,
        }
    }
}

/// A matrix on the processor.
impl Keep for Tensor {
    fn keep(&self, onto: &mut Vec<u8>) -> Option<()> {
        let (rows, columns) = self.dims2().ok()?;
        let values: Vec<f32> = self.flatten_all().ok()?.to_vec1().ok()?;
        rows.keep(onto)?;
        columns.keep(onto)?;
        values.keep(onto)
    }

    fn restore(from: &mut &[u8]) -> Option<Self> {
        let (rows, columns) = (usize::restore(from)?, usize::restore(from)?);
        let values = Vec::<f32>::restore(from)?;
        if rows.checked_mul(columns)? != values.len() {
            return None;
        }
        Self::from_vec(values, (rows, columns), &Device::Cpu).ok()
    }
}
