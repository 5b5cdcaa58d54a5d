//! Episodes for tests: few columns matter, one interacts, some are noise, one is often missing.

use relational::EventTime;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::net::{Slot, slots};
use super::{Config, Episode};
use crate::learn::{Examples, Matrix, Past, Targets, count};

/// What an episode asks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ask {
    Whether,
    Which,
    HowMuch,
}

/// A small network, for tests that need no good one.
pub(crate) const TINY: Config = Config {
    columns: 5,
    cell: 8,
    inducing: 3,
    cell_heads: 2,
    read_outs: 2,
    row: 12,
    row_heads: 3,
    blocks: 2,
    context: 64,
};

/// An episode; the same for the same seed.
pub(super) fn episode(ask: Ask, context: usize, queries: usize, columns: usize, seed: u64) -> Episode {
    let mut noise = Noise(seed << 32);
    let rows: Vec<(Vec<f32>, f64)> = (0..context + queries).map(|_| row(&mut noise, columns)).collect();
    let (context, queries) = rows.split_at(context);
    Episode { context: examples(ask, context, &mut noise, 0), queries: examples(ask, queries, &mut noise, 1_000) }
}

fn row(noise: &mut Noise, columns: usize) -> (Vec<f32>, f64) {
    let values: Vec<f64> = (0..columns).map(|_| noise.next()).collect();
    let value = |place: usize| values[place % columns];
    let hidden = value(0) + 2.0 * value(1) * value(2) + 0.3 * noise.next();
    let missing = value(0) > 0.5;
    #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
    let mut row: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    if missing && columns > 3 {
        row[3] = f32::NAN;
    }
    (row, hidden)
}

fn examples(ask: Ask, rows: &[(Vec<f32>, f64)], noise: &mut Noise, start: i64) -> Examples {
    let mut features = Matrix::new(rows[0].0.len());
    rows.iter().for_each(|(row, _)| features.push_row(row));
    let hidden = || rows.iter().map(|(_, hidden)| *hidden);
    let class = |hidden: f64| if hidden > 0.4 { 2 } else { u32::from(hidden > -0.4) };
    let targets = match ask {
        Ask::Whether => Targets::Binary(hidden().map(|hidden| hidden > 0.0).collect()),
        Ask::Which => Targets::Classes { classes: 4, labels: hidden().map(class).collect() },
        Ask::HowMuch => Targets::Numbers(hidden().collect()),
    };
    let mut label = |hidden: f64| match ask {
        Ask::Whether => f64::from(hidden + noise.next() > 0.0),
        Ask::Which => f64::from(class(hidden + noise.next())),
        Ask::HowMuch => hidden + noise.next(),
    };
    let past = hidden()
        .enumerate()
        .map(|(place, hidden)| Past {
            labels: (0..place % 4).map(|_| label(hidden)).collect(),
            atoms: (0..place % 3).map(|_| label(hidden)).collect(),
            rows: Vec::new(),
        })
        .collect();
    Examples {
        features,
        past,
        targets,
        prior: None,
        anchors: (0..rows.len()).map(|row| EventTime(start + i64::try_from(row / 5).expect("few rows"))).collect(),
        group: (0..rows.len()).map(|row| row as u64).collect(),
    }
}

/// Numbers that look random, about normal, the same on every run.
pub(super) struct Noise(pub(super) u64);

impl Noise {
    pub(super) fn next(&mut self) -> f64 {
        let uniform = (0..12).map(|_| {
            self.0 += 1;
            let bits = xxh3_64_with_seed(&self.0.to_le_bytes(), 7) >> 12;
            f64::from_bits(0x3ff0_0000_0000_0000 | bits) - 1.5
        });
        uniform.sum::<f64>()
    }
}

/// So many numbers, in single precision.
#[expect(clippy::cast_possible_truncation, reason = "single precision")]
pub(super) fn normal(many: usize, seed: u64) -> Vec<f32> {
    let mut noise = Noise(seed << 32);
    (0..many).map(|_| noise.next() as f32).collect()
}

/// Weights that are nowhere zero, so that every path counts.
pub(super) fn dense(config: &Config, seed: u64) -> Vec<f32> {
    let mut noise = Noise(seed << 40);
    #[expect(clippy::cast_possible_truncation, reason = "weights are single precision")]
    let weights = (0..slots(config).iter().map(Slot::size).sum()).map(|_| (0.3 * noise.next()) as f32);
    weights.collect()
}

/// The mean of numbers.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values.len())
}
