//! What a change means for each task: a score of its own, or entities whose scores are out of date.

use std::collections::BTreeSet;

use graph_store::Applied;
use predictor::read_set::Affected;
use relational::{AsOf, Change, EventTime, Key, Op, Position, Reason, RowKey, Sequence, limits};

use super::counts::{Counts, Skip};
use super::dirty::{Due, TaskEntity};
use super::sweep::Sweep;
use super::{Engine, Error, Job};
use crate::config::Emit;
use crate::plan::Plan;

/// A change that was applied.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub change: &'a Change,
    pub applied: &'a Applied,
    /// The last of those that become visible with it.
    pub sequence: Sequence,
    /// It came after the watermark had passed its time.
    pub late: bool,
    /// It came after a row that happened later: scores that are out already may not have seen what they should have.
    pub disordered: bool,
    pub now: EventTime,
}

impl Engine {
    /// Marks for every task what the change touches.
    pub(super) fn mark(
        &mut self,
        seen: &Seen<'_>,
        jobs: &mut Vec<Job>,
        touched: &mut BTreeSet<TaskEntity>,
        counts: &mut Counts,
    ) -> Result<(), Error> {
        let Seen { change, applied, sequence, .. } = *seen;
        for index in 0..self.scorers.len() {
            let plan = self.scorers[index].plan().clone();
            let task = u16::try_from(index).expect("a config has fewer than 65,536 tasks");
            if plan.emit == Emit::Never {
                continue;
            }
            if applied.table == plan.task.entity && applied.new.is_none() {
                // What waits to be scored of the entity waits no longer.
                let entity = (task, applied.key.clone());
                self.queue.forget(&entity);
                touched.insert(entity);
                let as_of = AsOf::live(self.newest(), sequence);
                jobs.push(Job::of(change, index, applied.key.clone(), as_of, Reason::Delete));
                continue;
            }
            match plan.emit {
                Emit::PerEvent if plan.read_set.triggers(applied) && !matches!(change.op, Op::Snapshot(_)) => {
                    let as_of = AsOf::live(applied.valid_from, sequence);
                    if as_of.cutoff < plan.from {
                        counts.skipped(index, Skip::BeforeStart);
                    } else {
                        jobs.push(Job::of(change, index, applied.key.clone(), as_of, Reason::Trigger));
                    }
                }
                Emit::PerEvent | Emit::Latest { .. } | Emit::Every { .. } | Emit::Never => {}
            }
            let corrects = plan.emit == Emit::PerEvent && plan.corrections > 0 && seen.disordered;
            if corrects || matches!(plan.emit, Emit::Latest { .. }) {
                self.mark_affected(task, &plan, seen, touched)?;
            }
        }
        Ok(())
    }

    /// Marks the entities whose scores the change puts out of date; of a hub the first of them, the others are left to
    /// a sweep.
    fn mark_affected(
        &mut self,
        task: u16,
        plan: &Plan,
        seen: &Seen<'_>,
        touched: &mut BTreeSet<TaskEntity>,
    ) -> Result<(), Error> {
        let Seen { change, applied, sequence, late, now, .. } = *seen;
        let bounds = AsOf::live(self.newest(), applied.sequence);
        let limit = limits::DIRTY_PER_CHANGE_MAX;
        let Affected { mut entities, rest } = plan.read_set.affected(&self.store, applied, bounds, limit)?;
        if plan.read_set.triggers(applied) && plan.emit == Emit::PerEvent {
            entities.remove(&applied.key);
        }
        let burst = Burst { now, sequence, late, trigger: &change.position };
        self.mark_entities(task, plan, entities, burst, touched)?;
        for rest in rest {
            self.sweeps.add(task, Sweep::new(rest, bounds.cutoff, late, change.position.clone()));
        }
        Ok(())
    }

    /// Follows at most about `rows` more rows of the sweep whose turn it is, and marks the entities found. They are
    /// scored as of now, not as of the change: a newer score may be out already.
    pub(super) fn sweep_on(
        &mut self,
        rows: usize,
        now: EventTime,
        touched: &mut BTreeSet<TaskEntity>,
        counts: &mut Counts,
    ) -> Result<(), Error> {
        let Some((lane, sweep)) = self.sweeps.take() else { return Ok(()) };
        let index = usize::from(lane.0);
        let plan = self.scorers[index].plan().clone();
        let bounds = AsOf::live(sweep.cutoff, sweep.rest.sequence);
        let Affected { entities, mut rest } = plan.read_set.resume(&self.store, sweep.rest.clone(), bounds, rows)?;
        counts.swept(index, entities.len());
        let burst = Burst { now, sequence: self.store.sequence(), late: sweep.late, trigger: &sweep.trigger };
        self.mark_entities(lane.0, &plan, entities, burst, touched)?;
        self.sweeps.put_back(lane, sweep, rest.pop());
        Ok(())
    }

    /// An entity of a `latest` task is scored as of now once it is quiet; a row of a `per_event` task is scored again
    /// at its own time, if that is not too long ago to be corrected.
    fn mark_entities(
        &mut self,
        task: u16,
        plan: &Plan,
        entities: BTreeSet<Key>,
        burst: Burst<'_>,
        touched: &mut BTreeSet<TaskEntity>,
    ) -> Result<(), Error> {
        let Burst { now, sequence, late, trigger } = burst;
        for entity in entities {
            let (cutoff, quiet, max_delay) = match plan.emit {
                Emit::Latest { quiet, max_delay } => (self.newest(), quiet, max_delay),
                _ => {
                    let row = RowKey { table: plan.task.entity, key: entity.clone() };
                    let row = self.store.as_of(AsOf::live(self.newest(), sequence)).row(&row)?;
                    let earliest = self.newest().plus(-plan.corrections).max(plan.from);
                    let Some(row) = row.filter(|row| row.time >= earliest) else { continue };
                    (row.time, 0, 0)
                }
            };
            let reason = if late || plan.emit == Emit::PerEvent { Reason::LateRow } else { Reason::Change };
            let due = Due { first: now, due: now.plus(quiet), cutoff, sequence, reason, trigger: trigger.clone() };
            let entity = (task, entity);
            self.queue.mark(entity.clone(), due, max_delay);
            touched.insert(entity);
        }
        Ok(())
    }
}

/// Why several entities are marked at once.
#[derive(Clone, Copy)]
struct Burst<'a> {
    now: EventTime,
    sequence: Sequence,
    late: bool,
    trigger: &'a Position,
}

impl Job {
    fn of(change: &Change, task: usize, entity: Key, as_of: AsOf, reason: Reason) -> Self {
        let trigger: Option<Position> = Some(change.position.clone());
        Self { task, entity, as_of, reason, trigger, since: None }
    }

    pub(super) fn task_entity(&self) -> TaskEntity {
        (u16::try_from(self.task).expect("a config has fewer than 65,536 tasks"), self.entity.clone())
    }
}
