//! Columns as real tables have them: odd marginals, many noisy copies of the same thing, noise, gaps.

use relational::{DataType, Value};

use crate::dice::Dice;
use crate::draft::{Draft, category};

/// How many columns of each sort a database's tables are given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clutter {
    /// Noisy readings of what drives the row.
    pub(crate) copies: usize,
    /// Columns that have nothing to do with anything.
    pub(crate) noise: usize,
}

impl Clutter {
    /// From clean tables to such where most columns say nothing or say the same.
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let copies = if dice.chance(0.25) { dice.within(3, 7) } else { dice.below(3) };
        let noise = if dice.chance(0.3) { dice.within(3, 8) } else { dice.below(3) };
        Self { copies, noise }
    }
}

/// Adds noisy readings and noise to a table, in random order.
pub(crate) fn clutter(dice: &mut Dice, draft: &mut Draft, clutter: Clutter) {
    let signals = draft.signals().first().map_or(0, Vec::len);
    let copies = if signals == 0 { 0 } else { clutter.copies };
    for place in dice.shuffled(copies + clutter.noise) {
        let name = format!("x{place}");
        let signal = (place < copies).then(|| (dice.below(signals), dice.pick(&[-1.0, 1.0]), dice.scale(0.1, 2.0)));
        let of = |row: &Vec<f64>, dice: &mut Dice| match signal {
            Some((signal, sign, noise)) => (sign * row[signal] + noise * dice.normal()) / (1.0 + noise * noise).sqrt(),
            None => dice.normal(),
        };
        let raw: Vec<f64> = draft.signals().to_vec().iter().map(|row| of(row, dice)).collect();
        let (data_type, values) = column(dice, &raw);
        draft.add(&name, data_type, values);
    }
}

/// Values with a random marginal, and gaps in some columns; half of the gaps depend on the value itself.
pub(crate) fn column(dice: &mut Dice, raw: &[f64]) -> (DataType, Vec<Value>) {
    let (data_type, mut values) = marginal(dice, raw);
    if dice.chance(0.3) {
        let share = dice.between(0.03, 0.6);
        let telling = dice.chance(0.4);
        for (value, raw) in values.iter_mut().zip(raw) {
            let share = if telling { (share * raw.exp()).min(0.95) } else { share };
            if dice.chance(share) {
                *value = Value::Null;
            }
        }
    }
    (data_type, values)
}

fn marginal(dice: &mut Dice, raw: &[f64]) -> (DataType, Vec<Value>) {
    let floats = |of: &dyn Fn(f64) -> f64| raw.iter().map(|value| Value::Float(round(of(*value)))).collect();
    let (stretch, shift) = (dice.between(0.4, 1.6), dice.normal());
    match dice.below(9) {
        0 => (DataType::Float, floats(&|value| (stretch * value + shift).exp())),
        1 => (DataType::Int, raw.iter().map(|value| whole(stretch * 3.0 * value + 10.0 * shift)).collect()),
        2 => (DataType::Bool, raw.iter().map(|value| Value::Bool(*value > 0.7 * shift)).collect()),
        3 => (DataType::Float, floats(&|value| (value - 0.5 * shift).max(0.0))),
        4 => (DataType::Float, floats(&|value| value.signum() * value.abs().powf(1.0 + stretch))),
        5 => {
            let parts = dice.within(3, 12);
            let names = dice.shuffled(parts);
            let cut = |value: f64| names[bin(value, parts)];
            (DataType::Text, raw.iter().map(|value| category(cut(*value))).collect())
        }
        6 => (DataType::Float, floats(&|value| (2.0 * stretch * value).sin())),
        _ => (DataType::Float, floats(&|value| 10.0f64.powf(shift) * (value + shift))),
    }
}

/// Which of so many equal parts of the normal distribution's middle a value lies in.
pub(crate) fn bin(value: f64, parts: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held between 0 and the parts")]
    let place = ((value.clamp(-1.99, 1.99) + 2.0) / 4.0 * crate::dice::float(parts)) as usize;
    place.min(parts - 1)
}

/// The nearest whole number.
pub(crate) fn whole(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "held far inside the range")]
    let number = value.clamp(-1e12, 1e12).round() as i64;
    Value::Int(number)
}

/// Six significant digits, as tables of the real world have no more.
pub(crate) fn round(value: f64) -> f64 {
    if value.abs() < 1e-12 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powf(5.0 - value.abs().log10().floor());
    (value * scale).round() / scale
}
