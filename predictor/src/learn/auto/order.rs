//! Whether one ranking of the same examples is worse than another, beyond chance.
//!
//! The likeliest mix of probabilities may order the examples that are improbable by all accounts worse than one of its
//! experts does, for they weigh little in its loss. The difference of two areas under the ROC curve has the standard error
//! of E. R. DeLong et al., 1988: that of the examples' placements, which are the shares of the other class they are on the
//! right side of.

use super::super::metrics::count;

/// One in twenty, on one side.
const ERRORS: f64 = 1.645;

/// For each example the share of the other class that it is on the right side of, ties counting half: their mean over
/// either class is the area under the ROC curve.
#[derive(Debug)]
pub(super) struct Placements<'a> {
    truths: &'a [bool],
    shares: Vec<f64>,
}

impl<'a> Placements<'a> {
    /// `None` with one class only.
    pub(super) fn new(scores: &[f64], truths: &'a [bool]) -> Option<Self> {
        let of = |class: bool| {
            let mut scores: Vec<f64> =
                scores.iter().zip(truths).filter(|(_, truth)| **truth == class).map(|(score, _)| *score).collect();
            scores.sort_by(f64::total_cmp);
            scores
        };
        let (of_true, of_false) = (of(true), of(false));
        if of_true.is_empty() || of_false.is_empty() {
            return None;
        }
        // The share of a class that scores below, ties counting half.
        let below = |others: &[f64], score: f64| {
            let (less, equal) =
                (others.partition_point(|other| *other < score), others.partition_point(|other| *other <= score));
            (count(less) + count(equal)) / 2.0 / count(others.len())
        };
        let share = |(score, truth): (&f64, &bool)| {
            if *truth { below(&of_false, *score) } else { 1.0 - below(&of_true, *score) }
        };
        Some(Self { truths, shares: scores.iter().zip(truths).map(share).collect() })
    }

    /// The area under the ROC curve.
    pub(super) fn area(&self) -> f64 {
        moments(self.of(true)).mean
    }

    /// Whether the area is less than another's of the same examples, by more than chance would have it once in twenty.
    pub(super) fn is_worse_than(&self, other: &Self) -> bool {
        let difference = |class: bool| moments(other.of(class).zip(self.of(class)).map(|(other, own)| other - own));
        let (of_true, of_false) = (difference(true), difference(false));
        let error = (of_true.error_squared() + of_false.error_squared()).sqrt();
        of_true.mean > ERRORS * error
    }

    fn of(&self, class: bool) -> impl Iterator<Item = f64> {
        self.shares.iter().zip(self.truths).filter(move |(_, truth)| **truth == class).map(|(share, _)| *share)
    }
}

struct Moments {
    values: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// The square of the mean's standard error; of a single value nothing is known.
    fn error_squared(&self) -> f64 {
        if self.values > 1.0 { self.squares / (self.values - 1.0) / self.values } else { f64::INFINITY }
    }
}

/// The number of values, their mean, and the sum of their squared distances from it.
fn moments(values: impl Iterator<Item = f64>) -> Moments {
    let start = Moments { values: 0.0, mean: 0.0, squares: 0.0 };
    values.fold(start, |Moments { values, mean, squares }, value| {
        let (values, distance) = (values + 1.0, value - mean);
        let mean = mean + distance / values;
        Moments { values, mean, squares: squares + distance * (value - mean) }
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::metrics::auroc;
    use super::super::super::tests::Noise;
    use super::*;

    /// Scores that tell the truth, so much disturbed.
    fn scores(truths: &[bool], noise: &mut Noise, disturbed: f64) -> Vec<f64> {
        truths.iter().map(|truth| f64::from(u8::from(*truth)) + disturbed * noise.next()).collect()
    }

    fn truths(noise: &mut Noise) -> Vec<bool> {
        (0..400).map(|_| noise.next() > 0.6).collect()
    }

    #[test]
    fn the_area_is_that_of_the_curve() {
        let mut noise = Noise(3 << 32);
        let truths = truths(&mut noise);
        let mut scores = scores(&truths, &mut noise, 2.0);
        // Ties.
        scores.iter_mut().for_each(|score| *score = (4.0 * *score).round());
        let placements = Placements::new(&scores, &truths).expect("two classes");
        assert!((placements.area() - auroc(&scores, &truths).expect("two classes")).abs() < 1e-12);
        assert!(!placements.is_worse_than(&placements));
        assert!(Placements::new(&scores, &[true; 400]).is_none());
    }

    #[test]
    fn chance_is_told_from_a_fault_once_in_twenty() {
        let mut noise = Noise(5 << 32);
        let (mut by_chance, mut found) = (0, 0);
        for _ in 0..400 {
            let truths = truths(&mut noise);
            let [one, other, bad] = [2.0, 2.0, 8.0].map(|disturbed| scores(&truths, &mut noise, disturbed));
            let placed = |scores: &[f64]| Placements::new(scores, &truths).expect("two classes");
            by_chance += u32::from(placed(&one).is_worse_than(&placed(&other)));
            found += u32::from(placed(&bad).is_worse_than(&placed(&other)));
        }
        assert!((8..36).contains(&by_chance) && found > 350, "{by_chance} and {found} of 400");
    }
}
