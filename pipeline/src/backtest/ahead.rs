//! Contexts are drawn and fitted beside the scoring, ahead of the questions that they answer: neither waits for the other
//! unless it has to, and what they say does not depend on it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use relational::AsOf;

use crate::scorer::{FittedContext, Moment, Panel};

/// Contexts that wait for their questions, beside the one in use and the one in the making.
const WAITING: usize = 1;

/// What answers the questions of one moment.
pub(super) struct Drawn {
    pub(super) moment: Moment,
    /// The context of each member; `None` where there is no labelled past.
    pub(super) contexts: Option<Vec<Arc<FittedContext>>>,
    /// How long that of the first member took, if it was not at hand.
    pub(super) took: Duration,
}

/// The contexts that were wanted, in that order.
pub(super) struct Ahead(Receiver<Result<Drawn, predictor::Error>>);

impl Ahead {
    /// The next of them.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    ///
    /// # Panics
    ///
    /// When more are asked for than were wanted.
    pub(super) fn next(&self) -> Result<Drawn, predictor::Error> {
        self.0.recv().expect("as many are asked for as were wanted, and their thread does not panic")
    }
}

/// Does `work`, which asks for the contexts that answer within each of `wanted` in turn.
pub(super) fn with_contexts<R>(panel: &Panel, wanted: &[AsOf], work: impl FnOnce(&Ahead) -> R) -> R {
    thread::scope(|scope| {
        let (made, taken) = sync_channel(WAITING);
        scope.spawn(move || {
            // Work that ends early takes no more.
            wanted.iter().map(|as_of| draw(panel, *as_of)).try_for_each(|drawn| made.send(drawn))
        });
        // Moved into the closure, so that the thread hears when the work has ended.
        let ahead = Ahead(taken);
        work(&ahead)
    })
}

fn draw(panel: &Panel, as_of: AsOf) -> Result<Drawn, predictor::Error> {
    let started = Instant::now();
    panel.first().context(as_of)?;
    let took = started.elapsed();
    Ok(Drawn { moment: panel.first().moment(as_of), contexts: panel.contexts(as_of)?, took })
}
