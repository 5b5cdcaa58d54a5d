//! The generated database as a source.

use std::time::Duration;

use ingest::{Delivery, Error, Source};
use relational::{Change, Position};

/// Delivers changes in their order.
#[derive(Debug)]
pub(super) struct Generated {
    changes: Vec<Change>,
    next: usize,
}

impl Generated {
    pub(super) fn new(changes: Vec<Change>) -> Self {
        Self { changes, next: 0 }
    }
}

impl Source for Generated {
    fn seek(&mut self, positions: &[Position]) -> Result<(), Error> {
        self.next = positions.first().and_then(|position| usize::try_from(position.offset).ok()).unwrap_or(0);
        Ok(())
    }

    fn poll(&mut self, limit: usize, _wait: Duration) -> Result<Delivery, Error> {
        let end = self.changes.len().min(self.next.saturating_add(limit));
        let changes = self.changes[self.next..end].to_vec();
        self.next = end;
        let next = changes.last().map(|last| Position { offset: last.position.offset + 1, ..last.position.clone() });
        Ok(Delivery {
            changes,
            next: next.into_iter().collect(),
            caught_up: end == self.changes.len(),
            ..Delivery::default()
        })
    }

    fn progress(&self) -> (u64, Option<u64>) {
        (self.next as u64, Some(self.changes.len() as u64))
    }
}
