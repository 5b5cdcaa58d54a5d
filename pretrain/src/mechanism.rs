//! How an outcome depends on what can be seen: random functions, most of which no straight line follows.

use crate::dice::{Dice, float};

/// A random function of several numbers of about unit variance; its own variance is about 1.
#[derive(Debug, Clone)]
pub(crate) struct Mechanism {
    shape: Shape,
    /// A straight line beside it.
    slopes: Vec<f64>,
    mean: f64,
    scale: f64,
}

#[derive(Debug, Clone)]
enum Shape {
    /// Nothing but the straight line.
    Line,
    /// Two layers of random weights.
    Network(Vec<(Vec<f64>, f64, f64)>),
    /// A sum of steps, each where two inputs pass their thresholds together.
    Steps(Vec<(Test, Test, f64)>),
    /// The product of two inputs.
    Product(usize, usize),
    /// One input over another, both as sizes on a logarithmic scale, past a threshold.
    Ratio(usize, usize, f64),
    /// One input past a threshold.
    Threshold(Test),
    /// Two or three inputs past their thresholds together: each of them alone tells little.
    Conjunction(Vec<Test>),
    /// An input near a value.
    Bump(usize, f64, f64),
}

/// Whether an input is above (or below) a threshold.
#[derive(Debug, Clone, Copy)]
struct Test {
    input: usize,
    above: bool,
    threshold: f64,
}

impl Test {
    fn draw(dice: &mut Dice, inputs: usize, spread: f64) -> Self {
        Self { input: dice.below(inputs), above: dice.chance(0.5), threshold: spread * dice.normal() }
    }

    fn holds(self, inputs: &[f64]) -> bool {
        (inputs[self.input] > self.threshold) == self.above
    }
}

/// Draws of the inputs that mean and scale are taken from.
const TRIALS: usize = 256;

impl Mechanism {
    /// A random function of so many inputs.
    pub(crate) fn draw(dice: &mut Dice, inputs: usize) -> Self {
        let shape = match dice.weighted(&[2.0, 2.0, 2.0, 1.5, 1.5, 1.0, 2.0, 1.0]) {
            0 => Shape::Line,
            1 => Shape::Network(network(dice, inputs)),
            2 => {
                let count = dice.within(2, 10);
                let step = |_| (Test::draw(dice, inputs, 0.7), Test::draw(dice, inputs, 0.7), dice.normal());
                Shape::Steps((0..count).map(step).collect())
            }
            3 => Shape::Product(dice.below(inputs), dice.below(inputs)),
            4 => Shape::Ratio(dice.below(inputs), dice.below(inputs), 0.7 * dice.normal()),
            5 => Shape::Threshold(Test::draw(dice, inputs, 0.8)),
            6 => {
                let count = dice.within(2, 3);
                Shape::Conjunction((0..count).map(|_| Test::draw(dice, inputs, 0.5)).collect())
            }
            _ => Shape::Bump(dice.below(inputs), dice.normal(), dice.between(0.3, 1.0)),
        };
        let line = if matches!(shape, Shape::Line) { 1.0 } else { dice.pick(&[0.0, 0.0, 0.2, 0.5]) };
        let slopes = (0..inputs).map(|_| if dice.chance(0.5) { line * dice.normal() } else { 0.0 }).collect();
        let mut drawn = Self { shape, slopes, mean: 0.0, scale: 1.0 };
        drawn.standardise(dice, inputs);
        drawn
    }

    fn standardise(&mut self, dice: &mut Dice, inputs: usize) {
        let trials: Vec<f64> = (0..TRIALS)
            .map(|_| {
                let trial: Vec<f64> = (0..inputs).map(|_| dice.normal()).collect();
                self.raw(&trial)
            })
            .collect();
        self.mean = trials.iter().sum::<f64>() / float(TRIALS);
        let variance = trials.iter().map(|trial| (trial - self.mean).powi(2)).sum::<f64>() / float(TRIALS);
        self.scale = variance.sqrt().max(0.1);
    }

    /// Of these inputs, held within 4 standard deviations.
    pub(crate) fn of(&self, inputs: &[f64]) -> f64 {
        ((self.raw(inputs) - self.mean) / self.scale).clamp(-4.0, 4.0)
    }

    fn raw(&self, inputs: &[f64]) -> f64 {
        let line: f64 = self.slopes.iter().zip(inputs).map(|(slope, input)| slope * input).sum();
        line + match &self.shape {
            Shape::Line => 0.0,
            Shape::Network(units) => units
                .iter()
                .map(|(weights, bias, out)| {
                    let sum: f64 = weights.iter().zip(inputs).map(|(weight, input)| weight * input).sum();
                    out * (sum + bias).tanh()
                })
                .sum(),
            Shape::Steps(steps) => steps
                .iter()
                .filter(|(left, right, _)| left.holds(inputs) && right.holds(inputs))
                .map(|(_, _, height)| height)
                .sum(),
            Shape::Product(left, right) => inputs[*left] * inputs[*right],
            Shape::Ratio(over, under, threshold) => (3.0 * (inputs[*over] - inputs[*under] - threshold)).tanh(),
            Shape::Threshold(test) => f64::from(u8::from(test.holds(inputs))),
            Shape::Conjunction(tests) => f64::from(u8::from(tests.iter().all(|test| test.holds(inputs)))),
            Shape::Bump(input, centre, width) => (-((inputs[*input] - centre) / width).powi(2)).exp(),
        }
    }
}

fn network(dice: &mut Dice, inputs: usize) -> Vec<(Vec<f64>, f64, f64)> {
    let units = dice.within(3, 10);
    let unit = |_| {
        let weights = (0..inputs).map(|_| if dice.chance(0.6) { dice.normal() } else { 0.0 }).collect();
        (weights, dice.normal(), dice.normal())
    };
    (0..units).map(unit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mechanism_has_about_unit_variance() {
        let mut dice = Dice::new(2, &[]);
        for number in 0..200 {
            let mechanism = Mechanism::draw(&mut dice, 5);
            let drawn: Vec<f64> = (0..2_000)
                .map(|_| mechanism.of(&[dice.normal(), dice.normal(), dice.normal(), dice.normal(), dice.normal()]))
                .collect();
            let mean = drawn.iter().sum::<f64>() / 2_000.0;
            let variance = drawn.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 2_000.0;
            // What happens to few rows only is seen by few of the trials that the scale is taken from.
            assert!(mean.abs() < 0.4 && variance < 2.5, "{number}: mean {mean}, variance {variance}: {mechanism:?}");
        }
    }
}
