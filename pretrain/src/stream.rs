//! The endless stream of training steps, made by several threads in an order that does not depend on them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use predictor::small::{Prepared, prepare};

use crate::Error;
use crate::bank::Bank;
use crate::database::Database;
use crate::dice::Dice;
use crate::family::Family;
use crate::recipe::Recipe;

/// Places of the seed's streams, so that nothing learned from is ever measured on.
pub(crate) const TRAINING: u64 = 1;
/// See [`TRAINING`].
pub(crate) const DEVELOPMENT: u64 = 2;

/// The episodes of one step, prepared.
pub(crate) type Batch = Vec<Prepared>;

/// Banks of a new database, as its place in the stream says.
///
/// # Errors
///
/// When the scratch folder cannot be used.
pub(crate) fn banks(recipe: &Recipe, dice: &mut Dice, family: Family, scratch: &Path) -> Result<Vec<Bank>, Error> {
    let world = family.draw(dice);
    let database = Database::fill(&world, scratch)?;
    let sizes: Vec<f64> = recipe.data.examples.iter().map(|(_, weight)| *weight).collect();
    let size = recipe.data.examples[dice.weighted(&sizes)].0;
    Bank::fill(&world, &database, dice, recipe.data.tasks, size)
}

/// The steps of one chunk: a function of recipe and number alone.
///
/// # Errors
///
/// When the scratch folder cannot be used.
pub(crate) fn chunk(recipe: &Recipe, number: u64, scratch: &Path) -> Result<Vec<Batch>, Error> {
    let mut all = Vec::new();
    for place in 0..recipe.data.databases {
        let mut dice = Dice::new(recipe.seed, &[TRAINING, number, place as u64]);
        let family = Family::any(&mut dice);
        all.extend(banks(recipe, &mut dice, family, scratch)?);
    }
    let step = |place: usize| {
        let mut dice = Dice::new(recipe.seed, &[TRAINING, number, (recipe.data.databases + place) as u64]);
        batch(recipe, &all, &mut dice).ok_or(Error::Barren { chunk: number })
    };
    (0..recipe.data.steps).map(step).collect()
}

/// Episodes of one size of context, each from another bank while there are any; a smaller size where no bank has enough
/// examples.
fn batch(recipe: &Recipe, banks: &[Bank], dice: &mut Dice) -> Option<Batch> {
    let data = &recipe.data;
    let weights: Vec<f64> = data.contexts.iter().map(|(_, weight)| *weight).collect();
    let wanted = data.contexts[dice.weighted(&weights)].0;
    let mut sizes: Vec<usize> = data.contexts.iter().map(|(size, _)| *size).filter(|size| *size <= wanted).collect();
    sizes.sort_unstable_by(|left, right| right.cmp(left));
    let config = recipe.config();
    for size in sizes {
        let most = (data.rows / (size + data.queries)).clamp(2, data.episodes);
        let mut found = Vec::new();
        for place in dice.shuffled(3 * banks.len()) {
            if found.len() == most {
                break;
            }
            let episode = banks[place % banks.len()].episode(dice, size, data.queries);
            found.extend(episode.and_then(|episode| prepare(&episode, &config, dice.bits())));
        }
        if !found.is_empty() {
            return Some(found);
        }
    }
    None
}

/// A thread that makes some of the chunks, and where they come out.
#[derive(Debug)]
struct Maker {
    chunks: Receiver<Result<Vec<Batch>, Error>>,
    thread: JoinHandle<()>,
}

/// Steps from a given one on.
#[derive(Debug)]
pub(crate) struct Stream {
    makers: Vec<Maker>,
    /// Whose turn it is.
    next: usize,
    /// What is left of the current chunk, last step first.
    left: Vec<Batch>,
    /// Steps of the first chunk that are taken already.
    skip: usize,
}

impl Stream {
    /// Starts `threads` threads that make the steps from `step` on.
    pub(crate) fn start(recipe: &Arc<Recipe>, step: u64, threads: usize, scratch: &Path) -> Self {
        let steps = recipe.data.steps as u64;
        let threads = threads.max(1);
        let maker = |place: usize| {
            // One chunk waits, one is being made.
            let (sender, chunks) = sync_channel(1);
            let (recipe, scratch): (_, PathBuf) = (Arc::clone(recipe), scratch.to_owned());
            let first = step / steps + place as u64;
            let work = move || {
                let mut number = first;
                while sender.send(chunk(&recipe, number, &scratch)).is_ok() {
                    number += threads as u64;
                }
            };
            Maker { chunks, thread: std::thread::spawn(work) }
        };
        let skip = usize::try_from(step % steps).expect("fewer than a chunk has");
        Self { makers: (0..threads).map(maker).collect(), next: 0, left: Vec::new(), skip }
    }

    /// The next step's episodes.
    ///
    /// # Errors
    ///
    /// When databases cannot be made.
    pub(crate) fn next(&mut self) -> Result<Batch, Error> {
        loop {
            if let Some(batch) = self.left.pop() {
                return Ok(batch);
            }
            let mut steps = self.makers[self.next].chunks.recv().map_err(|_| Error::Stopped)??;
            steps.drain(..std::mem::take(&mut self.skip));
            steps.reverse();
            self.left = steps;
            self.next = (self.next + 1) % self.makers.len();
        }
    }
}

impl Drop for Stream {
    /// Waits until every thread has noticed that nobody listens any more, so that no scratch folder stays behind.
    fn drop(&mut self) {
        for Maker { chunks, thread } in self.makers.drain(..) {
            drop(chunks);
            // A panic of the thread has been told as `Stopped` already.
            drop(thread.join());
        }
    }
}
