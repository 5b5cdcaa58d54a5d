use std::sync::Arc;

use relational::{AsOf, Cell, Change, EventTime, Key, Op, Position, Sequence, TableId, Value};

use super::{Candidates, Market, Ranker};
use crate::features::Query;
use crate::features::fixture::{HOUR, SHAPES, World};

const PAYMENTS: TableId = TableId(2);

struct Shop {
    world: World,
    ranker: Ranker,
    payments: i64,
}

/// Customers pay at terminals; which terminals will a customer pay at in the next ten hours?
fn shop() -> Shop {
    let shape = SHAPES.iter().find(|shape| shape.name == "payments").expect("a shape");
    let ranker = shape.ranker().expect("it ranks");
    Shop { world: World::new(Arc::new(shape.schema()), 1), ranker, payments: 0 }
}

impl Shop {
    fn pay(&mut self, customer: i64, terminal: i64, hour: i64) {
        self.payments += 1;
        let time = EventTime(hour * HOUR);
        let values = [
            Value::Int(self.payments),
            Value::Int(customer),
            Value::Int(terminal),
            Value::Float(1.0),
            Value::Null,
            Value::Time(time),
        ];
        self.world.apply(&[Change {
            table: PAYMENTS,
            key: Key::single(Value::Int(self.payments)),
            op: Op::Upsert(values.into_iter().map(Cell::Value).collect()),
            known: time,
            position: Position { topic: "t".into(), partition: 0, offset: self.payments },
        }]);
    }

    fn market(&self, hour: i64) -> Market {
        let at = AsOf::historical(EventTime(hour * HOUR), Sequence::MAX);
        self.ranker.market(&self.world.store, at).expect("readable")
    }

    fn candidates(&self, market: &Market, customer: i64, hour: i64) -> Candidates {
        let as_of = AsOf::live(EventTime(hour * HOUR), Sequence::MAX);
        let query = Query { entity: Key::single(Value::Int(customer)), as_of };
        self.ranker.candidates(&self.world.store, market, &query).expect("readable")
    }
}

fn keys(candidates: &Candidates) -> Vec<i64> {
    let number = |key: &Value| match key {
        Value::Int(number) => *number,
        other => panic!("{other} is no number"),
    };
    candidates.list.iter().map(|candidate| number(&candidate.key)).collect()
}

/// Customer 1 has paid at terminals 7 and 8, customer 2 at 8 and 9, customer 3 at 8.
fn three_customers() -> Shop {
    let mut shop = shop();
    for (customer, terminal, hour) in [(1, 7, 1), (1, 8, 2), (2, 8, 3), (2, 9, 4), (3, 8, 15), (1, 7, 16)] {
        shop.pay(customer, terminal, hour);
    }
    shop
}

#[test]
fn popularity_counts_entities_not_rows() {
    let shop = three_customers();
    let market = shop.market(16);
    let standing = |terminal| market.standing(&Value::Int(terminal)).map(|(rank, of)| (rank, of.recent, of.all));
    // In the last ten hours, after hour 6: customer 3 at 8, customer 1 at 7.
    assert_eq!(standing(8), Some((0, 1, 3)));
    assert_eq!(standing(7), Some((1, 1, 1)));
    assert_eq!(standing(9), Some((2, 0, 1)));
    assert_eq!(standing(4), None);
}

#[test]
fn a_walk_ends_at_what_others_have() {
    let shop = three_customers();
    let market = shop.market(16);
    let own = [Value::Int(7), Value::Int(8)];
    let walk = market.walk(&shop.ranker, &Key::single(Value::Int(1)), &own);
    // From 7 nobody else goes on; from 8 one step in two goes to 2 (8 or 9), one to 3 (8): 1/2 (1/2 1/2 + 1/2) = 3/8.
    assert_eq!(walk, vec![(Value::Int(8), 0.375), (Value::Int(9), 0.125)]);
}

#[test]
fn candidates_are_own_rows_those_of_entities_alike_and_the_popular() {
    let mut shop = three_customers();
    shop.pay(4, 5, 16);
    let market = shop.market(16);
    assert_eq!(keys(&shop.candidates(&market, 1, 17)), [5, 7, 8, 9]);
    assert_eq!(keys(&shop.candidates(&market, 99, 17)), [5, 7, 8, 9], "a newcomer has the popular ones");
    // What the entity does after the market was taken is seen, what others do is not.
    shop.pay(1, 3, 17);
    shop.pay(2, 2, 17);
    assert_eq!(keys(&shop.candidates(&market, 1, 17)), [3, 5, 7, 8, 9]);
}

#[test]
fn a_pair_has_had_what_its_rows_say() {
    let shop = three_customers();
    let market = shop.market(16);
    let candidates = shop.candidates(&market, 1, 26);
    let of = |terminal: i64| {
        let candidate = candidates.list.iter().find(|candidate| candidate.key == Value::Int(terminal));
        shop.ranker.pair(&market, &candidates, candidate.expect("a candidate"))
    };
    let (seven, past) = of(7);
    // Windows of ten hours before hour 26: (16, 26], (6, 16], (-4, 6].
    assert_eq!(past.labels, [0.0, 1.0, 1.0]);
    let close = |found: f32, expected: f64| assert!((f64::from(found) - expected).abs() < 1e-6, "{found}, {expected}");
    close(seven[0], 0.0);
    close(seven[1], 2f64.ln_1p());
    close(seven[4], 2.0 / 3.0);
    close(seven[5], (10.0f64 * 1.0).ln_1p());
    close(seven[6], 2.5f64.ln_1p());
    close(seven[7], (1.0f64 / 1.5).ln_1p());
    let (nine, past) = of(9);
    assert_eq!(past.labels, [0.0; 3]);
    close(nine[3], 0.0);
    assert!(nine[5].is_nan() && nine[6].is_nan());
    close(nine[11], (0.125f64 + 1e-6).ln());
}

#[test]
fn equals_stand_in_an_order_that_knows_nothing_of_keys() {
    let mut shop = shop();
    for terminal in 0..64 {
        shop.pay(1, terminal, 5);
    }
    let popular: Vec<Value> = shop.market(5).popular().cloned().collect();
    let rising = popular.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!((20..44).contains(&rising), "{rising} of 63 neighbours are in the order of their keys");
    assert_eq!(popular, shop.market(5).popular().cloned().collect::<Vec<_>>());
}

#[test]
fn what_a_query_reads_of_the_entity_is_in_its_read_set() {
    let shape = SHAPES.iter().find(|shape| shape.name == "payments").expect("a shape");
    let ranker = shape.ranker().expect("it ranks");
    let read = crate::read_set::ReadSet::new(ranker.of_entity(), None).describe();
    let own = "customers < payments by customer (all): as many as there are";
    assert!(read.iter().any(|path| path == own), "{read:#?}");
}
