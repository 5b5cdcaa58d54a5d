//! Crosses: two values that meet in one row, where that tells more than how often each of them occurs.
//!
//! Features count and average one column at a time, so that they cannot tell a customer with a late order and an
//! express order from one whose express order was late. For every pair of cells of every coded table
//! ([`CodedRows`](super::CodedRows)) it is tested whether the number of rows in which they meet goes with the target,
//! given the numbers of rows that hold either: the partial correlation r of the three counts' logarithms, for which
//! `atanh(r) sqrt(n - 5)` is about standard normal where there is nothing to be found (R. A. Fisher, 1924). What is
//! found by chance in one context of a hundred, over all pairs tried, is not taken.

use std::borrow::Cow;

use super::examples::{CodedRows, Examples, Past, Targets};
use super::matrix::Matrix;
use super::metrics::count;
use super::normal::{normal_quantile, normal_score};
use super::standard::Standard;

/// The newest examples that are looked at.
const EXAMPLES: usize = 4_000;
/// Values must meet in so many examples, and not in so many.
const EXAMPLES_MIN: usize = 8;
/// How probable it may be that anything is found where there is nothing.
const CHANCE: f64 = 0.01;
/// Crosses that are kept, in all and of one pair of columns.
const KEPT: usize = 12;
const KEPT_OF_PAIR: usize = 4;
/// Classes whose share is asked for, the most frequent.
const CLASSES: usize = 6;
/// The share of a count's variance that the single counts must leave.
const REST_MIN: f64 = 1e-3;
const CODES: usize = CodedRows::CODES;

/// Pairs of values whose meeting tells something.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Crosses(Vec<Cross>);

/// A value of one column and one of another, of the same coded table.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cross {
    table: usize,
    columns: (usize, usize),
    codes: (u8, u8),
    /// How far from chance, in standard deviations.
    distance: f64,
}

impl Crosses {
    /// Those of a context in canonical order.
    pub(super) fn find(examples: &Examples) -> Self {
        let rows = examples.features.rows();
        let newest = rows.saturating_sub(EXAMPLES)..rows;
        let past = &examples.past[newest.clone()];
        let signals: Vec<Vec<f64>> = signals(&examples.targets, newest.clone());
        if newest.len() < 2 * EXAMPLES_MIN || signals.is_empty() {
            return Self::default();
        }
        let mut tested = 0;
        let mut found: Vec<Cross> = Vec::new();
        let tables = past.iter().map(|past| past.rows.len()).max().unwrap_or(0);
        for table in 0..tables {
            let width = past.iter().filter_map(|past| past.rows.get(table)).map(|rows| rows.width).max().unwrap_or(0);
            for left in 0..width {
                for right in left + 1..width {
                    let sums = Sums::of(past, table, (left, right), &signals);
                    for codes in sums.candidates() {
                        tested += signals.len();
                        let distance = sums.distance(codes);
                        let (one, other) = codes;
                        #[expect(clippy::cast_possible_truncation, reason = "codes are below 16")]
                        let codes = (one as u8, other as u8);
                        found.push(Cross { table, columns: (left, right), codes, distance });
                    }
                }
            }
        }
        let bound = normal_quantile(1.0 - CHANCE / 2.0 / count(tested.max(1)));
        found.retain(|cross| cross.distance > bound);
        Self::best(found)
    }

    fn best(mut found: Vec<Cross>) -> Self {
        // Stable, so that equal ones stay in their order.
        found.sort_by(|one, other| other.distance.total_cmp(&one.distance));
        let mut kept: Vec<Cross> = Vec::new();
        for cross in found {
            let same = |of: &&Cross| of.table == cross.table && of.columns == cross.columns;
            if kept.len() < KEPT && kept.iter().filter(same).count() < KEPT_OF_PAIR {
                kept.push(cross);
            }
        }
        Self(kept)
    }

    /// The features, followed for each cross by the logarithm of one more than the number of rows in which its values
    /// meet.
    pub(super) fn beside<'a>(&self, features: &'a [f32], past: &Past) -> Cow<'a, [f32]> {
        if self.0.is_empty() {
            return Cow::Borrowed(features);
        }
        let values = self.0.iter().map(|cross| {
            let met = |row: &&[u8]| (row[cross.columns.0], row[cross.columns.1]) == cross.codes;
            let rows = past.rows.get(cross.table).map_or(0, |rows| rows.iter().filter(met).count());
            #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
            let value = count(rows).ln_1p() as f32;
            value
        });
        features.iter().copied().chain(values).collect()
    }

    /// The examples with a further column of features for each cross.
    pub(super) fn widen<'a>(&self, examples: &'a Examples) -> Cow<'a, Examples> {
        if self.0.is_empty() {
            return Cow::Borrowed(examples);
        }
        let mut features = Matrix::new(examples.features.columns() + self.0.len());
        for (row, past) in examples.past.iter().enumerate() {
            features.push_row(&self.beside(examples.features.row(row), past));
        }
        Cow::Owned(Examples { features, ..examples.clone() })
    }
}

/// Targets as numbers that correlations can be taken with: whether, each frequent class against the rest, or ranks.
fn signals(targets: &Targets, rows: std::ops::Range<usize>) -> Vec<Vec<f64>> {
    let raw: Vec<Vec<f64>> = match targets {
        Targets::Binary(truths) => vec![truths[rows].iter().map(|truth| f64::from(u8::from(*truth))).collect()],
        Targets::Classes { classes, labels } => {
            let labels = &labels[rows];
            let mut order: Vec<(usize, u32)> =
                (0..*classes).map(|class| (labels.iter().filter(|label| **label == class).count(), class)).collect();
            order.sort_by_key(|(found, class)| (std::cmp::Reverse(*found), *class));
            let of = |class: u32| labels.iter().map(|label| f64::from(u8::from(*label == class))).collect();
            order.into_iter().take(CLASSES).map(|(_, class)| of(class)).collect()
        }
        Targets::Numbers(numbers) => {
            let mut sorted = numbers[rows.clone()].to_vec();
            sorted.sort_by(f64::total_cmp);
            vec![numbers[rows].iter().map(|number| normal_score(&sorted, number)).collect()]
        }
    };
    let standardised = raw.into_iter().filter_map(|signal| {
        let standard = Standard::fit(&signal);
        (standard.deviation > 0.0)
            .then(|| signal.iter().map(|value| (value - standard.mean) / standard.deviation).collect())
    });
    standardised.collect()
}

/// Of one count over the examples: its sum, sum of squares and sums with the signals.
#[derive(Debug, Clone, Default)]
struct Moments {
    examples: usize,
    sum: f64,
    squares: f64,
    with_signals: Vec<f64>,
}

impl Moments {
    fn add(&mut self, value: f64, signals: &[Vec<f64>], example: usize) {
        self.examples += 1;
        self.sum += value;
        self.squares += value * value;
        self.with_signals.resize(signals.len(), 0.0);
        self.with_signals.iter_mut().zip(signals).for_each(|(sum, signal)| *sum += value * signal[example]);
    }
}

/// Sums over examples for one pair of columns of one table.
#[derive(Debug)]
struct Sums {
    examples: usize,
    signals: usize,
    single: [Vec<Moments>; 2],
    met: Vec<Moments>,
    /// Sums of products: of the single counts, and of the count of both with either.
    singles: Vec<f64>,
    with_single: [Vec<f64>; 2],
}

impl Sums {
    fn of(past: &[Past], table: usize, columns: (usize, usize), signals: &[Vec<f64>]) -> Self {
        let cells = CODES * CODES;
        let mut sums = Self {
            examples: past.len(),
            signals: signals.len(),
            single: [vec![Moments::default(); CODES], vec![Moments::default(); CODES]],
            met: vec![Moments::default(); cells],
            singles: vec![0.0; cells],
            with_single: [vec![0.0; cells], vec![0.0; cells]],
        };
        for (example, past) in past.iter().enumerate() {
            let Some(rows) = past.rows.get(table) else { continue };
            sums.add(rows, columns, signals, example);
        }
        sums
    }

    fn add(&mut self, rows: &CodedRows, columns: (usize, usize), signals: &[Vec<f64>], example: usize) {
        let mut single = [[0_u8; CODES]; 2];
        let mut met = [0_u8; CODES * CODES];
        for row in rows.iter() {
            let (left, right) = (usize::from(row[columns.0]), usize::from(row[columns.1]));
            if left < CODES {
                single[0][left] = single[0][left].saturating_add(1);
            }
            if right < CODES {
                single[1][right] = single[1][right].saturating_add(1);
            }
            if left < CODES && right < CODES {
                met[left * CODES + right] = met[left * CODES + right].saturating_add(1);
            }
        }
        let log = |rows: u8| f64::from(rows).ln_1p();
        for (side, moments) in self.single.iter_mut().enumerate() {
            for code in (0..CODES).filter(|code| single[side][*code] > 0) {
                moments[code].add(log(single[side][code]), signals, example);
            }
        }
        for left in (0..CODES).filter(|code| single[0][*code] > 0) {
            for right in (0..CODES).filter(|code| single[1][*code] > 0) {
                let cell = left * CODES + right;
                let (one, other) = (log(single[0][left]), log(single[1][right]));
                self.singles[cell] += one * other;
                if met[cell] > 0 {
                    let both = log(met[cell]);
                    self.met[cell].add(both, signals, example);
                    self.with_single[0][cell] += both * one;
                    self.with_single[1][cell] += both * other;
                }
            }
        }
    }

    /// Pairs of codes that meet often enough, and not always.
    fn candidates(&self) -> impl Iterator<Item = (usize, usize)> {
        let enough = |cell: &usize| {
            let met = self.met[*cell].examples;
            met >= EXAMPLES_MIN && self.examples - met >= EXAMPLES_MIN
        };
        (0..CODES * CODES).filter(enough).map(|cell| (cell / CODES, cell % CODES))
    }

    /// How far the partial correlation with the nearest signal is from 0, in standard deviations.
    fn distance(&self, (left, right): (usize, usize)) -> f64 {
        let cell = left * CODES + right;
        let (one, other, both) = (&self.single[0][left], &self.single[1][right], &self.met[cell]);
        let examples = count(self.examples);
        let centred = |product: f64, one: f64, other: f64| product / examples - one / examples * (other / examples);
        let control = Control::new(
            centred(one.squares, one.sum, one.sum),
            centred(other.squares, other.sum, other.sum),
            centred(self.singles[cell], one.sum, other.sum),
        );
        let of_both = (
            centred(self.with_single[0][cell], both.sum, one.sum),
            centred(self.with_single[1][cell], both.sum, other.sum),
        );
        let variance = centred(both.squares, both.sum, both.sum);
        let rest = control.rest(variance, of_both, of_both);
        if rest <= REST_MIN * variance {
            return 0.0;
        }
        let of_signal = |signal: usize| {
            // A standardised signal has mean 0 and variance 1.
            let of = |moments: &Moments| moments.with_signals.get(signal).map_or(0.0, |sum| sum / examples);
            let along = (of(one), of(other));
            let own = control.rest(1.0, along, along);
            let shared = control.rest(of(both), of_both, along);
            let correlation = shared / (rest * own.max(f64::MIN_POSITIVE)).sqrt();
            correlation.clamp(-0.999_999, 0.999_999).atanh().abs() * (examples - 5.0).max(0.0).sqrt()
        };
        (0..self.signals).map(of_signal).fold(0.0, f64::max)
    }
}

/// What is left of a covariance when two variables are held: by their variances and covariance.
#[derive(Debug, Clone, Copy)]
struct Control {
    one: f64,
    other: f64,
    both: f64,
}

impl Control {
    fn new(one: f64, other: f64, both: f64) -> Self {
        Self { one, other, both }
    }

    /// `covariance` is of two variables whose covariances with the held ones are `left` and `right`.
    fn rest(&self, covariance: f64, left: (f64, f64), right: (f64, f64)) -> f64 {
        let determinant = self.one * self.other - self.both * self.both;
        if determinant > 1e-9 * self.one * self.other {
            let one = (self.other * right.0 - self.both * right.1) / determinant;
            let other = (self.one * right.1 - self.both * right.0) / determinant;
            return covariance - left.0 * one - left.1 * other;
        }
        // They are one, or one of them does not vary.
        if self.one > 0.0 && self.one >= self.other {
            covariance - left.0 * right.0 / self.one
        } else if self.other > 0.0 {
            covariance - left.1 * right.1 / self.other
        } else {
            covariance
        }
    }
}

#[cfg(test)]
mod tests {
    use relational::EventTime;

    use super::super::metrics::auroc;
    use super::super::tests::Noise;
    use super::super::{Estimate, Member, fit};
    use super::*;

    fn chance(noise: &mut Noise, probability: f64) -> bool {
        0.5 * (noise.next() + 1.0) < probability
    }

    fn one_of(noise: &mut Noise, many: u8) -> u8 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 256")]
        let found = (0.5 * (noise.next() + 1.0) * f64::from(many)) as u8;
        found + 1
    }

    /// Entities with four rows of four columns each; the first two columns hold as many values whether two of them meet
    /// in a row or not.
    fn meetings(examples: usize, seed: u64, truth: impl Fn(bool, &mut Noise) -> bool) -> (Examples, Vec<bool>) {
        let mut noise = Noise(seed << 32);
        let mut truths = Vec::new();
        let mut features = Matrix::new(3);
        let mut past = Vec::new();
        for _ in 0..examples {
            let together = chance(&mut noise, 0.5);
            let pairs = if together { [(1, 1), (2, 2)] } else { [(1, 2), (2, 1)] };
            let mut cells = Vec::new();
            for (left, right) in pairs.into_iter().chain([(2, 2), (3, 1)]) {
                cells.extend([left, right, one_of(&mut noise, 4), one_of(&mut noise, 9)]);
            }
            truths.push(truth(together, &mut noise));
            #[expect(clippy::cast_possible_truncation, reason = "single precision")]
            features.push_row(&[noise.next() as f32, noise.next() as f32, noise.next() as f32]);
            past.push(Past { rows: vec![CodedRows { width: 4, cells }], ..Past::default() });
        }
        let anchors = (0..examples).map(|row| EventTime(i64::try_from(row).unwrap())).collect();
        let group = (0..examples as u64).collect();
        let targets = Targets::Binary(truths.clone());
        (Examples { features, past, targets, prior: None, anchors, group }, truths)
    }

    #[test]
    fn values_that_meet_are_found_and_every_member_uses_them() {
        let (context, _) = meetings(400, 1, |together, noise| together != chance(noise, 0.05));
        let crosses = Crosses::find(&context);
        assert!(!crosses.0.is_empty() && crosses.0.iter().all(|cross| cross.columns == (0, 1)), "{crosses:?}");
        let (fresh, truths) = meetings(1_000, 2, |together, _| together);
        for member in [Member::Baseline, Member::Small, Member::Trees, Member::Auto] {
            let fitted = fit(member, &context, 3).unwrap();
            let scores: Vec<f64> = (0..1_000)
                .map(|row| match fitted.predict(fresh.features.row(row), &fresh.past[row]) {
                    Estimate::Binary(probability) => probability,
                    other => panic!("{other:?}"),
                })
                .collect();
            let area = auroc(&scores, &truths).unwrap();
            assert!(area > 0.97, "{member:?}: {area}");
        }
    }

    #[test]
    fn nothing_is_found_where_there_is_nothing() {
        let found = (0..40).filter(|seed| {
            let (context, _) = meetings(300, 100 + seed, |_, noise| chance(noise, 0.3));
            !Crosses::find(&context).0.is_empty()
        });
        assert!(found.count() <= 2);
    }

    #[test]
    fn what_single_values_tell_is_no_cross() {
        // The third column alone decides.
        let (mut context, _) = meetings(500, 7, |_, noise| chance(noise, 0.5));
        let decides = |past: &Past| past.rows[0].iter().filter(|row| row[2] == 1).count() > 1;
        context.targets = Targets::Binary(context.past.iter().map(decides).collect());
        let crosses = Crosses::find(&context);
        assert!(crosses.0.is_empty(), "{crosses:?}");
    }
}
