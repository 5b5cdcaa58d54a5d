//! `foreshore run`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use relational::EventTime;

use crate::cli::Run;
use crate::driver::Driver;
use crate::http::{self, Health};
use crate::metrics;
use crate::scorer::Scorer;
use crate::world::{Failure, World, now};

/// How long a round waits for changes: the longest that a stop or a due score is late.
const WAIT: Duration = Duration::from_millis(20);

/// How often gauges that cost a look at the store are set, and the positions are told to the consumer group.
const OBSERVE: Duration = Duration::from_secs(5);

/// How long a run that was asked to stop waits for the sink.
const GOODBYE: Duration = Duration::from_secs(10);

pub(super) fn run(arguments: &Run) -> Result<(), Failure> {
    let world = World::load(&arguments.common)?;
    let health = Arc::new(Health::default());
    // Metrics and signals first, so that a slow start can be watched and stopped.
    http::start(world.settings.http, Arc::clone(&health))?;
    metrics::describe();
    let store = world.open_store(world.settings.app.sync)?;
    let scorers = world.scorers(&store);
    let sink = world.sink(&store)?;
    let waiting = Arc::clone(&health);
    let give_up = Box::new(move |reason: &str| {
        waiting.progressed(false);
        waiting.waits_for(Some(reason));
        waiting.stopped_for(GOODBYE)
    });
    let mut driver = Driver::beside(&world, &store, scorers.clone(), sink, give_up)?;
    let reached = Arc::new(AtomicI64::new(driver.engine.watermark().0));
    let done = Arc::new(AtomicBool::new(false));
    let fitter = fit_ahead(scorers, Arc::clone(&reached), Arc::clone(&done));
    let mut observed = Instant::now();
    let result = loop {
        if health.stopping() {
            break Ok(());
        }
        match driver.round(Some(now()), WAIT) {
            Ok(caught_up) => {
                health.progressed(caught_up);
                health.waits_for(driver.waits_for().as_deref());
                reached.store(driver.engine.watermark().0, Ordering::Relaxed);
                if caught_up && arguments.until_caught_up {
                    break driver.due(Some(EventTime::MAX));
                }
            }
            Err(failure) => break Err(failure),
        }
        if observed.elapsed() >= OBSERVE {
            observed = Instant::now();
            metrics::observe(&store.statistics()?, driver.engine.watermark(), now(), driver.unacknowledged());
            if let Err(failure) = driver.report(&store) {
                break Err(failure);
            }
        }
    };
    done.store(true, Ordering::Relaxed);
    if let Err(failure) = &result {
        health.failed(failure);
    }
    let result = result.and_then(|()| driver.report(&store));
    // What is decided is in the outbox, so a failed last flush loses nothing; the first failure is the one to show.
    let finished = driver.finish();
    let result = result.and(finished);
    fitter.join().expect("the fitting thread does not panic, or the program stops with it");
    result
}

/// Fits the contexts that will be needed next while the loop goes on: a context is drawn a whole refresh step before
/// the first cutoff that uses it.
fn fit_ahead(scorers: Vec<Arc<Scorer>>, reached: Arc<AtomicI64>, done: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while !done.load(Ordering::Relaxed) {
            let newest = EventTime(reached.load(Ordering::Relaxed));
            for scorer in &scorers {
                if newest != EventTime::MIN
                    && let Err(error) = scorer.prepare(newest)
                {
                    tracing::error!(task = scorer.plan().task.name, "the next context cannot be fitted: {error}");
                }
            }
            thread::sleep(Duration::from_millis(100));
        }
    })
}
