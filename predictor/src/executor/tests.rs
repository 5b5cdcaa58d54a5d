use relational::{EventTime, Value, Window};

use crate::fixture::{ORDERS, Shop, amount, day, hour, id};

const END: EventTime = EventTime(i64::MAX / 4);

/// Customer 1 with orders on days 10, 20, 30 (rated 5, unknown, 2) and visits on days 12 and 40.
fn shop() -> Shop {
    let shop = Shop::new();
    shop.customer(1, day(0));
    shop.order(1, 1, "10.10", Some(5), day(10));
    shop.order(2, 1, "0.20", None, day(20));
    shop.order(3, 1, "5", Some(2), day(30));
    shop.visit(1, 1, 1.5, "home", day(12));
    shop.visit(2, 1, 2.5, "cart", day(40));
    shop
}

fn target(shop: &Shop, query: &str, anchor: EventTime) -> Option<Value> {
    shop.executor(query).target(&shop.at(END), &id(1), anchor).expect("readable")
}

fn check(shop: &Shop, table: &[(&str, i64, Option<Value>)]) {
    for (target_text, anchor, expected) in table {
        let query = format!("PREDICT {target_text} FOR EACH customers.id");
        assert_eq!(&target(shop, &query, day(*anchor)), expected, "{query} at day {anchor}");
    }
}

#[test]
fn windows_exclude_their_start_and_include_their_end() {
    check(
        &shop(),
        &[
            ("COUNT(orders.*, 0, 10, days)", 10, Some(Value::Int(1))),
            ("COUNT(orders.*, 0, 10, days)", 9, Some(Value::Int(1))),
            ("COUNT(orders.*, 0, 9, days)", 10, Some(Value::Int(0))),
            ("COUNT(orders.*, 0, 20, days)", 10, Some(Value::Int(2))),
            ("COUNT(orders.*, 10, 20, days)", 10, Some(Value::Int(1))),
            ("COUNT(orders.*, 0, 4, weeks)", 2, Some(Value::Int(3))),
            ("COUNT(orders.*, 0, 240, hours)", 9, Some(Value::Int(1))),
            // A month from January 9 ends with February 9, one from January 10 with February 10.
            ("COUNT(visits.*, 0, 1, months)", 30, Some(Value::Int(1))),
            ("COUNT(visits.*, 0, 1, months)", 8, Some(Value::Int(1))),
            ("COUNT(visits.*, 0, 1, months)", 9, Some(Value::Int(2))),
        ],
    );
}

#[test]
fn nothing_has_a_count_and_a_sum_but_no_mean() {
    check(
        &shop(),
        &[
            ("SUM(orders.amount, 0, 5, days)", 50, Some(Value::Int(0))),
            ("AVG(orders.amount, 0, 5, days)", 50, None),
            ("MIN(orders.rating, 0, 5, days) <= 3", 50, None),
            ("COUNT(orders.*, 0, 5, days) = 0", 50, Some(Value::Bool(true))),
            ("LAST(visits.seconds, 0, 5, days)", 50, None),
        ],
    );
}

#[test]
fn nulls_are_neither_counted_nor_compared() {
    check(
        &shop(),
        &[
            ("COUNT(orders.rating, 0, 30, days)", 5, Some(Value::Int(2))),
            ("SUM(orders.amount, 0, 30, days)", 5, Some(amount("15.30"))),
            ("AVG(orders.rating, 0, 30, days)", 5, Some(Value::Float(3.5))),
            ("MIN(orders.rating, 0, 10, days) <= 3", 10, None),
            ("MIN(orders.rating, 0, 20, days) <= 3", 10, Some(Value::Bool(true))),
            ("COUNT(orders.* WHERE orders.rating != 5, 0, 30, days)", 5, Some(Value::Int(1))),
            ("COUNT(orders.* WHERE NOT orders.rating = 5, 0, 30, days)", 5, Some(Value::Int(1))),
            ("COUNT(orders.* WHERE orders.rating IS NULL, 0, 30, days)", 5, Some(Value::Int(1))),
            ("COUNT(orders.* WHERE orders.rating = 5 OR orders.amount < 1, 0, 30, days)", 5, Some(Value::Int(2))),
        ],
    );
}

#[test]
fn values_come_in_the_order_of_time() {
    check(
        &shop(),
        &[
            ("FIRST(visits.seconds, 0, 60, days)", 0, Some(Value::Float(1.5))),
            ("LAST(visits.seconds, 0, 60, days)", 0, Some(Value::Float(2.5))),
            ("MAX(visits.seconds, 0, 60, days)", 0, Some(Value::Float(2.5))),
            ("COUNT_DISTINCT(visits.page, 0, 60, days)", 0, Some(Value::Int(2))),
            ("COUNT(visits.* WHERE visits.page STARTS WITH 'ca', 0, 60, days)", 0, Some(Value::Int(1))),
        ],
    );
}

#[test]
fn unknown_parts_decide_only_when_they_must() {
    check(
        &shop(),
        &[
            ("AVG(orders.rating, 0, 5, days) > 1 AND COUNT(orders.*, 0, 5, days) > 0", 50, Some(Value::Bool(false))),
            ("AVG(orders.rating, 0, 5, days) > 1 OR COUNT(orders.*, 0, 5, days) = 0", 50, Some(Value::Bool(true))),
            ("AVG(orders.rating, 0, 5, days) > 1 AND COUNT(orders.*, 0, 5, days) = 0", 50, None),
            ("NOT AVG(orders.rating, 0, 5, days) > 1", 50, None),
        ],
    );
}

#[test]
fn a_row_that_points_twice_counts_once() {
    let shop = shop();
    shop.customer(2, day(0));
    let gift =
        vec![Value::Int(9), Value::Int(1), Value::Int(2), amount("1"), Value::Null, Value::Null, Value::Time(day(12))];
    shop.put(ORDERS, gift, day(12));
    let executor = shop.executor("PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.id");
    let count = |customer| executor.target(&shop.at(END), &id(customer), day(5)).expect("readable");
    assert_eq!((count(1), count(2)), (Some(Value::Int(4)), Some(Value::Int(1))));
}

#[test]
fn an_example_counts_only_where_the_assumption_came_true() {
    let query = "PREDICT COUNT(orders.* WHERE orders.rating < 3, 0, 10, days) > 0 FOR EACH customers.id \
                 ASSUMING COUNT(orders.*, 0, 10, days) > 0";
    let labels = [5, 25, 50].map(|anchor| target(&shop(), query, day(anchor)));
    assert_eq!(labels, [Some(Value::Bool(false)), Some(Value::Bool(true)), None]);
}

#[test]
fn entities_have_no_label_before_they_exist_or_without_a_row() {
    let shop = Shop::new();
    shop.customer(1, day(10));
    shop.order(1, 1, "1", None, day(8));
    let query = "PREDICT COUNT(orders.*, 0, 10, days) FOR EACH customers.id";
    assert_eq!(target(&shop, query, day(9)), None);
    assert_eq!(target(&shop, query, day(10)), Some(Value::Int(0)));
    shop.order(2, 77, "1", None, day(12));
    let dangling = shop.executor(query).target(&shop.at(END), &id(77), day(11)).expect("readable");
    assert_eq!(dangling, None);
}

#[test]
fn entities_of_an_implied_table_exist_once_they_are_named() {
    let shop = Shop::new();
    shop.order(1, 7, "1", None, day(8));
    let executor = shop.executor("PREDICT COUNT(orders.*, 0, 10, days) FOR EACH customers.id");
    let label = |anchor| executor.target(&shop.at(END), &id(7), day(anchor)).expect("readable");
    assert_eq!((label(7), label(8)), (None, Some(Value::Int(0))));
}

#[test]
fn labels_see_what_the_snapshot_sees() {
    let shop = shop();
    let executor = shop.executor("PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.id");
    let at = |cutoff| executor.target(&shop.at(cutoff), &id(1), day(5)).expect("readable");
    assert_eq!(
        (at(day(10)), at(day(25)), at(day(90))),
        (Some(Value::Int(1)), Some(Value::Int(2)), Some(Value::Int(3)))
    );
    // A late row, a deleted one and one that moves away count from when they became known.
    let late =
        vec![Value::Int(8), Value::Int(1), Value::Int(1), amount("1"), Value::Null, Value::Null, Value::Time(day(15))];
    shop.put(ORDERS, late, day(100));
    shop.delete(ORDERS, 1, day(110));
    let moved =
        vec![Value::Int(2), Value::Int(2), Value::Int(2), amount("1"), Value::Null, Value::Null, Value::Time(day(20))];
    shop.put(ORDERS, moved, day(120));
    let counts = [90, 100, 110, 120].map(|cutoff| at(day(cutoff)));
    assert_eq!(counts, [3, 4, 3, 2].map(|count| Some(Value::Int(count))));
}

#[test]
fn a_label_of_the_own_row_waits_for_its_value() {
    let shop = shop();
    shop.fraud(2, true, day(27));
    let executor = shop.executor("PREDICT orders.fraud FOR EACH orders.id");
    let label = |cutoff| executor.target(&shop.at(cutoff), &id(2), day(20)).expect("readable");
    assert_eq!((label(day(26)), label(day(27))), (None, Some(Value::Bool(true))));
    assert_eq!(executor.target(&shop.at(END), &id(2), hour(19, 23)).expect("readable"), None);
}

#[test]
fn populations_look_back_and_leave_out_what_is_unknown() {
    let shop = shop();
    let executor = shop.executor(
        "PREDICT COUNT(orders.*, 0, 9, days) = 0 FOR EACH customers.id \
         WHERE COUNT(orders.*, -10, 0, days) > 0 AND AVG(orders.rating, -10, 0, days) > 1",
    );
    let within = [9, 10, 19, 20, 25, 30].map(|anchor| {
        let snapshot = shop.at(day(anchor));
        executor.in_population(&snapshot, &id(1), day(anchor)).expect("readable")
    });
    assert_eq!(within, [false, true, true, false, false, true]);
}

#[test]
fn many_anchors_give_what_each_gives_alone() {
    let shop = shop();
    let anchors: Vec<EventTime> = (-5..60).map(day).collect();
    for query in [
        "PREDICT AVG(orders.rating, 0, 12, days) FOR EACH customers.id",
        "PREDICT COUNT(orders.*, 3, 9, days) > 0 OR SUM(visits.seconds, 0, 20, days) > 2 FOR EACH customers.id",
    ] {
        let executor = shop.executor(query);
        let together = executor.targets(&shop.at(END), &id(1), &anchors).expect("readable");
        let alone = anchors.iter().map(|anchor| {
            let label = executor.target(&shop.at(END), &id(1), *anchor).expect("readable");
            label.and_then(|label| label.as_f64())
        });
        assert_eq!(together, alone.collect::<Vec<_>>(), "{query}");
    }
}

#[test]
fn long_histories_give_the_same_labels_as_short_ones() {
    let shop = Shop::new();
    shop.customer(1, day(0));
    // More visits than are kept at once, several of them at the same time.
    let visits = i64::try_from(relational::limits::SCAN_ROWS_MAX).expect("small") * 2;
    for number in 0..visits {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let seconds = number as f64;
        shop.visit(number, 1, seconds, if number % 2 == 0 { "home" } else { "cart" }, hour(1, number / 40));
    }
    let of = |text: &str| target(&shop, &format!("PREDICT {text} FOR EACH customers.id"), day(0));
    let last = visits - 1;
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let sum = (last * visits / 2) as f64;
    assert_eq!(of("COUNT(visits.*, 0, 90, days)"), Some(Value::Int(visits)));
    assert_eq!(of("COUNT(visits.* WHERE visits.page = 'cart', 0, 90, days)"), Some(Value::Int(visits / 2)));
    assert_eq!(of("SUM(visits.seconds, 0, 90, days)"), Some(Value::Float(sum)));
    assert_eq!(of("FIRST(visits.seconds, 0, 90, days)"), Some(Value::Float(0.0)));
    assert_eq!(of("COUNT(visits.*, 0, 48, hours)"), Some(Value::Int(1_000)));
}

#[test]
fn atoms_are_the_expression_inside_the_target() {
    let shop = shop();
    let everything = Window::up_to(END);
    for (target_text, expected) in [
        ("COUNT(orders.* WHERE orders.rating != 5, 0, 30, days) > 0", Some(vec![1.0, 0.0, 0.0])),
        ("MIN(orders.rating, 0, 30, days) <= 3", Some(vec![1.0, 0.0])),
        ("AVG(orders.rating, 0, 30, days)", Some(vec![2.0, 5.0])),
        ("SUM(orders.amount WHERE orders.rating > 3, 0, 30, days)", Some(vec![0.0, 0.0, 10.1])),
        ("COUNT(orders.rating, 0, 30, days)", Some(vec![1.0, 0.0, 1.0])),
        ("COUNT(orders.*, 0, 30, days) = 0", None),
        ("SUM(orders.amount, 0, 30, days) > 1 AND COUNT(visits.*, 0, 30, days) > 0", None),
    ] {
        let executor = shop.executor(&format!("PREDICT {target_text} FOR EACH customers.id"));
        let atoms = executor.atoms(&shop.at(END), &id(1), everything, 10).expect("readable");
        let values = atoms.map(|atoms| atoms.into_iter().map(|(_, value)| value).collect::<Vec<_>>());
        assert_eq!(values, expected, "{target_text}");
        assert_eq!(executor.atom_table().map(|(table, _)| table), expected.map(|_| ORDERS), "{target_text}");
    }
}
