//! A fixed order among examples that are equally recent, which knows nothing of keys.

use std::hash::{Hash, Hasher};

use relational::{EventTime, Key, Task};
use xxhash_rust::xxh3::Xxh3;

/// Gives every (task, entity, anchor) a place that depends on nothing else, so that contexts drawn at different times
/// choose mostly the same examples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    seed: u64,
}

impl Order {
    pub(crate) fn new(task: &Task, seed: u64) -> Self {
        let mut hasher = Xxh3::with_seed(seed);
        hasher.write(task.name.as_bytes());
        hasher.write_u8(0);
        hasher.write(task.query.as_bytes());
        Self { seed: hasher.finish() }
    }

    /// The place of an example among those of its anchor.
    pub(crate) fn place(self, entity: &Key, anchor: EventTime) -> u64 {
        let mut hasher = Xxh3::with_seed(self.seed);
        entity.hash(&mut hasher);
        hasher.write_i64(anchor.0);
        hasher.finish()
    }
}

/// A second order that has nothing to do with the first: the candidates of an anchor that was used in part are those
/// that come first in the first.
pub(super) fn reshuffled(place: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&place.to_le_bytes())
}
