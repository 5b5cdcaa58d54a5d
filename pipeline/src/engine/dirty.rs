//! Entities whose scores are out of date, and when each is due. Kept in the store, so that a restart forgets none.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph_store::{Keyspace, Store, Transaction, decode_key, encode_key};
use relational::{EventTime, Key, Position, Reason, Sequence};
use serde::{Deserialize, Serialize};

/// A task's place in the config, and the entity.
pub type TaskEntity = (u16, Key);

/// Why and when an entity is to be scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// When the first change of this burst came, on the engine's clock.
    pub first: EventTime,
    /// When the score is to be made, on the engine's clock.
    pub due: EventTime,
    /// Score at this cutoff.
    pub cutoff: EventTime,
    /// With what had arrived by then.
    pub sequence: Sequence,
    /// Why.
    pub reason: Reason,
    /// The newest record that made it necessary.
    pub trigger: Position,
}

/// The queue, earliest deadline first.
#[derive(Debug, Default)]
pub struct Queue {
    by_entity: BTreeMap<TaskEntity, Due>,
    by_deadline: BTreeMap<(EventTime, TaskEntity), ()>,
}

impl Queue {
    /// The queue as the store holds it.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn load(store: &Store) -> Result<Self, graph_store::Error> {
        let mut queue = Self::default();
        let mut start = Vec::new();
        loop {
            let page = store.range(Keyspace::Dirty, &start, 1_000)?;
            let Some((last, _)) = page.last() else { return Ok(queue) };
            start = [last.as_slice(), &[0]].concat();
            for (key, value) in &page {
                let entry = decode(key).zip(serde_json::from_slice::<Stored>(value).ok());
                let (entity, stored) = entry.expect("the dirty keyspace holds what `encode` wrote");
                queue.insert(entity, stored.into());
            }
        }
    }

    /// Only the entities of the first `tasks` tasks: the others wait in the store for a config that has their tasks.
    #[must_use]
    pub(super) fn of_tasks(mut self, tasks: u16) -> Self {
        self.by_entity.retain(|entity, _| entity.0 < tasks);
        self.by_deadline.retain(|(_, entity), ()| entity.0 < tasks);
        self
    }

    /// How many entities wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_entity.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_entity.is_empty()
    }

    /// Every waiting entity.
    pub fn iter(&self) -> impl Iterator<Item = (&TaskEntity, &Due)> {
        self.by_entity.iter()
    }

    /// Adds a change of an entity: a waiting one is scored once, later, at the newer cutoff; never later than
    /// `max_delay` after the first change.
    pub fn mark(&mut self, entity: TaskEntity, mut due: Due, max_delay: i64) {
        if let Some(waiting) = self.by_entity.get(&entity) {
            due.first = waiting.first;
            due.due = due.due.min(waiting.first.plus(max_delay));
            due.cutoff = due.cutoff.max(waiting.cutoff);
        }
        self.insert(entity, due);
    }

    fn insert(&mut self, entity: TaskEntity, due: Due) {
        let deadline = due.due;
        if let Some(before) = self.by_entity.insert(entity.clone(), due) {
            self.by_deadline.remove(&(before.due, entity.clone()));
        }
        self.by_deadline.insert((deadline, entity), ());
    }

    /// Takes an entity off the queue.
    pub fn forget(&mut self, entity: &TaskEntity) {
        if let Some(due) = self.by_entity.remove(entity) {
            self.by_deadline.remove(&(due.due, entity.clone()));
        }
    }

    /// Takes the entities due by `now`, earliest deadline first, at most `limit`.
    pub fn take_due(&mut self, now: EventTime, limit: usize) -> Vec<(TaskEntity, Due)> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            let Some((deadline, _)) = self.by_deadline.keys().next() else { break };
            if *deadline > now {
                break;
            }
            let ((_, entity), ()) = self.by_deadline.pop_first().expect("the first key was just seen");
            let due = self.by_entity.remove(&entity).expect("both maps hold the same entities");
            taken.push((entity, due));
        }
        taken
    }

    /// Writes the waiting state of these entities: present ones are put, the others removed.
    pub fn save<'a>(&self, transaction: &mut Transaction<'_>, entities: impl IntoIterator<Item = &'a TaskEntity>) {
        for entity in entities {
            let key = encode(entity);
            match self.by_entity.get(entity) {
                Some(due) => {
                    let value = serde_json::to_vec(&Stored::from(due)).expect("plain structs cannot fail");
                    transaction.put(Keyspace::Dirty, key, value);
                }
                None => transaction.remove(Keyspace::Dirty, key),
            }
        }
    }
}

/// `task (2 bytes, big-endian) | entity key (order-preserving)`
pub(super) fn encode((task, entity): &TaskEntity) -> Vec<u8> {
    [task.to_be_bytes().as_slice(), &encode_key(entity)].concat()
}

fn decode(bytes: &[u8]) -> Option<TaskEntity> {
    let (task, key) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*task), decode_key(key)?))
}

/// The stored form, version 1.
#[derive(Serialize, Deserialize)]
struct Stored {
    v: u8,
    first: i64,
    due: i64,
    cutoff: i64,
    sequence: u64,
    late: bool,
    topic: String,
    partition: i32,
    offset: i64,
}

impl From<&Due> for Stored {
    fn from(due: &Due) -> Self {
        Self {
            v: 1,
            first: due.first.0,
            due: due.due.0,
            cutoff: due.cutoff.0,
            sequence: due.sequence.0,
            late: due.reason == Reason::LateRow,
            topic: due.trigger.topic.to_string(),
            partition: due.trigger.partition,
            offset: due.trigger.offset,
        }
    }
}

impl From<Stored> for Due {
    fn from(stored: Stored) -> Self {
        Self {
            first: EventTime(stored.first),
            due: EventTime(stored.due),
            cutoff: EventTime(stored.cutoff),
            sequence: Sequence(stored.sequence),
            reason: if stored.late { Reason::LateRow } else { Reason::Change },
            trigger: Position { topic: Arc::from(stored.topic), partition: stored.partition, offset: stored.offset },
        }
    }
}

#[cfg(test)]
mod tests {
    use relational::Value;

    use super::*;

    fn due(now: i64, quiet: i64) -> Due {
        Due {
            first: EventTime(now),
            due: EventTime(now + quiet),
            cutoff: EventTime(now),
            sequence: Sequence(1),
            reason: Reason::Change,
            trigger: Position { topic: "t".into(), partition: 0, offset: now },
        }
    }

    fn entity(number: i64) -> TaskEntity {
        (0, Key::single(Value::Int(number)))
    }

    #[test]
    fn a_burst_is_scored_once_and_not_forever_later() {
        let mut queue = Queue::default();
        for now in [0, 5, 10, 15, 20] {
            queue.mark(entity(1), due(now, 10), 25);
        }
        assert_eq!(queue.take_due(EventTime(24), 9), vec![]);
        let taken = queue.take_due(EventTime(25), 9);
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].1.cutoff, EventTime(20));
        assert!(queue.is_empty());
    }

    #[test]
    fn the_earliest_deadline_comes_first() {
        let mut queue = Queue::default();
        queue.mark(entity(1), due(5, 10), 100);
        queue.mark(entity(2), due(0, 10), 100);
        queue.mark(entity(3), due(9, 10), 100);
        let order: Vec<TaskEntity> = queue.take_due(EventTime(15), 9).into_iter().map(|(entity, _)| entity).collect();
        assert_eq!(order, vec![entity(2), entity(1)]);
    }
}
