//! The folder of fine-tuned weights: `weights.safetensors`, and `fine-tuned.json`, which says of what task they are and
//! how good they were.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use predictor::small::{Corrector, FoldScore, Gain, Weights};
use relational::EventTime;
use serde::{Deserialize, Serialize};
use thiserror::Error;

const WEIGHTS: &str = "weights.safetensors";
const RECORD: &str = "fine-tuned.json";
const VERSION: u32 = 1;

/// The network of one task.
#[derive(Debug, Clone)]
pub struct TunedNetwork {
    /// Corrects baselines.
    pub network: Corrector,
    /// Names the weights.
    pub digest: u64,
}

/// What is known of the weights. Digests are 16 hex digits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this format.
    pub version: u32,
    /// The task's name.
    pub task: String,
    /// Its query in canonical form: weights of another query are refused.
    pub query: String,
    /// The weights that training began with.
    pub base: String,
    /// These weights.
    pub weights: String,
    /// Decided every draw.
    pub seed: u64,
    /// Nothing after this time was read.
    pub until: String,
    /// Labelled examples that were learned from.
    pub examples: usize,
    /// Steps of training.
    pub steps: u64,
    /// How good weights were that were trained in the same way before each fold, oldest first.
    pub folds: Vec<FoldRecord>,
    /// By how much less they lost than the weights that training began with.
    pub gain: GainRecord,
    /// By how much less they lost than the baseline alone.
    pub gain_over_baseline: GainRecord,
}

/// One fold; losses are means in nats, or pinball loss averaged over the levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldRecord {
    /// The earliest anchor.
    pub from: String,
    /// The latest anchor.
    pub to: String,
    /// Examples that had matured before it.
    pub matured: usize,
    /// Its own examples.
    pub asked: usize,
    /// Steps of training.
    pub steps: u64,
    /// Loss of the fine-tuned weights.
    pub fine_tuned: f64,
    /// Loss of the weights that training began with.
    pub shipped: f64,
    /// Loss of the baseline alone.
    pub baseline: f64,
}

/// A mean and its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GainRecord {
    /// Over the examples of all folds.
    pub mean: f64,
    /// Examples taken as independent.
    pub standard_error: f64,
}

impl From<&FoldScore> for FoldRecord {
    fn from(fold: &FoldScore) -> Self {
        let [from, to] = [fold.anchors.0, fold.anchors.1].map(|anchor: EventTime| anchor.to_string());
        let FoldScore { matured, asked, steps, tuned: fine_tuned, shipped, anchor: baseline, .. } = *fold;
        Self { from, to, matured, asked, steps, fine_tuned, shipped, baseline }
    }
}

impl From<Gain> for GainRecord {
    fn from(gain: Gain) -> Self {
        Self { mean: gain.mean, standard_error: gain.error }
    }
}

/// Why weights cannot be used.
#[derive(Debug, Error)]
pub enum TunedError {
    /// A file cannot be read.
    #[error("{}: {error}; `foreshore fine-tune` writes such a folder", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is not what `fine-tune` writes.
    #[error("{}: {what}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// A digest in text.
#[must_use]
pub fn digest_text(digest: u64) -> String {
    format!("{digest:016x}")
}

/// Writes weights and record: each file whole or not at all, the record last.
///
/// # Errors
///
/// When a file cannot be written.
pub fn write(folder: &Path, weights: &Weights, record: &Record) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    put(&folder.join(WEIGHTS), &weights.to_bytes())?;
    let mut text = serde_json::to_string_pretty(record)?;
    text.push('\n');
    put(&folder.join(RECORD), text.as_bytes())
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = fs::File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// Reads the weights for a query in canonical form.
///
/// # Errors
///
/// When the folder does not hold both files whole, or the weights are of another query.
pub fn read(folder: &Path, query: &str) -> Result<TunedNetwork, TunedError> {
    let file = folder.join(RECORD);
    let bytes = bytes_of(&file)?;
    let wrong = |file: &Path, what: String| TunedError::Format { file: file.to_owned(), what };
    let record: Record = serde_json::from_slice(&bytes).map_err(|error| wrong(&file, error.to_string()))?;
    if record.version != VERSION {
        return Err(wrong(&file, format!("its version is {}, and {VERSION} is known", record.version)));
    }
    if record.query != query {
        let what = format!("the weights were fine-tuned for `{}`, and the task asks `{query}`", record.query);
        return Err(wrong(&file, what));
    }
    let file = folder.join(WEIGHTS);
    let weights = Weights::from_bytes(&bytes_of(&file)?).map_err(|error| wrong(&file, error.to_string()))?;
    let digest = weights.digest();
    if digest_text(digest) != record.weights {
        return Err(wrong(&file, format!("it is not the file that {RECORD} was written with")));
    }
    let until = EventTime::parse(&record.until)
        .ok_or_else(|| wrong(&folder.join(RECORD), format!("`{}` is no time", record.until)))?;
    Ok(TunedNetwork { network: Corrector::fine_tuned(&weights, until), digest })
}

fn bytes_of(file: &Path) -> Result<Vec<u8>, TunedError> {
    fs::read(file).map_err(|error| TunedError::File { file: file.to_owned(), error })
}

impl Record {
    /// The version that is written.
    pub const VERSION: u32 = VERSION;
}
