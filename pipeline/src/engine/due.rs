//! Making the scores that are due, in one commit with their outbox entries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use graph_store::Transaction;
use relational::{AsOf, ContextId, EventTime, Reason, RowKey, Score, limits};
use sinks::{Latency, Outgoing, ScoreRecord};

use super::ahead::Verdict;
use super::counts::Skip;
use super::published::Published;
use super::schedule::Schedule;
use super::{Due, Engine, Error, Job, Outcome, TaskEntity};
use crate::config::Emit;
use crate::parallel;
use crate::scorer::Scored;

/// Scores made in one commit: bounds how long an arriving change waits behind a backlog.
const SCORES_PER_COMMIT: usize = 256;

/// What became of a job.
enum Made {
    Score {
        scored: Scored,
        context: ContextId,
        examples: u32,
        model: Arc<str>,
        fallback: Option<Arc<str>>,
        /// The digest of the score of a row that was made when the row came, if it is to be corrected.
        first: Option<u64>,
    },
    Gone,
    Skipped(Skip),
}

impl Engine {
    /// Makes scores that are due by `now`: waiting entities, earliest deadline first, then the schedules. Call it again
    /// while it returns `true`.
    ///
    /// # Errors
    ///
    /// When the store or the predictor fails; the store must then be opened again.
    pub fn tick(&mut self, now: EventTime) -> Result<(Outcome, bool), Error> {
        let mut jobs = Vec::new();
        let mut touched = BTreeSet::new();
        self.take_due(now, SCORES_PER_COMMIT, &mut jobs, &mut touched);
        // At the end of an input everything is due, and nothing is still to come.
        let ended = now == EventTime::MAX;
        let complete = if ended { self.newest() } else { self.watermark() };
        self.begin_schedules(complete);
        self.ended = ended;
        let moved = self.advance_schedules(complete, &mut jobs)?;
        let mut outcome = Outcome::default();
        if jobs.is_empty() && moved.is_empty() && self.schedules_begun.is_empty() {
            if ended && self.sweeps.len() > 0 {
                return Ok((self.sweep(self.newest())?, true));
            }
            return Ok((outcome, false));
        }
        let store = Arc::clone(&self.store);
        let mut transaction = store.begin();
        let scored_at = if ended { self.newest() } else { now };
        let unanswered = self.score(&jobs, scored_at, &mut transaction, &mut outcome)?;
        for job in unanswered {
            // Twice as long each time, so that many entities may wait for the first context.
            self.wait_on(job, now, now.since(job.since.unwrap_or(now)));
        }
        for task in moved {
            let schedule = self.schedules[usize::from(task)].as_ref().expect("a schedule that moved is there");
            schedule.save(&mut transaction, task);
        }
        self.commit(transaction, &touched)?;
        Ok((outcome, true))
    }

    /// Goes on with one sweep, for a bounded number of rows: for when nothing is due. `now` is the engine's clock.
    ///
    /// # Errors
    ///
    /// When the store or the predictor fails; the store must then be opened again.
    pub fn sweep(&mut self, now: EventTime) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        if self.sweeps.len() == 0 {
            return Ok(outcome);
        }
        let mut touched = BTreeSet::new();
        self.sweep_on(limits::SWEEP_ROWS_PER_ROUND, now, &mut touched, &mut outcome.counts)?;
        let store = Arc::clone(&self.store);
        self.commit(store.begin(), &touched)?;
        Ok(outcome)
    }

    /// Takes entities that are due by `now` off the queue, earliest deadline first, at most `limit`.
    pub(super) fn take_due(
        &mut self,
        now: EventTime,
        limit: usize,
        jobs: &mut Vec<Job>,
        touched: &mut BTreeSet<TaskEntity>,
    ) {
        for (entity, due) in self.queue.take_due(now, limit) {
            let as_of = AsOf::live(due.cutoff, due.sequence);
            let trigger = Some(due.trigger);
            jobs.push(Job {
                task: usize::from(entity.0),
                entity: entity.1.clone(),
                as_of,
                reason: due.reason,
                trigger,
                since: Some(due.first),
            });
            touched.insert(entity);
        }
    }

    /// Begins the schedules that have not: with the first event of a new store, and with what comes next where a task is
    /// added to a store that has a past.
    pub(super) fn begin_schedules(&mut self, reached: EventTime) {
        if reached == EventTime::MIN {
            return;
        }
        for (task, (schedule, scorer)) in (0..).zip(self.schedules.iter_mut().zip(&self.scorers)) {
            let plan = scorer.plan();
            if let (Emit::Every { step }, None) = (plan.emit, schedule.as_ref()) {
                *schedule = Some(Schedule::starting(reached.max(plan.from.plus(-1)), step));
                self.schedules_begun.push(task);
            }
        }
    }

    /// Adds the next entities of schedules whose point the input is complete up to; returns the tasks whose schedule moved.
    fn advance_schedules(&mut self, complete: EventTime, jobs: &mut Vec<Job>) -> Result<Vec<u16>, Error> {
        let mut moved = Vec::new();
        for (index, scorer) in self.scorers.iter().enumerate() {
            let (Emit::Every { step }, Some(schedule)) = (scorer.plan().emit, &mut self.schedules[index]) else {
                continue;
            };
            if schedule.point > complete || jobs.len() >= SCORES_PER_COMMIT {
                continue;
            }
            let task = u16::try_from(index).expect("a config has fewer than 65,536 tasks");
            let (sequence, after) = schedule.begun.clone().unwrap_or((self.store.sequence(), None));
            let as_of = AsOf::live(schedule.point, sequence);
            let room = SCORES_PER_COMMIT - jobs.len();
            let keys = self.store.as_of(as_of).keys(scorer.plan().task.entity, after.as_ref(), room)?;
            match keys.last() {
                Some(last) if keys.len() == room => schedule.begun = Some((sequence, Some(last.clone()))),
                _ => *schedule = Schedule { point: schedule.point.plus(step), begun: None },
            }
            jobs.extend(keys.into_iter().map(|entity| Job {
                task: index,
                entity,
                as_of,
                reason: Reason::Schedule,
                trigger: None,
                since: None,
            }));
            moved.push(task);
        }
        Ok(moved)
    }

    /// Makes scores, in parallel, and puts them into the outbox in the order of the jobs. Returns those that could not be
    /// made for want of a context.
    pub(super) fn score<'a>(
        &mut self,
        jobs: &'a [Job],
        now: EventTime,
        transaction: &mut Transaction<'_>,
        outcome: &mut Outcome,
    ) -> Result<Vec<&'a Job>, Error> {
        for job in jobs {
            // Fitted one after the other: two threads must not fit the same context twice.
            if job.reason != Reason::Delete {
                self.scorers[job.task].context(job.as_of)?;
            }
        }
        let made = parallel::map(jobs, |job| self.make(job))?;
        let (mut published, mut unanswered) = (BTreeMap::new(), Vec::new());
        for (job, made) in jobs.iter().zip(made) {
            if matches!(made, Made::Skipped(Skip::NoContext)) {
                unanswered.push(job);
            }
            self.publish(job, made, now, &mut published, transaction, outcome)?;
        }
        Ok(unanswered)
    }

    fn make(&self, job: &Job) -> Result<Made, Error> {
        let scorer = &self.scorers[job.task];
        if job.reason == Reason::Delete {
            return Ok(Made::Gone);
        }
        let Some(context) = scorer.context(job.as_of)? else { return Ok(Made::Skipped(Skip::NoContext)) };
        if !scorer.wanted(&job.entity, job.as_of)? {
            return Ok(Made::Skipped(Skip::NotInPopulation));
        }
        let first = match self.first_as_of(job)? {
            Some(as_of) if scorer.wanted(&job.entity, as_of)? => {
                Some(scorer.score(&context, &job.entity, as_of)?.digest)
            }
            _ => None,
        };
        Ok(Made::Score {
            first,
            scored: scorer.score(&context, &job.entity, job.as_of)?,
            context: context.id,
            examples: context.examples,
            model: context.model(),
            fallback: context.fallback().map(Arc::from),
        })
    }

    /// What the first score of a row has seen: what had arrived with the row. `None` for what is no correction.
    fn first_as_of(&self, job: &Job) -> Result<Option<AsOf>, Error> {
        let plan = self.scorers[job.task].plan();
        if plan.emit != Emit::PerEvent || job.reason != Reason::LateRow {
            return Ok(None);
        }
        let row = RowKey { table: plan.task.entity, key: job.entity.clone() };
        let row = self.store.as_of(job.as_of).row(&row)?;
        Ok(row.map(|row| AsOf::live(job.as_of.cutoff, row.born)))
    }

    /// Puts a score into the outbox, unless it says nothing new.
    fn publish(
        &mut self,
        job: &Job,
        made: Made,
        now: EventTime,
        published: &mut BTreeMap<TaskEntity, Published>,
        transaction: &mut Transaction<'_>,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let Draft { mut score, digest, mut is_kept } = match self.draft(job, made, published)? {
            Ok(draft) => draft,
            Err(skip) => {
                outcome.counts.skipped(job.task, skip);
                return Ok(());
            }
        };
        let record = |score: &Score| {
            let record = ScoreRecord::new(score, self.store.schema(), &self.origin, now, None::<&Latency>);
            Outgoing::Score(record)
        };
        let mut outgoing = record(&score);
        let is_current = matches!(self.scorers[job.task].plan().emit, Emit::Latest { .. });
        let verdict = self.ahead.judge(&self.store, &outgoing.stamp(), is_current)?;
        match verdict {
            Verdict::New => {}
            Verdict::Outdated => {
                // It may not have seen what this one has: until time has come as far.
                self.wait_on(job, now, 0);
                outcome.counts.skipped(job.task, Skip::HasLeft);
                return Ok(());
            }
            Verdict::Left(revision) | Verdict::Revised(revision) => {
                is_kept = true;
                score.revision = revision;
                outgoing = record(&score);
            }
        }
        if is_kept {
            let state = Published { cutoff: score.cutoff, revision: score.revision, digest };
            let entity = job.task_entity();
            state.save(transaction, &entity);
            published.insert(entity, state);
        }
        if matches!(verdict, Verdict::Left(_)) {
            outcome.counts.skipped(job.task, Skip::HasLeft);
            return Ok(());
        }
        outcome.counts.scored(job.task);
        self.push(transaction, outcome, outgoing);
        Ok(())
    }

    /// What cannot be said yet of a `latest` entity is asked again, at the earliest after so many microseconds. At the
    /// end of an input there is nothing more to wait for.
    fn wait_on(&mut self, job: &Job, now: EventTime, delay: i64) {
        let Emit::Latest { max_delay, .. } = self.scorers[job.task].plan().emit else { return };
        let Some(trigger) = job.trigger.clone().filter(|_| !self.ended && job.reason != Reason::Delete) else { return };
        let delay = delay.max(max_delay).max(1);
        let (first, cutoff, sequence) = (job.since.unwrap_or(now), self.newest(), self.store.sequence());
        let due = Due { first, due: now.plus(delay), cutoff, sequence, reason: job.reason, trigger };
        self.queue.mark(job.task_entity(), due, delay);
    }

    /// The score with its revision, or why there is none.
    fn draft(
        &self,
        job: &Job,
        made: Made,
        published: &BTreeMap<TaskEntity, Published>,
    ) -> Result<Result<Draft, Skip>, Error> {
        let plan = self.scorers[job.task].plan();
        let (prediction, truncated, digest, context, examples, model, fallback, first) = match made {
            Made::Skipped(skip) => return Ok(Err(skip)),
            Made::Gone => (None, false, 0, ContextId(0), 0, Arc::from("none"), None, None),
            Made::Score { scored, context, examples, model, fallback, first } => {
                (Some(scored.prediction), scored.truncated, scored.digest, context, examples, model, fallback, first)
            }
        };
        let cutoff = job.as_of.cutoff;
        let mut revision = 0;
        // Of a row that triggers its own score nothing is kept, unless the score is corrected.
        let is_kept = plan.emit != Emit::PerEvent || job.reason == Reason::LateRow;
        if is_kept {
            let entity = job.task_entity();
            let before = match published.get(&entity) {
                Some(before) => Some(*before),
                None => Published::load(&self.store, &entity)?,
            };
            let before = before.or(first.map(|digest| Published { cutoff, revision: 0, digest }));
            if before.is_some_and(|before| before.digest == digest) || (before.is_none() && prediction.is_none()) {
                return Ok(Err(Skip::Unchanged));
            }
            revision = before.map_or(0, |before| before.next_revision(cutoff));
        }
        let score = Score {
            task: Arc::from(plan.task.name.as_str()),
            entity: RowKey { table: plan.task.entity, key: job.entity.clone() },
            prediction,
            cutoff,
            sequence: job.as_of.sequence,
            model,
            fallback,
            context,
            examples,
            revision,
            reason: job.reason,
            trigger: job.trigger.clone(),
            truncated,
        };
        Ok(Ok(Draft { score, digest, is_kept }))
    }
}

/// A score that may leave.
struct Draft {
    score: Score,
    /// The digest of its features and context; 0 for a deletion.
    digest: u64,
    /// Whether what was published of its entity is kept.
    is_kept: bool,
}
