//! As of which arrival each context was drawn. Kept in the store, so that a restarted run, and whoever asks about the
//! past later, draws the same contexts, whatever has arrived since.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use graph_store::{Keyspace, Store, Transaction};
use relational::{EventTime, Sequence, Task};

/// What is drawn at a point of event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Drawn {
    /// A context's examples.
    Context,
    /// The category statistics that several contexts share.
    Vocabulary,
}

/// The arrivals that a draw has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Draw {
    /// The newest of them.
    pub sequence: Sequence,
    /// The newest that may have changed what an example of an earlier draw reads, for it arrived that late. The
    /// features of an example that two draws have in common are equal where this is equal.
    pub disturbed: Sequence,
}

/// The draws of one task.
#[derive(Debug)]
pub(super) struct Draws {
    task: String,
    /// From a point back to where none of its examples can be, in microseconds; `None` where examples read only what
    /// arrived with them.
    margin: Option<i64>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Told by the engine; `None` while there is none, and the store stands still.
    arrived: Option<Sequence>,
    disturbed: Sequence,
    /// No example of any draw has its anchor after this.
    newest_anchor: EventTime,
    /// Draws that the store does not hold yet.
    fresh: BTreeMap<(Drawn, EventTime), Draw>,
}

impl Draws {
    pub(super) fn new(task: &Task) -> Self {
        let state = State {
            arrived: None,
            disturbed: Sequence::default(),
            newest_anchor: EventTime::MIN,
            fresh: BTreeMap::new(),
        };
        // An example's window has closed by the point. Half of its length leaves room for months of unequal lengths.
        let margin = (!task.is_static()).then(|| task.horizon() / 2);
        Self { task: task.name.clone(), margin, state: Mutex::new(state) }
    }

    /// An engine goes on from here: from now on it tells what arrives.
    pub(super) fn begin(&self, sequence: Sequence) {
        let mut state = self.lock();
        state.arrived = Some(sequence);
        state.disturbed = sequence;
    }

    /// A change has arrived that is seen from `effective` on.
    pub(super) fn arrived(&self, sequence: Sequence, effective: EventTime) {
        let mut state = self.lock();
        state.arrived = Some(sequence);
        if effective <= state.newest_anchor {
            state.disturbed = sequence;
        }
    }

    /// What is or was seen by the draw at `point`.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(super) fn at(&self, store: &Store, drawn: Drawn, point: EventTime) -> Result<Draw, graph_store::Error> {
        let mut state = self.lock();
        if let Some(margin) = self.margin {
            state.newest_anchor = state.newest_anchor.max(point.plus(-margin));
        }
        if let Some(draw) = state.fresh.get(&(drawn, point)) {
            return Ok(*draw);
        }
        if let Some(bytes) = store.get(Keyspace::Context, &self.key(drawn, point))? {
            return Ok(decode(&bytes).expect("a draw is what `encode` wrote"));
        }
        let draw = match state.arrived {
            Some(sequence) => Draw { sequence, disturbed: state.disturbed },
            // Who only asks does not know what came late before, and so shares nothing with draws of before.
            None => Draw { sequence: store.sequence(), disturbed: store.sequence() },
        };
        state.fresh.insert((drawn, point), draw);
        Ok(draw)
    }

    /// Writes the new draws: with the scores that were made with them, or before.
    pub(super) fn save(&self, transaction: &mut Transaction<'_>) {
        for ((drawn, point), draw) in std::mem::take(&mut self.lock().fresh) {
            transaction.put(Keyspace::Context, self.key(drawn, point), encode(draw));
        }
    }

    /// `draw/ | task's name | 0 | 0 context, 1 vocabulary (1) | point (8, in order)`, big-endian.
    fn key(&self, drawn: Drawn, point: EventTime) -> Vec<u8> {
        let mut key = b"draw/".to_vec();
        key.extend(self.task.as_bytes());
        key.extend([0, u8::from(drawn == Drawn::Vocabulary)]);
        key.extend((point.0 ^ i64::MIN).to_be_bytes());
        key
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const VERSION: u8 = 1;

/// `version (1) | sequence (8) | disturbed (8)`, big-endian.
fn encode(draw: Draw) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend(draw.sequence.0.to_be_bytes());
    bytes.extend(draw.disturbed.0.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Draw> {
    let (version, rest) = bytes.split_first()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let (disturbed, rest) = rest.split_first_chunk()?;
    let [sequence, disturbed] = [sequence, disturbed].map(|bytes| Sequence(u64::from_be_bytes(*bytes)));
    (*version == VERSION && rest.is_empty()).then_some(Draw { sequence, disturbed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let draw = Draw { sequence: Sequence(u64::MAX - 3), disturbed: Sequence(7) };
        assert_eq!(decode(&encode(draw)), Some(draw));
    }
}
