//! No reader sees past its bounds, and the checks that say so have teeth.
//!
//! Each reader is asked, then the database goes on, then it is asked again. Within its bounds nothing may have changed.
//! With one bound lifted, which is what a leak is, the same check must notice.

use std::fmt::Debug;
use std::sync::Arc;

use graph_store::{Children, Snapshot};
use relational::{AsOf, Change, EventTime, Op, RowKey, Sequence, TableId, Window};

use crate::context::{ContextSpec, select};
use crate::executor::Executor;
use crate::features::fixture::{HOUR, SHAPES, Shape, World};
use crate::features::{FeatureOptions, Featuriser, Query};
use crate::ranking::Ranker;
use crate::sampler::{SampleOptions, Sampler};

const CUTOFF: EventTime = EventTime(30 * HOUR);
const SEEDS: u64 = 7;

/// What a reader reads its answers from.
struct Asked<'a> {
    world: &'a World,
    featuriser: &'a Featuriser,
    ranker: Option<&'a Ranker>,
    bounds: AsOf,
}

/// All that it gives, in words.
type Reader = fn(&Asked<'_>) -> String;

const READERS: [(&str, Reader); 19] = [
    ("row", |asked| asked.each_key(|snapshot, key| snapshot.row(key))),
    ("keys", |asked| asked.each_table(|snapshot, table| snapshot.keys(table, None, usize::MAX))),
    ("newest children", |asked| asked.each_parent(|children| children.newest(wide(), usize::MAX))),
    ("first child", |asked| asked.each_parent(Children::first)),
    ("arrivals of children", |asked| asked.each_parent(|children| children.arrivals(u64::MAX, usize::MAX))),
    ("summary of children", |asked| asked.each_parent(|children| children.summary(wide()))),
    ("newest of a timeline", |asked| asked.each_timeline(|rows| rows.newest(wide(), usize::MAX))),
    ("first of a timeline", |asked| asked.each_timeline(Children::first)),
    ("summary of a timeline", |asked| asked.each_timeline(|rows| rows.summary(wide()))),
    ("target", |asked| asked.each_entity(|entity| asked.executor().target(&asked.snapshot(), entity, anchor()))),
    ("atoms", |asked| asked.each_entity(|entity| asked.executor().atoms(&asked.snapshot(), entity, wide(), 99))),
    ("existence", |asked| {
        asked.each_entity(|entity| asked.executor().exists(&asked.snapshot(), entity, EventTime::MAX))
    }),
    ("vocabulary", |asked| words(asked.featuriser.vocabulary(&asked.world.store, asked.bounds))),
    ("features", |asked| asked.features()),
    ("sample", |asked| asked.samples()),
    ("market", |asked| asked.ranked(|ranker, _| words(ranker.market(&asked.world.store, asked.bounds)))),
    ("candidates", |asked| asked.ranked(Asked::candidates)),
    ("features of candidates and pairs", |asked| asked.ranked(Asked::pairs)),
    ("context", |asked| words(select(&asked.world.store, asked.executor(), asked.bounds, &ContextSpec::default()))),
];

/// How a database goes on, what hides that from a reader, and the same with this one bound lifted.
struct Future {
    name: &'static str,
    change: fn(&mut World) -> Option<Change>,
    bounds: fn(&World) -> AsOf,
    lifted: fn(AsOf) -> AsOf,
}

const FUTURES: [Future; 3] = [
    Future {
        name: "rows that happen after the cutoff",
        change: new_row,
        bounds: |_| AsOf::live(CUTOFF, Sequence::MAX),
        lifted: |bounds| AsOf { cutoff: EventTime::MAX, ..bounds },
    },
    Future {
        name: "rows, updates and deletes that become known later",
        change: |world| Some(Change { known: CUTOFF.plus(1), ..world.change(0..30) }),
        bounds: |_| AsOf::historical(CUTOFF, Sequence::MAX),
        lifted: |bounds| AsOf { known: EventTime::MAX, ..bounds },
    },
    Future {
        name: "rows, updates and deletes that arrive later",
        change: |world| Some(world.change(0..60)),
        bounds: |world| AsOf::live(CUTOFF, world.store.sequence()),
        lifted: |bounds| AsOf { sequence: Sequence::MAX, ..bounds },
    },
];

/// A row that was never there before. What happens to older rows would rightly be seen: it has arrived.
fn new_row(world: &mut World) -> Option<Change> {
    let change = world.change(31..60);
    let timed = world.store.schema().table(change.table).time.is_some();
    let all = world.store.as_of(AsOf::live(EventTime::MAX, Sequence::MAX));
    let there = all.row(&RowKey { table: change.table, key: change.key.clone() }).expect("readable").is_some();
    (timed && !there && !matches!(change.op, Op::Delete)).then_some(change)
}

/// A window that leaves all bounding to the snapshot.
fn wide() -> Window {
    Window::up_to(EventTime::MAX)
}

/// The task's window after this anchor reaches beyond the cutoff.
fn anchor() -> EventTime {
    CUTOFF.plus(-5 * HOUR)
}

fn words(answer: impl Debug) -> String {
    format!("{answer:?}\n")
}

impl Asked<'_> {
    fn snapshot(&self) -> Snapshot {
        self.world.store.as_of(self.bounds)
    }

    fn executor(&self) -> &Arc<Executor> {
        self.featuriser.executor()
    }

    fn each_table<A: Debug>(&self, ask: impl Fn(&Snapshot, TableId) -> A) -> String {
        let snapshot = self.snapshot();
        self.world.store.schema().tables().map(|(table, _)| words(ask(&snapshot, table))).collect()
    }

    fn each_key<A: Debug>(&self, ask: impl Fn(&Snapshot, &RowKey) -> A) -> String {
        self.each_table(|snapshot, table| {
            let keys = self.world.keys(table).into_iter();
            keys.map(|key| words(ask(snapshot, &RowKey { table, key }))).collect::<String>()
        })
    }

    fn each_parent<A: Debug>(&self, ask: impl Fn(&Children) -> A) -> String {
        let snapshot = self.snapshot();
        let links = self.world.store.schema().foreign_keys();
        let parents = links.flat_map(|(link, of)| self.world.keys(of.parent).into_iter().map(move |key| (link, key)));
        parents.map(|(link, key)| words(ask(&snapshot.children(link, &key).expect("readable")))).collect()
    }

    fn each_timeline<A: Debug>(&self, ask: impl Fn(&Children) -> A) -> String {
        self.each_table(|snapshot, table| ask(&snapshot.timeline(table).expect("readable")))
    }

    fn each_entity<A: Debug>(&self, ask: impl Fn(&relational::Key) -> A) -> String {
        let entities = self.world.keys(self.executor().task().entity);
        entities.iter().map(|entity| words(ask(entity))).collect()
    }

    /// Categories as of the cutoff: their own leaks are the vocabulary's.
    fn features(&self) -> String {
        let bounds = AsOf::historical(EventTime(-1), Sequence::MAX);
        let vocabulary = self.featuriser.vocabulary(&self.world.store, bounds).expect("readable");
        self.each_entity(|entity| {
            let mut values = Vec::new();
            let query = Query { entity: entity.clone(), as_of: self.bounds };
            let facts = self.featuriser.row(&self.world.store, &vocabulary, &query, &mut values).expect("readable");
            (facts, values.into_iter().map(f32::to_bits).collect::<Vec<_>>())
        })
    }

    fn ranked(&self, ask: impl Fn(&Ranker, &Self) -> String) -> String {
        self.ranker.map(|ranker| ask(ranker, self)).unwrap_or_default()
    }

    /// The market is of before all rows, and has its own reader.
    fn candidates(ranker: &Ranker, asked: &Self) -> String {
        let store = &asked.world.store;
        let market = ranker.market(store, AsOf::historical(EventTime(-1), Sequence::MAX)).expect("readable");
        asked.each_entity(|entity| {
            ranker.candidates(store, &market, &Query { entity: entity.clone(), as_of: asked.bounds })
        })
    }

    /// Of everything as of the bounds, but for the categories.
    fn pairs(ranker: &Ranker, asked: &Self) -> String {
        let store = &asked.world.store;
        let before = AsOf::historical(EventTime(-1), Sequence::MAX);
        let vocabulary = ranker.vocabulary(store, before).expect("readable");
        let market = ranker.market(store, asked.bounds).expect("readable");
        asked.each_entity(|entity| {
            let query = Query { entity: entity.clone(), as_of: asked.bounds };
            let candidates = ranker.candidates(store, &market, &query).expect("readable");
            let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            let pair = |candidate| {
                let (values, past) = ranker.pair(&market, &candidates, candidate);
                let own = ranker.candidate(store, &vocabulary, &candidate.key, &market).expect("readable");
                (bits(values), past, own.map(bits))
            };
            candidates.list.iter().map(pair).collect::<Vec<_>>()
        })
    }

    fn samples(&self) -> String {
        let sampler = Sampler::new(self.executor(), &SampleOptions { fanout: vec![3, 2] });
        self.each_entity(|entity| {
            sampler.sample(&self.world.store, &Query { entity: entity.clone(), as_of: self.bounds })
        })
    }
}

/// For each reader whether `future` changes what it gives, with and without the bound that hides it, on one random
/// database.
fn changed(shape: &Shape, seed: u64, future: &Future) -> Vec<[bool; 2]> {
    let featuriser = shape.featuriser(&FeatureOptions::default());
    let ranker = shape.ranker();
    let ranker = ranker.as_ref();
    let mut world = World::new(Arc::clone(featuriser.executor().schema()), seed);
    // In a database that is nearly empty, the first row of a table is news.
    let rows = if seed.is_multiple_of(3) { 2 } else { 80 };
    for _ in 0..rows {
        let change = world.change(0..30);
        world.apply(&[Change { known: change.known.min(CUTOFF), ..change }]);
    }
    let honest = (future.bounds)(&world);
    let bounds = [honest, (future.lifted)(honest)];
    let ask = |world: &World| -> Vec<[String; 2]> {
        let ask =
            |reader: Reader| bounds.map(|bounds| reader(&Asked { world, featuriser: &featuriser, ranker, bounds }));
        READERS.iter().map(|(_, reader)| ask(*reader)).collect()
    };
    let before = ask(&world);
    for _ in 0..60 {
        let change = (future.change)(&mut world);
        change.into_iter().for_each(|change| drop(world.apply(&[change])));
    }
    let pairs = before.into_iter().zip(ask(&world));
    pairs.map(|(before, after)| [before[0] != after[0], before[1] != after[1]]).collect()
}

#[test]
fn no_reader_sees_past_its_bounds_and_a_reader_that_does_is_caught() {
    for future in &FUTURES {
        let mut caught = [false; READERS.len()];
        for shape in SHAPES {
            for seed in 0..SEEDS {
                for (place, [leaks, lifted]) in changed(shape, seed, future).into_iter().enumerate() {
                    let reader = READERS[place].0;
                    assert!(!leaks, "{reader} saw {} ({}, seed {seed})", future.name, shape.name);
                    caught[place] |= lifted;
                }
            }
        }
        let missed = READERS.iter().zip(caught).filter(|(_, caught)| !caught).map(|((reader, _), _)| *reader);
        let missed: Vec<&str> = missed.collect();
        assert_eq!(missed, [""; 0], "a planted leak of {} went unnoticed", future.name);
    }
}
