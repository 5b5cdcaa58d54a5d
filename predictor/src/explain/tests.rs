//! The most telling column and row come first, and what tells nothing is worth nothing.

use std::sync::Arc;

use graph_store::Store;
use relational::{AsOf, EventTime, Key, Sequence, Value};

use super::*;
use crate::features::fixture::{SHAPES, World, at};
use crate::features::{FeatureOptions, Featuriser, Query, Vocabulary};
use crate::fixture::{ORDERS, Shop, day, hour, id};
use crate::learn::{Examples, Fitted, Matrix, Member, Targets, fit};

/// A task with a context of one example for each entity, ready to answer.
struct Ready {
    featuriser: Featuriser,
    vocabulary: Vocabulary,
    examples: Examples,
    bounds: AsOf,
}

/// The classes of tasks that have any.
fn classes() -> Vec<Value> {
    (0..3).map(Value::Int).collect()
}

impl Ready {
    fn new(featuriser: Featuriser, store: &Store, bounds: AsOf, entities: &[Key], targets: Targets) -> Self {
        let vocabulary = featuriser.vocabulary(store, bounds).expect("readable");
        let mut features = Matrix::new(featuriser.names().len());
        let mut past = Vec::new();
        for entity in entities {
            let mut row = Vec::new();
            let query = Query { entity: entity.clone(), as_of: bounds };
            past.push(featuriser.row(store, &vocabulary, &query, &mut row).expect("readable").past);
            features.push_row(&row);
        }
        let anchors = (0..).map(EventTime).take(entities.len()).collect();
        let group = (0..entities.len() as u64).collect();
        let examples = Examples { features, past, targets, prior: None, anchors, group };
        Self { featuriser, vocabulary, examples, bounds }
    }

    fn explain(&self, store: &Store, fitted: &Fitted, entity: &Key) -> Explanation {
        let asked = Asked {
            featuriser: &self.featuriser,
            vocabulary: &self.vocabulary,
            fitted,
            typical: &self.examples.features.means(),
            snapshot: &store.as_of(self.bounds),
            entity,
            classes: &classes(),
        };
        of_features(&asked).expect("readable")
    }
}

const CUSTOMERS: i64 = 320;

/// The rating of a customer's order, the newest being number 0: from 0 to 2, as good as random.
fn rating(customer: i64, order: i64) -> i64 {
    let mixed = (customer * 8 + order).wrapping_mul(0x2545_F491_4F6C_DD1D);
    ((mixed >> 33) ^ (mixed >> 47)).rem_euclid(3)
}

/// Customers with eight orders each.
fn shop() -> Shop {
    let shop = Shop::new();
    for customer in 0..CUSTOMERS {
        shop.customer(customer, day(customer % 20));
        for order in 0..8 {
            let time = hour(100 - 7 * order, customer % 24);
            let cost = format!("{}.50", rating(order, customer) + 1);
            shop.order(customer * 8 + order, customer, &cost, Some(rating(customer, order)), time);
        }
    }
    shop
}

/// The rating of the newest order decides what comes true, in three ways to ask.
fn decided_by_the_newest_rating(shop: &Shop) -> Vec<Ready> {
    let newest = || (0..CUSTOMERS).map(|customer| rating(customer, 0));
    let asked = [
        ("COUNT(orders.*, 0, 10, days) > 0", Targets::Binary(newest().map(|rating| rating == 2).collect())),
        ("AVG(orders.amount, 0, 10, days)", Targets::Numbers(newest().map(|rating| 10.0 * number(rating)).collect())),
        (
            "COUNT(orders.*, 0, 10, days) > 1",
            Targets::Classes { classes: 3, labels: newest().map(|rating| u32::try_from(rating).unwrap()).collect() },
        ),
    ];
    let entities: Vec<Key> = (0..CUSTOMERS).map(id).collect();
    let ready = |(target, targets): (&str, Targets)| {
        let executor = Arc::new(shop.executor(&format!("PREDICT {target} FOR EACH customers.id")));
        let featuriser = Featuriser::new(executor, &FeatureOptions::default());
        Ready::new(featuriser, &shop.store, AsOf::historical(day(110), Sequence::MAX), &entities, targets)
    };
    asked.into_iter().map(ready).collect()
}

fn number(rating: i64) -> f64 {
    f64::from(i32::try_from(rating).expect("small"))
}

const MEMBERS: [Member; 4] = [Member::Baseline, Member::Trees, Member::Small, Member::Auto];

/// Whose newest rating is the highest, and the one before the lowest.
fn risen() -> i64 {
    let mut customers = 0..CUSTOMERS;
    customers.find(|customer| rating(*customer, 0) == 2 && rating(*customer, 1) == 0).expect("one of so many")
}

#[test]
fn the_column_and_the_row_that_decide_come_first() {
    let shop = shop();
    let entity = risen();
    for ready in decided_by_the_newest_rating(&shop) {
        for member in MEMBERS {
            let fitted = fit(member, &ready.examples, 1).expect("consistent examples");
            let explanation = ready.explain(&shop.store, &fitted, &id(entity));
            let said = &explanation.sentence;
            assert_eq!(explanation.columns[0].column, "orders.rating", "{member:?}: {said}");
            assert_eq!(explanation.columns[0].says, "orders.rating was 2 last");
            let newest = RowKey { table: ORDERS, key: id(entity * 8) };
            assert_eq!(explanation.rows[0].row, newest, "{member:?}: {said}");
            assert_eq!(explanation.rows[0].name(&shop.schema), format!("orders {} (2024-04-10)", entity * 8));
            assert!(explanation.rows[0].adds > 0.0 && explanation.columns[0].adds > 0.0, "{member:?}: {said}");
        }
    }
}

#[test]
fn the_sentence_says_it_plainly() {
    let shop = shop();
    let entity = risen();
    let [ready, ..] = &decided_by_the_newest_rating(&shop)[..] else { panic!("three ways") };
    let fitted = fit(Member::Baseline, &ready.examples, 1).expect("consistent examples");
    let said = ready.explain(&shop.store, &fitted, &id(entity)).sentence;
    let expected = format!(
        " that customers {entity} has orders in the next 10 days: mostly because orders.rating was 2 last (+0."
    );
    assert!(said.contains(&expected), "{said}");
    assert!(said.contains(&format!("; of single rows orders {} (2024-04-10) matters most (+", entity * 8)), "{said}");
}

/// Explanations of some entities of random databases, of every shape and by every member.
fn explanations(mut check: impl FnMut(&str, Member, &Ready, &World, &Fitted, &Key)) {
    for shape in SHAPES {
        let featuriser = shape.featuriser(&FeatureOptions::default());
        let mut world = World::new(Arc::clone(featuriser.executor().schema()), 5);
        for _ in 0..120 {
            let change = world.change(0..40);
            world.apply(&[change]);
        }
        let entities = world.keys(featuriser.executor().task().entity);
        let kinds = [
            Targets::Binary((0..entities.len()).map(|entity| entity % 3 == 0).collect()),
            Targets::Numbers((0u8..).take(entities.len()).map(f64::from).collect()),
            Targets::Classes { classes: 2, labels: (0u32..).take(entities.len()).map(|entity| entity % 2).collect() },
        ];
        for targets in kinds {
            let ready = Ready::new(featuriser.clone(), &world.store, at(30), &entities, targets);
            for member in Member::ALL {
                let fitted = fit(member, &ready.examples, 1).expect("consistent examples");
                for entity in &entities[..3] {
                    check(shape.name, member, &ready, &world, &fitted, entity);
                }
            }
        }
    }
}

#[test]
fn an_explanation_is_of_the_very_score_and_its_shares_add_up_to_it() {
    explanations(|shape, member, ready, world, fitted, entity| {
        let mut features = Vec::new();
        let query = Query { entity: entity.clone(), as_of: ready.bounds };
        let facts = ready.featuriser.row(&world.store, &ready.vocabulary, &query, &mut features).expect("readable");
        let answer = fitted.predict(&features, &facts.past).prediction(&classes());
        let explanation = ready.explain(&world.store, fitted, entity);
        assert_eq!(explanation.score.to_bits(), answer.point().to_bits(), "{shape}, {member:?}");
        let sum: f64 = explanation.parts.iter().map(|part| part.share).sum();
        let whole = explanation.measure.scaled(explanation.score);
        assert!((sum - whole).abs() < 1e-6 * whole.abs().max(1.0), "{shape}, {member:?}: {sum} of {whole}");
        assert_eq!(explanation, ready.explain(&world.store, fitted, entity), "{shape}, {member:?}");
    });
}

#[test]
fn what_tells_nothing_is_worth_nothing() {
    let mut moved = 0;
    explanations(|shape, member, ready, world, fitted, entity| {
        if member != Member::LastK {
            return;
        }
        let explanation = ready.explain(&world.store, fitted, entity);
        let schema = world.store.schema();
        for told in ready.featuriser.sources() {
            let name = told.source.name(schema);
            let effect = explanation.columns.iter().find(|column| column.column == name).expect("every column");
            // `last-k` reads the past alone.
            assert!(told.labels || told.atoms || effect.adds.to_bits() == 0, "{shape}: {name} adds {}", effect.adds);
            moved += usize::from(effect.adds != 0.0);
        }
    });
    assert!(moved > 0, "the past of no entity tells anything");
}

#[test]
fn many_rows_are_cut_and_the_nearest_are_kept() {
    let shop = Shop::new();
    shop.customer(1, day(0));
    for order in 0..150 {
        shop.order(order, 1, "1.00", Some(1), hour(1, order));
    }
    let executor = Arc::new(shop.executor("PREDICT COUNT(orders.*, 0, 10, days) > 0 FOR EACH customers.id"));
    let featuriser = Featuriser::new(executor, &FeatureOptions { rows: 140, ..FeatureOptions::default() });
    let bounds = AsOf::historical(day(20), Sequence::MAX);
    let ready = Ready::new(featuriser, &shop.store, bounds, &[id(1)], Targets::Binary(vec![true]));
    let fitted = fit(Member::LastK, &ready.examples, 1).expect("consistent examples");
    let explanation = ready.explain(&shop.store, &fitted, &id(1));
    assert_eq!(explanation.rows.len(), EXPLAINED_ROWS_MAX);
    assert!(explanation.rows_left_out >= 40, "{}", explanation.rows_left_out);
    let oldest = explanation.rows.iter().map(|row| row.time).filter(|time| *time > EventTime::MIN).min();
    assert!(oldest.expect("orders") > hour(1, 40), "{oldest:?}");
}
