//! What a row's own past says, in the same places for every task: what the network knows before it saw an example.

use super::screen::single;
use crate::learn::anchor::Kind;
use crate::learn::{Past, count};

/// Numbers that describe a past.
pub(super) const OWN: usize = 12;
/// Older values are not looked at.
const NEWEST: usize = 40;
/// Standardised values are held here.
const VALUE_MAX: f64 = 4.0;
/// The weight of each older label in the fading mean, as a share of the next newer one's.
const FADING: f64 = 0.8;

/// How a context's pasts are read.
#[derive(Debug, Clone)]
pub(super) struct Own {
    kind: Kind,
    /// Mean of the targets.
    centre: f64,
    atom_mean: f64,
    atom_deviation: f64,
}

impl Own {
    /// `centre` is the mean of the context's targets.
    pub(super) fn fit<'a>(kind: Kind, centre: f64, pasts: impl Iterator<Item = &'a Past>) -> Self {
        let (mut sum, mut squares, mut found) = (0.0, 0.0, 0.0);
        for atom in pasts.flat_map(atoms) {
            sum += atom;
            squares += atom * atom;
            found += 1.0;
        }
        let mean = if found > 0.0 { sum / found } else { 0.0 };
        let deviation = if found > 0.0 { (squares / found - mean * mean).max(0.0).sqrt() } else { 0.0 };
        Self { kind, centre, atom_mean: mean, atom_deviation: deviation + 1e-6 }
    }

    /// Newest label, means of the newest 3, 10, 40, fading mean, spread of the newest 10, whether there are any, how
    /// many; newest atom, means of the newest 3 and 10, how many. Labels are off the context's mean target.
    pub(super) fn read(&self, past: &Past) -> [f32; OWN] {
        let labels = past.labels.iter().filter_map(|label| self.kind.read(*label));
        let labels: Vec<f64> =
            labels.take(NEWEST).map(|label| (label - self.centre).clamp(-VALUE_MAX, VALUE_MAX)).collect();
        let scaled = |atom: f64| ((atom - self.atom_mean) / self.atom_deviation).clamp(-VALUE_MAX, VALUE_MAX);
        let atoms: Vec<f64> = atoms(past).map(scaled).collect();
        let any = f64::from(!labels.is_empty());
        let many = |values: &[f64]| count(values.len()).ln_1p() / 3.0;
        [
            newest(&labels, 1),
            newest(&labels, 3),
            newest(&labels, 10),
            newest(&labels, NEWEST),
            fading(&labels),
            spread(&labels[..labels.len().min(10)]),
            any,
            many(&labels),
            newest(&atoms, 1),
            newest(&atoms, 3),
            newest(&atoms, 10),
            many(&atoms),
        ]
        .map(single)
    }
}

/// The newest atoms, large ones by their logarithm.
fn atoms(past: &Past) -> impl Iterator<Item = f64> {
    let finite = past.atoms.iter().copied().filter(|atom| atom.is_finite());
    finite.take(NEWEST).map(|atom| atom.abs().ln_1p().copysign(atom))
}

/// The mean of the newest; 0 without any.
fn newest(values: &[f64], most: usize) -> f64 {
    let values = &values[..values.len().min(most)];
    values.iter().sum::<f64>() / count(values.len()).max(1.0)
}

fn fading(values: &[f64]) -> f64 {
    let (mut sum, mut weights, mut weight) = (0.0, 0.0, 1.0);
    for value in values {
        sum += weight * value;
        weights += weight;
        weight *= FADING;
    }
    if weights > 0.0 { sum / weights } else { 0.0 }
}

fn spread(values: &[f64]) -> f64 {
    let mean = newest(values, values.len());
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count(values.len()).max(1.0)).sqrt()
}
