//! Scores on a schedule in event time: silence is a signal too.

use graph_store::{Keyspace, Store, Transaction, decode_key, encode_key};
use relational::{EventTime, Key, Sequence};

/// How far a task's schedule is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    /// The next point to score at, a multiple of the step.
    pub point: EventTime,
    /// The point's sequence once it has begun, and the last entity that was scored.
    pub begun: Option<(Sequence, Option<Key>)>,
}

const VERSION: u8 = 1;

impl Schedule {
    /// The first point of a task that begins at `start`.
    #[must_use]
    pub(super) fn starting(start: EventTime, step: i64) -> Self {
        Self { point: EventTime(start.0.div_euclid(step).saturating_add(1).saturating_mul(step)), begun: None }
    }

    /// The schedule as the store holds it.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(super) fn load(store: &Store, task: u16) -> Result<Option<Self>, graph_store::Error> {
        let bytes = store.get(Keyspace::Published, &schedule_key(task))?;
        Ok(bytes.map(|bytes| Self::decode(&bytes).expect("a schedule is what `encode` wrote")))
    }

    /// Writes it.
    pub(super) fn save(&self, transaction: &mut Transaction<'_>, task: u16) {
        transaction.put(Keyspace::Published, schedule_key(task), self.encode());
    }

    /// `version (1) | point (8) | begun (1) [| sequence (8) | last entity key]`, big-endian.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.point.0.to_be_bytes());
        bytes.push(u8::from(self.begun.is_some()));
        if let Some((sequence, after)) = &self.begun {
            bytes.extend(sequence.0.to_be_bytes());
            bytes.extend(after.iter().flat_map(encode_key));
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (point, rest) = rest.split_first_chunk()?;
        let (begun, rest) = rest.split_first()?;
        if *version != VERSION {
            return None;
        }
        let begun = match begun {
            0 => None,
            _ => {
                let (sequence, key) = rest.split_first_chunk()?;
                let after = if key.is_empty() { None } else { Some(decode_key(key)?) };
                Some((Sequence(u64::from_be_bytes(*sequence)), after))
            }
        };
        Some(Self { point: EventTime(i64::from_be_bytes(*point)), begun })
    }
}

/// Below every task's entities: an encoded entity key is never empty.
fn schedule_key(task: u16) -> Vec<u8> {
    task.to_be_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use relational::Value;

    use super::*;

    #[test]
    fn points_are_multiples_of_the_step() {
        assert_eq!(Schedule::starting(EventTime(25), 10).point, EventTime(30));
        assert_eq!(Schedule::starting(EventTime(30), 10).point, EventTime(40));
        assert_eq!(Schedule::starting(EventTime(-25), 10).point, EventTime(-20));
    }

    #[test]
    fn round_trips() {
        for begun in [None, Some((Sequence(7), None)), Some((Sequence(7), Some(Key::single(Value::text("k")))))] {
            let schedule = Schedule { point: EventTime(-3), begun };
            assert_eq!(Schedule::decode(&schedule.encode()), Some(schedule));
        }
    }
}
