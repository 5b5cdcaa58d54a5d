//! The pure engine: deliveries and the time come in, what is to be published comes out. No clock, no network, no
//! environment; its store is its only input and output.

mod counts;
mod dirty;
mod due;
mod published;
mod schedule;

use std::collections::BTreeSet;
use std::sync::Arc;

use graph_store::{Applied, Keyspace, Store, Transaction};
use ingest::Delivery;
use relational::{AsOf, Change, DeadLetter, EventTime, Key, Op, Position, Reason, Stage};
use sinks::{DeadLetterRecord, Origin, Outgoing};
use thiserror::Error;

pub use counts::{Counts, Skip};
pub use dirty::{Due, Queue, TaskEntity};
use schedule::Schedule;

use crate::config::Emit;
use crate::scorer::Scorer;

/// The engine cannot go on.
#[derive(Debug, Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] graph_store::Error),
    /// Labels, features or the model could not be read.
    #[error(transparent)]
    Predictor(#[from] predictor::Error),
}

/// What one call decided.
#[derive(Debug, Default)]
pub struct Outcome {
    /// To be published, in this order; already in the store's outbox under these sequences.
    pub publish: Vec<(u64, Outgoing)>,
    /// What was done.
    pub counts: Counts,
}

/// Changes in, scores out.
#[derive(Debug)]
pub struct Engine {
    store: Arc<Store>,
    scorers: Vec<Arc<Scorer>>,
    origin: Origin,
    queue: Queue,
    schedules: Vec<Option<Schedule>>,
    newest: EventTime,
    next_outbox: u64,
    acknowledged: Vec<u64>,
}

/// A change that was applied.
#[derive(Clone, Copy)]
struct Seen<'a> {
    change: &'a Change,
    applied: &'a Applied,
    late: bool,
    now: EventTime,
}

/// One score to be made.
#[derive(Debug, Clone)]
struct Job {
    task: usize,
    entity: Key,
    as_of: AsOf,
    reason: Reason,
    trigger: Option<Position>,
}

impl Engine {
    /// An engine that goes on where the store stands. `newest` of the store is the event time it begins at.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn open(store: Arc<Store>, scorers: Vec<Arc<Scorer>>, origin: Origin) -> Result<Self, Error> {
        let queue = Queue::load(&store)?;
        let indices = 0..u16::try_from(scorers.len()).expect("a config has fewer than 65,536 tasks");
        let schedules = indices.map(|task| Schedule::load(&store, task)).collect::<Result<_, _>>()?;
        let next_outbox = next_outbox(&store)?;
        let newest = store.newest_time();
        Ok(Self { store, scorers, origin, queue, schedules, newest, next_outbox, acknowledged: Vec::new() })
    }

    /// What was decided before a restart and may not have been published.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or holds something else.
    pub fn unpublished(&self) -> Result<Vec<(u64, Outgoing)>, Error> {
        let mut pending = Vec::new();
        let mut start = Vec::new();
        loop {
            let page = self.store.range(Keyspace::Outbox, &start, 1_000)?;
            let Some((last, _)) = page.last() else { return Ok(pending) };
            start = [last.as_slice(), &[0]].concat();
            for (key, value) in page {
                let Some(sequence) = outbox_sequence(&key) else { continue };
                pending.push((sequence, Outgoing::decode(&value).expect("the outbox holds what `encode` wrote")));
            }
        }
    }

    /// These were published: the next commit forgets them.
    pub fn published(&mut self, batch: &[(u64, Outgoing)]) {
        self.acknowledged.extend(batch.iter().map(|(sequence, _)| *sequence));
    }

    /// Records that were decided and not yet acknowledged by the sink in an earlier commit.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Entities that wait to be scored.
    #[must_use]
    pub fn waiting(&self) -> &Queue {
        &self.queue
    }

    /// The event time that has been reached.
    #[must_use]
    pub fn newest(&self) -> EventTime {
        self.newest
    }

    /// Applies a delivery and scores what it triggers, in one commit. `now` is the wall clock of a live run; without it
    /// event time is the clock, and what falls due between two changes is scored between them, so that the size of a
    /// delivery changes nothing.
    ///
    /// # Errors
    ///
    /// When the store or the predictor fails; the store must then be opened again.
    pub fn apply(&mut self, delivery: Delivery, now: Option<EventTime>) -> Result<Outcome, Error> {
        let store = Arc::clone(&self.store);
        let mut transaction = store.begin();
        let mut outcome = Outcome::default();
        let mut jobs = Vec::new();
        let mut touched = BTreeSet::new();
        let mut letters = delivery.dead_letters;
        let mut applied = Vec::with_capacity(1);
        for change in &delivery.changes {
            applied.clear();
            match transaction.apply(change, &mut applied) {
                Ok(()) => {}
                Err(graph_store::Error::Refused(reason)) => letters.push(refused(change, reason)),
                Err(error) => return Err(error.into()),
            }
            outcome.counts.applied(change, &applied);
            for applied in &applied {
                let late = applied.valid_from < self.newest;
                // A time column in the future must not move the clock: a row happened no later than it became known.
                self.newest = self.newest.max(applied.valid_from.min(change.known.max(EventTime(0))));
                if now.is_none() {
                    self.take_due(self.newest, usize::MAX, &mut jobs, &mut touched);
                }
                let seen = Seen { change, applied, late, now: now.unwrap_or(self.newest) };
                self.mark(&seen, &mut jobs, &mut touched, &mut outcome.counts)?;
            }
        }
        self.newest = delivery.reached.map_or(self.newest, |reached| self.newest.max(reached));
        for letter in letters {
            outcome.counts.rejected(&letter);
            self.push(&mut transaction, &mut outcome, Outgoing::DeadLetter(DeadLetterRecord::new(letter)));
        }
        self.score(&jobs, now.unwrap_or(self.newest), &mut transaction, &mut outcome)?;
        self.queue.save(&mut transaction, &touched);
        delivery.next.into_iter().for_each(|position| transaction.set_position(position));
        self.forget(&mut transaction);
        transaction.commit()?;
        Ok(outcome)
    }

    /// What a change means for each task: a score of its own, or entities whose scores are out of date.
    fn mark(
        &mut self,
        seen: &Seen<'_>,
        jobs: &mut Vec<Job>,
        touched: &mut BTreeSet<TaskEntity>,
        counts: &mut Counts,
    ) -> Result<(), Error> {
        let Seen { change, applied, late, now } = *seen;
        for (index, scorer) in self.scorers.iter().enumerate() {
            let plan = scorer.plan();
            let task = u16::try_from(index).expect("a config has fewer than 65,536 tasks");
            if plan.emit == Emit::Never {
                continue;
            }
            if applied.table == plan.task.entity && applied.new.is_none() {
                let as_of = AsOf::live(self.newest, applied.sequence);
                let trigger = Some(change.position.clone());
                jobs.push(Job { task: index, entity: applied.key.clone(), as_of, reason: Reason::Delete, trigger });
                continue;
            }
            match plan.emit {
                Emit::PerEvent if plan.read_set.triggers(applied) && !matches!(change.op, Op::Snapshot(_)) => {
                    let as_of = AsOf::live(applied.valid_from, applied.sequence);
                    if as_of.cutoff < plan.from {
                        counts.skipped(index, Skip::BeforeStart);
                        continue;
                    }
                    let trigger = Some(change.position.clone());
                    jobs.push(Job {
                        task: index,
                        entity: applied.key.clone(),
                        as_of,
                        reason: Reason::Trigger,
                        trigger,
                    });
                }
                Emit::Latest { quiet, max_delay } => {
                    let bounds = AsOf::live(self.newest, applied.sequence);
                    let limit = relational::limits::DIRTY_PER_CHANGE_MAX;
                    let affected = plan.read_set.affected(&self.store, applied, bounds, limit)?;
                    if !affected.rest.is_empty() {
                        counts.skipped(index, Skip::HubCapped);
                    }
                    let due = Due {
                        first: now,
                        due: now.plus(quiet),
                        cutoff: self.newest,
                        sequence: applied.sequence,
                        reason: if late { Reason::LateRow } else { Reason::Change },
                        trigger: change.position.clone(),
                    };
                    for entity in affected.entities {
                        let entity = (task, entity);
                        self.queue.mark(entity.clone(), due.clone(), max_delay);
                        touched.insert(entity);
                    }
                }
                Emit::PerEvent | Emit::Every { .. } | Emit::Never => {}
            }
        }
        Ok(())
    }

    fn push(&mut self, transaction: &mut Transaction<'_>, outcome: &mut Outcome, outgoing: Outgoing) {
        let sequence = self.next_outbox;
        self.next_outbox += 1;
        transaction.put(Keyspace::Outbox, sequence.to_be_bytes().to_vec(), outgoing.encode());
        transaction.put(Keyspace::Outbox, NEXT_OUTBOX.to_vec(), self.next_outbox.to_be_bytes().to_vec());
        outcome.publish.push((sequence, outgoing));
    }

    fn forget(&mut self, transaction: &mut Transaction<'_>) {
        for sequence in self.acknowledged.drain(..) {
            transaction.remove(Keyspace::Outbox, sequence.to_be_bytes().to_vec());
        }
    }
}

/// Longer than a sequence, and after all of them: where the next sequence is kept when the outbox is empty.
const NEXT_OUTBOX: [u8; 9] = [0xff; 9];

fn outbox_sequence(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

fn next_outbox(store: &Store) -> Result<u64, graph_store::Error> {
    let bytes = store.get(Keyspace::Outbox, &NEXT_OUTBOX)?;
    Ok(bytes.and_then(|bytes| outbox_sequence(&bytes)).unwrap_or(1))
}

fn refused(change: &Change, reason: String) -> DeadLetter {
    DeadLetter {
        position: change.position.clone(),
        stage: Stage::Apply,
        reason: format!("row {} was refused: {reason}", change.key),
        key: None,
        value: None,
        headers: Vec::new(),
        timestamp: Some(change.known),
    }
}
