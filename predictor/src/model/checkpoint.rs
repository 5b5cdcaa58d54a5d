//! Checkpoints on disk: `classifier` and `regressor`, as the reference package writes them (`.pt`) or as safetensors,
//! and a `config.json` with their dimensions.
//!
//! Layout of `config.json`: `{"classifier": {…}, "regressor": {…}}`, each part with the fields of [`Config`]. What it
//! does not give is read off the tensors' shapes. A network is loaded whole or not at all.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::{Map, Value};
use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

use super::compute::Compute;
use super::config::Config;
use super::member::Model;
use super::network::Network;
use super::weights::{Faults, Weights};

/// The two networks of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Answers with classes.
    Classifier,
    /// Answers with numbers.
    Regressor,
}

impl Part {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Classifier, Self::Regressor];

    /// The name of its file, without an ending.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Classifier => "classifier",
            Self::Regressor => "regressor",
        }
    }
}

/// Why a checkpoint is not loaded.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// Neither format of the part is in the folder.
    #[error(
        "{folder} holds no {part}.safetensors and no {part}.pt: download `{part}.pt` and `config.json` of the model \
         `nvidia/Kumo-Relational`, put them into one folder, and give that folder"
    )]
    Absent {
        /// The folder.
        folder: String,
        /// The part that is wanted.
        part: &'static str,
    },
    /// A file cannot be read.
    #[error("{file} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why not.
        reason: String,
    },
    /// The dimensions do not make a network.
    #[error("the dimensions of {file} do not make a network: {reason}")]
    Dimensions {
        /// The file.
        file: String,
        /// Why not.
        reason: String,
    },
    /// The tensors are not those that the dimensions ask for.
    #[error("{file} is not a whole network: {}", Listed(.faults))]
    Faulty {
        /// The file.
        file: String,
        /// What is wrong.
        faults: Faults,
    },
}

/// Faults in one line: the first few names of each kind.
struct Listed<'a>(&'a Faults);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [("missing", &self.0.missing), ("extra", &self.0.extra), ("wrong", &self.0.wrong)];
        let mut between = "";
        for (kind, names) in kinds.iter().filter(|(_, names)| !names.is_empty()) {
            let more = if names.len() > 3 { ", ..." } else { "" };
            let first = names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
            write!(out, "{between}{} {kind} ({first}{more})", names.len())?;
            between = "; ";
        }
        Ok(())
    }
}

/// A part of a checkpoint as it lies in its folder.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The file.
    pub file: PathBuf,
    /// The dimensions.
    pub config: Config,
    tensors: BTreeMap<String, Tensor>,
}

impl Checkpoint {
    /// Reads one part of the checkpoint in `folder`.
    ///
    /// # Errors
    ///
    /// When it is not there, is not readable, or its dimensions do not make a network.
    pub fn read(folder: &Path, part: Part) -> Result<Self, CheckpointError> {
        let name = part.name();
        let [converted, published] = [".safetensors", ".pt"].map(|ending| folder.join(format!("{name}{ending}")));
        let unreadable = |file: &Path, reason: String| CheckpointError::Unreadable { file: shown(file), reason };
        let (file, tensors): (PathBuf, BTreeMap<String, Tensor>) = if converted.exists() {
            let read = candle_core::safetensors::load(&converted, &Device::Cpu);
            let read = read.map_err(|error| unreadable(&converted, error.to_string()))?;
            (converted, read.into_iter().collect())
        } else if published.exists() {
            let read = candle_core::pickle::read_all(&published);
            let read = read.map_err(|error| unreadable(&published, error.to_string()))?;
            (published, read.into_iter().collect())
        } else {
            return Err(CheckpointError::Absent { folder: shown(folder), part: name });
        };
        let config = config(folder, part, &tensors)?;
        let dimensions = |reason| CheckpointError::Dimensions { file: shown(&file), reason };
        config.check().map_err(dimensions)?;
        Ok(Self { file, config, tensors })
    }

    /// How many numbers the tensors hold.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.tensors.values().map(Tensor::elem_count).sum()
    }

    /// The tensors' names and shapes.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.dims()))
    }

    #[cfg(test)]
    pub(super) fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    #[cfg(test)]
    pub(super) fn tensors_mut(&mut self) -> &mut BTreeMap<String, Tensor> {
        &mut self.tensors
    }

    /// The network, whole, to be computed by `compute`.
    ///
    /// # Errors
    ///
    /// With every name that is missing, extra or of another shape.
    pub fn load(&self, compute: &Compute) -> Result<Model, CheckpointError> {
        let file = shown(&self.file);
        let unreadable = |reason| CheckpointError::Unreadable { file: file.clone(), reason };
        match Network::new(&self.config, Weights::new(self.tensors.clone(), compute.clone())) {
            Ok(Ok(network)) => {
                let digest = digest(&self.tensors).map_err(|error| unreadable(error.to_string()))?;
                Ok(Model { config: self.config.clone(), network, digest })
            }
            Ok(Err(faults)) => Err(CheckpointError::Faulty { file, faults }),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    /// Writes the part as safetensors into `folder`, which the next reading prefers.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path, part: Part) -> Result<PathBuf, CheckpointError> {
        let file = folder.join(format!("{}.safetensors", part.name()));
        let unwritable = |reason: String| CheckpointError::Unreadable { file: shown(&file), reason };
        let pairs = self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
        let bytes = safetensors::serialize(pairs, None).map_err(|error| unwritable(error.to_string()))?;
        std::fs::write(&file, bytes).map_err(|error| unwritable(error.to_string()))?;
        Ok(file)
    }
}

/// Writes `config.json` with the dimensions of these parts; other entries of the file stay.
///
/// # Errors
///
/// When the file cannot be read or written.
pub fn write_config(folder: &Path, parts: &[(Part, Config)]) -> Result<(), CheckpointError> {
    let file = folder.join("config.json");
    let unwritable = |reason: String| CheckpointError::Unreadable { file: shown(&file), reason };
    let mut whole = description(folder)?;
    for (part, config) in parts {
        let value = serde_json::to_value(config).map_err(|error| unwritable(error.to_string()))?;
        whole.insert(part.name().to_owned(), value);
    }
    let text = serde_json::to_string_pretty(&whole).map_err(|error| unwritable(error.to_string()))?;
    std::fs::write(&file, text + "\n").map_err(|error| unwritable(error.to_string()))
}

/// Of names, shapes and numbers, whatever the format of the file.
fn digest(tensors: &BTreeMap<String, Tensor>) -> candle_core::Result<u64> {
    let mut hasher = Xxh3::new();
    for (name, tensor) in tensors {
        (name, tensor.dims()).hash(&mut hasher);
        let numbers = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        numbers.iter().for_each(|number| hasher.update(&number.to_le_bytes()));
    }
    Ok(hasher.digest())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn description(folder: &Path) -> Result<Map<String, Value>, CheckpointError> {
    let file = folder.join("config.json");
    if !file.exists() {
        return Ok(Map::new());
    }
    let unreadable = |reason: String| CheckpointError::Unreadable { file: shown(&file), reason };
    let text = std::fs::read_to_string(&file).map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))
}

/// What `config.json` says, and what the shapes say where it does not.
fn config(folder: &Path, part: Part, tensors: &BTreeMap<String, Tensor>) -> Result<Config, CheckpointError> {
    let file = shown(&folder.join("config.json"));
    let written = description(folder)?;
    let own = written.get(part.name()).and_then(Value::as_object);
    if let Some(Ok(config)) = own.map(|own| serde_json::from_value(Value::Object(own.clone()))) {
        return Ok(config);
    }
    let shapes = tensors.iter().map(|(name, tensor)| (name.clone(), tensor.dims().to_vec())).collect();
    let found = Config::of_shapes(&shapes);
    let found = found.map_err(|reason| CheckpointError::Dimensions { file: file.clone(), reason })?;
    let reason =
        |error: serde_json::Error| CheckpointError::Dimensions { file: file.clone(), reason: error.to_string() };
    let mut whole: Map<String, Value> = serde_json::to_value(found).and_then(serde_json::from_value).map_err(reason)?;
    for (name, value) in own.unwrap_or(&Map::new()) {
        whole.insert(name.clone(), value.clone());
    }
    serde_json::from_value(Value::Object(whole)).map_err(reason)
}
