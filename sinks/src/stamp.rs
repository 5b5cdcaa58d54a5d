//! What tells a record from every other that leaves: with it, what has left is known again, whichever life of a store
//! made it.

use relational::EventTime;
use xxhash_rust::xxh3::xxh3_128;

use crate::record::joined;

/// A record that leaves once: of a score its task, entity, cutoff and revision; of a dead letter where it stood, and
/// its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// A digest of the task and entity, or of the position.
    pub subject: u128,
    /// The score's cutoff; 0 for a dead letter.
    pub cutoff: EventTime,
    /// The score's revision, or the dead letter's attempt.
    pub revision: u32,
    /// A digest of what the score says; 0 for a dead letter.
    pub digest: u64,
}

/// Bytes of one stamp.
pub(crate) const STAMP_BYTES: usize = 36;

impl Stamp {
    /// The subject of the scores of a task for an entity, which is named by its table and its key as JSON.
    #[must_use]
    pub fn subject(task: &str, table: &str, key: &str) -> u128 {
        Self::hash(&[b"score", task.as_bytes(), table.as_bytes(), key.as_bytes()])
    }

    pub(crate) fn hash(parts: &[&[u8]]) -> u128 {
        xxh3_128(&joined(parts))
    }

    /// `subject (16) | cutoff (8) | revision (4) | digest (8)`, big-endian.
    #[must_use]
    pub(crate) fn encode(&self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        bytes[..16].copy_from_slice(&self.subject.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.cutoff.0.to_be_bytes());
        bytes[24..28].copy_from_slice(&self.revision.to_be_bytes());
        bytes[28..].copy_from_slice(&self.digest.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; STAMP_BYTES]) -> Self {
        let part = |start: usize, end: usize| {
            bytes[start..end].iter().fold(0_u128, |number, byte| (number << 8) | u128::from(*byte))
        };
        let number = |start, end| u64::try_from(part(start, end)).expect("eight bytes at most");
        Self {
            subject: part(0, 16),
            cutoff: EventTime(number(16, 24).cast_signed()),
            revision: u32::try_from(part(24, 28)).expect("four bytes"),
            digest: number(28, 36),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stamps_round_trip(subject: u128, cutoff: i64, revision: u32, digest: u64) {
            let stamp = Stamp { subject, cutoff: EventTime(cutoff), revision, digest };
            prop_assert_eq!(Stamp::decode(&stamp.encode()), stamp);
        }
    }

    #[test]
    fn scores_of_one_task_and_entity_have_one_subject() {
        assert_eq!(Stamp::subject("a", "t", "1"), Stamp::subject("a", "t", "1"));
        assert_ne!(Stamp::subject("a", "t", "11"), Stamp::subject("a", "t1", "1"));
    }
}
