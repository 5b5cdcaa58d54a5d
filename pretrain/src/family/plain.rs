//! One table of many columns, perhaps with a child table: the target is a column that some of the others explain.

use relational::{DataType, EventTime, Value};

use crate::columns::{Clutter, bin, clutter, column, round};
use crate::dice::{Dice, float, logistic};
use crate::draft::{Draft, category, key, moment};
use crate::mechanism::Mechanism;
use crate::question::{Question, Side};

pub(super) fn draw(dice: &mut Dice) -> (Vec<Draft>, Vec<Question>) {
    let rows = dice.within(300, 1_100);
    let factors = dice.within(2, 7);
    let hidden: Vec<Vec<f64>> = (0..rows).map(|_| (0..factors).map(|_| dice.normal()).collect()).collect();
    let wide = if dice.chance(0.3) { dice.within(25, 60) } else { dice.within(3, 24) };
    let columns: Vec<Vec<f64>> = (0..wide).map(|_| reading(dice, &hidden)).collect();
    let log_odds = log_odds(dice, &hidden, &columns);
    let timed = dice.chance(0.5);
    let mut items = items(dice, &log_odds, &hidden, timed);
    for (place, raw) in columns.iter().enumerate() {
        let (data_type, values) = column(dice, raw);
        items.add(&format!("v{place}"), data_type, values);
    }
    let mut tables = vec![items];
    if dice.chance(0.25) {
        tables.push(parts_table(dice, &hidden));
    }
    (tables, questions())
}

/// A noisy mixture of the hidden factors.
fn reading(dice: &mut Dice, hidden: &[Vec<f64>]) -> Vec<f64> {
    let weights: Vec<f64> = hidden[0].iter().map(|_| if dice.chance(0.4) { dice.normal() } else { 0.0 }).collect();
    let noise = dice.scale(0.15, 1.5);
    let scale = (weights.iter().map(|weight| weight * weight).sum::<f64>() + noise * noise).sqrt();
    let mix = |row: &Vec<f64>| row.iter().zip(&weights).map(|(factor, weight)| factor * weight).sum::<f64>();
    hidden.iter().map(|row| (mix(row) + noise * dice.normal()) / scale).collect()
}

/// From some columns as they are, or from the hidden factors behind them.
fn log_odds(dice: &mut Dice, hidden: &[Vec<f64>], columns: &[Vec<f64>]) -> Vec<f64> {
    let direct = dice.chance(0.6);
    let chosen = dice.choose(6, columns.len());
    let inputs = if direct { chosen.len() } else { hidden[0].len() };
    let twists: Vec<(f64, Mechanism)> =
        (0..dice.within(1, 2)).map(|_| (dice.between(0.8, 4.0), Mechanism::draw(dice, inputs))).collect();
    let of = |row: usize| -> Vec<f64> {
        if direct { chosen.iter().map(|column| columns[*column][row]).collect() } else { hidden[row].clone() }
    };
    let sum = |row: usize| twists.iter().map(|(weight, twist)| weight * twist.of(&of(row))).sum();
    (0..hidden.len()).map(sum).collect()
}

fn items(dice: &mut Dice, log_odds: &[f64], hidden: &[Vec<f64>], timed: bool) -> Draft {
    let day = EventTime::DAY;
    let mut table = Draft::new("items");
    if timed {
        let delay = day * dice.pick(&[1, 5, 20]);
        table = table.timed();
        for (name, of) in [("sold", DataType::Bool), ("price", DataType::Float), ("sort", DataType::Text)] {
            table = table.late(name, of, delay);
        }
    } else {
        table = table.with("sold", DataType::Bool).with("price", DataType::Float).with("sort", DataType::Text);
    }
    let balance = super::balance(dice, 0.02, 0.7);
    let base = super::offset(log_odds.iter().copied(), balance);
    let drift = if timed { dice.pick(&[0.0, 0.0, 1.5]) } else { 0.0 };
    let (noise, parts, heavy) = (dice.scale(0.1, 1.5), dice.within(3, 6), dice.between(0.3, 1.2));
    let (shape, names) = (dice.below(3), dice.shuffled(parts));
    for (place, (log_odds, row)) in log_odds.iter().zip(hidden).enumerate() {
        let age = float(place) / float(hidden.len());
        let log_odds = log_odds + drift * (age - 0.5);
        let noisy = log_odds + noise * dice.normal();
        let price = match shape {
            0 => noisy,
            1 => (heavy * noisy).exp(),
            _ => (3.0 * noisy).round(),
        };
        let sort = names[bin(0.5 * noisy, parts)];
        let answers = [Value::Bool(dice.chance(logistic(base + log_odds))), Value::Float(round(price)), category(sort)];
        let at = timed.then(|| moment(200.0 * age));
        table.push(at.into_iter().chain(answers), row);
    }
    let of = Clutter { copies: 0, noise: dice.below(12) };
    clutter(dice, &mut table, of);
    table
}

/// Child rows without a time.
fn parts_table(dice: &mut Dice, hidden: &[Vec<f64>]) -> Draft {
    let mut table =
        Draft::new("parts").link("item", "items").with("weight", DataType::Float).with("colour", DataType::Text);
    let mean = dice.between(0.5, 3.0);
    for (place, row) in hidden.iter().enumerate() {
        for _ in 0..dice.count(mean) {
            let weight = Value::Float(round((row[0] + dice.normal()).exp()));
            table.push([key(place), weight, category(bin(row[row.len() - 1] + dice.normal(), 5))], &[]);
        }
    }
    table
}

fn questions() -> Vec<Question> {
    let ask = |target: &str, weight| Question::new("items.id", target, weight);
    vec![
        ask("items.sold", 4.0),
        ask("items.price", 2.0),
        ask("items.price", 1.0).threshold(Side::Above),
        ask("items.sort", 2.0),
    ]
}
