//! Exactly once, over a broker's transactions.
//!
//! One transaction holds scores and dead letters, an entry of the topic `<app>.commits` that names each of them by its
//! [`Stamp`], and the positions of the source that the records go back to. So whoever reads committed records sees all
//! of it or nothing, and what has left can be read back: the store keeps up to which entry it knows (a [`Bookmark`], in
//! the same commit that forgets the records), and on the next start [`Sink::left`] tells it what has left since. Of its
//! own records these are the ones whose acknowledgement was lost; any others left in a later life of the store, from
//! which it was brought back.
//!
//! A broker shuts a producer out when another one takes over, but also for reasons of its own, such as a transaction
//! that was open for too long. So each process begins with an entry that says so, and whoever is shut out looks for
//! the entry of another: only then is it over; else it takes over again and goes on.

use relational::Position;

use crate::entry::{Entry, ProcessId};
use crate::error::Error;
use crate::mark::Mark;
use crate::stamp::Stamp;
use crate::topics::{TopicRecord, Topics};
use crate::{Bookmark, Left, Outgoing, Receipt, Sink, StoreId};

/// A broker's transactions, as far as exactly-once delivery needs them.
pub trait Transactions: Send {
    /// Becomes the only producer of the application: whatever an earlier one has begun is completed or undone, and what
    /// it still sends is refused. Not the first time it leaves another process that does the same time to say so.
    ///
    /// # Errors
    ///
    /// When the broker refuses or does not answer.
    fn take_over(&mut self) -> Result<(), Fault>;

    /// Committed entries of the topic of commits from this offset on, or from its beginning, with their offsets: at most
    /// `limit`, in order; none at the topic's present end.
    ///
    /// # Errors
    ///
    /// When the topic cannot be read, or no longer has what follows the offset.
    fn committed(&mut self, from: Option<i64>, limit: usize) -> Result<Vec<(i64, Vec<u8>)>, Fault>;

    /// Begins a transaction.
    ///
    /// # Errors
    ///
    /// When there can be none.
    fn begin(&mut self) -> Result<(), Fault>;

    /// Adds a record to the transaction.
    ///
    /// # Errors
    ///
    /// When the record is refused at once; a later refusal fails the commit.
    fn send(&mut self, record: &TopicRecord) -> Result<(), Fault>;

    /// Adds where the source is read on, for those who watch the consumer group.
    ///
    /// # Errors
    ///
    /// When the broker refuses.
    fn send_positions(&mut self, positions: &[Position]) -> Result<(), Fault>;

    /// Whether positions go anywhere.
    fn tells_positions(&self) -> bool {
        true
    }

    /// Ends the transaction. Returns the offset of the last record that it added to the topic of commits, if any.
    ///
    /// # Errors
    ///
    /// When it is not committed, or when nobody knows whether it is ([`Fault::Lost`]).
    fn commit(&mut self) -> Result<Option<i64>, Fault>;

    /// Undoes the transaction.
    ///
    /// # Errors
    ///
    /// When it is not undone for certain.
    fn abort(&mut self) -> Result<(), Fault>;
}

/// Why a transaction did not go through.
#[derive(Debug)]
pub enum Fault {
    /// It is to be aborted; another attempt may go well.
    Abort(String),
    /// This producer cannot go on, and whether the transaction was committed is not known: a new one has to take over
    /// and look.
    Lost(String),
    /// The broker takes nothing more from this producer: another one has taken over, or the broker has ended a
    /// transaction of ours. Which of the two, and whether ours was committed, has to be looked for as well.
    Fenced(String),
    /// Another attempt would fail in the same way.
    Stop(Error),
}

/// Records in one transaction: bounds what is sent again when one fails, and how long it is open.
const RECORDS_MAX: usize = 1_000;

/// Entries of the topic of commits that are read at a time.
const ENTRIES_READ: usize = 100;

/// Attempts at the same records before the caller is told of it; it may call again.
const ATTEMPTS: usize = 3;

/// Publishes each record once.
#[derive(Debug)]
pub struct ExactlyOnce<T> {
    topics: Topics,
    store: StoreId,
    process: ProcessId,
    transactions: T,
    /// Where our first entry is: others before it are of processes that we have shut out.
    claimed_at: Option<i64>,
    /// Whether our producer cannot go on, so that a new one has to take over and look.
    is_lost: bool,
    /// Where the topic of commits is read on after our last entry.
    read_to: Option<i64>,
    /// The last sequence that has left.
    left_to: Option<u64>,
    repeated: u64,
}

impl<T: Transactions> ExactlyOnce<T> {
    /// Publishes the records of a store.
    #[must_use]
    pub fn new(topics: Topics, store: StoreId, process: ProcessId, transactions: T) -> Self {
        Self {
            topics,
            store,
            process,
            transactions,
            claimed_at: None,
            is_lost: false,
            read_to: None,
            left_to: None,
            repeated: 0,
        }
    }

    /// Takes over, and says so in the topic of commits. Returns where.
    fn claim(&mut self) -> Result<i64, Error> {
        let claim = Entry::claim(self.process).record(&self.topics, None);
        let mut reason = String::new();
        for _ in 0..ATTEMPTS {
            let transactions = &mut self.transactions;
            let claimed = transactions
                .take_over()
                .and_then(|()| transactions.begin())
                .and_then(|()| transactions.send(&claim))
                .and_then(|()| transactions.commit());
            match claimed {
                Ok(Some(offset)) => return Ok(offset),
                Ok(None) => reason = "the broker did not tell where the first entry is".into(),
                Err(Fault::Stop(error)) => return Err(error),
                // Fenced by an older process that had not seen us yet: it will.
                Err(Fault::Abort(told) | Fault::Lost(told) | Fault::Fenced(told)) => reason = told,
            }
        }
        Err(self.away(reason))
    }

    /// Publishes some records in one transaction, unless they have left.
    fn deliver(&mut self, batch: &[(u64, Outgoing)], positions: &[Position]) -> Result<(), Error> {
        let last = batch.last().map(|(sequence, _)| *sequence);
        let mut reason = String::new();
        for _ in 0..ATTEMPTS {
            if self.is_lost {
                self.come_back()?;
                if last.is_some() && last <= self.left_to {
                    return Ok(());
                }
            }
            match self.attempt(batch, positions) {
                Ok(()) => {
                    self.left_to = last.or(self.left_to);
                    return Ok(());
                }
                Err(fault) => reason = self.recover(fault)?,
            }
            self.repeated += 1;
        }
        Err(self.away(reason))
    }

    fn attempt(&mut self, batch: &[(u64, Outgoing)], positions: &[Position]) -> Result<(), Fault> {
        self.transactions.begin()?;
        for (sequence, outgoing) in batch {
            self.transactions.send(&self.topics.record(self.store, *sequence, outgoing))?;
        }
        if let Some((last, _)) = batch.last() {
            let stamps = batch.iter().map(|(_, outgoing)| outgoing.stamp()).collect();
            let mark = Mark { store: self.store, sequence: *last };
            let entry = Entry { process: self.process, last: *last, stamps }.record(&self.topics, Some(mark));
            self.transactions.send(&entry)?;
        }
        if !positions.is_empty() {
            self.transactions.send_positions(positions)?;
        }
        if let Some(offset) = self.transactions.commit()? {
            self.read_to = Some(offset + 1);
        }
        Ok(())
    }

    /// Makes another attempt possible, and returns why it is needed.
    fn recover(&mut self, fault: Fault) -> Result<String, Error> {
        match fault {
            Fault::Abort(reason) => match self.transactions.abort() {
                Ok(()) => Ok(reason),
                Err(Fault::Stop(error)) => Err(error),
                Err(Fault::Abort(worse) | Fault::Lost(worse) | Fault::Fenced(worse)) => {
                    self.is_lost = true;
                    Ok(format!("{reason}; then {worse}"))
                }
            },
            Fault::Lost(reason) | Fault::Fenced(reason) => {
                self.is_lost = true;
                Ok(reason)
            }
            Fault::Stop(error) => {
                // The next producer would undo it as well.
                self.transactions.abort().ok();
                Err(error)
            }
        }
    }

    /// Goes on with a new producer, unless another process has begun. Once it has taken over, it is decided what has
    /// left.
    fn come_back(&mut self) -> Result<(), Error> {
        self.look()?;
        self.transactions.take_over().map_err(|fault| self.end(fault))?;
        self.look()?;
        self.is_lost = false;
        Ok(())
    }

    /// Reads what is in the topic of commits after our last entry: what of ours has left without our knowing it. Another
    /// process's entry there ends ours.
    fn look(&mut self) -> Result<(), Error> {
        let entries = self.transactions.committed(self.read_to, ENTRIES_READ).map_err(|fault| self.end(fault))?;
        for (offset, value) in entries {
            let entry = Entry::decode(&self.topics, offset, &value)?;
            self.alone(offset, &entry)?;
            if !entry.stamps.is_empty() {
                self.left_to = self.left_to.max(Some(entry.last));
            }
            self.read_to = Some(offset + 1);
        }
        Ok(())
    }

    /// Whether an entry leaves us the only process.
    fn alone(&self, offset: i64, entry: &Entry) -> Result<(), Error> {
        if entry.process == self.process || self.claimed_at.is_none_or(|ours| offset < ours) {
            return Ok(());
        }
        Err(Error::Fenced { app: self.topics.app.clone(), topic: self.topics.commits(), offset })
    }

    fn end(&self, fault: Fault) -> Error {
        match fault {
            Fault::Stop(error) => error,
            Fault::Fenced(reason) | Fault::Abort(reason) | Fault::Lost(reason) => self.away(reason),
        }
    }

    fn away(&self, reason: String) -> Error {
        Error::Away { app: self.topics.app.clone(), reason }
    }
}

impl<T: Transactions> Sink for ExactlyOnce<T> {
    fn left(&mut self, since: Option<Bookmark>) -> Result<Option<Left>, Error> {
        if self.claimed_at.is_none() {
            self.claimed_at = Some(self.claim()?);
        }
        self.read_to = since.map(|bookmark| bookmark.0);
        let entries = self.transactions.committed(self.read_to, ENTRIES_READ).map_err(|fault| self.end(fault))?;
        let Some((last, _)) = entries.last() else { return Ok(None) };
        let bookmark = Bookmark(last + 1);
        let mut stamps: Vec<Stamp> = Vec::new();
        for (offset, value) in &entries {
            let entry = Entry::decode(&self.topics, *offset, value)?;
            self.alone(*offset, &entry)?;
            stamps.extend(entry.stamps);
        }
        Ok(Some(Left { stamps, bookmark }))
    }

    fn publish(&mut self, batch: &[(u64, Outgoing)], positions: &[Position]) -> Result<Receipt, Error> {
        self.repeated = 0;
        let mut transactions = 0;
        loop {
            let rest = &batch[batch.partition_point(|(sequence, _)| Some(*sequence) <= self.left_to)..];
            if rest.is_empty() {
                return Ok(Receipt { bookmark: self.read_to.map(Bookmark), transactions, repeated: self.repeated });
            }
            let part = &rest[..rest.len().min(RECORDS_MAX)];
            // Only once all records are there does the source stand behind them.
            let positions = if part.len() == rest.len() { positions } else { &[] };
            self.deliver(part, positions)?;
            transactions += 1;
        }
    }

    fn tells_positions(&self) -> bool {
        self.transactions.tells_positions()
    }

    fn report(&mut self, positions: &[Position]) -> Result<(), Error> {
        if !positions.is_empty() && self.tells_positions() {
            self.deliver(&[], positions)?;
        }
        // Whoever has nothing to publish is to learn as well that another process has begun.
        self.look()
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
