//! A sink that keeps the demo's scores, for the board and the verdict.

use std::sync::{Arc, Mutex, PoisonError};

use relational::Position;
use sinks::{Error, Outgoing, Receipt, ScoreRecord, Sink};

/// Clones share what is kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelf(Arc<Mutex<Vec<ScoreRecord>>>);

impl Shelf {
    /// The scores after the first `seen`.
    pub(super) fn after(&self, seen: usize) -> Vec<ScoreRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().skip(seen).cloned().collect()
    }
}

impl Sink for Shelf {
    fn publish(&mut self, batch: &[(u64, Outgoing)], _: &[Position]) -> Result<Receipt, Error> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(batch.iter().filter_map(|(_, outgoing)| match outgoing {
            Outgoing::Score(record) => Some(record.clone()),
            Outgoing::DeadLetter(_) => None,
        }));
        Ok(Receipt::default())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
