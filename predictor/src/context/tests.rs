use std::sync::Arc;

use proptest::prelude::*;
use relational::{EventTime, Sequence};

use super::*;
use crate::fixture::{Shop, day, hour, id};

const CHURN: &str = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.id";
const RATING: &str = "PREDICT AVG(orders.rating, 0, 10, days) FOR EACH customers.id";
const FRAUD: &str = "PREDICT orders.fraud FOR EACH orders.id";

fn at(cutoff: EventTime) -> AsOf {
    AsOf::historical(cutoff, Sequence::MAX)
}

fn of_size(size: usize) -> ContextSpec {
    ContextSpec { size, ..ContextSpec::default() }
}

fn chosen(shop: &Shop, query: &str, cutoff: EventTime, spec: &ContextSpec) -> Selection {
    select(&shop.store, &shop.executor(query), at(cutoff), spec).expect("readable")
}

/// Forty customers; those with a small key order every ten days, the others never.
fn regulars() -> Shop {
    let shop = Shop::new();
    let mut key = 0;
    for customer in 0..40 {
        shop.customer(customer, day(0));
        for time in (1..30).filter(|_| customer < 10) {
            key += 1;
            shop.order(key, customer, "1", Some(customer), day(time * 10));
        }
    }
    shop
}

/// Orders of one customer each hour, of which every `one_in`-th turns out to be fraud.
fn payments(hours: i64, one_in: i64) -> Shop {
    let shop = Shop::new();
    shop.customer(1, day(0));
    for number in 0..hours {
        let time = hour(0, number);
        shop.order(number, 1, "1", None, time);
        shop.fraud(number, number % one_in == one_in - 1, time.plus(7 * EventTime::DAY));
    }
    shop
}

#[test]
fn every_window_has_closed_and_every_example_was_there() {
    let shop = regulars();
    for cutoff in [day(45), day(100), hour(200, 7)] {
        let selection = chosen(&shop, CHURN, cutoff, &of_size(100));
        assert!(!selection.examples.is_empty());
        for example in &selection.examples {
            assert!(example.anchor.plus(30 * EventTime::DAY) <= cutoff && example.anchor >= day(0), "{example:?}");
        }
        assert_eq!(selection.examples[0].anchor, cutoff.plus(-30 * EventTime::DAY));
    }
}

#[test]
fn an_example_of_a_timeframe_waits_for_the_end_of_that_timeframe() {
    let shop = regulars();
    let forecast = shop.executor("PREDICT COUNT(orders.*, 0, 7, days) FORECAST 4 TIMEFRAMES FOR EACH customers.id");
    let timeframes = forecast.task().timeframes();
    assert_eq!(timeframes.len(), 4);
    for (task, weeks) in timeframes.into_iter().zip(1..) {
        let executor = Executor::new(Arc::new(task), Arc::clone(&shop.schema));
        let at = at(day(100));
        let selection = select(&shop.store, &executor, at, &of_size(200)).expect("readable");
        assert_eq!(selection.examples[0].anchor, day(100 - 7 * weeks));
        assert!(
            selection.examples.last().expect("examples").anchor < day(100 - 7 * weeks - 20),
            "weeks lie apart by one"
        );
        for example in &selection.examples {
            let window = relational::Window {
                start: example.anchor.plus(7 * (weeks - 1) * EventTime::DAY),
                end: example.anchor.plus(7 * weeks * EventTime::DAY),
            };
            assert!(window.end <= day(100), "{example:?}");
            let everything = shop.at(EventTime(i64::MAX / 4));
            let via = &executor.task().target_aggregates()[0].via;
            let rows = crate::executor::rows::Source::open(&everything, via, &example.entity).expect("readable");
            let rows = rows.newest(window, 1_000).expect("readable").len();
            assert_eq!(example.label.as_f64(), Some(f64::from(u32::try_from(rows).expect("few"))), "{example:?}");
        }
    }
}

#[test]
fn labels_are_used_once_they_are_known() {
    let shop = payments(24 * 20, 3);
    let until = |labels_until| {
        let spec = ContextSpec { labels_until, ..of_size(2_000) };
        chosen(&shop, FRAUD, day(15), &spec).anchors.map(|(_, last)| last)
    };
    assert_eq!(until(None), Some(day(8)));
    assert_eq!(until(Some(day(10))), Some(day(3)));
    assert_eq!(until(Some(day(6))), None);
}

#[test]
fn equally_recent_examples_are_chosen_without_regard_to_keys() {
    let selection = chosen(&regulars(), CHURN, day(100), &of_size(20));
    let active = selection.examples.iter().filter(|example| example.label == Value::Bool(false)).count();
    // Ten of forty are active. In key order all ten would be among the first twenty (or none).
    assert!((1..10).contains(&active), "{active} of twenty");
    let other = ContextSpec { seed: 1, ..of_size(20) };
    assert_ne!(chosen(&regulars(), CHURN, day(100), &other).examples, selection.examples);
}

#[test]
fn only_entities_with_rows_are_asked_where_a_label_needs_them() {
    let selection = chosen(&regulars(), RATING, day(100), &of_size(25));
    assert_eq!(selection.examples.len(), 25);
    assert!(selection.examples.iter().all(|example| example.entity < id(10)));
    assert!(selection.prior.is_empty() && selection.warnings.is_empty());
}

#[test]
fn entities_of_an_implied_table_are_those_that_rows_name() {
    let shop = Shop::new();
    for number in 0..60 {
        shop.order(number, number % 20, "1", Some(number % 3), hour(0, number));
    }
    let selection = chosen(&shop, CHURN, day(40), &of_size(20));
    assert_eq!(selection.examples.len(), 20, "{:?}", selection.warnings);
}

#[test]
fn the_population_is_that_of_the_anchor() {
    let query = format!("{CHURN} WHERE COUNT(orders.*, -15, 0, days) > 0");
    let shop = regulars();
    let selection = chosen(&shop, &query, day(200), &of_size(30));
    assert!(selection.examples.iter().all(|example| example.entity < id(10)));
    // Nobody had ordered yet.
    assert!(chosen(&shop, &query, day(35), &of_size(30)).examples.is_empty());
}

#[test]
fn later_contexts_find_most_examples_again() {
    let shop = regulars();
    let now = chosen(&shop, RATING, day(200), &of_size(60));
    let later = chosen(&shop, RATING, day(201), &of_size(60));
    let again = later.examples.iter().filter(|example| now.examples.contains(example)).count();
    assert!(again >= 40, "{again} of 60");
}

#[test]
fn a_silent_year_is_passed_over() {
    let shop = Shop::new();
    shop.customer(1, day(0));
    for number in 0..5 {
        shop.order(number, 1, "1", Some(3), hour(1, number));
    }
    let query = "PREDICT AVG(orders.rating, 0, 10, minutes) FOR EACH customers.id";
    assert_eq!(chosen(&shop, query, day(400), &of_size(4)).examples.len(), 4);
}

#[test]
fn a_rare_class_is_preferred_and_its_share_reported() {
    let selection = chosen(&payments(24 * 60, 40), FRAUD, day(50), &of_size(100));
    let rare = selection.examples.iter().filter(|example| example.label == Value::Bool(true)).count();
    assert_eq!((selection.examples.len(), rare), (500, 25));
    let share = selection.prior.iter().find(|(class, _)| *class == Value::Bool(true)).map(|(_, share)| *share);
    assert!(share.is_some_and(|share| (0.024..0.027).contains(&share)), "{share:?}");
    let times = |class: bool| {
        let of_class = selection.examples.iter().filter(move |example| example.label == Value::Bool(class));
        of_class.map(|example| example.anchor).max().expect("some")
    };
    assert!(times(false).since(times(true)).abs() < 5 * EventTime::DAY);
}

#[test]
fn earlier_examples_are_added_with_their_share_of_the_classes() {
    let shop = payments(4_000, 4);
    let newest = chosen(&shop, FRAUD, day(100), &of_size(100));
    let (oldest, _) = newest.anchors.expect("examples");
    let earlier = chosen(&shop, FRAUD, oldest, &of_size(200));
    let both = newest.clone().with_earlier(earlier.clone());
    assert_eq!(both.examples.len(), newest.examples.len() + earlier.examples.len());
    assert_eq!(both.anchors.map(|anchors| anchors.0), earlier.anchors.map(|anchors| anchors.0));
    for example in &both.examples[newest.examples.len()..] {
        assert!(example.anchor.plus(7 * EventTime::DAY) <= oldest, "{example:?}");
    }
    assert!((both.prior.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
    for ((class, share), (_, of_newest)) in both.prior.iter().zip(&newest.prior) {
        assert!((share - of_newest).abs() < 0.01, "{class:?}: {share} for {of_newest}");
    }
}

#[test]
fn one_class_alone_is_warned_of() {
    let shop = payments(24 * 20, i64::MAX);
    let selection = chosen(&shop, FRAUD, day(15), &of_size(50));
    assert!(selection.warnings.iter().any(|warning| warning.contains("false")), "{:?}", selection.warnings);
    let none = chosen(&Shop::new(), FRAUD, day(15), &of_size(50));
    assert_eq!((none.examples.len(), none.warnings.len(), none.anchors), (0, 1, None));
}

#[test]
fn every_policy_keeps_to_its_size_and_its_promise() {
    let shop = regulars();
    let choose = |policy: Policy| chosen(&shop, CHURN, day(250), &ContextSpec { policy, ..of_size(80) });
    let anchors = |selection: &Selection| {
        let mut anchors: Vec<EventTime> = selection.examples.iter().map(|example| example.anchor).collect();
        anchors.dedup();
        anchors.len()
    };
    let active =
        |selection: &Selection| selection.examples.iter().filter(|example| example.label == Value::Bool(false)).count();
    assert_eq!(anchors(&choose(Policy::Recent)), 2);
    assert_eq!(anchors(&choose(Policy::Spread { cutoffs: 5 })), 5);
    assert!(anchors(&choose(Policy::Random)) > 5);
    assert_eq!(active(&choose(Policy::Stratified)), 40);
    let own = choose(Policy::OwnPlusRecent { entity: id(3) });
    assert!(own.examples.iter().filter(|example| example.entity == id(3)).count() > 5);
    for policy in [Policy::Recent, Policy::Random, Policy::Stratified, Policy::Spread { cutoffs: 3 }] {
        assert_eq!(choose(policy.clone()).examples.len(), 80, "{policy:?}");
    }
}

#[test]
fn contexts_are_refreshed_at_a_tenth_of_the_horizon() {
    let shop = Shop::new();
    for (query, expected) in [
        (CHURN, day(40)),
        (RATING, day(40)),
        (FRAUD, hour(40, 12)),
        ("PREDICT COUNT(orders.*, 0, 3, months) = 0 FOR EACH customers.id", EventTime(day(38).0)),
        ("PREDICT COUNT(orders.*, 0, 1, hours) = 0 FOR EACH customers.id", hour(40, 17)),
        ("PREDICT customers.tier FOR EACH customers.id", hour(40, 17)),
    ] {
        let task = shop.executor(query);
        let cutoff = hour(40, 17).plus(4 * 60 * EventTime::SECOND);
        assert_eq!(refresh_point(task.task(), &shop.schema, cutoff), expected, "{query}");
    }
}

/// One random change: (kind, customer, order, hours before or after day 100).
type Step = (u8, i64, i64, i64);

fn step() -> impl Strategy<Value = Step> {
    (0u8..4, 0i64..6, 0i64..30, 0i64..2_000)
}

fn apply(shop: &Shop, (kind, customer, order, _): Step, time: EventTime) {
    match kind {
        0 => shop.order(order, customer, "3", Some(order % 5), time),
        1 => shop.delete(crate::fixture::ORDERS, order, time),
        2 if shop.has_order(order) => shop.fraud(order, order % 2 == 0, time),
        2 => {}
        _ => shop.customer(customer, time),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn nothing_after_the_cutoff_changes_a_context_or_a_label(
        past in prop::collection::vec(step(), 1..120),
        future in prop::collection::vec(step(), 1..60),
    ) {
        let shop = Shop::new();
        let mut past = past;
        past.sort_by_key(|step| std::cmp::Reverse(step.3));
        for step in past {
            apply(&shop, step, hour(100, -step.3));
        }
        let live = AsOf::live(day(100), shop.store.sequence());
        let queries = [CHURN, RATING, FRAUD];
        let answers = || {
            let answer = |query: &str| {
                let executor = shop.executor(query);
                let mut labels = Vec::new();
                for bounds in [live, at(day(100))] {
                    let snapshot = shop.store.as_of(bounds);
                    for entity in 0..6 {
                        labels.push(executor.target(&snapshot, &id(entity), day(80)).expect("readable"));
                    }
                }
                let contexts = [live, at(day(100))].map(|bounds| {
                    select(&shop.store, &executor, bounds, &of_size(20)).expect("readable")
                });
                (labels, contexts)
            };
            queries.map(answer)
        };
        let before = answers();
        for step in future {
            apply(&shop, step, hour(100, step.3 + 1));
        }
        prop_assert_eq!(before, answers());
    }
}
