//! The network's numbers, and their file.

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::net::{Slot, slots};
use super::{Config, Error};

/// The name of the config among a file's metadata.
const CONFIG: &str = "config";

/// All weights of a network, in single precision, in the order of its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    config: Config,
    values: Vec<f32>,
}

impl Weights {
    /// Weights of a network, in the order of its slots.
    pub(super) fn new(config: Config, values: Vec<f32>) -> Self {
        debug_assert_eq!(values.len(), slots(&config).iter().map(Slot::size).sum::<usize>(), "one number per weight");
        Self { config, values }
    }

    /// Those in the binary.
    ///
    /// # Panics
    ///
    /// Never: a test reads them.
    #[must_use]
    pub fn shipped() -> Self {
        let bytes = include_bytes!("../../weights/foreshore-small.safetensors");
        Self::from_bytes(bytes).expect("a test reads the weights in the binary")
    }

    /// Equal digests mean equal weights.
    #[must_use]
    pub fn digest(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(&self.to_bytes())
    }

    /// The dimensions of the network.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    /// A safetensors file: one tensor per part, the config in its metadata. Equal weights give equal bytes.
    ///
    /// # Panics
    ///
    /// Never: every part has as many numbers as its shape says.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes: Vec<u8> = self.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut start = 0;
        let views = slots(&self.config).into_iter().map(|slot| {
            let end = start + 4 * slot.size();
            let view = TensorView::new(Dtype::F32, slot.shape.to_vec(), &bytes[start..end]);
            start = end;
            (slot.name, view.expect("as many bytes as the shape says"))
        });
        // One entry only: more would be written in no fixed order.
        let metadata = [(CONFIG.to_string(), self.config.to_text())].into_iter().collect();
        safetensors::serialize(views, Some(metadata)).expect("every tensor is complete")
    }

    /// Reads what [`Weights::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// When it is not such a file, or a tensor is missing, of another shape, too many, or holds a number that is not
    /// finite: half a network is never loaded.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let unreadable = |error: safetensors::SafeTensorError| Error::format(format!("not a weights file: {error}"));
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let config = metadata.metadata().as_ref().and_then(|entries| entries.get(CONFIG));
        let config = Config::parse(config.ok_or_else(|| Error::format("the weights file has no `config`"))?)?;
        let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let slots = slots(&config);
        if let Some(name) = file.names().into_iter().find(|name| slots.iter().all(|slot| slot.name != *name)) {
            return Err(Error::format(format!("the network has no tensor `{name}`")));
        }
        let mut values = Vec::new();
        for slot in &slots {
            read(&file, slot, &mut values)?;
        }
        Ok(Self { config, values })
    }
}

fn read(file: &SafeTensors<'_>, slot: &Slot, onto: &mut Vec<f32>) -> Result<(), Error> {
    let Slot { name, shape, .. } = slot;
    let view = file.tensor(name).map_err(|_| Error::format(format!("the weights file lacks the tensor `{name}`")))?;
    if view.dtype() != Dtype::F32 || view.shape() != shape {
        let (found, kind) = (view.shape(), view.dtype());
        return Err(Error::format(format!("the tensor `{name}` is {found:?} of {kind:?}, not {shape:?} of F32")));
    }
    let numbers = view.data().chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let start = onto.len();
    onto.extend(numbers);
    match onto[start..].iter().position(|value| !value.is_finite()) {
        Some(place) => Err(Error::format(format!("number {place} of the tensor `{name}` is not finite"))),
        None => Ok(()),
    }
}
