//! Events between two parents whose outcome becomes known later: spells on either side, rare rings on a shared parent,
//! outliers against the own mean, and combinations of columns in the row itself.
//!
//! Spells of parents and delayed labels are inspired by simulated card payments; none of their data is used.

use relational::{DataType, Value};

use crate::columns::{Clutter, bin, clutter, round};
use crate::dice::{Dice, float, logistic};
use crate::draft::{Draft, category, delay_micros, key, moment};
use crate::latent::{Panel, spells};
use crate::mechanism::Mechanism;
use crate::question::{Question, Side};

/// What of a row moves its outcome.
const SEEN: usize = 7;

/// How outcomes come about.
struct Risk {
    shop_spell: f64,
    card_spell: f64,
    /// The share of events that a spell of the card reaches.
    reach: f64,
    swell: f64,
    card: f64,
    shop: f64,
    jump: f64,
    twist: (f64, Mechanism),
    /// Rings: cards that met at one shop, from some time on.
    ring: f64,
}

/// One event as it happens.
struct Event {
    card: usize,
    shop: usize,
    day: f64,
    size: f64,
    usual: f64,
    limit: f64,
    channel: usize,
    kind: usize,
    hour: f64,
    log_odds: f64,
}

/// Who meets whom, and what each of them is and goes through.
struct Scene {
    days: usize,
    shops: usize,
    usual: Vec<f64>,
    limits: Vec<f64>,
    /// How far sizes lie from the card's usual size.
    noise: f64,
    /// Of cards and of shops, by their number.
    own: Vec<[f64; 2]>,
    card_spells: Panel,
    shop_spells: Panel,
}

pub(super) fn draw(dice: &mut Dice) -> (Vec<Draft>, Vec<Question>) {
    let (cards, shops) = (dice.pick(&[30, 80, 160, 300]), dice.pick(&[15, 50, 120]));
    let (days, count) = (dice.within(30, 90), dice.within(1_500, 3_500));
    let delay = dice.pick(&[1.0, 3.0, 7.0, 14.0]);
    let risk = risk(dice);
    let scene = scene(dice, cards, shops, days);
    let events = events(dice, &scene, &risk, count);
    let balance = super::balance(dice, 0.008, 0.5);
    let base = super::offset(events.iter().map(|event| event.log_odds), balance);
    let of = |side: usize| scene.own.iter().map(|own| own[side]).collect::<Vec<_>>();
    let mut tables = vec![
        parent_table(dice, "cards", &scene.limits, &of(0)[..cards]),
        parent_table(dice, "shops", &[], &of(1)[..shops]),
    ];
    tables.push(events_table(dice, &events, base, delay));
    (tables, questions(dice))
}

fn scene(dice: &mut Dice, cards: usize, shops: usize, days: usize) -> Scene {
    let (habit, noise) = (dice.between(0.3, 1.0), dice.between(0.2, 0.8));
    let usual: Vec<f64> = (0..cards).map(|_| habit * dice.normal()).collect();
    let limits: Vec<f64> = usual.iter().map(|usual| usual + 0.8 + 0.5 * dice.normal()).collect();
    let own: Vec<[f64; 2]> = (0..cards.max(shops)).map(|_| [dice.normal(), dice.normal()]).collect();
    let (onset, length) = (dice.between(0.002, 0.02), dice.between(3.0, 20.0));
    let card_spells = spells(dice, days, cards, onset, length);
    let (onset, length) = (dice.between(0.002, 0.03), dice.between(5.0, 30.0));
    let shop_spells = spells(dice, days, shops, onset, length);
    Scene { days, shops, usual, limits, noise, own, card_spells, shop_spells }
}

fn risk(dice: &mut Dice) -> Risk {
    Risk {
        shop_spell: dice.between(1.0, 6.0) * dice.pick(&[0.0, 1.0, 1.0]),
        card_spell: dice.between(0.0, 4.0) * dice.pick(&[0.0, 1.0, 1.0]),
        reach: dice.between(0.2, 1.0),
        swell: dice.between(0.0, 2.0),
        card: dice.pick(&[0.0, 0.8, 1.5]),
        shop: dice.pick(&[0.0, 0.8, 1.5]),
        jump: dice.pick(&[0.0, 0.0, 1.5]),
        twist: (dice.pick(&[0.0, 1.5, 2.5, 4.0]), Mechanism::draw(dice, SEEN)),
        ring: dice.pick(&[0.0, 0.0, 4.0]),
    }
}

fn events(dice: &mut Dice, scene: &Scene, risk: &Risk, count: usize) -> Vec<Event> {
    let Scene { days, shops, usual, limits, noise, own, .. } = scene;
    let (cards, days, shops) = (usual.len(), *days, *shops);
    let rates: Vec<f64> = (0..cards).map(|_| (0.7 * dice.normal()).exp()).collect();
    let near = dice.within(3, 12);
    let near: Vec<Vec<usize>> = (0..cards).map(|_| (0..near).map(|_| dice.below(shops)).collect()).collect();
    let trap = dice.below(shops);
    let mut trapped = vec![false; cards];
    let sprung = float(days) * dice.between(0.2, 0.6);
    let mut moments: Vec<f64> = (0..count).map(|_| dice.unit() * float(days)).collect();
    moments.sort_by(f64::total_cmp);
    let mut all = Vec::with_capacity(count);
    for day in moments {
        let card = dice.weighted(&rates);
        let shop = dice.pick(&near[card]);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the days of this world")]
        let period = (day as usize).min(days - 1);
        let reached = scene.card_spells.at(period, card) * f64::from(u8::from(dice.chance(risk.reach)));
        let size = usual[card] + noise * dice.normal() + reached * risk.swell;
        let (channel, kind, hour) = (dice.below(2), dice.below(4), 24.0 * day.fract());
        let seen = [
            size,
            (size - usual[card]) / noise,
            limits[card],
            2.0 * float(channel) - 1.0,
            float(kind) - 1.5,
            (hour - 12.0) / 7.0,
            own[shop][1],
        ];
        let ring = if trapped[card] && day > sprung { risk.ring } else { 0.0 };
        trapped[card] |= shop == trap && day < sprung;
        let log_odds = risk.shop_spell * scene.shop_spells.at(period, shop)
            + risk.card_spell * reached
            + risk.card * own[card][0]
            + risk.shop * own[shop][1]
            + risk.jump * (size - usual[card]).max(0.0)
            + risk.twist.0 * risk.twist.1.of(&seen)
            + ring;
        let (usual, limit) = (usual[card], limits[card]);
        all.push(Event { card, shop, day, size, usual, limit, channel, kind, hour, log_odds });
    }
    all
}

fn parent_table(dice: &mut Dice, name: &str, limits: &[f64], signals: &[f64]) -> Draft {
    let mut table = Draft::new(name).with("area", DataType::Text);
    if !limits.is_empty() {
        table = table.with("ceiling", DataType::Float);
    }
    let areas = dice.zipf(8);
    for (place, signal) in signals.iter().enumerate() {
        let area = category(dice.weighted(&areas));
        let limit = limits.get(place).map(|limit| Value::Float(round((limit + 3.0).exp())));
        table.push(std::iter::once(area).chain(limit), &[*signal]);
    }
    let of = Clutter { copies: dice.below(2), noise: dice.below(4) };
    clutter(dice, &mut table, of);
    table
}

fn events_table(dice: &mut Dice, events: &[Event], base: f64, delay: f64) -> Draft {
    let micros = delay_micros(delay);
    let mut table = Draft::new("payments")
        .link("card", "cards")
        .link("shop", "shops")
        .timed()
        .with("amount", DataType::Float)
        .with("channel", DataType::Text)
        .with("kind", DataType::Text)
        .late("fraud", DataType::Bool, micros)
        .late("loss", DataType::Float, micros)
        .late("verdict", DataType::Text, micros);
    let parts = dice.within(3, 6);
    let slip = dice.pick(&[0.0, 0.0, 0.05]);
    for event in events {
        let log_odds = base + event.log_odds;
        let fraud = dice.chance(logistic(log_odds)) != dice.chance(slip);
        let loss = round((event.size + 0.5 * log_odds.clamp(-3.0, 3.0) + 0.4 * dice.normal()).exp());
        let verdict = bin(0.6 * (event.log_odds + base) + 0.7 * dice.normal() + 0.3 * float(event.kind), parts);
        let values = [
            key(event.card),
            key(event.shop),
            moment(event.day),
            Value::Float(round((event.size + 3.0).exp())),
            category(event.channel + 8),
            category(event.kind),
            Value::Bool(fraud),
            Value::Float(loss),
            category(verdict),
        ];
        table.push(values, &[event.size, event.size - event.usual, event.limit, (event.hour - 12.0) / 7.0]);
    }
    let of = Clutter::draw(dice);
    clutter(dice, &mut table, of);
    table
}

fn questions(dice: &mut Dice) -> Vec<Question> {
    let days = dice.pick(&[3, 7, 14]);
    let ask = |target: &str, weight| Question::new("payments.id", target, weight);
    let card = |target: String, weight| Question::new("cards.id", target, weight);
    vec![
        ask("payments.fraud", 6.0),
        ask("payments.loss", 1.5),
        ask("payments.loss", 1.5).threshold(Side::Above),
        ask("payments.verdict", 2.0),
        card(format!("COUNT(payments.* WHERE payments.fraud = TRUE, 0, {days}, days) > 0"), 1.0),
        card(format!("SUM(payments.amount, 0, {days}, days)"), 0.5).threshold(Side::Above),
    ]
}
