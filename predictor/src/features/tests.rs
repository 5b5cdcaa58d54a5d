use std::collections::BTreeSet;
use std::sync::Arc;

use relational::{EventTime, Key, Value};

use super::fixture::{SHAPES, Shape, World, at};
use super::*;

fn options() -> FeatureOptions {
    FeatureOptions { rows: 4, brief_rows: 3, rolled_rows: 2, rolled_children: 2, lag_windows: 5, ..Default::default() }
}

fn row(featuriser: &Featuriser, store: &Store, vocabulary: &Vocabulary, query: &Query) -> Vec<u32> {
    let mut values = Vec::new();
    featuriser.row(store, vocabulary, query, &mut values).expect("a row");
    values.iter().map(|value| value.to_bits()).collect()
}

fn filled(shape: &Shape, seed: u64) -> (Featuriser, World) {
    let featuriser = shape.featuriser(&options());
    let mut world = World::new(Arc::clone(featuriser.executor().schema()), seed);
    for _ in 0..60 {
        let change = world.change(0..50);
        world.apply(&[change]);
    }
    (featuriser, world)
}

#[test]
fn nothing_after_the_cutoff_changes_a_bit() {
    for shape in SHAPES {
        for seed in 0..15 {
            let (featuriser, mut world) = filled(shape, seed);
            // As somebody could have known it: rows of a table without time are visible from the beginning.
            let bounds = AsOf::historical(at(30).cutoff, relational::Sequence::MAX);
            let vocabulary = featuriser.vocabulary(&world.store, bounds).expect("a vocabulary");
            let queries: Vec<Query> = world
                .keys(featuriser.executor().task().entity)
                .into_iter()
                .map(|entity| Query { entity, as_of: bounds })
                .collect();
            let rows = |world: &World, vocabulary: &Vocabulary| -> Vec<Vec<u32>> {
                queries.iter().map(|query| row(&featuriser, &world.store, vocabulary, query)).collect()
            };
            let before = rows(&world, &vocabulary);
            for _ in 0..60 {
                let change = world.change(31..80);
                world.apply(&[change]);
            }
            let again = featuriser.vocabulary(&world.store, bounds).expect("a vocabulary");
            assert_eq!(vocabulary, again, "{}, seed {seed}", shape.name);
            assert_eq!(before, rows(&world, &again), "{}, seed {seed}", shape.name);
        }
    }
}

#[test]
fn every_shape_gives_as_many_values_as_unique_names() {
    for shape in SHAPES {
        let (featuriser, world) = filled(shape, 1);
        let names: BTreeSet<&String> = featuriser.names().iter().collect();
        assert_eq!(names.len(), featuriser.names().len(), "{}", shape.name);
        let vocabulary = featuriser.vocabulary(&world.store, at(50)).expect("a vocabulary");
        let mut present = vec![false; names.len()];
        for entity in world.keys(featuriser.executor().task().entity) {
            let values = row(&featuriser, &world.store, &vocabulary, &Query { entity, as_of: at(50) });
            assert_eq!(values.len(), names.len(), "{}", shape.name);
            for (present, value) in present.iter_mut().zip(values) {
                *present |= !f32::from_bits(value).is_nan();
            }
        }
        let share = present.iter().filter(|present| **present).count() * 10 / present.len();
        assert!(share >= 5, "{}: most features are always missing", shape.name);
    }
}

#[test]
fn an_empty_database_has_rows_of_missing_values() {
    for shape in SHAPES {
        let featuriser = shape.featuriser(&FeatureOptions::default());
        let world = World::new(Arc::clone(featuriser.executor().schema()), 0);
        let vocabulary = featuriser.vocabulary(&world.store, at(9)).expect("a vocabulary");
        let query = Query { entity: Key::single(Value::Int(1)), as_of: at(9) };
        assert_eq!(row(&featuriser, &world.store, &vocabulary, &query).len(), featuriser.names().len());
    }
}

#[test]
fn a_row_level_query_ignores_its_target_its_late_columns_and_rows_of_its_own_time() {
    let shape = SHAPES.iter().find(|shape| shape.name == "payments").expect("a shape");
    for seed in 0..20 {
        let (featuriser, mut world) = filled(shape, seed);
        let table = featuriser.executor().task().entity;
        let vocabulary = featuriser.vocabulary(&world.store, at(50)).expect("a vocabulary");
        let snapshot = world.store.as_of(at(50));
        let Some(version) =
            snapshot.timeline(table).expect("rows").newest(Window::up_to(at(50).cutoff), 9).expect("rows").pop()
        else {
            continue;
        };
        let query = Query { entity: version.key.clone(), as_of: at(50) };
        let before = row(&featuriser, &world.store, &vocabulary, &query);
        let mut cells: Vec<relational::Cell> =
            version.row.values().iter().cloned().map(relational::Cell::Value).collect();
        let fraud = shape.schema().table(table).column("fraud").expect("the label");
        cells[usize::from(fraud.0)] =
            relational::Cell::Value(Value::Bool(version.row.value(fraud) != &Value::Bool(true)));
        let template = world.change_of(table, 0..1);
        let update = relational::Change {
            key: version.key.clone(),
            op: relational::Op::Upsert(cells.clone().into()),
            known: version.time,
            ..template.clone()
        };
        cells[0] = relational::Cell::Value(Value::Int(777));
        let sibling = relational::Change {
            key: Key::single(Value::Int(777)),
            op: relational::Op::Upsert(cells.into()),
            known: version.time,
            ..template
        };
        world.apply(&[update, sibling]);
        assert_eq!(before, row(&featuriser, &world.store, &vocabulary, &query), "seed {seed}");
    }
}

#[test]
fn the_rule_keeps_the_most_important_features() {
    let shape = &SHAPES[0];
    let all = shape.featuriser(&FeatureOptions::default());
    let few = shape.featuriser(&FeatureOptions { features_max: 40, ..Default::default() });
    assert_eq!(few.names().len(), 40);
    assert!(few.names().iter().all(|name| all.names().contains(name)));
    assert!(few.names().contains(&"lag0".to_owned()) && few.names().contains(&"results@driver#n3h".to_owned()));
}

#[test]
fn names_are_those_of_the_golden_list() {
    let names = SHAPES[0].featuriser(&FeatureOptions { lags: 2, ..Default::default() }).names().join("\n");
    assert_eq!(names, include_str!("names.golden").trim_end(), "update predictor/src/features/names.golden");
}

#[test]
fn values_are_what_their_names_say() {
    let featuriser = SHAPES[0].featuriser(&FeatureOptions::default());
    let mut world = World::new(Arc::clone(featuriser.executor().schema()), 0);
    let schema = Arc::clone(featuriser.executor().schema());
    let results = schema.table_named("results").expect("a table");
    let result = |world: &mut World, id: i64, points: f64, hour: i64| {
        let time = EventTime(hour * fixture::HOUR);
        let values =
            [Value::Int(id), Value::Int(1), Value::Int(7), Value::Float(points), Value::text("ok"), Value::Time(time)];
        let cells = values.into_iter().map(relational::Cell::Value).collect();
        let template = world.change_of(results, 0..1);
        let change = relational::Change {
            key: Key::single(Value::Int(id)),
            op: relational::Op::Upsert(cells),
            known: time,
            ..template
        };
        world.apply(&[change]);
    };
    for (id, points, hour) in [(1, 3.0, 10), (2, 1.0, 15), (3, 5.0, 48)] {
        result(&mut world, id, points, hour);
    }
    let vocabulary = featuriser.vocabulary(&world.store, at(50)).expect("a vocabulary");
    let mut values = Vec::new();
    let query = Query { entity: Key::single(Value::Int(1)), as_of: at(50) };
    let facts = featuriser.row(&world.store, &vocabulary, &query, &mut values).expect("a row");
    let value = |name: &str| values[featuriser.names().iter().position(|of| of == name).expect(name)];
    for (name, expected) in [
        ("results@driver#n", 4f64.ln()),
        ("results@driver#n1h", 2f64.ln()),
        ("results@driver#n12h", 4f64.ln()),
        ("results@driver#recency", (10.0f64 * 0.2).ln_1p()),
        ("results@driver.points:last", 5.0),
        ("results@driver.points:mean10", 3.0),
        ("results@driver.points:sum1h", 6f64.ln()),
        ("results@driver.target:mean", 2.0 / 3.0),
        ("results@driver.status:same10", 1.0),
        ("lag0", 1.0),
        ("lag:n", 3f64.ln()),
    ] {
        #[expect(clippy::cast_possible_truncation, reason = "as features are")]
        let expected = expected as f32;
        assert!((value(name) - expected).abs() < 1e-6, "{name}: {} instead of {expected}", value(name));
    }
    assert_eq!(facts.past.atoms, vec![1.0, 0.0, 1.0]);
    // Nothing shows that the driver was there before the first result, so that the window of that result is no label.
    assert_eq!(facts.past.labels, vec![1.0, 0.0]);
}
