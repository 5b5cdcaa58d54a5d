//! Which columns the network sees: few, that go with the target and not with each other.

use crate::learn::{Matrix, count, normal_score};

/// Standardised values are held at this many standard deviations.
const SCALED_MAX: f64 = 4.0;
/// Normal scores are held here.
const RANKED_MAX: f64 = 3.0;
/// A column that is missing in more than this share of the context is no candidate.
const MISSING_MAX: f64 = 0.98;
/// So many times the wanted columns, the best ones, are compared with each other.
const CANDIDATES: usize = 4;
/// The share of its worth that a column loses when one that is already chosen says the same.
const REDUNDANCY: f64 = 0.5;

/// What is known of a column as a whole.
pub(super) const STATISTICS: usize = 4;
/// What is known of a value.
pub(super) const VALUES: usize = 3;

/// A column that was chosen, with its transforms as the context has them.
#[derive(Debug, Clone)]
pub(super) struct Column {
    place: usize,
    mean: f64,
    deviation: f64,
    /// -1 where great values go with small targets, so that all columns point the same way.
    sign: f64,
    sorted: Vec<f32>,
    /// Correlation with the target; the same in standard errors; shares of missing and of the most frequent value.
    pub(super) statistics: [f32; STATISTICS],
}

impl Column {
    /// Chooses columns by the context's rows and their standardised targets, best first.
    pub(super) fn choose(features: &Matrix, rows: &[usize], targets: &[f64], wanted: usize) -> Vec<Self> {
        let candidates = (0..features.columns()).filter_map(|place| {
            let values: Vec<f32> = rows.iter().map(|row| features.row(*row)[place]).collect();
            Candidate::new(place, &values, targets)
        });
        let mut candidates: Vec<Candidate> = candidates.collect();
        candidates
            .sort_by(|left, right| right.worth.total_cmp(&left.worth).then(left.column.place.cmp(&right.column.place)));
        candidates.truncate(CANDIDATES * wanted);
        let mut chosen: Vec<Column> = Vec::new();
        while chosen.len() < wanted && !candidates.is_empty() {
            let best = best(&candidates);
            let taken = candidates.remove(best);
            for other in &mut candidates {
                other.said = other.said.max(mean_product(&other.values, &taken.values).abs().min(1.0));
            }
            chosen.push(taken.column);
        }
        chosen.sort_by(|left, right| {
            right.statistics[0].total_cmp(&left.statistics[0]).then(left.place.cmp(&right.place))
        });
        chosen
    }

    /// The value of a row in standard deviations, as a normal score, and whether it is missing.
    pub(super) fn read(&self, features: &[f32]) -> [f32; VALUES] {
        self.read_value(features[self.place])
    }

    fn read_value(&self, value: f32) -> [f32; VALUES] {
        if !value.is_finite() {
            return [0.0, 0.0, 1.0];
        }
        let scaled = ((f64::from(value) - self.mean) / self.deviation).clamp(-SCALED_MAX, SCALED_MAX);
        let ranked = normal_score(&self.sorted, &value).clamp(-RANKED_MAX, RANKED_MAX);
        [single(self.sign * scaled), single(self.sign * ranked), 0.0]
    }
}

/// A column that may be chosen.
struct Candidate {
    column: Column,
    /// Standardised over the context's rows.
    values: Vec<f64>,
    worth: f64,
    /// The greatest correlation with a column that was chosen.
    said: f64,
}

impl Candidate {
    /// `None` for a column that is nearly always missing, or does not vary beyond rounding.
    fn new(place: usize, values: &[f32], targets: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f32> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let (rows, known) = (count(values.len()), count(sorted.len()));
        if sorted.is_empty() || known < (1.0 - MISSING_MAX) * rows {
            return None;
        }
        sorted.sort_by(f32::total_cmp);
        let mean = sorted.iter().map(|value| f64::from(*value)).sum::<f64>() / known;
        let squares = sorted.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>();
        let deviation = (squares / known).sqrt();
        if deviation <= 1e-6 * mean.abs() || deviation <= 0.0 {
            return None;
        }
        #[expect(clippy::float_cmp, reason = "a tie is equality")]
        let tied = sorted.chunk_by(|left, right| left == right).map(<[f32]>::len).max().unwrap_or(0);
        let mut column = Column { place, mean, deviation, sign: 1.0, sorted, statistics: [0.0; STATISTICS] };
        let read: Vec<[f32; VALUES]> = values.iter().map(|value| column.read_value(*value)).collect();
        let part = |part: usize| standardised(read.iter().map(|read| f64::from(read[part])).collect());
        let (scaled, ranked) = (part(0), part(1));
        let (of_scaled, of_ranked) = (mean_product(&scaled, targets), mean_product(&ranked, targets));
        let correlation = if of_scaled.abs() >= of_ranked.abs() { of_scaled } else { of_ranked };
        column.sign = if correlation < 0.0 { -1.0 } else { 1.0 };
        let errors = correlation.abs() * rows.sqrt() / 4.0;
        column.statistics =
            [2.0 * correlation.abs(), errors.min(3.0), 1.0 - known / rows, count(tied) / known].map(single);
        Some(Self { column, values: ranked, worth: correlation.abs(), said: 0.0 })
    }
}

/// The candidate that is worth most, what was said already taken off; the first of equals.
fn best(candidates: &[Candidate]) -> usize {
    let worth = |place: usize| candidates[place].worth * (1.0 - REDUNDANCY * candidates[place].said);
    (1..candidates.len()).fold(0, |best, place| if worth(place) > worth(best) { place } else { best })
}

fn standardised(mut values: Vec<f64>) -> Vec<f64> {
    let rows = count(values.len());
    let mean = values.iter().sum::<f64>() / rows;
    values.iter_mut().for_each(|value| *value -= mean);
    let deviation = (values.iter().map(|value| value * value).sum::<f64>() / rows).sqrt() + 1e-6;
    values.iter_mut().for_each(|value| *value /= deviation);
    values
}

fn mean_product(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum::<f64>() / count(left.len())
}

/// In the network's precision.
#[expect(clippy::cast_possible_truncation, reason = "the network works in single precision")]
pub(super) fn single(value: f64) -> f32 {
    value as f32
}
