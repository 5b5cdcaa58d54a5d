//! A sink for tests, which keeps what it is given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use relational::Position;

use crate::{Error, Outgoing, Receipt, Sink};

/// Keeps records in memory. Clones share them, so that a test can look at what a pipeline publishes, or hand the same
/// records to the next run after a crash.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<BTreeMap<u64, Outgoing>>>);

impl Memory {
    /// Everything published so far, with its outbox sequence.
    #[must_use]
    pub fn records(&self) -> Vec<(u64, Outgoing)> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().map(|(sequence, outgoing)| (*sequence, outgoing.clone())).collect()
    }
}

impl Sink for Memory {
    fn publish(&mut self, batch: &[(u64, Outgoing)], _: &[Position]) -> Result<Receipt, Error> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (sequence, outgoing) in batch {
            held.entry(*sequence).or_insert_with(|| outgoing.clone());
        }
        Ok(Receipt::default())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
