//! A cluster in memory, for tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Appended, Cluster, Error, Partition, PartitionOf, Reader, Record};

/// Topics in memory, shared by all clones. Records are sent at 1 ms after 1970, at 2 ms and so on.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    logs: BTreeMap<Partition, Log>,
    clock: i64,
    away: bool,
    /// How often it went away: who read before reads no more.
    lives: u64,
}

#[derive(Debug, Default)]
struct Log {
    first: i64,
    records: Vec<Record>,
}

impl Log {
    fn end(&self) -> i64 {
        self.first + i64::try_from(self.records.len()).unwrap_or(i64::MAX)
    }
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer<T>(&self, answer: impl FnOnce(&mut State) -> Result<T, Error>) -> Result<T, Error> {
        let mut state = self.state();
        if state.away { Err(away()) } else { answer(&mut state) }
    }

    /// Makes a topic, or gives it more partitions.
    pub fn create(&self, topic: &str, partitions: i32) {
        let mut state = self.state();
        for partition in 0..partitions {
            state.logs.entry((topic.into(), partition)).or_default();
        }
    }

    /// Removes the records of a partition before this offset, as retention does.
    pub fn forget(&self, topic: &str, partition: i32, before: i64) {
        if let Some(log) = self.state().logs.get_mut(&(topic.into(), partition)) {
            log.records.retain(|record| record.offset >= before);
            log.first = before;
        }
    }

    /// Goes away, with every connection, or comes back.
    pub fn set_away(&self, away: bool) {
        let mut state = self.state();
        state.lives += u64::from(away);
        state.away = away;
    }

    /// Whether it is away.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.state().away
    }

    /// What a topic holds, partition by partition.
    #[must_use]
    pub fn records(&self, topic: &str) -> Vec<Record> {
        let state = self.state();
        let logs = state.logs.iter().filter(|((name, _), _)| **name == *topic);
        logs.flat_map(|(_, log)| log.records.clone()).collect()
    }

    /// Appends one record to a partition, and says where it is.
    ///
    /// # Errors
    ///
    /// When there is no such partition.
    pub fn push(&self, partition: &Partition, record: Appended) -> Result<i64, Error> {
        self.answer(|state| {
            state.clock += 1;
            let timestamp_ms = Some(state.clock);
            let log = state.logs.get_mut(partition).ok_or_else(|| missing(partition))?;
            let offset = log.end();
            log.records.push(Record { offset, timestamp_ms, key: record.key, value: record.value });
            Ok(offset)
        })
    }

    /// The records of a partition from an offset on.
    ///
    /// # Errors
    ///
    /// When there is no such partition, or it does not hold the offset.
    pub fn from(&self, partition: &Partition, offset: i64) -> Result<Vec<Record>, Error> {
        self.answer(|state| {
            let log = state.logs.get(partition).ok_or_else(|| missing(partition))?;
            if !(log.first..=log.end()).contains(&offset) {
                return Err(Error::Away(format!("offset {offset} is not there")));
            }
            Ok(log.records.iter().filter(|record| record.offset >= offset).cloned().collect())
        })
    }
}

impl Cluster for Memory {
    fn partitions(&mut self) -> Result<Vec<Partition>, Error> {
        self.answer(|state| Ok(state.logs.keys().cloned().collect()))
    }

    fn ends(&mut self, partition: &Partition) -> Result<(i64, i64), Error> {
        self.answer(|state| {
            let log = state.logs.get(partition).ok_or_else(|| missing(partition))?;
            Ok((log.first, log.end()))
        })
    }

    fn read(&mut self, partition: &Partition, offset: i64, _: i32) -> Result<Box<dyn Reader>, Error> {
        self.from(partition, offset)?;
        let lives = self.state().lives;
        Ok(Box::new(MemoryReader { cluster: self.clone(), partition: partition.clone(), next: offset, lives }))
    }

    fn append(&mut self, topic: &str, records: &[Appended], partition_of: PartitionOf) -> Result<(), Error> {
        let count = self.partitions()?.iter().filter(|(name, _)| **name == *topic).count();
        if count == 0 {
            return Err(missing(&(topic.into(), 0)));
        }
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        for record in records {
            let partition = partition_of(record.key.as_deref().unwrap_or_default(), count);
            self.push(&(topic.into(), partition), record.clone())?;
        }
        Ok(())
    }
}

struct MemoryReader {
    cluster: Memory,
    partition: Partition,
    next: i64,
    lives: u64,
}

impl Reader for MemoryReader {
    fn next(&mut self) -> Result<Option<Record>, Error> {
        if self.cluster.state().lives != self.lives {
            return Err(away());
        }
        let record = self.cluster.from(&self.partition, self.next)?.into_iter().next();
        self.next += i64::from(record.is_some());
        Ok(record)
    }
}

fn away() -> Error {
    Error::Away("the cluster is away".into())
}

fn missing((topic, partition): &Partition) -> Error {
    Error::Refused(format!(
        "topic `{topic}` has no partition {partition}; create it with `fluvio topic create {topic}`"
    ))
}
