//! What all entities have been pointing at, as of one moment: which rows are popular, and which go together.

use relational::limits::RANKING_ROWS_MAX;
use relational::{AsOf, EventTime, Key, Value, Window};
use rustc_hash::{FxHashMap, FxHashSet};

use graph_store::Store;

use super::Ranker;
use crate::Error;
use crate::learn::count;

/// The newest other entities of a row, and the newest rows of an entity, that a walk goes on to: enough to tell rows
/// apart, and a bound to what one query costs.
const FAN_MAX: usize = 50;

/// The newest rows of the entity that a walk begins at.
const STARTS_MAX: usize = 20;

/// Popularity and company as of one moment, from the newest rows of the child table. It belongs to a context, as the
/// category statistics do: a query reads that of its context.
#[derive(Debug, Clone)]
pub struct Market {
    at: AsOf,
    /// The most popular first.
    standings: Vec<Standing>,
    places: FxHashMap<Value, usize>,
    entities: FxHashMap<Key, usize>,
    /// For each entity the places of what it pointed at, newest first.
    had: Vec<Vec<usize>>,
    /// For each place the entities that pointed at it, newest first.
    by: Vec<Vec<usize>>,
}

/// How popular one row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Its key.
    pub(crate) key: Value,
    /// Entities that pointed at it in the last h.
    pub(crate) recent: u32,
    /// Entities that pointed at it, in all rows that were looked at.
    pub(crate) all: u32,
    /// When any last did.
    pub(crate) last: EventTime,
}

impl Market {
    /// As of when it was taken.
    #[must_use]
    pub fn at(&self) -> AsOf {
        self.at
    }

    pub(super) fn take(ranker: &Ranker, store: &Store, at: AsOf) -> Result<Self, Error> {
        let snapshot = store.as_of(at);
        let rows = snapshot.timeline(ranker.child())?.newest(Window::up_to(at.cutoff), RANKING_ROWS_MAX)?;
        let since = at.cutoff.plus(-ranker.unit_micros);
        let (mut standings, mut places): (Vec<Standing>, FxHashMap<Value, usize>) = Default::default();
        let (mut entities, mut had): (FxHashMap<Key, usize>, Vec<Vec<usize>>) = Default::default();
        let mut pairs: FxHashSet<(usize, usize)> = FxHashSet::default();
        for version in rows.iter().filter(|version| ranker.counts(&version.row)) {
            let key = version.row.value(ranker.column);
            let place = *places.entry(key.clone()).or_insert_with(|| {
                standings.push(Standing { key: key.clone(), recent: 0, all: 0, last: version.time });
                standings.len() - 1
            });
            for entity in ranker.entities_of(&version.row) {
                let entity = *entities.entry(entity).or_insert_with(|| {
                    had.push(Vec::new());
                    had.len() - 1
                });
                if pairs.insert((entity, place)) {
                    standings[place].all += 1;
                    standings[place].recent += u32::from(version.time > since);
                    had[entity].push(place);
                }
            }
        }
        let mut market = Self { at, standings, places, entities, had, by: Vec::new() };
        market.rank(ranker);
        Ok(market)
    }

    /// Puts the most popular first. Equals stand in a seeded order, which knows nothing of keys.
    fn rank(&mut self, ranker: &Ranker) {
        let mut order: Vec<(Standing, usize)> = self.standings.drain(..).zip(0..).collect();
        order.sort_by_cached_key(|(standing, _)| {
            (std::cmp::Reverse((standing.recent, standing.all)), ranker.tie(&standing.key), standing.key.clone())
        });
        let mut places = vec![0; order.len()];
        for (place, (_, before)) in order.iter().enumerate() {
            places[*before] = place;
        }
        self.standings = order.into_iter().map(|(standing, _)| standing).collect();
        self.places = self.standings.iter().zip(0..).map(|(standing, place)| (standing.key.clone(), place)).collect();
        self.by = vec![Vec::new(); self.standings.len()];
        for (entity, had) in self.had.iter_mut().enumerate() {
            for place in had.iter_mut() {
                *place = places[*place];
                // Entities were numbered newest first.
                if self.by[*place].len() < FAN_MAX {
                    self.by[*place].push(entity);
                }
            }
            had.truncate(FAN_MAX);
        }
    }

    /// How popular a row is, and its rank from 0; `None` for one that no row looked at points at.
    pub(crate) fn standing(&self, key: &Value) -> Option<(usize, &Standing)> {
        let place = *self.places.get(key)?;
        Some((place, &self.standings[place]))
    }

    /// The most popular first.
    pub(crate) fn popular(&self) -> impl Iterator<Item = &Value> {
        self.standings.iter().map(|standing| &standing.key)
    }

    /// Where a walk of three random steps ends that begins at the entity's own newest rows: to another entity that has
    /// one of them, and on to one of that entity's rows (the score `P3` of Cooper, Lee, Radinsky and Siantos, "Random
    /// walks in recommender systems", WWW 2014, without the way back over the entity itself). Rows with the probability
    /// of each, the likeliest first.
    pub(super) fn walk(&self, ranker: &Ranker, entity: &Key, own: &[Value]) -> Vec<(Value, f64)> {
        let this = self.entities.get(entity).copied();
        let starts: Vec<usize> = own.iter().filter_map(|key| self.places.get(key).copied()).take(STARTS_MAX).collect();
        let mut ends: FxHashMap<usize, f64> = FxHashMap::default();
        let mut reached: Vec<usize> = Vec::new();
        for start in &starts {
            let others = || self.by[*start].iter().filter(|other| Some(**other) != this);
            let step = 1.0 / (count(starts.len()) * count(others().count()));
            for other in others() {
                let rows = &self.had[*other];
                for end in rows {
                    let share = step / count(rows.len());
                    *ends.entry(*end).or_insert_with(|| {
                        reached.push(*end);
                        0.0
                    }) += share;
                }
            }
        }
        let mut found: Vec<(Value, f64)> =
            reached.into_iter().map(|place| (self.standings[place].key.clone(), ends[&place])).collect();
        found.sort_by_cached_key(|(key, share)| (std::cmp::Reverse(ordered(*share)), ranker.tie(key), key.clone()));
        found
    }
}

/// Bits that are in the order of the numbers, for numbers from 0 on.
fn ordered(share: f64) -> u64 {
    debug_assert!(share >= 0.0, "a share");
    share.to_bits()
}
