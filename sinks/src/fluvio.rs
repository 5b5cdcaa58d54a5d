//! Topics of a Fluvio cluster as a sink: at least once, under ids that tell a repeat.
//!
//! Fluvio has neither transactions nor headers. What Kafka's records say in headers is in the record itself, as an
//! envelope, and what is sent again after a crash is not looked up: the reader of a topic drops ids that it has seen.

use std::fmt;
use std::time::Duration;

use fluvio_log::{Appended, Cluster};
use relational::Position;

use crate::envelope::envelope;
use crate::error::Error;
use crate::partition::partition;
use crate::{Outgoing, Receipt, Sink, StoreId, Topics};

/// How long to wait for a first answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Writes scores and dead letters to topics of a Fluvio cluster.
pub struct FluvioSink {
    cluster: Box<dyn Cluster>,
    /// The cluster, in words.
    name: String,
    topics: Topics,
    store: StoreId,
}

impl fmt::Debug for FluvioSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FluvioSink").field("cluster", &self.name).field("topics", &self.topics).finish_non_exhaustive()
    }
}

impl FluvioSink {
    /// Sees to it that the topics exist. `name` is the cluster, in words.
    ///
    /// # Errors
    ///
    /// When the cluster does not answer, or a topic does not exist.
    pub fn open(
        mut cluster: Box<dyn Cluster>,
        name: impl Into<String>,
        topics: Topics,
        store: StoreId,
    ) -> Result<Self, Error> {
        let name = name.into();
        let there = fluvio_log::patiently(CONNECT_TIMEOUT, || cluster.partitions());
        let there = there.map_err(|error| failed("list the topics", &name, error))?;
        let wanted = topics.scores.values().cloned().chain([topics.dead_letters()]);
        for topic in wanted {
            if there.iter().all(|(name, _)| **name != *topic) {
                let reason = format!("it does not exist; create it with `fluvio topic create {topic}`");
                let action = format!("send records to topic {topic}");
                return Err(failed(&action, &name, fluvio_log::Error::Refused(reason)));
            }
        }
        Ok(Self { cluster, name, topics, store })
    }
}

impl Sink for FluvioSink {
    fn publish(&mut self, batch: &[(u64, Outgoing)], _: &[Position]) -> Result<Receipt, Error> {
        // Each topic's records together, in their order.
        let mut sorted: Vec<(String, Vec<Appended>)> = Vec::new();
        for (sequence, outgoing) in batch {
            let (topic, record) = envelope(&self.topics, self.store, *sequence, outgoing);
            match sorted.iter_mut().find(|(name, _)| *name == topic) {
                Some((_, records)) => records.push(record),
                None => sorted.push((topic, vec![record])),
            }
        }
        for (topic, records) in sorted {
            let sent = self.cluster.append(&topic, &records, partition);
            sent.map_err(|error| failed(&format!("send records to topic {topic}"), &self.name, error))?;
        }
        Ok(Receipt::default())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

fn failed(action: &str, name: &str, error: fluvio_log::Error) -> Error {
    let (reason, passes) = match error {
        fluvio_log::Error::Away(reason) => (reason, true),
        fluvio_log::Error::Refused(reason) => (reason, false),
    };
    Error::Fluvio { action: action.to_owned(), cluster: name.to_owned(), reason, passes }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fluvio_log::Memory;
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;
    use crate::outgoing::tests::outgoing;

    fn topics(batch: &[(u64, Outgoing)]) -> Topics {
        let tasks = batch.iter().filter_map(|(_, outgoing)| match outgoing {
            Outgoing::Score(score) => Some((score.task.clone(), format!("scores-{}", score.task.len()))),
            Outgoing::DeadLetter(_) => None,
        });
        Topics { app: "shop".into(), scores: tasks.collect::<BTreeMap<_, _>>() }
    }

    fn sink(cluster: &Memory, topics: &Topics) -> FluvioSink {
        for topic in topics.scores.values().cloned().chain([topics.dead_letters()]) {
            cluster.create(&topic, 2);
        }
        FluvioSink::open(Box::new(cluster.clone()), "cluster `memory`", topics.clone(), StoreId(7)).expect("there")
    }

    /// Every envelope of every topic, by its outbox mark.
    fn envelopes(cluster: &Memory, topics: &Topics) -> Vec<(String, Json)> {
        let names: std::collections::BTreeSet<_> =
            topics.scores.values().cloned().chain([topics.dead_letters()]).collect();
        let records = names.iter().flat_map(|topic| cluster.records(topic));
        let parsed = records.map(|record| serde_json::from_slice::<Json>(&record.value).expect("JSON"));
        parsed.map(|json| (json["foreshoreoutbox"].as_str().expect("a mark").to_owned(), json)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever leaves, and however often it is sent again, there is one id for each record and one record for each
        /// id, and keys keep their partitions.
        #[test]
        fn a_repeat_has_the_ids_of_the_first_time(
            all in prop::collection::vec(outgoing(), 1..12), acknowledged in 0_usize..12,
        ) {
            let batch: Vec<(u64, Outgoing)> = (1..).zip(all).collect();
            let (cluster, topics) = (Memory::default(), topics(&batch));
            sink(&cluster, &topics).publish(&batch[..acknowledged.min(batch.len())], &[]).expect("sent");
            let before = envelopes(&cluster, &topics);
            sink(&cluster, &topics).publish(&batch, &[]).expect("sent");
            let after = envelopes(&cluster, &topics);
            prop_assert_eq!(after.len(), before.len() + batch.len());
            let by_mark: BTreeMap<_, _> = before.into_iter().chain(after.iter().cloned()).collect();
            prop_assert_eq!(by_mark.len(), batch.len());
            for (mark, json) in &after {
                prop_assert_eq!(json, &by_mark[mark]);
            }
        }
    }

    #[test]
    fn a_topic_that_is_not_there_is_named() {
        let topics = Topics { app: "shop".into(), scores: BTreeMap::from([("churn".into(), "shop.churn".into())]) };
        let cluster = Memory::default();
        cluster.create("shop.churn", 1);
        let opened = FluvioSink::open(Box::new(cluster), "endpoint `x:9003`", topics, StoreId(7));
        let refused = opened.expect_err("no dead letters");
        assert!(!refused.passes());
        assert!(refused.to_string().contains("fluvio topic create shop.dlq"), "{refused}");
    }

    #[test]
    fn a_cluster_that_is_away_passes() {
        let topics = Topics { app: "shop".into(), scores: BTreeMap::from([("churn".into(), "shop.churn".into())]) };
        let cluster = Memory::default();
        let mut sink = sink(&cluster, &topics);
        cluster.set_away(true);
        let score = crate::envelope::tests::score(None);
        let refused = sink.publish(&[(1, Outgoing::Score(score.clone()))], &[]).expect_err("away");
        assert!(refused.passes(), "{refused}");
        cluster.set_away(false);
        sink.publish(&[(1, Outgoing::Score(score))], &[]).expect("back");
        assert_eq!(cluster.records("shop.churn").len(), 1);
    }
}
