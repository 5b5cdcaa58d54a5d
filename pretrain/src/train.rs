//! The training run: steps, their log, scores on the way, and a state from which it goes on as if it had never stopped.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use predictor::small::{Loss, Trainer, Weights};
use serde_json::{Value as Json, json};

use crate::Error;
use crate::development::{Development, Report};
use crate::dice::float;
use crate::recipe::Recipe;
use crate::stream::Stream;

/// The folder of a run.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`, made if it is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn open(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(Error::file(path))?;
        Ok(Self { path: path.to_owned() })
    }

    /// The recipe of the run.
    #[must_use]
    pub fn recipe(&self) -> PathBuf {
        self.path.join("recipe.toml")
    }

    /// The state to go on from.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    /// The weights.
    #[must_use]
    pub fn weights(&self) -> PathBuf {
        self.path.join("weights.safetensors")
    }

    /// The log, one JSON value per line.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("log.jsonl")
    }

    /// Writes a file whole or not at all.
    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let beside = path.with_extension("new");
        let mut file = fs::File::create(&beside).map_err(Error::file(&beside))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::file(&beside))?;
        fs::rename(&beside, path).map_err(Error::file(path))
    }
}

/// How a run is watched and kept; the weights do not depend on it.
#[derive(Debug, Clone)]
pub struct Watch {
    /// Threads that make databases.
    pub threads: usize,
    /// Where databases are kept while they are read.
    pub scratch: PathBuf,
    /// Steps between two entries of the log.
    pub log_every: u64,
    /// Steps between two saved states.
    pub save_every: u64,
    /// Steps between two scores on development tasks.
    pub score_every: u64,
    /// Development databases of each family; 0 for no scores.
    pub development: usize,
    /// Steps after which the run stops and saves, as if it had been interrupted.
    pub stop_after: Option<u64>,
}

/// What has happened since the last entry of the log.
#[derive(Debug)]
struct Tally {
    since: Instant,
    losses: Vec<f64>,
    norms: Vec<f64>,
    tasks: usize,
    skipped: usize,
    waited: f64,
}

impl Tally {
    fn new() -> Self {
        let (losses, norms) = (Vec::new(), Vec::new());
        Self { since: Instant::now(), losses, norms, tasks: 0, skipped: 0, waited: 0.0 }
    }

    fn add(&mut self, tasks: usize, loss: &Loss) {
        self.tasks += tasks;
        if loss.skipped {
            self.skipped += 1;
        } else {
            self.losses.push(loss.loss);
            self.norms.push(loss.gradient_norm);
        }
    }
}

/// Trains until the recipe's last step, or until `stop` is set; returns the steps taken in all. Goes on from the
/// folder's state where there is one.
///
/// # Errors
///
/// When a file cannot be used, or the network fails.
pub fn train(
    recipe: &Recipe,
    folder: &Folder,
    watch: &Watch,
    stop: &AtomicBool,
    say: &mut dyn FnMut(&str),
) -> Result<u64, Error> {
    let mut trainer = match fs::read(folder.state()) {
        Ok(bytes) => Trainer::from_bytes(&bytes)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Trainer::new(&recipe.config(), &recipe.schedule(), recipe.seed)?
        }
        Err(error) => return Err(Error::file(folder.state())(error)),
    };
    let path = folder.log();
    let mut log = fs::OpenOptions::new().create(true).append(true).open(&path).map_err(Error::file(&path))?;
    let development =
        (watch.development > 0).then(|| Development::draw(recipe, &recipe.config(), watch.development, &watch.scratch));
    let development = development.transpose()?;
    let first = trainer.steps();
    say(&format!(
        "step {first} of {}, {} development episodes",
        recipe.steps,
        development.as_ref().map_or(0, Development::len)
    ));
    let mut stream = Stream::start(&Arc::new(recipe.clone()), first, watch.threads, &watch.scratch);
    let last = watch.stop_after.map_or(recipe.steps, |steps| recipe.steps.min(first + steps));
    let mut tally = Tally::new();
    while trainer.steps() < last && !stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let batch = stream.next()?;
        tally.waited += asked.elapsed().as_secs_f64();
        tally.add(batch.len(), &trainer.step(&batch)?);
        let step = trainer.steps();
        let due = |every: u64| every > 0 && (step.is_multiple_of(every) || step == last);
        if due(watch.log_every) {
            let entry = entry(step, &tally);
            say(&line(step, recipe.steps, &entry));
            append(&mut log, &path, &entry)?;
            tally = Tally::new();
        }
        if due(watch.save_every) {
            save(folder, &trainer)?;
        }
        if let Some(development) = development.as_ref().filter(|_| due(watch.score_every)) {
            for report in development.reports(&trainer.weights())? {
                if report.family.is_none() {
                    say(&format!("  {}", report.line()));
                }
                append(&mut log, &path, &scored(step, &report))?;
            }
            tally.since = Instant::now();
        }
    }
    save(folder, &trainer)?;
    Ok(trainer.steps())
}

/// Scores weights, whatever their dimensions, on development tasks drawn by the recipe's seed.
///
/// # Errors
///
/// When a file cannot be used, or the network fails.
pub fn score(recipe: &Recipe, weights: &Path, databases: usize, scratch: &Path) -> Result<Vec<Report>, Error> {
    let bytes = fs::read(weights).map_err(Error::file(weights))?;
    let weights = Weights::from_bytes(&bytes)?;
    Development::draw(recipe, weights.config(), databases, scratch)?.reports(&weights)
}

fn save(folder: &Folder, trainer: &Trainer) -> Result<(), Error> {
    folder.put(&folder.weights(), &trainer.weights().to_bytes())?;
    folder.put(&folder.state(), &trainer.to_bytes())
}

fn entry(step: u64, tally: &Tally) -> Json {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / float(values.len().max(1));
    let seconds = tally.since.elapsed().as_secs_f64();
    json!({
        "kind": "loss",
        "step": step,
        "loss": mean(&tally.losses),
        "gradient_norm": mean(&tally.norms),
        "skipped": tally.skipped,
        "tasks": tally.tasks,
        "tasks_per_second": float(tally.tasks) / seconds.max(1e-9),
        "seconds": seconds,
        "seconds_waited_for_databases": tally.waited,
    })
}

fn line(step: u64, steps: u64, entry: &Json) -> String {
    let number = |name: &str| entry[name].as_f64().unwrap_or(f64::NAN);
    format!(
        "step {step} of {steps}: loss {:.4}, gradient {:.2}, {:.1} tasks/s, {:.0} % of the time waiting for databases",
        number("loss"),
        number("gradient_norm"),
        number("tasks_per_second"),
        100.0 * number("seconds_waited_for_databases") / number("seconds"),
    )
}

fn scored(step: u64, report: &Report) -> Json {
    let mut entry = json!({"kind": "development", "step": step});
    if let (Json::Object(entry), Json::Object(report)) = (&mut entry, report.json()) {
        entry.extend(report);
    }
    entry
}

fn append(log: &mut fs::File, path: &Path, entry: &Json) -> Result<(), Error> {
    writeln!(log, "{entry}").map_err(Error::file(path))
}
