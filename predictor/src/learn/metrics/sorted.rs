//! Figures that depend on the order of scores, under any weighting of the examples.

use super::count;

/// Scores with what came true, the lowest score first. Sorted once, so that figures can be taken under many weightings:
/// each takes the weight of an example by its place in what was given, at least 0.
///
/// Examples whose score is not a number are left out.
#[derive(Debug, Clone)]
pub struct Sorted {
    examples: Vec<Example>,
    /// Where each group of equal scores ends.
    ends: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Example {
    score: f64,
    truth: bool,
    place: usize,
}

/// Examples that share a score.
struct Tied {
    score: f64,
    true_weight: f64,
    false_weight: f64,
}

impl Sorted {
    /// # Panics
    ///
    /// Unless there is a score for every truth.
    #[must_use]
    pub fn new(scores: &[f64], truths: &[bool]) -> Self {
        assert_eq!(scores.len(), truths.len(), "a score for every truth");
        let all = scores.iter().zip(truths).enumerate();
        let all = all.map(|(place, (score, truth))| Example { score: *score, truth: *truth, place });
        let mut examples: Vec<Example> = all.filter(|example| !example.score.is_nan()).collect();
        // -0 equals 0, and the place makes the order, and with it every sum, one and the same.
        examples.sort_by(|left, right| {
            left.score.partial_cmp(&right.score).expect("no score is not a number").then(left.place.cmp(&right.place))
        });
        #[expect(clippy::float_cmp, reason = "a tie is equality")]
        let mut ends: Vec<usize> =
            (1..examples.len()).filter(|place| examples[*place].score != examples[place - 1].score).collect();
        ends.extend((!examples.is_empty()).then_some(examples.len()));
        Self { examples, ends }
    }

    fn tied(&self, weight: impl Fn(usize) -> f64) -> impl Iterator<Item = Tied> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let group = &self.examples[start..*end];
            start = *end;
            let mut tied = Tied { score: group[0].score, true_weight: 0.0, false_weight: 0.0 };
            for example in group {
                let side = if example.truth { &mut tied.true_weight } else { &mut tied.false_weight };
                *side += weight(example.place);
            }
            tied
        })
    }

    /// The weights of all that is true and of all that is false.
    fn totals(&self, weight: &impl Fn(usize) -> f64) -> (f64, f64) {
        self.examples.iter().fold((0.0, 0.0), |(of_true, of_false), example| {
            let weight = weight(example.place);
            if example.truth { (of_true + weight, of_false) } else { (of_true, of_false + weight) }
        })
    }

    /// The chance that a random true example scores above a random false one, ties counting half: the area under the
    /// ROC curve. `None` with one class only.
    #[must_use]
    pub fn auroc(&self, weight: impl Fn(usize) -> f64) -> Option<f64> {
        let (mut above, mut all_true, mut all_false) = (0.0, 0.0, 0.0);
        for group in self.tied(weight) {
            above += group.true_weight * (all_false + 0.5 * group.false_weight);
            all_true += group.true_weight;
            all_false += group.false_weight;
        }
        (all_true > 0.0 && all_false > 0.0).then(|| above / (all_true * all_false))
    }

    /// Average precision: precision at each distinct score from the highest down, weighted by the recall gained there.
    /// `None` without a true example.
    #[must_use]
    pub fn average_precision(&self, weight: impl Fn(usize) -> f64) -> Option<f64> {
        let (all_true, all_false) = self.totals(&weight);
        let (mut found, mut taken, mut sum) = (all_true, all_true + all_false, 0.0);
        for group in self.tied(weight).filter(|group| group.true_weight + group.false_weight > 0.0) {
            sum += group.true_weight * (found / taken).min(1.0);
            found -= group.true_weight;
            taken -= group.true_weight + group.false_weight;
        }
        (all_true > 0.0).then(|| sum / all_true)
    }

    /// Expected calibration error: mean distance between predicted and observed share over `bins` bins of (about)
    /// equal weight; examples with equal scores are never parted. `None` without examples or bins.
    #[must_use]
    pub fn calibration_error(&self, bins: u32, weight: impl Fn(usize) -> f64) -> Option<f64> {
        let all = self.calibration(bins, weight);
        let total: f64 = all.iter().map(|bin| bin.weight).sum();
        let error: f64 = all.iter().map(|bin| bin.weight * (bin.observed - bin.predicted).abs()).sum();
        (total > 0.0).then(|| error / total)
    }

    /// The bins that [`Self::calibration_error`] compares, lowest scores first.
    #[must_use]
    pub fn calibration(&self, bins: u32, weight: impl Fn(usize) -> f64) -> Vec<CalibrationBin> {
        let (all_true, all_false) = self.totals(&weight);
        let per_bin = (all_true + all_false) / f64::from(bins);
        let (mut found, mut taken) = (Vec::new(), 0.0);
        if bins == 0 || per_bin <= 0.0 {
            return found;
        }
        let (mut bin, mut of_true, mut of_scores, mut next) = (0.0, 0.0, 0.0, 1.0);
        for group in self.tied(weight) {
            let size = group.true_weight + group.false_weight;
            taken += size;
            bin += size;
            of_true += group.true_weight;
            of_scores += size * group.score;
            if bin > 0.0 && taken * (1.0 + 1e-12) >= next * per_bin {
                found.push(CalibrationBin { weight: bin, predicted: of_scores / bin, observed: of_true / bin });
                (bin, of_true, of_scores) = (0.0, 0.0, 0.0);
                next = (taken * (1.0 + 1e-12) / per_bin).floor() + 1.0;
            }
        }
        found.extend((bin > 0.0).then(|| CalibrationBin {
            weight: bin,
            predicted: of_scores / bin,
            observed: of_true / bin,
        }));
        found
    }

    /// From the highest score down, at each distinct score: the weights of the true and of the false that score no lower.
    #[must_use]
    pub fn taken(&self) -> Vec<(f64, f64)> {
        let (all_true, all_false) = self.totals(&|_| 1.0);
        let (mut of_true, mut of_false) = (all_true, all_false);
        let mut taken: Vec<(f64, f64)> = self
            .tied(|_| 1.0)
            .map(|group| {
                let here = (of_true, of_false);
                of_true -= group.true_weight;
                of_false -= group.false_weight;
                here
            })
            .collect();
        taken.reverse();
        taken
    }

    /// The `most` highest scores' weight of true, where the last places go to equal scores in equal shares.
    #[must_use]
    pub fn found_among(&self, most: usize) -> f64 {
        let (mut room, mut found) = (count(most), 0.0);
        for group in self.tied(|_| 1.0).collect::<Vec<_>>().iter().rev() {
            let size = group.true_weight + group.false_weight;
            let share = (room / size).min(1.0);
            found += share * group.true_weight;
            room -= share * size;
            if room <= 0.0 {
                break;
            }
        }
        found
    }
}

/// Examples whose scores lie next to each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationBin {
    /// How much they weigh.
    pub weight: f64,
    /// Their mean score.
    pub predicted: f64,
    /// The share of true.
    pub observed: f64,
}
