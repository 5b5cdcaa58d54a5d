//! Topics of a Fluvio cluster as a source.
//!
//! Each partition is read on from the store's position over a stream of its own, and `Merge` decides whose record goes
//! next, as for Kafka. A stream does not say when its partition is at its end, so that is asked for when nothing more
//! has arrived.

mod lane;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fluvio_log::{Cluster, Partition, RETRY_PAUSE};
use relational::Position;

use crate::decode::{self, Tables};
use crate::learning::Sample;
use crate::merge::Merge;
use crate::selection::Selection;
use crate::{Delivery, Error, Source, unmatched};
use lane::{Lane, Seen};

/// Between two looks for records that have arrived.
const PAUSE: Duration = Duration::from_millis(5);

/// Which cluster, which topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FluvioSettings {
    /// The cluster, in words.
    pub cluster: String,
    /// Names of topics, and patterns that start with `^`.
    pub topics: Vec<String>,
    /// Topics that no pattern means: those that we write ourselves.
    pub own: Vec<String>,
    /// How long to wait for a first answer.
    pub connect_timeout: Duration,
    /// How often to look for new partitions, and for new topics that match a pattern.
    pub refresh_interval: Duration,
    /// Bytes of records that may wait in the client, over all partitions.
    pub buffer_bytes: u64,
}

impl FluvioSettings {
    /// Settings with the usual times and sizes: 30 s, 30 s and 64 MiB.
    #[must_use]
    pub fn new(cluster: impl Into<String>, topics: Vec<String>) -> Self {
        Self {
            cluster: cluster.into(),
            topics,
            own: Vec::new(),
            connect_timeout: Duration::from_secs(30),
            refresh_interval: Duration::from_secs(30),
            buffer_bytes: 64 << 20,
        }
    }

    /// Bytes of one answer. The client holds about two answers a partition: one that is taken apart, one that waits.
    fn answer_bytes(&self, partitions: usize) -> i32 {
        let share = self.buffer_bytes / 2 / u64::try_from(partitions.max(1)).unwrap_or(u64::MAX);
        i32::try_from(share.clamp(256 << 10, 4 << 20)).unwrap_or(i32::MAX)
    }
}

/// The topics of a Fluvio cluster.
pub struct FluvioSource {
    cluster: Box<dyn Cluster>,
    settings: FluvioSettings,
    selection: Selection,
    tables: Arc<Tables>,
    partitions: Vec<Partition>,
    positions: BTreeMap<Partition, i64>,
    lanes: Vec<Lane>,
    merge: Merge,
    refreshed: Instant,
    /// When to knock again at a cluster that is away.
    retry: Option<Instant>,
    /// Whether the caller knows already that the source has caught up.
    told: bool,
}

impl fmt::Debug for FluvioSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FluvioSource").field("settings", &self.settings).field("partitions", &self.partitions).finish()
    }
}

impl FluvioSource {
    /// Finds the topics and their partitions.
    ///
    /// # Errors
    ///
    /// When the cluster does not answer in time, a topic does not exist, or a pattern is none.
    pub fn connect(
        mut cluster: Box<dyn Cluster>,
        settings: FluvioSettings,
        tables: Arc<Tables>,
    ) -> Result<Self, Error> {
        let selection = Selection::new(&settings.topics, &settings.own);
        let selection = selection.map_err(|(what, reason)| Error::Fluvio { what, reason })?;
        let partitions = patiently(&settings, || cluster.partitions())?;
        let partitions = selected(&settings, &selection, partitions)?;
        if partitions.is_empty() {
            tracing::warn!(topics = ?settings.topics, "fluvio: no topic matches yet");
        }
        Ok(Self {
            cluster,
            settings,
            selection,
            tables,
            partitions,
            positions: BTreeMap::new(),
            lanes: Vec::new(),
            merge: Merge::default(),
            refreshed: Instant::now(),
            retry: None,
            told: false,
        })
    }

    /// Reads all partitions from the known positions, and starts to merge anew.
    fn assign(&mut self) -> Result<(), Error> {
        self.lanes.clear();
        for partition in self.partitions.clone() {
            let (low, high) = patiently(&self.settings, || self.cluster.ends(&partition))?;
            let stored = self.positions.get(&partition).copied();
            if stored.is_none() && low > 0 {
                let (topic, number) = &partition;
                tracing::warn!(
                    "fluvio, topic `{topic}`, partition {number}: it begins at offset {low}; what was before is gone"
                );
            }
            self.lanes.push(Lane::new(partition, stored.unwrap_or(low), high));
        }
        self.merge = Merge::new(self.lanes.len());
        self.told = false;
        self.retry = None;
        self.open()
    }

    /// Opens what is not being read.
    fn open(&mut self) -> Result<(), Error> {
        if self.retry.is_some_and(|retry| Instant::now() < retry) {
            return Ok(());
        }
        let bytes = self.settings.answer_bytes(self.lanes.len());
        let mut trouble = None;
        for lane in self.lanes.iter_mut().filter(|lane| !lane.is_open()) {
            if let Err(error) = lane.open(&mut *self.cluster, bytes) {
                trouble = Some(lane.passing(error)?);
                // The others would have to wait for the same cluster.
                break;
            }
        }
        self.trouble(trouble);
        Ok(())
    }

    /// Trouble is told once, and once more when it is over.
    fn trouble(&mut self, trouble: Option<String>) {
        match trouble {
            Some(trouble) => {
                if self.retry.is_none() {
                    tracing::warn!("fluvio: {trouble}; trying again until it answers");
                }
                self.retry = Some(Instant::now() + RETRY_PAUSE);
            }
            None => {
                let are_open = self.lanes.iter().all(Lane::is_open);
                if are_open && self.retry.take().is_some() {
                    tracing::info!("fluvio answers again");
                }
            }
        }
    }

    /// Looks for new partitions and topics now and then; a cluster that is away is asked again later.
    fn refresh(&mut self) -> Result<(), Error> {
        if self.refreshed.elapsed() < self.settings.refresh_interval || self.retry.is_some() {
            return Ok(());
        }
        self.refreshed = Instant::now();
        let Ok(found) = self.cluster.partitions() else { return Ok(()) };
        let found = selected(&self.settings, &self.selection, found)?;
        if found != self.partitions {
            tracing::info!(from = self.partitions.len(), to = found.len(), "fluvio: the partitions have changed");
            self.partitions = found;
            self.positions.extend(self.lanes.iter().map(|lane| (lane.partition.clone(), lane.next)));
            self.assign()?;
        }
        Ok(())
    }

    /// Lets a partition show its next record, or its end.
    fn show(&mut self, index: usize) -> Result<(), Error> {
        if !self.merge.wants(index) {
            return Ok(());
        }
        let lane = &mut self.lanes[index];
        match lane.look(&mut *self.cluster) {
            Ok(Seen::Record(record)) => self.merge.offer(index, record),
            Ok(Seen::End) => self.merge.end(index),
            Ok(Seen::Nothing) => {}
            Err(error) => {
                let trouble = lane.passing(error)?;
                lane.close();
                self.trouble(Some(trouble));
            }
        }
        Ok(())
    }

    /// Moves what can go into the delivery.
    fn drain(&mut self, limit: usize, delivery: &mut Delivery) -> Result<usize, Error> {
        for index in 0..self.lanes.len() {
            self.show(index)?;
        }
        let mut records = 0;
        while delivery.has_room(records, limit) {
            let Some((index, record)) = self.merge.take() else { break };
            let offset = record.position.offset;
            if let Some(record) = decode::deliver(&self.tables, record, delivery)? {
                self.merge.put_back(index, record);
                break;
            }
            self.lanes[index].next = offset + 1;
            records += 1;
            self.show(index)?;
        }
        Ok(records)
    }

    /// The newest records of every partition, at most `limit` of each: to learn what the topics hold.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    pub fn sample(cluster: Box<dyn Cluster>, settings: &FluvioSettings, limit: usize) -> Result<Sample, Error> {
        // Nothing is decoded, so no tables are needed.
        let schema = relational::Schema::new(Vec::new(), Vec::new())?;
        let tables = Arc::new(Tables::new(Arc::new(schema), Vec::new())?);
        let mut source = Self::connect(cluster, settings.clone(), tables)?;
        for partition in source.partitions.clone() {
            let (low, high) = patiently(settings, || source.cluster.ends(&partition))?;
            let back = i64::try_from(limit).unwrap_or(i64::MAX);
            source.positions.insert(partition, high.saturating_sub(back).max(low));
        }
        source.assign()?;
        let deadline = Instant::now() + settings.connect_timeout;
        let mut records = Vec::new();
        for index in 0..source.lanes.len() {
            let mut count = 0;
            while count < limit && Instant::now() < deadline {
                let lane = &mut source.lanes[index];
                match lane.look(&mut *source.cluster) {
                    Ok(Seen::Record(record)) => {
                        lane.next = record.position.offset + 1;
                        records.push(record);
                        count += 1;
                    }
                    Ok(Seen::End) => break,
                    Ok(Seen::Nothing) => std::thread::sleep(PAUSE),
                    Err(error) => {
                        let reason = lane.passing(error)?;
                        return Err(Error::Fluvio { what: settings.cluster.clone(), reason });
                    }
                }
            }
        }
        let mut topics: Vec<String> = source.partitions.iter().map(|(topic, _)| topic.to_string()).collect();
        topics.dedup();
        Ok(Sample { topics, records })
    }
}

impl Source for FluvioSource {
    fn seek(&mut self, positions: &[Position]) -> Result<(), Error> {
        let partition = |position: &Position| (Arc::clone(&position.topic), position.partition);
        self.positions = positions.iter().map(|position| (partition(position), position.offset)).collect();
        self.assign()
    }

    fn poll(&mut self, limit: usize, wait: Duration) -> Result<Delivery, Error> {
        let deadline = Instant::now() + wait;
        if self.lanes.is_empty() {
            self.assign()?;
        }
        self.refresh()?;
        let before: Vec<i64> = self.lanes.iter().map(|lane| lane.next).collect();
        let mut delivery = Delivery::default();
        loop {
            self.open()?;
            let records = self.drain(limit, &mut delivery)?;
            delivery.caught_up = self.retry.is_none() && self.merge.caught_up();
            let remaining = deadline.saturating_duration_since(Instant::now());
            if records > 0 || remaining.is_zero() || (delivery.caught_up && !self.told) {
                self.told = delivery.caught_up;
                break;
            }
            std::thread::sleep(remaining.min(PAUSE));
        }
        let moved = self.lanes.iter().zip(before).filter(|(lane, before)| lane.next != *before);
        delivery.next = moved.map(|(lane, _)| lane.position()).collect();
        let behind = self.lanes.iter().enumerate().filter(|(index, _)| self.merge.is_behind(*index));
        delivery.behind = behind.map(|(_, lane)| lane.partition.clone()).collect();
        if self.partitions.is_empty() {
            delivery.waiting = Some(unmatched(&self.settings.cluster, &self.settings.topics));
        }
        Ok(delivery)
    }

    fn reads(&self, position: &Position) -> bool {
        self.partitions.contains(&(Arc::clone(&position.topic), position.partition))
    }

    fn progress(&self) -> (u64, Option<u64>) {
        let sum = |numbers: &mut dyn Iterator<Item = i64>| u64::try_from(numbers.sum::<i64>()).unwrap_or(0);
        let done = sum(&mut self.lanes.iter().map(|lane| lane.next - lane.start));
        let total = sum(&mut self.lanes.iter().map(|lane| lane.first_end.max(lane.next) - lane.start));
        (done, (!self.merge.is_live()).then_some(total))
    }
}

/// Asks until there is an answer, or for as long as a first answer may take.
fn patiently<T>(settings: &FluvioSettings, ask: impl FnMut() -> Result<T, fluvio_log::Error>) -> Result<T, Error> {
    let time = settings.connect_timeout;
    fluvio_log::patiently(time, ask).map_err(|error| {
        let reason = match error {
            fluvio_log::Error::Refused(reason) => reason,
            fluvio_log::Error::Away(reason) => {
                format!("no answer within {time:?} ({reason}); check `source.endpoint` or `source.profile`")
            }
        };
        Error::Fluvio { what: settings.cluster.clone(), reason }
    })
}

/// Those that are asked for. Each name must be there.
fn selected(
    settings: &FluvioSettings,
    selection: &Selection,
    mut partitions: Vec<Partition>,
) -> Result<Vec<Partition>, Error> {
    if let Some((name, reason)) = selection.missing(partitions.iter().map(|(topic, _)| &**topic)) {
        return Err(Error::Fluvio { what: format!("topic `{name}`, {}", settings.cluster), reason });
    }
    partitions.retain(|(topic, _)| selection.contains(topic));
    partitions.sort();
    Ok(partitions)
}
