//! As of which arrival each context was drawn. Kept in the store, so that a restarted run, and whoever asks about the
//! past later, draws the same contexts, whatever has arrived since.
//!
//! What has been drawn stays as it is while little more arrives. A store that is still being filled, as from a source's
//! initial snapshot, would answer for long from the little that was there at first: so draws come in [`Edition`]s, and
//! what arrived late for a draw is in the next edition's.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};

use graph_store::{Keyspace, Store, Transaction};
use lru::LruCache;
use relational::{EventTime, Sequence, Task};

/// What is drawn at a point of event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Drawn {
    /// A context's examples.
    Context,
    /// The category statistics that several contexts share.
    Vocabulary,
}

/// The arrivals that share draws, by the last of them that there can be: a new edition begins when a quarter to a third
/// more has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Edition(Sequence);

impl Edition {
    /// The arrivals whose numbers are as long and begin with the same three binary digits.
    fn of(sequence: Sequence) -> Self {
        let digits = u64::BITS - sequence.0.leading_zeros();
        Self(Sequence(sequence.0 | ((1_u64 << digits.saturating_sub(3)) - 1)))
    }
}

/// When something is drawn: at a point of event time, in an edition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    pub(super) point: EventTime,
    edition: Edition,
}

impl Moment {
    /// For a question that has seen the arrivals up to `asked`.
    pub(crate) fn new(point: EventTime, asked: Sequence) -> Self {
        Self { point, edition: Edition::of(asked) }
    }

    fn of(self, edition: Edition) -> Self {
        Self { edition, ..self }
    }

    /// Another point in the same edition.
    pub(super) fn at(self, point: EventTime) -> Self {
        Self { point, ..self }
    }
}

/// The arrivals that a draw has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// The newest arrival that a draw made before it would have seen.
    missed: Sequence,
    /// No draw was made for later than this.
    newest_point: EventTime,
    /// No example of any draw has its anchor after this.
    newest_anchor: EventTime,
    recent: LruCache<(Drawn, Moment), Draw>,
    /// Draws that the store does not hold yet.
    fresh: BTreeMap<(Drawn, Moment), Draw>,
}

/// Draws in memory: contexts and their vocabularies ask for the same few again and again.
const RECENT: NonZero<usize> = NonZero::new(256).expect("256 is not 0");
/// Editions of a point that are looked through: more than there can be.
const EDITIONS_MAX: usize = 512;

impl Draws {
    pub(super) fn new(task: &Task) -> Self {
        let state = State {
            arrived: None,
            disturbed: Sequence::default(),
            missed: Sequence::default(),
            newest_point: EventTime::MIN,
            newest_anchor: EventTime::MIN,
            recent: LruCache::new(RECENT),
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
        // What came late for the draws of before is not known any more: they may have missed it.
        state.disturbed = sequence;
        state.missed = Sequence(sequence.0.saturating_add(1));
    }

    /// A change has arrived that is seen from `effective` on.
    pub(super) fn arrived(&self, sequence: Sequence, effective: EventTime) {
        let mut state = self.lock();
        state.arrived = Some(sequence);
        if effective <= state.newest_anchor {
            state.disturbed = sequence;
        }
        if effective <= state.newest_point {
            state.missed = sequence;
        }
    }

    /// The moment whose draws answer what is asked at this one: of an earlier edition if nothing has been missed since.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(super) fn resolve(&self, store: &Store, asked: Moment) -> Result<Moment, graph_store::Error> {
        Ok(Moment::new(asked.point, self.at(store, Drawn::Context, asked)?.sequence))
    }

    /// What is or was seen by the draw at a moment.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(super) fn at(&self, store: &Store, drawn: Drawn, moment: Moment) -> Result<Draw, graph_store::Error> {
        let mut state = self.lock();
        if let Some(draw) = state.recent.get(&(drawn, moment)) {
            return Ok(*draw);
        }
        state.newest_point = state.newest_point.max(moment.point);
        if let Some(margin) = self.margin {
            state.newest_anchor = state.newest_anchor.max(moment.point.plus(-margin));
        }
        let draw = match self.newest(&state, store, drawn, moment)? {
            Some((edition, draw)) if edition == moment.edition || !state.has_missed(draw) => draw,
            _ => state.draw(store, moment),
        };
        state.recent.put((drawn, moment), draw);
        if state.arrived.is_some() {
            state.fresh.insert((drawn, moment), draw);
        }
        Ok(draw)
    }

    /// The newest draw at the point that is of no later edition.
    fn newest(
        &self,
        state: &State,
        store: &Store,
        drawn: Drawn,
        moment: Moment,
    ) -> Result<Option<(Edition, Draw)>, graph_store::Error> {
        let first = moment.of(Edition(Sequence(0)));
        let fresh = state.fresh.range((drawn, first)..=(drawn, moment)).next_back();
        let fresh = fresh.map(|((_, moment), draw)| (moment.edition, *draw));
        let prefix = self.prefix(drawn, moment.point);
        let mut kept = None;
        for (key, value) in store.range(Keyspace::Context, &prefix, EDITIONS_MAX)? {
            let edition = key.strip_prefix(prefix.as_slice()).and_then(|edition| edition.try_into().ok());
            let Some(edition) = edition.map(|edition| Edition(Sequence(u64::from_be_bytes(edition)))) else { break };
            if edition > moment.edition {
                break;
            }
            kept = Some((edition, decode(&value).expect("a draw is what `encode` wrote")));
        }
        Ok(fresh.max(kept))
    }

    /// Writes the new draws: with the scores that were made with them, or before.
    pub(super) fn save(&self, transaction: &mut Transaction<'_>) {
        for ((drawn, moment), draw) in std::mem::take(&mut self.lock().fresh) {
            let edition = moment.edition.0.0.to_be_bytes();
            let key = [self.prefix(drawn, moment.point).as_slice(), &edition].concat();
            transaction.put(Keyspace::Context, key, encode(draw));
        }
    }

    /// `drawn/ | task's name | 0 | 0 context, 1 vocabulary (1) | point (8, in order)`, big-endian; the edition (8) follows.
    fn prefix(&self, drawn: Drawn, point: EventTime) -> Vec<u8> {
        let mut key = b"drawn/".to_vec();
        key.extend(self.task.as_bytes());
        key.extend([0, u8::from(drawn == Drawn::Vocabulary)]);
        key.extend((point.0 ^ i64::MIN).to_be_bytes());
        key
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether something has arrived that the draw would have seen. Of a store that stands still all draws are of one
    /// time.
    fn has_missed(&self, draw: Draw) -> bool {
        self.arrived.is_some() && self.missed > draw.sequence
    }

    fn draw(&self, store: &Store, moment: Moment) -> Draw {
        let sequence = self.arrived.unwrap_or_else(|| store.sequence()).min(moment.edition.0);
        // Who only asks does not know what came late before, and so shares nothing with draws of before.
        let disturbed = self.arrived.map_or(sequence, |_| self.disturbed.min(sequence));
        Draw { sequence, disturbed }
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
    fn an_edition_is_of_arrivals_within_a_third_and_holds_its_draws() {
        for sequence in 0..5_000 {
            let edition = Edition::of(Sequence(sequence));
            assert!(edition.0.0 >= sequence && edition.0.0 <= sequence + sequence / 4, "{sequence}: {edition:?}");
            assert_eq!(Edition::of(edition.0), edition);
            assert!(Edition::of(Sequence(sequence + 1)) >= edition);
        }
        assert_eq!(Edition::of(Sequence(u64::MAX)), Edition(Sequence(u64::MAX)));
    }

    #[test]
    fn round_trips() {
        let draw = Draw { sequence: Sequence(u64::MAX - 3), disturbed: Sequence(7) };
        assert_eq!(decode(&encode(draw)), Some(draw));
    }
}
