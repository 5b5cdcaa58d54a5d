use relational::{AsOf, EventTime, Sequence, Value};

use super::*;
use crate::fixture::{CUSTOMERS, Shop, day, hour};

const CHURN: &str = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.id";

/// A hundred customers of whom the even ones order every ten days; `tier` is what `tier` says of a customer.
fn shop(tier: impl Fn(i64) -> Value) -> Shop {
    let shop = Shop::new();
    for customer in 0..100 {
        let values = vec![Value::Int(customer), Value::Int(customer % 7), Value::Time(day(0)), tier(customer)];
        shop.put(CUSTOMERS, values, day(0));
        for time in (1..12).filter(|_| customer % 2 == 0) {
            shop.order(customer * 100 + time, customer, "1", None, day(time * 10));
        }
    }
    shop
}

fn warnings(shop: &Shop, query: &str) -> Vec<String> {
    let at = AsOf::historical(day(100), Sequence::MAX);
    of_task(&shop.store, &shop.executor(query), at).expect("readable")
}

#[test]
fn an_honest_column_is_let_pass() {
    assert_eq!(warnings(&shop(|customer| Value::text(format!("{}", customer % 5))), CHURN), Vec::<String>::new());
    assert_eq!(warnings(&shop(|customer| Value::text(format!("{customer}"))), CHURN), Vec::<String>::new());
}

#[test]
fn a_column_that_knows_the_outcome_is_found() {
    let found = warnings(&shop(|customer| Value::text(if customer % 2 == 0 { "active" } else { "closed" })), CHURN);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("`customers.tier` tells the target almost alone"), "{found:?}");
}

#[test]
fn a_column_that_is_filled_for_one_outcome_is_found() {
    let closed = |customer| if customer % 2 == 0 { Value::Null } else { Value::text(format!("reason {customer}")) };
    let found = warnings(&shop(closed), CHURN);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("`customers.tier` is filled only where the target is true"), "{found:?}");
}

#[test]
fn a_column_that_was_filled_in_by_an_update_was_not_seen_then() {
    let shop = shop(|_| Value::Null);
    for customer in (1..100).step_by(2) {
        let closed = vec![Value::Int(customer), Value::Int(customer % 7), Value::Time(day(0)), Value::text("closed")];
        shop.put(CUSTOMERS, closed, day(99));
    }
    assert_eq!(warnings(&shop, CHURN), Vec::<String>::new());
}

#[test]
fn an_assumption_cannot_be_known() {
    let found = warnings(&shop(|_| Value::Null), &format!("{CHURN} ASSUMING COUNT(visits.*, 0, 30, days) > 0"));
    assert!(found.len() == 1 && found[0].contains("ASSUMING"), "{found:?}");
}

#[test]
fn dates_after_the_row_are_found() {
    let shop = Shop::new();
    for customer in 0..100 {
        shop.customer(customer, day(customer));
    }
    let at = AsOf::live(EventTime::MAX, Sequence::MAX);
    assert_eq!(of_tables(&shop.store, at).expect("readable"), Vec::<String>::new());
    for key in 0..50 {
        let values = vec![
            Value::Int(key),
            Value::Int(1),
            Value::Float(1.0),
            Value::text("home"),
            Value::Time(day(key)),
            Value::Time(hour(key, if key % 2 == 0 { -1 } else { 20 })),
        ];
        shop.put(crate::fixture::VISITS, values, day(key));
    }
    let found = of_tables(&shop.store, at).expect("readable");
    assert!(
        found.len() == 1 && found[0].contains("`visits.left` is later than its row's own time in 25 of 50"),
        "{found:?}"
    );
}
