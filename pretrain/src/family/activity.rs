//! Customers who each act in their own time: births, pauses and deaths, seasons, heavy-tailed amounts, and behaviour
//! that answers to what has happened before.

use relational::{DataType, Value};

use crate::columns::{Clutter, clutter, round};
use crate::dice::{Dice, float, logistic};
use crate::draft::{Draft, category, code, key, moment};
use crate::latent::{Panel, series, spells, states};
use crate::mechanism::Mechanism;
use crate::question::{Question, Side};

/// Rows of orders at most.
const ORDERS_MAX: usize = 5_000;

/// What of a customer's own past moves its behaviour.
const SEEN: usize = 8;

/// How this database works.
struct Market {
    periods: usize,
    days: f64,
    people: usize,
    products: usize,
    rate: f64,
    spread: f64,
    season: (f64, f64),
    /// Moves the rate of orders.
    pull: (f64, Mechanism),
    /// Moves the share of returned orders.
    doubt: (f64, Mechanism),
    amount: (f64, f64, f64),
    heavy: bool,
    free: f64,
    returned: (f64, f64),
    /// Whether channels are numbers or categories.
    channel: DataType,
    /// An order of this kind by this channel makes a customer stay away so many periods: each alone does nothing.
    incident: Option<(usize, usize, usize)>,
}

/// What one customer is and has done.
struct Customer {
    region: usize,
    from: f64,
    until: f64,
    kinds: Vec<f64>,
    traits: [f64; 2],
    last: Option<Last>,
    away_until: usize,
    mean: f64,
    orders: usize,
    returns: usize,
    recent: usize,
}

/// A customer's last order.
#[derive(Clone, Copy)]
struct Last {
    period: usize,
    size: f64,
    kind: usize,
    channel: usize,
}

/// What customers are in each period, unseen.
struct Minds {
    drive: Panel,
    trust: Panel,
    purse: Panel,
    asleep: Panel,
}

pub(super) fn draw(dice: &mut Dice) -> (Vec<Draft>, Vec<Question>) {
    let market = market(dice);
    let regions = dice.within(2, 10);
    let tilt = dice.zipf(6);
    let mut people: Vec<Customer> = (0..market.people).map(|_| customer(dice, &market, regions, &tilt)).collect();
    let home: Vec<usize> = people.iter().map(|customer| customer.region).collect();
    let group_of = |_: usize, person: usize| home[person];
    let climate = series(dice, market.periods, regions, 0.97);
    let (onset, pause) = (dice.pick(&[0.0, 0.02, 0.05]), dice.between(2.0, 8.0));
    let minds = Minds {
        drive: states(dice, market.periods, market.people, &climate, &group_of),
        trust: states(dice, market.periods, market.people, &climate, &group_of),
        purse: states(dice, market.periods, market.people, &climate, &group_of),
        asleep: spells(dice, market.periods, market.people, onset, pause),
    };
    let quality: Vec<f64> = (0..market.products).map(|_| dice.normal()).collect();
    let mut orders = Draft::new("orders")
        .link("customer", "customers")
        .link("product", "products")
        .timed()
        .with("amount", DataType::Float)
        .with("kind", DataType::Text)
        .with("channel", market.channel)
        .with("returned", DataType::Bool);
    let mut visits = Draft::new("visits").link("customer", "customers").timed().with("minutes", DataType::Float);
    let looks = if dice.chance(0.4) { dice.between(0.2, 1.0) } else { 0.0 };
    for period in 0..market.periods {
        for (place, person) in people.iter_mut().enumerate() {
            shop(dice, &market, &minds, &quality, (period, place), person, &mut orders);
            let curiosity = looks * (0.5 * minds.trust.at(period, place) + 0.4 * minds.drive.at(period, place)).exp();
            if person.here(period) && orders.len() < ORDERS_MAX {
                for _ in 0..dice.count(curiosity) {
                    let at = moment((float(period) + dice.unit()) * market.days);
                    let minutes = (dice.normal() + minds.drive.at(period, place)).exp();
                    visits.push([key(place), at, Value::Float(round(minutes))], &[]);
                }
            }
        }
    }
    let of = Clutter::draw(dice);
    clutter(dice, &mut orders, of);
    let questions = questions(dice, market.days, visits.len() > 100);
    let mut tables = vec![customers_table(dice, &people, &minds), products_table(dice, &quality)];
    if dice.chance(0.25) {
        tables.push(lines_table(dice, &orders));
    }
    tables.push(orders);
    if visits.len() > 100 {
        tables.push(visits);
    }
    (tables, questions)
}

fn market(dice: &mut Dice) -> Market {
    let people = dice.pick(&[60, 100, 160, 250]);
    Market {
        periods: dice.within(14, 40),
        days: dice.pick(&[1.0, 7.0, 10.0, 30.0]),
        people,
        products: dice.within(3, 30),
        rate: dice.between(-1.6, 0.5),
        spread: dice.between(0.4, 1.4),
        season: (dice.pick(&[0.0, 0.3, 0.6]), dice.between(5.0, 30.0)),
        pull: (dice.pick(&[0.0, 0.5, 1.0, 1.5]), Mechanism::draw(dice, SEEN)),
        doubt: (dice.pick(&[0.0, 0.7, 1.5, 2.5]), Mechanism::draw(dice, SEEN)),
        amount: (dice.between(0.0, 4.0), dice.between(0.4, 1.3), dice.scale(0.15, 1.0)),
        heavy: dice.chance(0.4),
        free: if dice.chance(0.2) { dice.between(0.1, 0.6) } else { 0.0 },
        returned: (dice.between(-4.0, 0.0), dice.between(0.4, 2.2)),
        channel: dice.pick(&[DataType::Int, DataType::Text]),
        incident: dice.chance(0.25).then(|| (dice.below(2), dice.below(2), dice.within(2, 10))),
    }
}

fn customer(dice: &mut Dice, market: &Market, regions: usize, tilt: &[f64]) -> Customer {
    let span = float(market.periods);
    let from = dice.between(-span / 2.0, span - 3.0);
    let stay = span * dice.between(0.3, 2.5);
    let kinds = tilt.iter().map(|share| share * dice.normal().exp()).collect();
    Customer {
        region: dice.below(regions),
        from,
        until: from + 2.0 + dice.exponential(stay),
        kinds,
        traits: [dice.normal(), dice.normal()],
        last: None,
        away_until: 0,
        mean: 0.0,
        orders: 0,
        returns: 0,
        recent: 0,
    }
}

impl Customer {
    fn here(&self, period: usize) -> bool {
        (self.from..self.until).contains(&float(period))
    }

    /// What anybody could know of the customer before this period, each of about unit variance.
    fn seen(&self, period: usize) -> [f64; SEEN] {
        let since = self.last.map_or(6.0, |last| float(period - last.period));
        let share = (float(self.returns) + 0.5) / (float(self.orders) + 1.0);
        [
            1.2 - since.ln_1p(),
            self.last.map_or(0.0, |last| last.size),
            self.mean,
            float(self.recent).ln_1p() - 0.5,
            self.last.map_or(0.0, |last| if last.kind == 0 { 1.0 } else { -0.7 }),
            self.last.map_or(0.0, |last| if last.channel == 0 { 1.0 } else { -1.0 }),
            4.0 * (share - 0.3),
            self.traits[0],
        ]
    }
}

fn shop(
    dice: &mut Dice,
    market: &Market,
    minds: &Minds,
    quality: &[f64],
    (period, place): (usize, usize),
    person: &mut Customer,
    orders: &mut Draft,
) {
    if !person.here(period) || orders.len() >= ORDERS_MAX {
        return;
    }
    let seen = person.seen(period);
    let season = market.season.0 * (std::f64::consts::TAU * float(period) / market.season.1).sin();
    let pull = market.pull.0 * market.pull.1.of(&seen);
    let asleep = minds.asleep.at(period, place) > 0.0 || period < person.away_until;
    let rate = market.rate + market.spread * minds.drive.at(period, place) + season + pull;
    let count = dice.count(if asleep { 0.03 } else { rate.exp().min(8.0) });
    person.recent = count;
    for _ in 0..count {
        let tail = if market.heavy { dice.student(3.0) } else { dice.normal() };
        let size = market.amount.1 * minds.purse.at(period, place) + market.amount.2 * tail;
        let free = dice.chance(market.free);
        let product = dice.below(market.products);
        let (kind, channel) = (dice.weighted(&person.kinds), dice.below(2));
        let doubt = market.doubt.0 * market.doubt.1.of(&seen) + 0.5 * quality[product];
        let risk = market.returned.0 + market.returned.1 * minds.trust.at(period, place) + doubt;
        let returned = dice.chance(logistic(risk));
        if market.incident.is_some_and(|(of, by, _)| of == kind && by == channel) {
            person.away_until = period + 1 + market.incident.map_or(0, |(_, _, periods)| periods);
        }
        let amount = if free { 0.0 } else { round((market.amount.0 + size).exp()) };
        let values = [
            key(place),
            key(product),
            moment((float(period) + dice.unit()) * market.days),
            Value::Float(amount),
            category(kind),
            code(market.channel, channel),
            Value::Bool(returned),
        ];
        orders.push(values, &[size, minds.drive.at(period, place), minds.trust.at(period, place)]);
        person.last = Some(Last { period, size, kind, channel });
        person.orders += 1;
        person.returns += usize::from(returned);
        person.mean += (size - person.mean) / float(person.orders);
    }
}

fn customers_table(dice: &mut Dice, people: &[Customer], minds: &Minds) -> Draft {
    let mut table = Draft::new("customers").with("region", DataType::Text).with("score", DataType::Float);
    for (place, person) in people.iter().enumerate() {
        let signals = [minds.drive.mean(place), minds.trust.mean(place), person.traits[1]];
        table.push([category(person.region), Value::Float(round(person.traits[0]))], &signals);
    }
    let of = Clutter::draw(dice);
    clutter(dice, &mut table, of);
    table
}

fn products_table(dice: &mut Dice, quality: &[f64]) -> Draft {
    let mut table = Draft::new("products").with("price", DataType::Float).with("brand", DataType::Text);
    for quality in quality {
        let price = round((2.0 + 0.5 * quality + 0.7 * dice.normal()).exp());
        table.push([Value::Float(price), category(dice.below(5))], &[]);
    }
    table
}

/// Rows under some of the orders: the grandchildren of customers.
fn lines_table(dice: &mut Dice, orders: &Draft) -> Draft {
    let mut table =
        Draft::new("lines").link("order_id", "orders").with("quantity", DataType::Int).with("label", DataType::Text);
    let lines = dice.between(0.5, 1.5);
    for (place, signals) in orders.signals().iter().enumerate() {
        for _ in 0..dice.count(lines) {
            let quantity = dice.count((0.5 * signals[0] + 0.5).clamp(-2.0, 3.0).exp());
            let label = if dice.chance(logistic(signals[2])) { dice.below(3) } else { 3 + dice.below(3) };
            table.push([key(place), Value::Int(crate::draft::whole(quantity)), category(label)], &[]);
        }
    }
    table
}

fn questions(dice: &mut Dice, days: f64, visits: bool) -> Vec<Question> {
    let horizon = days * dice.pick(&[1.0, 2.0, 3.0, 4.0]);
    let window = format!("0, {horizon}, days");
    let back = horizon * dice.pick(&[2.0, 3.0, 6.0]);
    let active = dice.chance(0.7).then(|| format!("COUNT(orders.*, -{back}, 0, days) > 0"));
    let kind = ["ash", "bay", "cedar"][dice.below(3)];
    let cut = dice.between(1.0, 30.0).round();
    let ask = |target: &str, weight| {
        let target = target.replace("{w}", &window).replace("{k}", kind).replace("{c}", &cut.to_string());
        Question::new("customers.id", target, weight).population(active.clone())
    };
    let there = Some(format!("COUNT(orders.*, {window}) > 0"));
    let mut all = vec![
        ask("COUNT(orders.*, {w}) = 0", 4.0),
        ask("COUNT(orders.*, {w})", 1.0).threshold(Side::Above),
        ask("COUNT(orders.*, {w})", 1.0),
        ask("SUM(orders.amount, {w})", 2.0),
        ask("SUM(orders.amount, {w})", 1.0).threshold(Side::Above),
        ask("AVG(orders.amount, {w})", 1.0),
        ask("AVG(orders.amount, {w})", 1.0).threshold(Side::Above),
        ask("MAX(orders.amount, {w})", 1.0).threshold(Side::Above),
        ask("MIN(orders.amount, {w})", 0.5).threshold(Side::Below),
        ask("COUNT(orders.* WHERE orders.returned = TRUE, {w}) > 0", 1.5),
        ask("COUNT(orders.* WHERE orders.returned = TRUE, {w}) > 0", 1.5).assuming(there),
        ask("COUNT(orders.* WHERE orders.kind = '{k}' AND orders.amount > {c}, {w}) > 0", 1.0),
        ask("SUM(orders.amount WHERE orders.kind = '{k}', {w})", 0.7),
        ask("LAST(orders.kind, {w})", 1.5),
        ask("LAST(orders.returned, {w})", 1.0),
    ];
    if visits {
        all.push(ask("COUNT(visits.*, {w})", 1.0).threshold(Side::Above));
        all.push(ask("SUM(visits.minutes, {w})", 0.5));
    }
    all
}
