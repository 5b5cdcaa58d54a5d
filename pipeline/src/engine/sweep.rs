//! The low-priority lane: a change of a hub touches more entities than are marked at once, and the others are found
//! little by little. Kept in the store, so that a restart forgets none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use graph_store::{Keyspace, Store, Transaction, decode_key, encode_key};
use predictor::read_set::{Hub, Rest, Side};
use relational::{EventTime, Position, RowKey, Sequence, TableId};
use serde::{Deserialize, Serialize};

/// A task's place in the config, and the hub whose children are followed. A hub that changes again joins its own sweep,
/// so that there are never more sweeps than hubs.
pub(super) type Lane = (u16, Hub);

/// A walk that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sweep {
    /// Where.
    pub rest: Rest,
    /// The bounds of the walk, with the sequence of the rest.
    pub cutoff: EventTime,
    /// Whether the change was late.
    pub late: bool,
    /// The record of the change.
    pub trigger: Position,
    /// Sweeps take turns, the least first.
    turn: u64,
    /// The end of the lap: no child before this place is left. `None` for the last child of all.
    until: Option<u64>,
    /// Another lap after this one: its first places, and its end.
    lap: Option<(Vec<u64>, u64)>,
}

impl Sweep {
    /// A sweep that begins.
    pub(super) fn new(rest: Rest, cutoff: EventTime, late: bool, trigger: Position) -> Self {
        Self { rest, cutoff, late, trigger, turn: 0, until: None, lap: None }
    }

    /// The hub has changed again, and `newer` has what was not marked at once. This lap goes on to the end with the
    /// newer bounds, so that a busy hub starves none of its children, and those before follow in a lap of their own.
    fn join(&mut self, newer: Self) {
        self.rest.places.truncate(1);
        let here = self.rest.places[0];
        let places = std::mem::take(&mut self.rest.places);
        let first = newer.rest.places.clone();
        *self = Self { rest: Rest { places, ..newer.rest }, turn: self.turn, lap: Some((first, here)), ..newer };
    }

    /// The walk has come to `rest`, or to the end of the children. Returns whether there is more to do.
    fn moved(&mut self, rest: Option<Rest>) -> bool {
        let within = |rest: &Rest, until: Option<u64>| until.is_none_or(|until| rest.places[0] >= until);
        if let Some(rest) = rest.filter(|rest| within(rest, self.until)) {
            self.rest = rest;
            return true;
        }
        let Some((places, until)) = self.lap.take() else { return false };
        self.until = Some(until);
        self.rest.places = places;
        within(&self.rest, self.until)
    }
}

/// The sweeps that wait.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    waiting: BTreeMap<Lane, Sweep>,
    turns: BTreeSet<(u64, Lane)>,
    next_turn: u64,
    /// Those that the store does not hold as they are.
    changed: BTreeSet<Lane>,
}

impl Sweeps {
    /// The sweeps of the first `tasks` tasks as the store holds them.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(super) fn load(store: &Store, tasks: u16) -> Result<Self, graph_store::Error> {
        let mut sweeps = Self::default();
        let mut start = PREFIX.to_vec();
        loop {
            let page = store.range(Keyspace::Progress, &start, 1_000)?;
            for (key, value) in &page {
                let Some(stored) = key.strip_prefix(PREFIX).map(|_| serde_json::from_slice::<Stored>(value)) else {
                    return Ok(sweeps);
                };
                let (lane, sweep) = stored.ok().and_then(Stored::open).expect("a sweep is what `save` wrote");
                sweeps.next_turn = sweeps.next_turn.max(sweep.turn + 1);
                if lane.0 < tasks {
                    sweeps.insert(lane, sweep);
                }
            }
            let Some((last, _)) = page.last() else { return Ok(sweeps) };
            start = [last.as_slice(), &[0]].concat();
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Adds a sweep, or joins it with the one that the same hub has.
    pub(super) fn add(&mut self, task: u16, sweep: Sweep) {
        let lane = (task, sweep.rest.hub.clone());
        self.changed.insert(lane.clone());
        match self.waiting.get_mut(&lane) {
            Some(waiting) => waiting.join(sweep),
            None => self.wait(lane, sweep),
        }
    }

    /// Takes the sweep whose turn it is.
    pub(super) fn take(&mut self) -> Option<(Lane, Sweep)> {
        let (_, lane) = self.turns.pop_first()?;
        let sweep = self.waiting.remove(&lane).expect("every turn is that of a waiting sweep");
        self.changed.insert(lane.clone());
        Some((lane, sweep))
    }

    /// Puts a sweep back that has come to `rest`, unless it is done. The others have their turn first.
    pub(super) fn put_back(&mut self, lane: Lane, mut sweep: Sweep, rest: Option<Rest>) {
        if sweep.moved(rest) {
            self.wait(lane, sweep);
        }
    }

    /// Writes what has changed: waiting sweeps are put, the others removed.
    pub(super) fn save(&mut self, transaction: &mut Transaction<'_>) {
        for lane in std::mem::take(&mut self.changed) {
            let key = encode(&lane);
            match self.waiting.get(&lane) {
                Some(sweep) => {
                    let value = serde_json::to_vec(&Stored::new(&lane, sweep)).expect("plain structs cannot fail");
                    transaction.put(Keyspace::Progress, key, value);
                }
                None => transaction.remove(Keyspace::Progress, key),
            }
        }
    }

    fn wait(&mut self, lane: Lane, sweep: Sweep) {
        let turn = self.next_turn;
        self.next_turn += 1;
        self.insert(lane, Sweep { turn, ..sweep });
    }

    fn insert(&mut self, lane: Lane, sweep: Sweep) {
        self.turns.insert((sweep.turn, lane.clone()));
        self.waiting.insert(lane, sweep);
    }
}

/// Before the keys of sweeps in their keyspace.
const PREFIX: &[u8] = b"sweep/";

/// `sweep/ | task (2) | way (2) | 0 before, 1 after (1) | length of the hub's key (4) | hub's key | changed row's key`,
/// big-endian.
fn encode((task, hub): &Lane) -> Vec<u8> {
    let key = encode_key(&hub.key);
    let mut bytes = PREFIX.to_vec();
    bytes.extend(task.to_be_bytes());
    bytes.extend(hub.path.to_be_bytes());
    bytes.push(u8::from(hub.side == Side::After));
    bytes.extend(u32::try_from(key.len()).expect("a key has at most 4 KiB").to_be_bytes());
    bytes.extend(key);
    bytes.extend(hub.row.iter().flat_map(|row| encode_key(&row.key)));
    bytes
}

/// The stored form, version 1. Keys are in the store's order-preserving bytes.
#[derive(Serialize, Deserialize)]
struct Stored {
    v: u8,
    task: u16,
    path: u16,
    after: bool,
    hub: Vec<u8>,
    /// Whether what is found depends on the changed row.
    by_row: bool,
    table: u16,
    row: Vec<u8>,
    sequence: u64,
    places: Vec<u64>,
    cutoff: i64,
    late: bool,
    topic: String,
    partition: i32,
    offset: i64,
    turn: u64,
    until: Option<u64>,
    lap: Option<(Vec<u64>, u64)>,
}

impl Stored {
    fn new((task, hub): &Lane, sweep: &Sweep) -> Self {
        Self {
            v: 1,
            task: *task,
            path: hub.path,
            after: hub.side == Side::After,
            hub: encode_key(&hub.key),
            by_row: hub.row.is_some(),
            table: sweep.rest.row.table.0,
            row: encode_key(&sweep.rest.row.key),
            sequence: sweep.rest.sequence.0,
            places: sweep.rest.places.clone(),
            cutoff: sweep.cutoff.0,
            late: sweep.late,
            topic: sweep.trigger.topic.to_string(),
            partition: sweep.trigger.partition,
            offset: sweep.trigger.offset,
            turn: sweep.turn,
            until: sweep.until,
            lap: sweep.lap.clone(),
        }
    }

    fn open(self) -> Option<(Lane, Sweep)> {
        let row = RowKey { table: TableId(self.table), key: decode_key(&self.row)? };
        let side = if self.after { Side::After } else { Side::Before };
        let key = decode_key(&self.hub)?;
        let hub = Hub { path: self.path, side, key, row: self.by_row.then(|| row.clone()) };
        let rest = Rest { hub: hub.clone(), row, sequence: Sequence(self.sequence), places: self.places };
        let (partition, offset) = (self.partition, self.offset);
        let sweep = Sweep {
            rest,
            cutoff: EventTime(self.cutoff),
            late: self.late,
            trigger: Position { topic: Arc::from(self.topic), partition, offset },
            turn: self.turn,
            until: self.until,
            lap: self.lap,
        };
        Some(((self.task, hub), sweep))
    }
}

#[cfg(test)]
mod tests {
    use relational::{Key, Value};

    use super::*;

    fn sweep(sequence: u64, places: &[u64]) -> Sweep {
        let row = RowKey { table: TableId(3), key: Key::single(Value::text("row")) };
        let hub = Hub { path: 7, side: Side::After, key: Key::single(Value::Int(-5)), row: None };
        let rest = Rest { hub, row, sequence: Sequence(sequence), places: places.to_vec() };
        Sweep::new(rest, EventTime(9), true, Position { topic: "t".into(), partition: 2, offset: 5 })
    }

    /// The children that a sweep goes through from where it stands, one at a time.
    fn children(sweep: &mut Sweep) -> Vec<u64> {
        let mut visited = Vec::new();
        loop {
            let here = sweep.rest.places[0];
            visited.push(here);
            let rest = (here > 0).then(|| Rest { places: vec![here - 1], ..sweep.rest.clone() });
            if !sweep.moved(rest) {
                return visited;
            }
        }
    }

    #[test]
    fn a_hub_that_changes_again_is_swept_once_more_and_no_child_starves() {
        let mut waiting = sweep(1, &[3, 8]);
        waiting.join(sweep(2, &[6]));
        assert_eq!(waiting.rest.sequence, Sequence(2));
        assert_eq!(children(&mut waiting), [3, 2, 1, 0, 6, 5, 4, 3]);
        let mut waiting = sweep(1, &[6]);
        waiting.join(sweep(2, &[3]));
        assert_eq!(children(&mut waiting), [6, 5, 4, 3, 2, 1, 0]);
    }

    #[test]
    fn sweeps_take_turns() {
        let mut sweeps = Sweeps::default();
        sweeps.add(1, sweep(1, &[9]));
        sweeps.add(0, sweep(2, &[9]));
        let (lane, first) = sweeps.take().expect("two wait");
        let rest = first.rest.clone();
        sweeps.put_back(lane, first, Some(rest));
        let order: Vec<u16> = std::iter::from_fn(|| sweeps.take()).map(|((task, _), _)| task).collect();
        assert_eq!(order, [0, 1]);
    }

    #[test]
    fn round_trips() {
        let mut joined = sweep(4, &[3, 8]);
        joined.join(sweep(5, &[6, 2]));
        for sweep in [sweep(1, &[3]), joined] {
            let lane = (2, sweep.rest.hub.clone());
            assert_eq!(Stored::new(&lane, &sweep).open(), Some((lane, sweep)));
        }
    }
}
