//! A training state's file: resuming from it gives the same bytes as not stopping.

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::net::{Slot, slots};
use super::optimiser::Optimiser;
use super::{Config, Error, Schedule, Trainer};

const PARTS: [&str; 4] = ["weights", "means", "squares", "average"];
/// The name of the only entry of the metadata: config, schedule and steps taken, parted by `|`.
const REGIME: &str = "regime";

impl Trainer {
    /// The whole state, as a safetensors file. Equal states give equal bytes.
    ///
    /// # Panics
    ///
    /// Never: every part has one number per weight.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Optimiser { schedule, taken, parts, .. } = &self.optimiser;
        let bytes: Vec<Vec<u8>> =
            parts.iter().map(|part| part.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
        let views = PARTS.into_iter().zip(&bytes).map(|(name, bytes)| {
            (name, TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes).expect("four bytes a number"))
        });
        let regime = format!("{}|{}|{taken}", self.config.to_text(), schedule.to_text());
        let metadata = [(REGIME.to_string(), regime)].into_iter().collect();
        safetensors::serialize(views, Some(metadata)).expect("every part is complete")
    }

    /// Reads what [`Trainer::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// When it is not such a file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let unreadable = |error: safetensors::SafeTensorError| Error::format(format!("not a training state: {error}"));
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let regime = metadata.metadata().as_ref().and_then(|entries| entries.get(REGIME));
        let regime = regime.ok_or_else(|| Error::format("the training state has no `regime`"))?;
        let [config, schedule, taken] = regime.split('|').collect::<Vec<&str>>()[..] else {
            return Err(Error::format(format!("the regime `{regime}` has not three parts")));
        };
        let (config, schedule) = (Config::parse(config)?, Schedule::parse(schedule)?);
        let taken = taken.parse().map_err(|_| Error::format(format!("`{taken}` is no number of steps")))?;
        let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let slots = slots(&config);
        let wanted: usize = slots.iter().map(Slot::size).sum();
        let mut parts = PARTS.map(|_| Vec::new());
        for (name, part) in PARTS.into_iter().zip(&mut parts) {
            let view = file.tensor(name).map_err(unreadable)?;
            if view.dtype() != Dtype::F32 || view.shape() != [wanted] {
                let shape = view.shape();
                return Err(Error::format(format!(
                    "`{name}` of the training state has {shape:?} numbers, not {wanted}"
                )));
            }
            let numbers =
                view.data().chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
            part.extend(numbers);
        }
        Ok(Self { config, optimiser: Optimiser::from_parts(&slots, schedule, taken, parts) })
    }
}
