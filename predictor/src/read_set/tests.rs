use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use graph_store::{Snapshot, Version};
use relational::{EventTime, Sequence, Window};

use crate::features::fixture::{HOUR, Random, SHAPES, Shape, World, at};
use crate::features::{FeatureOptions, Query, Vocabulary};
use crate::sampler::SampleOptions;

use super::*;

fn options() -> FeatureOptions {
    FeatureOptions { rows: 4, brief_rows: 3, rolled_rows: 2, rolled_children: 2, lag_windows: 5, ..Default::default() }
}

struct Tools {
    featuriser: Featuriser,
    sampler: Sampler,
    set: ReadSet,
}

fn tools(shape: &Shape) -> Tools {
    let featuriser = shape.featuriser(&options());
    let sampler = Sampler::new(featuriser.executor(), &SampleOptions { fanout: vec![2, 2] });
    let set = ReadSet::new(&featuriser, Some(&sampler));
    Tools { featuriser, sampler, set }
}

/// Every row that an entity's queries read, by following the ways forwards.
fn reads(set: &ReadSet, snapshot: &Snapshot, entity: &Key) -> BTreeMap<RowKey, Sequence> {
    let own = RowKey { table: set.entity, key: entity.clone() };
    let row = snapshot.row(&own).expect("a read");
    let timed = row.as_ref().is_some_and(|row| row.time > EventTime::MIN);
    let (now, strict) = match &row {
        Some(row) if set.is_static && timed => (row.time, true),
        _ => (snapshot.bounds().cutoff, false),
    };
    let mut found = BTreeMap::new();
    if set.is_static && row.is_none() {
        return found;
    }
    for path in &set.paths {
        let mut rows: Vec<(RowKey, Option<Version>)> = vec![(own.clone(), row.clone())];
        for step in &path.steps {
            rows = rows
                .iter()
                .flat_map(|(key, version)| follow(set, snapshot, *step, key, version, now, strict))
                .collect();
        }
        found.extend(rows.into_iter().filter_map(|(key, version)| Some((key, version?.sequence))));
    }
    found
}

fn follow(
    set: &ReadSet,
    snapshot: &Snapshot,
    step: Step,
    key: &RowKey,
    version: &Option<Version>,
    now: EventTime,
    strict: bool,
) -> Vec<(RowKey, Option<Version>)> {
    match step {
        Step::Up(id) => {
            let link = set.schema.foreign_key(id);
            let parent = version.as_ref().and_then(|version| Key::of(&version.row, &link.columns));
            let parent = parent.map(|key| RowKey { table: link.parent, key });
            parent.into_iter().map(|key| (key.clone(), snapshot.row(&key).expect("a read"))).collect()
        }
        Step::Down(id, reach) => {
            let end = if strict { now.plus(-1) } else { now };
            let children = snapshot.children(id, &key.key).expect("a read");
            let all = children.newest(Window::up_to(end), usize::MAX).expect("a read");
            let kept = all.into_iter().enumerate().filter(|(place, version)| match reach {
                Reach::All => true,
                Reach::Newest(rows) => *place < rows,
                Reach::Recent { rows, micros } => *place < rows || version.time > now.plus(-micros),
            });
            let table = set.schema.foreign_key(id).child;
            kept.map(|(_, version)| (RowKey { table, key: version.key.clone() }, Some(version))).collect()
        }
    }
}

/// Features and sample of every entity.
fn answers(tools: &Tools, world: &World, vocabulary: &Vocabulary, bounds: AsOf) -> Vec<(Key, Vec<u32>, String)> {
    let answer = |entity: Key| {
        let query = Query { entity: entity.clone(), as_of: bounds };
        let mut values = Vec::new();
        tools.featuriser.row(&world.store, vocabulary, &query, &mut values).expect("a row");
        let sample = tools.sampler.sample(&world.store, &query).expect("a sample");
        (entity, values.iter().map(|value| value.to_bits()).collect(), format!("{sample:?}"))
    };
    world.keys(tools.set.entity).into_iter().map(answer).collect()
}

#[test]
fn the_inverse_is_exact() {
    let mut found = 0;
    for shape in SHAPES {
        let tools = tools(shape);
        for seed in 0..25 {
            let mut world = World::new(Arc::clone(&tools.set.schema), seed);
            for _ in 0..50 {
                let change = world.change(0..40);
                world.apply(&[change]);
            }
            let vocabulary = tools.featuriser.vocabulary(&world.store, at(30)).expect("a vocabulary");
            for _ in 0..8 {
                found += one_change(&tools, &mut world, &vocabulary, &format!("{}, seed {seed}", shape.name));
            }
        }
    }
    assert!(found > 500, "the test saw too few affected entities: {found}");
}

/// Applies a random change and compares its affected entities with what every entity reads and answers.
fn one_change(tools: &Tools, world: &mut World, vocabulary: &Vocabulary, name: &str) -> usize {
    let cutoff = EventTime(i64::try_from(Random(world.store.sequence().0).below(45)).expect("small") * HOUR);
    let bounds = AsOf::live(cutoff, Sequence::MAX);
    let before = AsOf { sequence: world.store.sequence(), ..bounds };
    let old = answers(tools, world, vocabulary, before);
    let change = world.change(0..45);
    let Some(applied) = world.apply(&[change]).pop() else { return 0 };
    let affected = tools.set.affected(&world.store, &applied, bounds, usize::MAX).expect("an answer");
    assert_eq!(affected.rest, [], "{name}");
    for limit in 1..4 {
        let swept = swept(tools, world, &applied, bounds, limit);
        assert_eq!(swept, affected.entities, "{name}: {limit} at a time, {applied:?} at {cutoff}");
    }
    for (old, new) in old.iter().zip(answers(tools, world, vocabulary, bounds)) {
        let changed = old.1 != new.1 || old.2 != new.2;
        assert!(
            !changed || affected.entities.contains(&new.0),
            "{name}: {} changed and was not found: {applied:?}",
            new.0
        );
    }
    let row = RowKey { table: applied.table, key: applied.key.clone() };
    let seen = |bounds: AsOf, entity: &Key| reads(&tools.set, &world.store.as_of(bounds), entity).get(&row).copied();
    let expected: BTreeSet<Key> = world
        .keys(tools.set.entity)
        .into_iter()
        .filter(|entity| seen(before, entity) != seen(bounds, entity))
        .collect();
    let pool: BTreeSet<Key> = world.keys(tools.set.entity).into_iter().collect();
    let found: BTreeSet<Key> = affected.entities.intersection(&pool).cloned().collect();
    assert!(expected.is_subset(&found), "{name}: {applied:?} at {cutoff}: {expected:?} but found {found:?}");
    let extra = found.difference(&expected).next();
    assert!(extra.is_none(), "{name}: {extra:?} was found but reads neither version of {applied:?} at {cutoff}");
    found.len()
}

/// What the first walk finds with this limit, and then the sweeps of all that it has left, while other changes arrive.
fn swept(tools: &Tools, world: &World, applied: &Applied, bounds: AsOf, limit: usize) -> BTreeSet<Key> {
    let first = tools.set.affected(&world.store, applied, bounds, limit).expect("an answer");
    let (mut found, mut rests) = (first.entities, first.rest);
    for round in 0.. {
        assert!(round < 100_000, "a sweep that does not end: {rests:?}");
        let Some(rest) = rests.pop() else { break };
        let more = tools.set.resume(&world.store, rest, bounds, limit).expect("an answer");
        found.extend(more.entities);
        rests.extend(more.rest);
    }
    found
}

#[test]
fn a_hub_is_cut_and_what_has_come_since_is_not_swept() {
    let tools = tools(&SHAPES[0]);
    let mut world = World::new(Arc::clone(&tools.set.schema), 1);
    for _ in 0..200 {
        let change = world.change(0..40);
        world.apply(&[change]);
    }
    let teams = tools.set.schema.table_named("teams").expect("a table");
    let mut cut = 0;
    for _ in 0..40 {
        let change = world.change_of(teams, 0..10);
        let Some(applied) = world.apply(&[change]).pop() else { continue };
        let whole = tools.set.affected(&world.store, &applied, at(40), usize::MAX).expect("an answer");
        let later = world.change(0..40);
        world.apply(&[later]);
        cut += tools.set.affected(&world.store, &applied, at(40), 1).expect("an answer").rest.len();
        assert_eq!(swept(&tools, &world, &applied, at(40), 1), whole.entities);
    }
    assert!(cut > 10, "{cut}");
}

#[test]
fn only_new_rows_of_a_row_level_task_trigger() {
    let payments = SHAPES.iter().find(|shape| shape.name == "payments").expect("a shape");
    let (rows, windows) = (tools(payments), tools(&SHAPES[0]));
    let mut world = World::new(Arc::clone(&rows.set.schema), 5);
    for _ in 0..80 {
        let change = world.change(0..40);
        for applied in world.apply(&[change]) {
            let expected = applied.table == rows.set.entity && applied.old.is_none() && applied.new.is_some();
            assert_eq!(rows.set.triggers(&applied), expected);
            assert!(!windows.set.triggers(&applied));
        }
    }
}

#[test]
fn the_plan_is_described_in_words() {
    let lines = tools(&SHAPES[0]).set.describe();
    assert_eq!(lines[0], "drivers: at most 1");
    assert!(
        lines.contains(&"drivers < results by driver (newest 1) > teams by team: at most 1".to_owned()),
        "{lines:#?}"
    );
}
