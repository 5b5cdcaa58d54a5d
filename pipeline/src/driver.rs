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
use crate::publisher::{Acknowledged, Arrival, Beside, GiveUp, Parcel, Publisher, never, patiently};
use crate::scorer::Scorer;
use crate::world::{Failure, World};

/// An engine with its source and sink.
pub struct Driver {
    /// The engine.
    pub engine: Engine,
    /// Where changes come from.
    pub source: Box<dyn Source>,
    /// Where scores go; `None` while only the graph is built.
    publisher: Option<Publisher>,
    /// Asked while the loop waits for the sink.
    give_up: GiveUp,
    /// What was done so far.
    pub counts: Counts,
    /// What the source's next record waits for, if it does.
    pub waiting: Option<String>,
    /// Whether the sink tells where the source is, or the source itself.
    sink_tells: bool,
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
        let mut driver = Self::take_up(world, store, scorers, sink, source)?;
        driver.publish_rest()?;
        Ok(driver)
    }

    /// As [`Self::open`], with the sink on a thread of its own. `give_up` is asked while the loop has to wait for it.
    ///
    /// # Errors
    ///
    /// When store, source or sink cannot be used.
    pub(crate) fn beside(
        world: &World,
        store: &Arc<Store>,
        scorers: Vec<Arc<Scorer>>,
        sink: Box<dyn Sink>,
        give_up: GiveUp,
    ) -> Result<Self, Failure> {
        let mut driver = Self::take_up(world, store, scorers, Some(sink), world.source()?)?;
        if let Some(Publisher::Here(sink)) = driver.publisher.take() {
            driver.publisher = Some(Publisher::Beside(Beside::start(sink)));
        }
        driver.give_up = give_up;
        driver.publish_rest()?;
        Ok(driver)
    }

    fn take_up(
        world: &World,
        store: &Arc<Store>,
        scorers: Vec<Arc<Scorer>>,
        mut sink: Option<Box<dyn Sink>>,
        mut source: Box<dyn Source>,
    ) -> Result<Self, Failure> {
        let lateness = world.settings.source.lateness;
        let mut engine = Engine::open(Arc::clone(store), scorers, world.origin(), lateness)?;
        if let Some(sink) = &mut sink {
            while let Some(left) = patiently(|| sink.left(engine.bookmark()))? {
                engine.left(&left)?;
            }
        }
        source.seek(&store.positions())?;
        // A process before may have been killed between the store's commit and the telling.
        let known = store.positions().into_iter().filter(|position| source.reads(position));
        let moved = known.map(|position| ((position.topic, position.partition), position.offset)).collect();
        let sink_tells = sink.as_ref().is_some_and(|sink| sink.tells_positions());
        Ok(Self {
            engine,
            source,
            publisher: sink.map(Publisher::Here),
            give_up: never(),
            counts: Counts::default(),
            waiting: None,
            sink_tells,
            moved,
            names: metrics::Names::new(world),
        })
    }

    /// What was decided before and may not have been published.
    fn publish_rest(&mut self) -> Result<(), Failure> {
        let publish = self.engine.unpublished()?;
        self.publish(Outcome { publish, counts: Counts::default() }, None)
    }

    /// One round: what the source has now, then what is due. `now` is the wall clock, or `None` where event time is
    /// the clock. Returns whether the source is at its end.
    ///
    /// # Errors
    ///
    /// When store, source or sink fails.
    pub fn round(&mut self, now: Option<EventTime>, wait: Duration) -> Result<bool, Failure> {
        let acknowledged = self.publisher.as_mut().map(Publisher::collect).transpose()?.unwrap_or_default();
        self.forget(acknowledged);
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
            let at = Instant::now();
            let next = delivery.next.iter();
            self.moved.extend(next.map(|next| ((Arc::clone(&next.topic), next.partition), next.offset)));
            let outcome = self.engine.apply(delivery, now)?;
            self.publish(outcome, live.map(|known| Arrival { known, now, at, applied: at.elapsed() }))?;
        }
        self.due(now)?;
        if let Some(now) = now {
            let outcome = self.engine.sweep(now)?;
            self.publish(outcome, None)?;
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
        self.publish(outcome, None)?;
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
            self.publish(outcome, None)?;
            if !more {
                return Ok(());
            }
        }
    }

    fn publish(&mut self, outcome: Outcome, arrival: Option<Arrival>) -> Result<(), Failure> {
        self.names.counted(&outcome.counts, &self.engine);
        self.counts.add(&outcome.counts);
        if outcome.publish.is_empty() {
            return Ok(());
        }
        if let Some(publisher) = &mut self.publisher {
            let positions = positions(std::mem::take(&mut self.moved));
            let parcel = Parcel { batch: outcome.publish, positions, arrival };
            let acknowledged = publisher.publish(parcel, &mut self.give_up)?;
            self.forget(acknowledged);
        }
        Ok(())
    }

    fn forget(&mut self, acknowledged: Vec<Acknowledged>) {
        for Acknowledged { sequences, receipt } in acknowledged.into_iter().filter(|some| !some.sequences.is_empty()) {
            self.engine.published(sequences, receipt.bookmark);
        }
    }

    /// Records that are decided and not acknowledged yet.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.publisher.as_ref().map_or(0, Publisher::records)
    }

    /// What the source's next record or the sink waits for, if one does.
    #[must_use]
    pub fn waits_for(&self) -> Option<String> {
        self.waiting.clone().or_else(|| self.publisher.as_ref().and_then(Publisher::waits_for))
    }

    /// Shows how far the source is read to tools that watch it from outside, and sees to it that no other process
    /// publishes for the same application.
    ///
    /// # Errors
    ///
    /// When the sink refuses, or another process has begun. Nothing depends on what a source is told, so its refusal is
    /// only logged.
    pub fn report(&mut self, store: &Store) -> Result<(), Failure> {
        if let Some(publisher) = &mut self.publisher {
            publisher.report(positions(std::mem::take(&mut self.moved)))?;
        }
        if !self.sink_tells
            && let Err(error) = self.source.report(&store.positions())
        {
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
        if let Some(publisher) = &mut self.publisher {
            let acknowledged = publisher.finish(&mut self.give_up)?;
            self.forget(acknowledged);
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

fn positions(moved: BTreeMap<(Arc<str>, i32), i64>) -> Vec<Position> {
    let position = |((topic, partition), offset)| Position { topic, partition, offset };
    moved.into_iter().map(position).collect()
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
    let live = store.sequence().0 > 0 && world.settings.source.kind.is_live();
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
