//! What was last published of each task and entity: decides the revision, and whether a score says anything new.

use graph_store::{Keyspace, Store, Transaction};
use relational::EventTime;

use super::dirty::{TaskEntity, encode};

/// The last published score of a task and entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Published {
    /// Its cutoff.
    pub cutoff: EventTime,
    /// Its revision.
    pub revision: u32,
    /// The digest of its features and context; 0 for a deletion.
    pub digest: u64,
}

const VERSION: u8 = 1;

impl Published {
    /// Reads the last published score.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(super) fn load(store: &Store, entity: &TaskEntity) -> Result<Option<Self>, graph_store::Error> {
        let bytes = store.get(Keyspace::Published, &encode(entity))?;
        Ok(bytes.map(|bytes| Self::decode(&bytes).expect("the published keyspace holds what `encode` wrote")))
    }

    /// Writes it.
    pub(super) fn save(self, transaction: &mut Transaction<'_>, entity: &TaskEntity) {
        transaction.put(Keyspace::Published, encode(entity), self.encode());
    }

    /// The revision of a score at `cutoff` after this one.
    #[must_use]
    pub(super) fn next_revision(self, cutoff: EventTime) -> u32 {
        if cutoff == self.cutoff { self.revision + 1 } else { 0 }
    }

    /// `version (1) | cutoff (8) | revision (4) | digest (8)`, big-endian.
    fn encode(self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.cutoff.0.to_be_bytes());
        bytes.extend(self.revision.to_be_bytes());
        bytes.extend(self.digest.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (cutoff, rest) = rest.split_first_chunk()?;
        let (revision, rest) = rest.split_first_chunk()?;
        let (digest, rest) = rest.split_first_chunk()?;
        (*version == VERSION && rest.is_empty()).then(|| Self {
            cutoff: EventTime(i64::from_be_bytes(*cutoff)),
            revision: u32::from_be_bytes(*revision),
            digest: u64::from_be_bytes(*digest),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trips(cutoff: i64, revision: u32, digest: u64) {
            let published = Published { cutoff: EventTime(cutoff), revision, digest };
            prop_assert_eq!(Published::decode(&published.encode()), Some(published));
        }
    }
}
