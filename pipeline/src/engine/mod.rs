//! The pure engine: deliveries and the time come in, what is to be published comes out. No clock, no network, no
//! environment; its store is its only input and output.

mod ahead;
mod clock;
mod counts;
mod dirty;
mod due;
mod mark;
mod published;
mod schedule;
mod sweep;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use graph_store::{Applied, Keyspace, Store, Transaction};
use ingest::Delivery;
use relational::{AsOf, Change, DeadLetter, EventTime, Key, Position, Reason, Stage, limits};
use sinks::{Bookmark, DeadLetterRecord, Left, Origin, Outgoing, Stamp};
use thiserror::Error;

use ahead::{Ahead, Verdict};
use clock::Clock;
pub use counts::{Counts, Skip};
pub use dirty::{Due, Queue, TaskEntity};
use mark::Seen;
use schedule::Schedule;
use sweep::Sweeps;

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
    sweeps: Sweeps,
    schedules: Vec<Option<Schedule>>,
    /// Tasks whose schedule the store does not hold yet.
    schedules_begun: Vec<u16>,
    clock: Clock,
    next_outbox: u64,
    acknowledged: Vec<u64>,
    ahead: Ahead,
    /// Up to where the sink's account of what has left is known, and whether the store holds something else.
    bookmark: Option<Bookmark>,
    bookmark_moved: bool,
    /// Whether the input has come to its end.
    ended: bool,
}

/// One score to be made.
#[derive(Debug, Clone)]
struct Job {
    task: usize,
    entity: Key,
    as_of: AsOf,
    reason: Reason,
    trigger: Option<Position>,
    /// Since when the entity has been waiting for it, on the engine's clock; `None` where the score is made at once.
    since: Option<EventTime>,
}

impl Engine {
    /// An engine that goes on where the store stands. A row may come `lateness_micros` behind the newest of its partition
    /// without being late.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn open(
        store: Arc<Store>,
        scorers: Vec<Arc<Scorer>>,
        origin: Origin,
        lateness_micros: i64,
    ) -> Result<Self, Error> {
        let tasks = u16::try_from(scorers.len()).expect("a config has fewer than 65,536 tasks");
        let queue = Queue::load(&store)?.of_tasks(tasks);
        let sweeps = Sweeps::load(&store, tasks)?;
        let schedules = (0..tasks).map(|task| Schedule::load(&store, task)).collect::<Result<_, _>>()?;
        let next_outbox = next_outbox(&store)?;
        let clock = Clock::load(&store, lateness_micros)?;
        let (ahead, bookmark) = (Ahead::load(&store)?, load_bookmark(&store)?);
        scorers.iter().for_each(|scorer| scorer.begin());
        Ok(Self {
            store,
            scorers,
            origin,
            queue,
            sweeps,
            schedules,
            schedules_begun: Vec::new(),
            clock,
            next_outbox,
            acknowledged: Vec::new(),
            ahead,
            bookmark,
            bookmark_moved: false,
            ended: false,
        })
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

    /// Up to where the sink's account of what has left is known.
    #[must_use]
    pub fn bookmark(&self) -> Option<Bookmark> {
        self.bookmark
    }

    /// Takes in what has left, in one commit: of the outbox it is forgotten, and what the outbox does not know left in a
    /// later life of the store and is remembered.
    ///
    /// # Errors
    ///
    /// When the store fails; it must then be opened again.
    pub fn left(&mut self, left: &Left) -> Result<(), Error> {
        let name = |stamp: &Stamp| (stamp.subject, stamp.cutoff, stamp.revision);
        let mut others: BTreeMap<_, Stamp> = left.stamps.iter().map(|stamp| (name(stamp), *stamp)).collect();
        for (sequence, outgoing) in self.unpublished()? {
            if others.remove(&name(&outgoing.stamp())).is_some() {
                self.acknowledged.push(sequence);
            }
        }
        let store = Arc::clone(&self.store);
        let mut transaction = store.begin();
        self.ahead.add(others.into_values(), &mut transaction);
        (self.bookmark, self.bookmark_moved) = (Some(left.bookmark), true);
        Ok(self.commit(transaction, &BTreeSet::new())?)
    }

    /// Records of these sequences were published: the next commit forgets them.
    pub fn published(&mut self, sequences: Vec<u64>, bookmark: Option<Bookmark>) {
        self.acknowledged.extend(sequences);
        self.bookmark_moved |= bookmark != self.bookmark;
        self.bookmark = bookmark;
    }

    /// Entities that wait to be scored.
    #[must_use]
    pub fn waiting(&self) -> &Queue {
        &self.queue
    }

    /// Hubs that wait for their other entities to be marked.
    #[must_use]
    pub fn sweeping(&self) -> usize {
        self.sweeps.len()
    }

    /// The event time that has been reached.
    #[must_use]
    pub fn newest(&self) -> EventTime {
        self.clock.newest()
    }

    /// Event time up to which the input is believed complete.
    #[must_use]
    pub fn watermark(&self) -> EventTime {
        self.clock.watermark()
    }

    /// Nothing has come; these partitions have more, and the others have been read to their end.
    pub fn stand(&mut self, behind: Vec<(Arc<str>, i32)>) {
        self.clock.behind(behind);
        self.clock.reached(EventTime::MIN);
    }

    /// Applies a delivery and scores what it triggers, in one commit. `now` is the wall clock of a live run; without it
    /// event time is the clock, and what falls due between two changes is scored between them, so that the size of a
    /// delivery changes nothing.
    ///
    /// # Errors
    ///
    /// When the store or the predictor fails; the store must then be opened again.
    pub fn apply(&mut self, mut delivery: Delivery, now: Option<EventTime>) -> Result<Outcome, Error> {
        let store = Arc::clone(&self.store);
        let mut transaction = store.begin();
        let mut outcome = Outcome::default();
        let mut jobs = Vec::new();
        let mut touched = BTreeSet::new();
        let mut letters = std::mem::take(&mut delivery.dead_letters);
        self.clock.behind(std::mem::take(&mut delivery.behind));
        for portion in delivery.portions() {
            let mut rows = Vec::with_capacity(portion.len());
            for change in portion {
                let mut applied = Vec::with_capacity(1);
                match transaction.apply(change, &mut applied) {
                    Ok(()) => {}
                    Err(graph_store::Error::Refused(reason)) => letters.push(refused(change, reason)),
                    Err(error) => return Err(error.into()),
                }
                outcome.counts.applied(change, &applied);
                rows.extend(applied.into_iter().map(|applied| (change, applied)));
            }
            // Many rows of one change are taken in one by one.
            let together = if portion.len() > 1 { rows.len() } else { 1 };
            for rows in rows.chunks(together.max(1)) {
                self.take_in(rows, now, &mut jobs, &mut touched, &mut outcome.counts)?;
            }
        }
        self.clock.reached(delivery.reached.unwrap_or(EventTime::MIN));
        for letter in letters {
            outcome.counts.rejected(&letter);
            let outgoing = Outgoing::DeadLetter(DeadLetterRecord::new(letter));
            if !matches!(self.ahead.judge(&self.store, &outgoing.stamp(), false)?, Verdict::Left(_)) {
                self.push(&mut transaction, &mut outcome, outgoing);
            }
        }
        self.score(&jobs, now.unwrap_or(self.newest()), &mut transaction, &mut outcome)?;
        delivery.next.into_iter().for_each(|position| transaction.set_position(position));
        self.commit(transaction, &touched)?;
        Ok(outcome)
    }

    /// Ends a transaction with all that the engine keeps for a restart, and with what the sink has acknowledged.
    fn commit(
        &mut self,
        mut transaction: Transaction<'_>,
        touched: &BTreeSet<TaskEntity>,
    ) -> Result<(), graph_store::Error> {
        self.queue.save(&mut transaction, touched);
        self.sweeps.save(&mut transaction);
        self.clock.save(&mut transaction);
        for task in self.schedules_begun.drain(..) {
            let schedule = self.schedules[usize::from(task)].as_ref().expect("a schedule that has begun is there");
            schedule.save(&mut transaction, task);
        }
        self.scorers.iter().for_each(|scorer| scorer.save_draws(&mut transaction));
        for sequence in self.acknowledged.drain(..) {
            transaction.remove(Keyspace::Outbox, sequence.to_be_bytes().to_vec());
        }
        if std::mem::take(&mut self.bookmark_moved) {
            match self.bookmark {
                Some(Bookmark(place)) => {
                    transaction.put(Keyspace::Progress, BOOKMARK.to_vec(), place.to_be_bytes().to_vec());
                }
                None => transaction.remove(Keyspace::Progress, BOOKMARK.to_vec()),
            }
        }
        transaction.commit()
    }

    /// Takes in row versions that become visible together: moves the clock, takes what is due by then, and marks what the
    /// versions touch, to be scored as of the last of them.
    fn take_in(
        &mut self,
        rows: &[(&Change, Applied)],
        now: Option<EventTime>,
        jobs: &mut Vec<Job>,
        touched: &mut BTreeSet<TaskEntity>,
        counts: &mut Counts,
    ) -> Result<(), Error> {
        let Some((_, Applied { sequence, .. })) = rows.last() else { return Ok(()) };
        let (newest, watermark) = (self.newest(), self.watermark());
        // A row without a time is not late, however late it comes.
        let is_late = |applied: &Applied| applied.valid_from > EventTime::MIN && applied.valid_from < watermark;
        for (change, applied) in rows {
            if is_late(applied) {
                counts.late(applied.table);
            }
            // A time column in the future must not move the clock: a row happened no later than it became known.
            self.clock.shows(&change.position, applied.valid_from.min(change.known.max(EventTime(0))));
        }
        if newest == EventTime::MIN && self.newest() > newest {
            self.begin_schedules(self.newest());
        }
        if now.is_none() {
            self.take_due(self.newest(), usize::MAX, jobs, touched);
        }
        for (change, applied) in rows {
            let effective = applied.valid_from.max(change.known);
            self.scorers.iter().for_each(|scorer| scorer.arrived(*sequence, effective));
            let (late, disordered) = (is_late(applied), applied.valid_from < newest);
            let now = now.unwrap_or(self.newest());
            let seen = Seen { change, applied, sequence: *sequence, late, disordered, now };
            self.mark(&seen, jobs, touched, counts)?;
        }
        if now.is_none() {
            self.sweep_on(limits::SWEEP_ROWS_PER_CHANGE * rows.len(), self.newest(), touched, counts)?;
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
}

/// Longer than a sequence, and after all of them: where the next sequence is kept when the outbox is empty.
const NEXT_OUTBOX: [u8; 9] = [0xff; 9];

fn outbox_sequence(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

const BOOKMARK: &[u8] = b"bookmark";

fn load_bookmark(store: &Store) -> Result<Option<Bookmark>, graph_store::Error> {
    let bytes = store.get(Keyspace::Progress, BOOKMARK)?;
    let place = |bytes: Vec<u8>| i64::from_be_bytes(bytes.try_into().expect("a bookmark has 8 bytes"));
    Ok(bytes.map(|bytes| Bookmark(place(bytes))))
}

/// The sequence that the next record gets in the store's outbox.
///
/// # Errors
///
/// When the store cannot be read.
pub fn next_outbox(store: &Store) -> Result<u64, graph_store::Error> {
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
