//! Records of one transaction of the source wait for each other, and go together.
//!
//! Every partition is a lane that keeps its order. A record that belongs to no transaction goes once it is the first of
//! its lane. Those of a transaction go all at once: when its end has come, with it every row that the end counts, and no
//! record of another transaction stands before any of them. What stands between them in a lane, such as the tombstone of
//! a deleted row, goes along. So nothing overtakes anything within its lane, and where a lane has been read on is one
//! position.
//!
//! A source writes one transaction after the other, in every partition in the same order, so the oldest never waits for a
//! younger one. What lasts too long, or does not fit, is split: its records go one by one, as if they belonged to none.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use relational::EventTime;
use relational::limits::TRANSACTIONS_REMEMBERED_MAX;

/// What a record has to do with a transaction of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It is one of its rows.
    Row {
        /// The transaction.
        transaction: Arc<str>,
        /// The topic that it stands in.
        topic: Arc<str>,
        /// Its number among the transaction's rows of this topic, if it is told: a row that comes twice counts once.
        number: Option<u64>,
    },
    /// It is its end.
    End {
        /// The transaction.
        transaction: Arc<str>,
        /// How many rows it has in each topic that is read.
        counts: Vec<(Arc<str>, u64)>,
    },
}

/// Why a transaction was not kept together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Split {
    /// Its end, or a row, did not come in time.
    Timeout,
    /// There was no room for more records.
    Full,
    /// A row came after the others had gone.
    Late,
}

impl Split {
    /// The name used in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Full => "full",
            Self::Late => "late",
        }
    }
}

/// How much is held, and how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Records.
    pub(crate) records: usize,
    /// Their bytes, as they came.
    pub(crate) bytes: usize,
    /// From a transaction's first record on, in microseconds of the clock that `now` is read from.
    pub(crate) patience: i64,
}

/// Records that go at once, each with its lane.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group<T> {
    /// Whether they are a whole transaction.
    pub(crate) whole: bool,
    pub(crate) records: Vec<(usize, T)>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Hold<T> {
    bounds: Bounds,
    lanes: Vec<VecDeque<Held<T>>>,
    /// The first of every lane that holds any, by its arrival.
    heads: BTreeSet<(u64, usize)>,
    open: BTreeMap<Arc<str>, Open>,
    /// The open ones by the time of their first record.
    ages: BTreeSet<(EventTime, Arc<str>)>,
    gone: Gone,
    records: usize,
    bytes: usize,
    arrivals: u64,
    splits: BTreeMap<Split, u64>,
}

#[derive(Debug)]
struct Held<T> {
    arrival: u64,
    bytes: usize,
    transaction: Option<Arc<str>>,
    content: T,
}

/// A transaction of which something is held.
#[derive(Debug)]
struct Open {
    since: EventTime,
    /// How many of its records each lane holds.
    lanes: BTreeMap<usize, usize>,
    /// The numbers of the rows that have come, by topic.
    rows: BTreeMap<Arc<str>, BTreeSet<u64>>,
    /// Told by its end.
    counts: Option<Vec<(Arc<str>, u64)>>,
}

impl Open {
    fn is_complete(&self) -> bool {
        let come = |topic: &Arc<str>| self.rows.get(topic).map_or(0, |rows| rows.len() as u64);
        self.counts.as_ref().is_some_and(|counts| counts.iter().all(|(topic, count)| come(topic) >= *count))
    }
}

/// The transactions that went last, and whether it has been counted that they did not stay together.
#[derive(Debug, Default)]
struct Gone {
    counted: BTreeMap<Arc<str>, bool>,
    order: VecDeque<Arc<str>>,
}

impl Gone {
    fn add(&mut self, transaction: Arc<str>, counted: bool) {
        if self.counted.insert(Arc::clone(&transaction), counted).is_none() {
            self.order.push_back(transaction);
        }
        if self.order.len() > TRANSACTIONS_REMEMBERED_MAX {
            self.order.pop_front().map(|oldest| self.counted.remove(&oldest));
        }
    }
}

impl<T> Hold<T> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            lanes: Vec::new(),
            heads: BTreeSet::new(),
            open: BTreeMap::new(),
            ages: BTreeSet::new(),
            gone: Gone::default(),
            records: 0,
            bytes: 0,
            arrivals: 0,
            splits: BTreeMap::new(),
        }
    }

    /// Forgets what it holds, which is read once more, and has this many lanes from now on.
    pub(crate) fn restart(&mut self, lanes: usize) {
        let gone = std::mem::take(&mut self.gone);
        *self = Self { splits: std::mem::take(&mut self.splits), gone, ..Self::new(self.bounds) };
        self.lanes.resize_with(lanes, VecDeque::new);
    }

    /// How many records wait.
    pub(crate) fn len(&self) -> usize {
        self.records
    }

    /// Whether a record of this lane waits.
    pub(crate) fn holds(&self, lane: usize) -> bool {
        !self.lanes[lane].is_empty()
    }

    /// What was not kept together since the last call.
    pub(crate) fn take_splits(&mut self) -> BTreeMap<Split, u64> {
        std::mem::take(&mut self.splits)
    }

    /// A lane's next record. Call [`Self::take`] until it gives nothing before the next one is offered: then no more is
    /// held than the bounds allow, and this one.
    pub(crate) fn offer(&mut self, lane: usize, mark: Option<Mark>, bytes: usize, now: EventTime, content: T) {
        let transaction = mark.and_then(|mark| self.join(lane, mark, now));
        let arrival = self.arrivals;
        self.arrivals += 1;
        if self.lanes[lane].is_empty() {
            self.heads.insert((arrival, lane));
        }
        self.records += 1;
        self.bytes += bytes;
        self.lanes[lane].push_back(Held { arrival, bytes, transaction, content });
    }

    /// Enters a record into its transaction, which it names, unless that has gone.
    fn join(&mut self, lane: usize, mark: Mark, now: EventTime) -> Option<Arc<str>> {
        let (Mark::Row { transaction, .. } | Mark::End { transaction, .. }) = &mark;
        let transaction = Arc::clone(transaction);
        if let Some(counted) = self.gone.counted.get_mut(&transaction) {
            if matches!(mark, Mark::Row { .. }) && !std::mem::replace(counted, true) {
                *self.splits.entry(Split::Late).or_default() += 1;
            }
            return None;
        }
        let ages = &mut self.ages;
        let open = self.open.entry(Arc::clone(&transaction)).or_insert_with(|| {
            ages.insert((now, Arc::clone(&transaction)));
            Open { since: now, lanes: BTreeMap::new(), rows: BTreeMap::new(), counts: None }
        });
        *open.lanes.entry(lane).or_default() += 1;
        match mark {
            Mark::Row { topic, number, .. } => {
                let rows = open.rows.entry(topic).or_default();
                rows.insert(number.unwrap_or(rows.len() as u64 + 1));
            }
            Mark::End { counts, .. } => open.counts = Some(counts),
        }
        Some(transaction)
    }

    /// What goes next, if anything can. `in_order`: a record of no transaction waits for all that came before it, so that
    /// what goes when depends on the order of the records alone.
    pub(crate) fn take(&mut self, now: EventTime, in_order: bool) -> Option<Group<T>> {
        loop {
            if let Some(group) = self.ready(in_order) {
                return Some(group);
            }
            let oldest = self.ages.first().filter(|(since, _)| now.since(*since) >= self.bounds.patience);
            if let Some((_, transaction)) = oldest {
                self.split(&Arc::clone(transaction), Split::Timeout);
            } else if self.records > self.bounds.records || self.bytes > self.bounds.bytes {
                let (_, lane) = self.heads.first()?;
                let transaction = self.lanes[*lane].front()?.transaction.clone();
                self.split(&transaction.expect("the oldest record of no transaction goes"), Split::Full);
            } else {
                return None;
            }
        }
    }

    fn ready(&mut self, in_order: bool) -> Option<Group<T>> {
        let mut heads = self.heads.iter().enumerate();
        let (lane, transaction) = heads.find_map(|(place, (_, lane))| {
            let queue = &self.lanes[*lane];
            if queue[0].transaction.is_none() && (place == 0 || !in_order) {
                return Some((*lane, None));
            }
            let first = queue.iter().find_map(|held| held.transaction.as_ref())?;
            self.is_whole(first, in_order).then(|| (*lane, Some(Arc::clone(first))))
        })?;
        let Some(transaction) = transaction else {
            return Some(Group { whole: false, records: vec![(lane, self.pop(lane).content)] });
        };
        let open = self.close(&transaction, false);
        let mut records = Vec::new();
        for (lane, mut left) in open.lanes {
            while left > 0 {
                let held = self.pop(lane);
                left -= usize::from(held.transaction.is_some());
                records.push((held.arrival, (lane, held.content)));
            }
        }
        records.sort_by_key(|(arrival, _)| *arrival);
        Some(Group { whole: true, records: records.into_iter().map(|(_, record)| record).collect() })
    }

    /// Whether all of it has come, and stands before all other transactions in its lanes. A record of none that stands
    /// before it goes by itself, unless that has to wait for it.
    fn is_whole(&self, transaction: &Arc<str>, in_order: bool) -> bool {
        let open = &self.open[transaction];
        let is_member = |held: &Held<T>| held.transaction.as_ref() == Some(transaction);
        let leads = |(lane, count): (&usize, &usize)| {
            let lane = &self.lanes[*lane];
            let mut members = lane.iter().filter(|held| held.transaction.is_some()).take(*count);
            (in_order || is_member(&lane[0])) && members.all(is_member)
        };
        open.is_complete() && open.lanes.iter().all(leads)
    }

    fn pop(&mut self, lane: usize) -> Held<T> {
        let queue = &mut self.lanes[lane];
        let held = queue.pop_front().expect("who pops has seen the record");
        self.heads.remove(&(held.arrival, lane));
        self.heads.extend(queue.front().map(|next| (next.arrival, lane)));
        self.records -= 1;
        self.bytes -= held.bytes;
        held
    }

    fn close(&mut self, transaction: &Arc<str>, counted: bool) -> Open {
        let open = self.open.remove(transaction).expect("an open transaction is closed once");
        self.ages.remove(&(open.since, Arc::clone(transaction)));
        self.gone.add(Arc::clone(transaction), counted);
        open
    }

    /// Its records belong to no transaction from now on.
    fn split(&mut self, transaction: &Arc<str>, why: Split) {
        let open = self.close(transaction, true);
        *self.splits.entry(why).or_default() += 1;
        for lane in open.lanes.into_keys() {
            let held = self.lanes[lane].iter_mut().filter(|held| held.transaction.as_ref() == Some(transaction));
            held.for_each(|held| held.transaction = None);
        }
    }
}

#[cfg(test)]
mod tests;
