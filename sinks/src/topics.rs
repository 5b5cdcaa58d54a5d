//! Which topic each record goes to, and its bytes there.

use std::collections::BTreeMap;

use relational::EventTime;

use crate::mark::Mark;
use crate::{Outgoing, StoreId};

/// Holds the record's outbox mark.
pub(crate) const OUTBOX_HEADER: &str = "foreshore-outbox";

/// The topics of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// The application's name: dead letters go to `<app>.dlq`.
    pub app: String,
    /// The topic of each task; `<app>.<task>` where it is absent.
    pub scores: BTreeMap<String, String>,
}

/// One record, ready for its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRecord {
    /// The topic.
    pub topic: String,
    /// The key, by which the partition is chosen.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The timestamp; the time of sending where it is absent.
    pub timestamp: Option<EventTime>,
    /// Whether it may leave without its value when that is too large for the topic.
    pub may_omit_value: bool,
}

impl Topics {
    /// Where refused records go.
    #[must_use]
    pub fn dead_letters(&self) -> String {
        format!("{}.dlq", self.app)
    }

    /// Where each transaction says what left with it.
    #[must_use]
    pub fn commits(&self) -> String {
        format!("{}.commits", self.app)
    }

    /// All that is written to.
    pub fn all(&self) -> impl Iterator<Item = String> {
        self.scores.values().cloned().chain([self.dead_letters(), self.commits()])
    }

    pub(crate) fn record(&self, store: StoreId, sequence: u64, outgoing: &Outgoing) -> TopicRecord {
        let mark = mark(store, sequence);
        match outgoing {
            Outgoing::Score(score) => {
                let topic = self.scores.get(&score.task);
                let headers = score.headers().into_iter();
                TopicRecord {
                    topic: topic.cloned().unwrap_or_else(|| format!("{}.{}", self.app, score.task)),
                    key: Some(score.key.clone().into_bytes()),
                    value: score.value.clone().map(String::into_bytes),
                    headers: headers.map(|(name, value)| (name.to_owned(), Some(value.into()))).chain([mark]).collect(),
                    timestamp: Some(score.cutoff),
                    may_omit_value: false,
                }
            }
            Outgoing::DeadLetter(record) => TopicRecord {
                topic: self.dead_letters(),
                key: record.letter.key.clone(),
                value: record.letter.value.clone(),
                headers: record.headers().into_iter().chain([mark]).collect(),
                timestamp: record.letter.timestamp,
                may_omit_value: true,
            },
        }
    }
}

/// The header that names a store and a place in its outbox.
pub(crate) fn mark(store: StoreId, sequence: u64) -> (String, Option<Vec<u8>>) {
    (OUTBOX_HEADER.to_owned(), Some(Mark { store, sequence }.to_string().into_bytes()))
}
