//! A broker with transactions: what they hold is seen when they are committed, and whoever takes over shuts out who was
//! there before.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relational::Position;
use sinks::{Error, Fault, TopicRecord, Transactions};

use crate::dice::Dice;

/// The topic of commits.
pub(crate) const COMMITS: &str = "sim.commits";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Committed,
    Aborted,
}

/// The broker, and whoever is connected to it: the dice are thrown here.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) dice: Dice,
    /// The number of the producer that may write; the others are shut out.
    newest: u64,
    transactions: Vec<State>,
    records: Vec<(usize, TopicRecord)>,
    /// Entries of the topic of commits, each with the transaction that holds it.
    entries: Vec<(usize, Vec<u8>)>,
    group: BTreeMap<(String, i32), i64>,
    pending: BTreeMap<(String, i32), i64>,
    /// A fault: entries of the topic of commits are seen at once, whatever becomes of their transaction.
    pub(crate) entries_outside: bool,
}

/// The broker is shared by the processes that follow each other.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Mutex<Broker>>);

impl Shared {
    pub(crate) fn new(dice: Dice) -> Self {
        Self(Arc::new(Mutex::new(Broker {
            dice,
            newest: 0,
            transactions: Vec::new(),
            records: Vec::new(),
            entries: Vec::new(),
            group: BTreeMap::new(),
            pending: BTreeMap::new(),
            entries_outside: false,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Broker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    /// What a reader of committed records sees, in order.
    pub(crate) fn committed(&self) -> impl Iterator<Item = &TopicRecord> {
        let is_committed = |transaction: usize| self.transactions[transaction] == State::Committed;
        self.records.iter().filter(move |(transaction, _)| is_committed(*transaction)).map(|(_, record)| record)
    }

    /// Where the consumer group stands in a partition.
    pub(crate) fn group(&self, topic: &str, partition: i32) -> Option<i64> {
        self.group.get(&(topic.to_owned(), partition)).copied()
    }

    fn end(&mut self, transaction: usize, state: State) {
        if self.transactions[transaction] != State::Open {
            return;
        }
        self.transactions[transaction] = state;
        let pending = std::mem::take(&mut self.pending);
        if state == State::Committed {
            self.group.extend(pending);
        }
    }
}

/// A process's way to the broker.
#[derive(Debug)]
pub(crate) struct Producer {
    broker: Shared,
    number: Option<u64>,
    transaction: Option<usize>,
    entry: Option<i64>,
    /// The process is gone: nothing that it still calls does anything.
    is_dead: bool,
}

impl Producer {
    pub(crate) fn new(broker: Shared) -> Self {
        Self { broker, number: None, transaction: None, entry: None, is_dead: false }
    }

    /// Every call begins so: the process may end here, and whoever was shut out is told.
    fn call(&mut self, what: &str) -> Result<MutexGuard<'_, Broker>, Fault> {
        if self.is_dead {
            return Err(gone());
        }
        let mut broker = self.broker.lock();
        broker.dice.say(what);
        if broker.dice.fails("crash before a call") {
            self.is_dead = true;
            return Err(gone());
        }
        if what != TAKE_OVER && what != READ && self.number != Some(broker.newest) {
            return Err(match self.number {
                Some(_) => {
                    broker.dice.happens("shut out");
                    Fault::Fenced("a newer producer".into())
                }
                None => Fault::Lost("there is no producer".into()),
            });
        }
        Ok(broker)
    }
}

const TAKE_OVER: &str = "  take over";
const READ: &str = "  read what has left";

fn gone() -> Fault {
    Fault::Stop(Error::Outbox("the process is gone".into()))
}

impl Transactions for Producer {
    fn take_over(&mut self) -> Result<(), Fault> {
        (self.number, self.transaction) = (None, None);
        let mut broker = self.call(TAKE_OVER)?;
        if broker.dice.fails("no take-over") {
            return Err(Fault::Lost("no coordinator".into()));
        }
        broker.newest += 1;
        let number = broker.newest;
        for transaction in 0..broker.transactions.len() {
            broker.end(transaction, State::Aborted);
        }
        drop(broker);
        self.number = Some(number);
        Ok(())
    }

    fn committed(&mut self, from: Option<i64>, limit: usize) -> Result<Vec<(i64, Vec<u8>)>, Fault> {
        let mut broker = self.call(READ)?;
        if broker.dice.fails("account not read") {
            return Err(Fault::Lost("no answer".into()));
        }
        let from = usize::try_from(from.unwrap_or(0)).expect("offsets are not negative");
        let outside = broker.entries_outside;
        let seen = |transaction: usize| outside || broker.transactions[transaction] == State::Committed;
        let entries = (0..).zip(&broker.entries).skip(from).filter(|(_, (transaction, _))| seen(*transaction));
        Ok(entries.map(|(offset, (_, entry))| (offset, entry.clone())).take(limit).collect())
    }

    fn begin(&mut self) -> Result<(), Fault> {
        let mut broker = self.call("  begin")?;
        if broker.dice.fails("producer lost") {
            return Err(Fault::Lost("unknown producer".into()));
        }
        broker.transactions.push(State::Open);
        let transaction = broker.transactions.len() - 1;
        drop(broker);
        (self.transaction, self.entry) = (Some(transaction), None);
        Ok(())
    }

    fn send(&mut self, record: &TopicRecord) -> Result<(), Fault> {
        let transaction = self.transaction.expect("a transaction has begun");
        let mut broker = self.call("  send")?;
        if broker.dice.fails("record refused") {
            return Err(Fault::Abort("not enough replicas".into()));
        }
        if record.topic == COMMITS {
            let value = record.value.clone().expect("an entry has a value");
            broker.entries.push((transaction, value));
            let offset = i64::try_from(broker.entries.len() - 1).expect("few");
            drop(broker);
            self.entry = Some(offset);
        } else {
            broker.records.push((transaction, record.clone()));
        }
        Ok(())
    }

    fn send_positions(&mut self, positions: &[Position]) -> Result<(), Fault> {
        let mut broker = self.call("  send positions")?;
        if broker.dice.fails("positions refused") {
            return Err(Fault::Abort("group coordinator has moved".into()));
        }
        let place = |position: &Position| ((position.topic.to_string(), position.partition), position.offset);
        broker.pending.extend(positions.iter().map(place));
        Ok(())
    }

    fn commit(&mut self) -> Result<Option<i64>, Fault> {
        let transaction = self.transaction.expect("a transaction has begun");
        let mut broker = self.call("  commit")?;
        if broker.dice.fails("transaction aborted") {
            // By the broker, which has not heard of it for too long; the producer learns of it.
            return Err(Fault::Abort("the transaction timed out".into()));
        }
        if broker.dice.fails("shut out by the broker") {
            // For the same reason, and it has given the producer's place to nobody.
            broker.newest += 1;
            broker.end(transaction, State::Aborted);
            return Err(Fault::Fenced("the transaction timed out".into()));
        }
        if broker.dice.fails("commit not heard") {
            return Err(Fault::Lost("no answer".into()));
        }
        broker.end(transaction, State::Committed);
        if broker.dice.fails("commit not acknowledged") {
            return Err(Fault::Lost("no answer".into()));
        }
        if broker.dice.fails("crash after a commit") {
            drop(broker);
            self.is_dead = true;
            return Err(gone());
        }
        drop(broker);
        Ok(self.entry)
    }

    fn abort(&mut self) -> Result<(), Fault> {
        let transaction = self.transaction;
        let mut broker = self.call("  abort")?;
        if !broker.dice.is_calm() && broker.dice.below(6) == 0 {
            broker.dice.happens("abort not acknowledged");
            return Err(Fault::Lost("no answer".into()));
        }
        broker.end(transaction.expect("a transaction has begun"), State::Aborted);
        Ok(())
    }
}
