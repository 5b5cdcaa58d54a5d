//! A shop whose customers drift away, and card payments with fraud rings on terminals.
//!
//! Customers order at a rate of their own, with a season over the year. At some moment many of them begin to lose
//! interest: their rate decays and their ratings fall before they are gone. Cards pay at terminals near their owner.
//! Now and then a ring takes over a terminal for some days, and a large share of the payments there is fraud; now and
//! then a card is stolen and its payments grow. Whether a payment was fraud is known seven days later.

use std::sync::Arc;

use relational::{Cell, Change, EventTime, Key, Op, Position, TableId, Value};

use super::dice::Dice;

/// Tables of `configs/demo.toml`, in its order.
pub(super) const CUSTOMERS: TableId = TableId(0);
const TERMINALS: TableId = TableId(1);
const ORDERS: TableId = TableId(2);
const PAYMENTS: TableId = TableId(3);

const LABEL_DELAY: i64 = 7 * EventTime::DAY;

struct Customer {
    rate: f64,
    fades_on: f64,
    spend: f64,
    mood: f64,
    near: [u32; 6],
    stolen_until: u32,
}

/// The generator's parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) seed: u64,
    pub(super) customers: u32,
    pub(super) days: u32,
}

/// Every change of the generated database, in the order in which it became known.
pub(super) fn changes(size: Size) -> Vec<Change> {
    let mut dice = Dice::new(size.seed);
    let terminals = (size.customers / 3).max(10);
    let mut maker = Maker { topic: Arc::from("demo"), changes: Vec::new(), orders: 0, payments: 0 };
    let mut customers = people(&mut dice, size, terminals, &mut maker);
    for terminal in 0..terminals {
        let trade = ["grocery", "fuel", "online", "travel"][dice.below(4) as usize];
        maker.dimension(TERMINALS, terminal, vec![Value::Int(i64::from(terminal)), Value::text(trade)]);
    }
    let mut rings = vec![0; terminals as usize];
    for day in 0..size.days {
        if dice.chance(0.35) {
            rings[dice.below(terminals) as usize] = day + 6 + dice.below(10);
        }
        for (number, customer) in (0..).zip(&mut customers) {
            if dice.chance(0.0006) {
                customer.stolen_until = day + 4 + dice.below(8);
            }
            shop(&mut dice, &mut maker, day, number, customer);
            pay(&mut dice, &mut maker, day, number, customer, &rings);
        }
    }
    let mut changes = maker.changes;
    // A stable sort keeps the order of what became known at the same moment.
    changes.sort_by_key(|change| change.known);
    for (offset, change) in (0..).zip(&mut changes) {
        change.position.offset = offset;
    }
    changes
}

fn people(dice: &mut Dice, size: Size, terminals: u32, maker: &mut Maker) -> Vec<Customer> {
    let mut customers = Vec::new();
    for number in 0..size.customers {
        let region = ["north", "east", "south", "west"][dice.below(4) as usize];
        let segment = if dice.chance(0.25) { "business" } else { "private" };
        maker.dimension(
            CUSTOMERS,
            number,
            vec![Value::Int(i64::from(number)), Value::text(region), Value::text(segment)],
        );
        let near = std::array::from_fn(|_| dice.below(terminals));
        customers.push(Customer {
            rate: (0.11 * (0.7 * dice.normal()).exp()).min(0.8),
            // Half of them begin to fade at some time within the history, the others do not.
            fades_on: dice.unit() * f64::from(size.days) * 2.0,
            spend: 40.0 * (0.6 * dice.normal()).exp(),
            mood: 4.2 + 0.4 * dice.normal(),
            near,
            stolen_until: 0,
        });
    }
    customers
}

/// Interest halves every two weeks once it fades; ratings tell it first.
fn shop(dice: &mut Dice, maker: &mut Maker, day: u32, number: u32, customer: &Customer) {
    let season = 1.0 + 0.3 * (std::f64::consts::TAU * f64::from(day) / 365.0).sin();
    let fading = (f64::from(day) - customer.fades_on).max(0.0);
    let rate = customer.rate * season * 0.5f64.powf((fading - 10.0).max(0.0) / 14.0);
    for _ in 0..dice.count(rate) {
        let at = moment(dice, day, 8.0, 22.0);
        let amount = cents(customer.spend * (0.5 * dice.normal()).exp());
        let rating = (customer.mood - fading.min(30.0) / 12.0 + 0.7 * dice.normal()).round().clamp(1.0, 5.0);
        #[expect(clippy::cast_possible_truncation, reason = "between 1 and 5")]
        let rating = rating as i64;
        maker.order(number, amount, i64::from(1 + dice.below(5)), rating, at);
    }
}

fn pay(dice: &mut Dice, maker: &mut Maker, day: u32, number: u32, customer: &Customer, rings: &[u32]) {
    let stolen = customer.stolen_until > day;
    for _ in 0..dice.count(if stolen { 2.2 } else { 0.9 }) {
        let terminal = customer.near[dice.below(6) as usize];
        let ring = rings[terminal as usize] > day;
        let fraud = (ring && dice.chance(0.6)) || (stolen && dice.chance(0.5));
        let swell = if stolen && fraud { 3.0 } else { 1.0 };
        let amount = cents(customer.spend * swell * (0.5 * dice.normal()).exp());
        let at = if fraud { moment(dice, day, 0.0, 24.0) } else { moment(dice, day, 7.0, 23.0) };
        maker.payment(number, terminal, amount, fraud, at);
    }
}

/// A moment of this day between two hours. Day 0 is 2025-01-01.
fn moment(dice: &mut Dice, day: u32, from_hour: f64, to_hour: f64) -> EventTime {
    const START: i64 = 1_735_689_600 * EventTime::SECOND;
    let hours = from_hour + (to_hour - from_hour) * dice.unit();
    #[expect(clippy::cast_possible_truncation, reason = "fewer microseconds than a day has")]
    let within = (hours * 3.6e9) as i64;
    EventTime(START + i64::from(day) * EventTime::DAY + within)
}

fn cents(amount: f64) -> f64 {
    (amount * 100.0).round() / 100.0
}

struct Maker {
    topic: Arc<str>,
    changes: Vec<Change>,
    orders: i64,
    payments: i64,
}

impl Maker {
    fn dimension(&mut self, table: TableId, number: u32, values: Vec<Value>) {
        self.push(table, i64::from(number), values.into_iter().map(Cell::Value).collect(), EventTime::MIN);
    }

    fn order(&mut self, customer: u32, amount: f64, items: i64, rating: i64, at: EventTime) {
        self.orders += 1;
        let values = [
            Value::Int(self.orders),
            Value::Int(i64::from(customer)),
            Value::Float(amount),
            Value::Int(items),
            Value::Int(rating),
            Value::Time(at),
        ];
        self.push(ORDERS, self.orders, values.map(Cell::Value).into(), at);
    }

    fn payment(&mut self, customer: u32, terminal: u32, amount: f64, fraud: bool, at: EventTime) {
        self.payments += 1;
        let known = [
            Value::Int(self.payments),
            Value::Int(i64::from(customer)),
            Value::Int(i64::from(terminal)),
            Value::Float(amount),
            Value::Time(at),
        ];
        let arrives = known.map(Cell::Value).into_iter().chain([Cell::Value(Value::Null)]).collect();
        self.push(PAYMENTS, self.payments, arrives, at);
        let label = Cell::Value(Value::Bool(fraud));
        let tells = std::iter::repeat_n(Cell::Unchanged, 5).chain([label]).collect();
        self.push(PAYMENTS, self.payments, tells, at.plus(LABEL_DELAY));
    }

    fn push(&mut self, table: TableId, key: i64, cells: Box<[Cell]>, known: EventTime) {
        let position = Position { topic: Arc::clone(&self.topic), partition: 0, offset: 0 };
        self.changes.push(Change { table, key: Key::single(Value::Int(key)), op: Op::Upsert(cells), known, position });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_database_in_the_order_of_knowledge() {
        let size = Size { seed: 3, customers: 30, days: 40 };
        let made = changes(size);
        assert_eq!(made, changes(size));
        assert_ne!(made, changes(Size { seed: 4, ..size }));
        assert!(made.is_sorted_by_key(|change| change.known));
        assert!(made.iter().any(|change| change.table == PAYMENTS) && made.iter().any(|change| change.table == ORDERS));
    }
}
