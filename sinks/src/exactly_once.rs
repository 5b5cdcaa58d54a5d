//! Exactly once, over a broker's transactions.
//!
//! One transaction holds scores and dead letters, an entry of the topic `<app>.commits` that names each of them by its
//! [`Stamp`], and the positions of the source that the records go back to. So whoever reads committed records sees all
//! of it or nothing, and what has left can be read back: the store keeps up to which entry it knows (a [`Bookmark`], in
//! the same commit that forgets the records), and on the next start [`Sink::left`] tells it what has left since. Of its
//! own records these are the ones whose acknowledgement was lost; any others left in a later life of the store, from
//! which it was brought back.

use std::time::{Duration, Instant};

use relational::Position;

use crate::error::Error;
use crate::stamp::{STAMP_BYTES, Stamp};
use crate::topics::{TopicRecord, Topics, mark};
use crate::{Bookmark, Left, Outgoing, Receipt, Sink, StoreId};

/// A broker's transactions, as far as exactly-once delivery needs them.
pub trait Transactions: Send {
    /// Becomes the only producer of the application: whatever an earlier one has begun is completed or undone, and what
    /// it still sends is refused.
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
    /// Another producer of the application has taken over.
    Fenced(String),
    /// Another attempt would fail in the same way.
    Stop(Error),
}

/// Records in one transaction: bounds what is sent again when one fails, and how long it is open.
const RECORDS_MAX: usize = 1_000;

/// Entries of the topic of commits that are read at a time.
const ENTRIES_READ: usize = 100;

/// How long the same records are tried again, a restart of the broker included.
const PATIENCE: Duration = Duration::from_secs(120);

/// Publishes each record once.
#[derive(Debug)]
pub struct ExactlyOnce<T> {
    topics: Topics,
    store: StoreId,
    transactions: T,
    taken_over: bool,
    /// Where the topic of commits is read on after our last entry.
    read_to: Option<i64>,
    repeated: u64,
}

impl<T: Transactions> ExactlyOnce<T> {
    /// Publishes the records of a store.
    #[must_use]
    pub fn new(topics: Topics, store: StoreId, transactions: T) -> Self {
        Self { topics, store, transactions, taken_over: false, read_to: None, repeated: 0 }
    }

    /// Publishes some records in one transaction, which is repeated until it is committed.
    fn deliver(&mut self, batch: &[(u64, Outgoing)], positions: &[Position]) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            let fault = match self.attempt(batch, positions) {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            };
            let reason = match self.recover(fault, batch)? {
                Recovery::Committed => return Ok(()),
                Recovery::Again(reason) => reason,
            };
            self.repeated += 1;
            if started.elapsed() >= PATIENCE {
                return Err(self.failed(format!("no transaction went through in {PATIENCE:?}: {reason}")));
            }
        }
    }

    fn attempt(&mut self, batch: &[(u64, Outgoing)], positions: &[Position]) -> Result<(), Fault> {
        self.transactions.begin()?;
        for (sequence, outgoing) in batch {
            self.transactions.send(&self.topics.record(self.store, *sequence, outgoing))?;
        }
        if let Some((last, _)) = batch.last() {
            self.transactions.send(&self.entry(*last, batch))?;
        }
        if !positions.is_empty() {
            self.transactions.send_positions(positions)?;
        }
        if let Some(offset) = self.transactions.commit()? {
            self.read_to = Some(offset + 1);
        }
        Ok(())
    }

    fn recover(&mut self, fault: Fault, batch: &[(u64, Outgoing)]) -> Result<Recovery, Error> {
        let reason = match fault {
            Fault::Abort(reason) => match self.transactions.abort() {
                Ok(()) => return Ok(Recovery::Again(reason)),
                Err(Fault::Abort(worse) | Fault::Lost(worse)) => format!("{reason}; then {worse}"),
                Err(fault) => return Err(self.end(fault)),
            },
            Fault::Lost(reason) => reason,
            Fault::Stop(error) => {
                // The next producer would undo it as well.
                self.transactions.abort().ok();
                return Err(error);
            }
            Fault::Fenced(_) => return Err(self.end(fault)),
        };
        match self.transactions.take_over() {
            Ok(()) => {}
            Err(Fault::Abort(worse) | Fault::Lost(worse)) => {
                return Ok(Recovery::Again(format!("{reason}; then {worse}")));
            }
            Err(fault) => return Err(self.end(fault)),
        }
        Ok(if self.has_left(batch)? { Recovery::Committed } else { Recovery::Again(reason) })
    }

    /// Whether the records are in the topic after all. Another application's entry there means that we are not the only
    /// ones, and were so rightly shut out.
    fn has_left(&mut self, batch: &[(u64, Outgoing)]) -> Result<bool, Error> {
        let entries = self.transactions.committed(self.read_to, ENTRIES_READ).map_err(|fault| self.end(fault))?;
        let Some((offset, value)) = entries.last() else { return Ok(false) };
        let stamps: Vec<Stamp> = batch.iter().map(|(_, outgoing)| outgoing.stamp()).collect();
        if entries.len() > 1 || self.decode(*offset, value)? != stamps {
            return Err(self.end(Fault::Fenced(format!("{} has entries of another", self.topics.commits()))));
        }
        self.read_to = Some(offset + 1);
        Ok(true)
    }

    /// The entry of the topic of commits that goes with these records.
    fn entry(&self, last: u64, batch: &[(u64, Outgoing)]) -> TopicRecord {
        let mut value = vec![VERSION];
        batch.iter().for_each(|(_, outgoing)| value.extend(outgoing.stamp().encode()));
        TopicRecord {
            topic: self.topics.commits(),
            key: None,
            value: Some(value),
            headers: vec![mark(self.store, last)],
            timestamp: None,
            may_omit_value: false,
        }
    }

    fn decode(&self, offset: i64, value: &[u8]) -> Result<Vec<Stamp>, Error> {
        let stamps = value.strip_prefix(&[VERSION]).map(<[u8]>::as_chunks::<STAMP_BYTES>);
        match stamps {
            Some((stamps, [])) => Ok(stamps.iter().map(Stamp::decode).collect()),
            _ => Err(self.failed(format!(
                "the entry at offset {offset} of {} is not one that this version writes",
                self.topics.commits()
            ))),
        }
    }

    fn end(&self, fault: Fault) -> Error {
        match fault {
            Fault::Stop(error) => error,
            Fault::Fenced(reason) => Error::Fenced { app: self.topics.app.clone(), reason },
            Fault::Abort(reason) | Fault::Lost(reason) => self.failed(reason),
        }
    }

    fn failed(&self, reason: String) -> Error {
        Error::Transaction { app: self.topics.app.clone(), reason }
    }
}

/// What is to be done after a fault.
enum Recovery {
    /// The records have left after all.
    Committed,
    /// They have not, for this reason, and may be sent again.
    Again(String),
}

/// The layout of an entry: this byte, and the stamps.
const VERSION: u8 = 1;

impl<T: Transactions> Sink for ExactlyOnce<T> {
    fn left(&mut self, since: Option<Bookmark>) -> Result<Option<Left>, Error> {
        if !self.taken_over {
            self.transactions.take_over().map_err(|fault| self.end(fault))?;
            self.taken_over = true;
        }
        self.read_to = since.map(|bookmark| bookmark.0);
        let entries = self.transactions.committed(self.read_to, ENTRIES_READ).map_err(|fault| self.end(fault))?;
        let Some((last, _)) = entries.last() else { return Ok(None) };
        let bookmark = Bookmark(last + 1);
        let stamps =
            entries.iter().map(|(offset, value)| self.decode(*offset, value)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Left { stamps: stamps.concat(), bookmark }))
    }

    fn publish(&mut self, batch: &[(u64, Outgoing)], positions: &[Position]) -> Result<Receipt, Error> {
        self.repeated = 0;
        let mut transactions = 0;
        let mut parts = batch.chunks(RECORDS_MAX).peekable();
        while let Some(part) = parts.next() {
            // Only once all records are there does the source stand behind them.
            let positions = if parts.peek().is_some() { &[] } else { positions };
            self.deliver(part, positions)?;
            transactions += 1;
        }
        Ok(Receipt { bookmark: self.read_to.map(Bookmark), transactions, repeated: self.repeated })
    }

    fn report(&mut self, positions: &[Position]) -> Result<bool, Error> {
        if !positions.is_empty() {
            self.deliver(&[], positions)?;
        }
        Ok(true)
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
