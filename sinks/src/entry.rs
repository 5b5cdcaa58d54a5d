//! Entries of the topic `<app>.commits`: what left in one transaction, or that a process has begun to publish.

use crate::error::Error;
use crate::mark::Mark;
use crate::stamp::{STAMP_BYTES, Stamp};
use crate::topics::{OUTBOX_HEADER, TopicRecord, Topics};

/// Names a process, so that two that publish for one application know of each other: a number that each draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessId(pub u64);

/// One entry. Without stamps it says that its process publishes from now on, and no other does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) process: ProcessId,
    /// The last record's sequence in the outbox of the process's store.
    pub(crate) last: u64,
    pub(crate) stamps: Vec<Stamp>,
}

/// The layout: this byte, the process (8, big-endian), the last sequence (8), the stamps.
const VERSION: u8 = 1;

impl Entry {
    /// The entry that says that a process begins.
    pub(crate) fn claim(process: ProcessId) -> Self {
        Self { process, last: 0, stamps: Vec::new() }
    }

    pub(crate) fn record(&self, topics: &Topics, mark: Option<Mark>) -> TopicRecord {
        let mut value = vec![VERSION];
        value.extend(self.process.0.to_be_bytes());
        value.extend(self.last.to_be_bytes());
        self.stamps.iter().for_each(|stamp| value.extend(stamp.encode()));
        TopicRecord {
            topic: topics.commits(),
            key: None,
            value: Some(value),
            headers: mark
                .map(|mark| (OUTBOX_HEADER.to_owned(), Some(mark.to_string().into_bytes())))
                .into_iter()
                .collect(),
            timestamp: None,
            may_omit_value: false,
        }
    }

    /// # Errors
    ///
    /// When the value is not one that this version writes.
    pub(crate) fn decode(topics: &Topics, offset: i64, value: &[u8]) -> Result<Self, Error> {
        let split = value.strip_prefix(&[VERSION]).and_then(|rest| {
            let (process, rest) = rest.split_first_chunk()?;
            let (last, rest) = rest.split_first_chunk()?;
            Some((process, last, rest.as_chunks::<STAMP_BYTES>()))
        });
        match split {
            Some((process, last, (stamps, []))) => Ok(Self {
                process: ProcessId(u64::from_be_bytes(*process)),
                last: u64::from_be_bytes(*last),
                stamps: stamps.iter().map(Stamp::decode).collect(),
            }),
            _ => Err(Error::Entry { topic: topics.commits(), offset }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use relational::EventTime;

    use super::*;

    #[test]
    fn entries_round_trip_and_others_are_refused() {
        let topics = Topics { app: "shop".into(), scores: BTreeMap::new() };
        let stamp = Stamp { subject: 1, cutoff: EventTime(2), revision: 3, digest: 4 };
        for stamps in [vec![], vec![stamp], vec![stamp; 3]] {
            let entry = Entry { process: ProcessId(9), last: 11, stamps };
            let value = entry.record(&topics, None).value.expect("a value");
            assert_eq!(Entry::decode(&topics, 0, &value).expect("an entry"), entry);
            let refused = Entry::decode(&topics, 17, &value[..value.len() - 1]).expect_err("cut short").to_string();
            assert!(refused.contains("offset 17 of shop.commits"), "{refused}");
        }
        assert!(Entry::decode(&topics, 0, b"something else").is_err());
    }
}
