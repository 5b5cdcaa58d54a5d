//! What drives a synthetic world unseen: states of units over periods.

use crate::dice::{Dice, float};

/// A number for each unit in each period.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    units: usize,
    values: Vec<f64>,
}

impl Panel {
    pub(crate) fn at(&self, period: usize, unit: usize) -> f64 {
        self.values[period * self.units + unit]
    }

    /// The mean of a unit over all periods.
    pub(crate) fn mean(&self, unit: usize) -> f64 {
        let all: Vec<f64> = self.values.iter().skip(unit).step_by(self.units).copied().collect();
        all.iter().sum::<f64>() / float(all.len().max(1))
    }
}

/// Series that remember: autoregressive, with variance 1.
pub(crate) fn series(dice: &mut Dice, periods: usize, units: usize, memory: f64) -> Panel {
    let fresh = (1.0 - memory * memory).max(1e-4).sqrt();
    let mut values: Vec<f64> = (0..units).map(|_| dice.normal()).collect();
    for place in units..periods * units {
        values.push(memory * values[place - units] + fresh * dice.normal());
    }
    Panel { units, values }
}

/// Spells: 1 while one lasts, else 0.
pub(crate) fn spells(dice: &mut Dice, periods: usize, units: usize, onset: f64, length: f64) -> Panel {
    let mut left = vec![0usize; units];
    let mut values = Vec::with_capacity(periods * units);
    for _ in 0..periods {
        for left in &mut left {
            if *left > 0 {
                *left -= 1;
            } else if dice.chance(onset) {
                *left = 1 + dice.count(length);
            }
            values.push(if *left > 0 { 1.0 } else { 0.0 });
        }
    }
    Panel { units, values }
}

/// States of units: what a unit is, what it drifts through, what its group and all share, and spells, in random
/// proportions. `group_of` says a unit's group in a period.
pub(crate) fn states(
    dice: &mut Dice,
    periods: usize,
    units: usize,
    groups: &Panel,
    group_of: &dyn Fn(usize, usize) -> usize,
) -> Panel {
    let weights: Vec<f64> = dice.shares(4, 1.2).into_iter().map(|share| 1.25 * share.sqrt()).collect();
    let memory = dice.pick(&[0.8, 0.95, 0.98, 0.995]);
    let own: Vec<f64> = (0..units).map(|_| dice.normal()).collect();
    let drift = series(dice, periods, units, memory);
    let common = series(dice, periods, 1, 0.97);
    let (onset, length) = (dice.between(0.005, 0.04), dice.between(2.0, 15.0));
    let spell = spells(dice, periods, units, onset, length);
    let spell_weight = if dice.chance(0.4) { dice.between(0.3, 2.0) } else { 0.0 };
    let common_weight = 0.4 * weights[3];
    let mut values = Vec::with_capacity(periods * units);
    for period in 0..periods {
        for (unit, own) in own.iter().enumerate() {
            let group = groups.at(period, group_of(period, unit));
            let state = weights[0] * own + weights[1] * drift.at(period, unit) + weights[2] * group;
            values.push(state + common_weight * common.at(period, 0) + spell_weight * (spell.at(period, unit) - 0.2));
        }
    }
    Panel { units, values }
}
