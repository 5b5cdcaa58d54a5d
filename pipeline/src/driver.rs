//! The loop around the engine: poll, apply, publish, acknowledge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use graph_store::{Keyspace, Store};
use indicatif::ProgressBar;
use ingest::Source;
use relational::{EventTime, Position, limits};
use sinks::Sink;

use crate::engine::{Counts, Engine, Outcome};
use crate::metrics;
use crate::output;
use crate::scorer::Scorer;
use crate::world::{Failure, World};

/// An engine with its source and sink.
pub struct Driver {
    /// The engine.
    pub engine: Engine,
    /// Where changes come from.
    pub source: Box<dyn Source>,
    /// Where scores go; `None` while only the graph is built.
    pub sink: Option<Box<dyn Sink>>,
    /// What was done so far.
    pub counts: Counts,
    /// What the source's next record waits for, if it does.
    pub waiting: Option<String>,
    /// Where the source has moved to since the sink was last told.
    moved: BTreeMap<(Arc<str>, i32), i64>,
    names: metrics::Names,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("engine", &self.engine).field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Driver {
    /// Takes up where the store stands: what has left since is taken in, the source continues where the store is, and
    /// what was decided but not published is published.
    ///
    /// # Errors
    ///
    /// When store, source or sink cannot be used.
    pub fn open(
        world: &World,
        store: &Arc<Store>,
        scorers: Vec<Arc<Scorer>>,
        sink: Option<Box<dyn Sink>>,
    ) -> Result<Self, Failure> {
        Self::with_source(world, store, scorers, sink, world.source()?)
    }

    /// As [`Self::open`], with another source than the config's.
    ///
    /// # Errors
    ///
    /// When store, source or sink cannot be used.
    pub fn with_source(
        world: &World,
        store: &Arc<Store>,
        scorers: Vec<Arc<Scorer>>,
        sink: Option<Box<dyn Sink>>,
        source: Box<dyn Source>,
    ) -> Result<Self, Failure> {
        let lateness = world.settings.source.lateness;
        let engine = Engine::open(Arc::clone(store), scorers, world.origin(), lateness)?;
        let names = metrics::Names::new(world);
        let (counts, moved) = (Counts::default(), BTreeMap::new());
        let mut driver = Self { engine, source, sink, counts, waiting: None, moved, names };
        if let Some(sink) = &mut driver.sink {
            while let Some(left) = sink.left(driver.engine.bookmark())? {
                driver.engine.left(&left)?;
            }
        }
        driver.source.seek(&store.positions())?;
        let publish = driver.engine.unpublished()?;
        driver.publish(Outcome { publish, counts: Counts::default() })?;
        Ok(driver)
    }

    /// One round: what the source has now, then what is due. `now` is the wall clock, or `None` where event time is
    /// the clock. Returns whether the source is at its end.
    ///
    /// # Errors
    ///
    /// When store, source or sink fails.
    pub fn round(&mut self, now: Option<EventTime>, wait: Duration) -> Result<bool, Failure> {
        // First what was due when the last process stopped: on event time, it belongs before the next change.
        self.due(now)?;
        let delivery = self.source.poll(limits::BATCH_CHANGES_MAX, wait)?;
        let caught_up = delivery.caught_up;
        self.names.delivered(&delivery);
        self.waiting.clone_from(&delivery.waiting);
        if delivery.changes.is_empty() && delivery.dead_letters.is_empty() && delivery.next.is_empty() {
            self.engine.stand(delivery.behind);
        } else {
            // Latencies are those of a live run.
            let live = now.map(|_| delivery.changes.iter().map(|change| change.known).collect::<Vec<EventTime>>());
            let started = Instant::now();
            let next = delivery.next.iter();
            self.moved.extend(next.map(|next| ((Arc::clone(&next.topic), next.partition), next.offset)));
            let outcome = self.engine.apply(delivery, now)?;
            let (applied, scored) = (started.elapsed(), !outcome.publish.is_empty());
            self.publish(outcome)?;
            if let Some(known) = live.filter(|_| scored) {
                metrics::round(&known, now, applied, started.elapsed());
            }
        }
        self.due(now)?;
        if let Some(now) = now {
            let outcome = self.engine.sweep(now)?;
            self.publish(outcome)?;
        }
        Ok(caught_up)
    }

    /// Applies changes that came another way than through the source, on event time.
    ///
    /// # Errors
    ///
    /// When store or sink fails.
    pub fn apply(&mut self, delivery: ingest::Delivery) -> Result<(), Failure> {
        let outcome = self.engine.apply(delivery, None)?;
        self.publish(outcome)?;
        self.due(Some(EventTime::MAX))
    }

    /// Makes all scores that are due.
    ///
    /// # Errors
    ///
    /// When store or sink fails.
    pub fn due(&mut self, now: Option<EventTime>) -> Result<(), Failure> {
        loop {
            let clock = now.unwrap_or_else(|| self.engine.newest());
            let (outcome, more) = self.engine.tick(clock)?;
            self.publish(outcome)?;
            if !more {
                return Ok(());
            }
        }
    }

    fn publish(&mut self, outcome: Outcome) -> Result<(), Failure> {
        self.names.counted(&outcome.counts, &self.engine);
        self.counts.add(&outcome.counts);
        if outcome.publish.is_empty() {
            return Ok(());
        }
        if let Some(sink) = &mut self.sink {
            let receipt = sink.publish(&outcome.publish, &positions(&self.moved))?;
            self.moved.clear();
            self.engine.published(&outcome.publish, receipt.bookmark);
            metrics::published(&receipt);
        }
        Ok(())
    }

    /// Shows how far the source is read to tools that watch it from outside.
    ///
    /// # Errors
    ///
    /// When the sink refuses. Nothing depends on what a source is told, so its refusal is only logged.
    pub fn report(&mut self, store: &Store) -> Result<(), Failure> {
        let reported = self.sink.as_mut().map(|sink| sink.report(&positions(&self.moved))).transpose()?;
        if reported == Some(true) {
            self.moved.clear();
        } else if let Err(error) = self.source.report(&store.positions()) {
            tracing::warn!("the positions cannot be reported: {error}");
        }
        Ok(())
    }

    /// Completes what was published.
    ///
    /// # Errors
    ///
    /// When store or sink fails.
    pub fn finish(&mut self) -> Result<(), Failure> {
        if let Some(sink) = &mut self.sink {
            sink.flush()?;
        }
        // A last empty commit forgets what was published.
        self.engine.apply(ingest::Delivery::default(), None)?;
        Ok(())
    }

    /// Runs the source to its end on event time, and then makes what still waits.
    ///
    /// # Errors
    ///
    /// When store, source or sink fails.
    pub fn to_the_end(&mut self, bar: &ProgressBar) -> Result<(), Failure> {
        loop {
            let caught_up = self.round(None, Duration::from_millis(100))?;
            let (done, total) = self.source.progress();
            total.iter().for_each(|total| bar.set_length(*total));
            bar.set_position(done);
            if caught_up {
                break;
            }
        }
        // The input has ended, so no burst can go on: what waits for quiet is due.
        self.due(Some(EventTime::MAX))?;
        self.finish()
    }
}

fn positions(moved: &BTreeMap<(Arc<str>, i32), i64>) -> Vec<Position> {
    let position = |((topic, partition), offset): (&(Arc<str>, i32), &i64)| Position {
        topic: Arc::clone(topic),
        partition: *partition,
        offset: *offset,
    };
    moved.iter().map(position).collect()
}

const COMPLETE: &[u8] = b"replay-complete";

/// Whether the whole input has been replayed into this store.
///
/// # Errors
///
/// When the store cannot be read.
pub fn is_complete(store: &Store) -> Result<bool, graph_store::Error> {
    Ok(store.get(Keyspace::Context, COMPLETE)?.is_some())
}

/// Notes that the whole input has been replayed.
///
/// # Errors
///
/// When the store fails.
pub fn set_complete(store: &Store) -> Result<(), graph_store::Error> {
    let mut transaction = store.begin();
    transaction.put(Keyspace::Context, COMPLETE.to_vec(), vec![1]);
    transaction.commit()
}

/// Builds the graph from the input when that has not been done to the end yet: `score` and `labels` on half of a
/// history would be wrong without looking it. Returns how many records were refused.
///
/// # Errors
///
/// When store or source fails.
pub fn ensure_replayed(world: &World, store: &Arc<Store>) -> Result<u64, Failure> {
    let live = store.sequence().0 > 0 && world.settings.source.kind == crate::config::RawSourceKind::Kafka;
    if is_complete(store)? || live {
        return Ok(0);
    }
    let bar = output::progress("replaying", None);
    let mut driver = Driver::open(world, store, Vec::new(), None)?;
    driver.to_the_end(&bar)?;
    bar.finish_and_clear();
    set_complete(store)?;
    Ok(driver.counts.rejected_total())
}
