//! Published scores, read back from their topics.

use std::collections::BTreeMap;

use rdkafka::message::Message;

use super::KafkaSettings;
use super::topics::{header, partition_count, read};
use crate::error::Error;

/// A record of a topic of scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredScore {
    /// The task whose topic it is.
    pub task: String,
    /// Its `ce_id`; empty where it has none.
    pub id: String,
    /// Its key, as JSON.
    pub key: Vec<u8>,
    /// Its value, as JSON; `None` for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Topic, partition and offset, in words.
    pub position: String,
}

/// Hands over every committed score of these tasks' topics, task by task; within a partition in its order.
///
/// # Errors
///
/// When a topic cannot be read.
pub fn read_scores(
    settings: &KafkaSettings,
    topics: &BTreeMap<String, String>,
    mut each: impl FnMut(StoredScore),
) -> Result<(), Error> {
    let consumer = settings.consumer()?;
    for (task, topic) in topics {
        let partitions = partition_count(settings, &consumer, topic)?;
        read(settings, &consumer, topic, partitions, None, |message| {
            each(StoredScore {
                task: task.clone(),
                id: header(message, "ce_id").unwrap_or_default().to_owned(),
                key: message.key().unwrap_or_default().to_vec(),
                value: message.payload().map(<[u8]>::to_vec),
                position: format!("{topic}/{}@{}", message.partition(), message.offset()),
            });
        })?;
    }
    Ok(())
}
