//! One partition that is being read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fluvio_log::{Cluster, Partition, Reader, Record};
use relational::{EventTime, Position};

use crate::decode::OwnedRecord;
use crate::{Error, gone};

/// How long a partition may end before what we have read of it: a server that has just come back may not show all yet.
const SHOWN_TIME: Duration = Duration::from_secs(5);

pub(super) struct Lane {
    pub(super) partition: Partition,
    /// Where it was when it was assigned.
    pub(super) start: i64,
    /// The next offset that has not been delivered.
    pub(super) next: i64,
    /// Where the log ended when it was assigned.
    pub(super) first_end: i64,
    reader: Option<Box<dyn Reader>>,
    /// Where the log ended when that was asked for, and our place at that time.
    end: Option<(i64, i64)>,
    /// Since when the log has ended before our place.
    short: Option<Instant>,
}

/// What a look at a partition shows.
pub(super) enum Seen {
    Record(OwnedRecord),
    End,
    Nothing,
}

/// Why a partition is not read.
pub(super) enum Trouble {
    Cluster(fluvio_log::Error),
    /// The first offset that is there, and the one behind the last.
    Gone(i64, i64),
}

impl From<fluvio_log::Error> for Trouble {
    fn from(error: fluvio_log::Error) -> Self {
        Self::Cluster(error)
    }
}

impl Lane {
    pub(super) fn new(partition: Partition, next: i64, end: i64) -> Self {
        Self { partition, start: next, next, first_end: end, reader: None, end: None, short: None }
    }

    pub(super) fn is_open(&self) -> bool {
        self.reader.is_some()
    }

    pub(super) fn close(&mut self) {
        (self.reader, self.end) = (None, None);
    }

    pub(super) fn position(&self) -> Position {
        Position { topic: Arc::clone(&self.partition.0), partition: self.partition.1, offset: self.next }
    }

    pub(super) fn open(&mut self, cluster: &mut dyn Cluster, bytes: i32) -> Result<(), Trouble> {
        let (low, high) = cluster.ends(&self.partition)?;
        if self.next > high && self.short.get_or_insert_with(Instant::now).elapsed() < SHOWN_TIME {
            let reason = format!("it ends at offset {high}, and was read to {}", self.next);
            return Err(fluvio_log::Error::Away(reason).into());
        }
        if !(low..=high).contains(&self.next) {
            return Err(Trouble::Gone(low, high));
        }
        self.short = None;
        self.reader = Some(cluster.read(&self.partition, self.next, bytes)?);
        Ok(())
    }

    /// What has arrived. The end is asked for once at each place.
    pub(super) fn look(&mut self, cluster: &mut dyn Cluster) -> Result<Seen, Trouble> {
        let Some(reader) = &mut self.reader else { return Ok(Seen::Nothing) };
        while let Some(record) = reader.next()? {
            if record.offset >= self.next {
                return Ok(Seen::Record(owned(&self.partition, record)));
            }
        }
        let end = match self.end {
            Some((end, at)) if at == self.next => end,
            _ => {
                let (_, end) = cluster.ends(&self.partition)?;
                self.end = Some((end, self.next));
                end
            }
        };
        Ok(if self.next >= end { Seen::End } else { Seen::Nothing })
    }

    /// Trouble that passes, in words; what does not pass ends the source.
    pub(super) fn passing(&self, trouble: Trouble) -> Result<String, Error> {
        let (topic, partition) = &self.partition;
        let what = format!("topic `{topic}`, partition {partition}");
        match trouble {
            Trouble::Cluster(fluvio_log::Error::Away(reason)) => Ok(format!("{what}: {reason}")),
            Trouble::Cluster(fluvio_log::Error::Refused(reason)) => Err(Error::Fluvio { what, reason }),
            Trouble::Gone(low, high) => Err(Error::Fluvio { what, reason: gone(self.next, low, high) }),
        }
    }
}

/// Fluvio has neither headers nor null values: an empty value stands for null, which tells of a removed row.
fn owned(partition: &Partition, record: Record) -> OwnedRecord {
    let position = Position { topic: Arc::clone(&partition.0), partition: partition.1, offset: record.offset };
    OwnedRecord {
        origin: position.clone(),
        position,
        timestamp: record.timestamp_ms.map(|millis| EventTime(millis.saturating_mul(1_000))),
        key: record.key,
        value: Some(record.value).filter(|value| !value.is_empty()),
        headers: Vec::new(),
    }
}
