//! What is measured of each kind of task. Names and formulas stand in `docs/backtest.md`.

use std::collections::BTreeMap;
use std::sync::Arc;

use predictor::learn::metrics::ranking::{average_precision_at, gain_at, recall_at, reciprocal_rank};
use predictor::learn::metrics::{Sorted, log_loss_of, pinball_of};
use relational::{EventTime, Prediction};

use super::bootstrap::Weights;
use super::read::{Answers, Truths, select};

/// One figure of one member, under any weighting of the rows.
#[derive(Debug, Clone)]
pub(super) struct Measure {
    pub name: &'static str,
    formula: Formula,
}

#[derive(Debug, Clone)]
enum Formula {
    Auroc(Arc<Sorted>),
    AveragePrecision(Arc<Sorted>),
    CalibrationError(Arc<Sorted>),
    /// The mean area over the classes, each against the rest.
    MeanAuroc(Vec<Sorted>),
    Mean(Vec<f64>),
    RootOfMean(Vec<f64>),
    /// One less the mean square error over the variance.
    Explained {
        squares: Vec<f64>,
        truths: Vec<f64>,
    },
    /// Sums over days, each day as its first row is weighted.
    Ratio {
        above: Vec<(usize, f64)>,
        below: Vec<(usize, f64)>,
    },
    /// One ratio over another.
    RatioOfRatios(Box<(Formula, Formula)>),
}

/// What is asked for beside the figures that every task has.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// How many can be looked at each day, and what of.
    pub budget: Option<Reviews>,
    /// What a missed true and a false alarm cost.
    pub costs: Option<(f64, f64)>,
}

/// A budget of reviews.
#[derive(Debug, Clone)]
pub(super) struct Reviews {
    /// Each day.
    pub most: usize,
    /// The day of each row.
    pub days: Vec<i64>,
    /// What is looked at: rows of one day and unit are looked at together, by their highest score.
    pub units: Vec<u64>,
}

impl Wanted {
    /// The same of some rows.
    pub(super) fn select(&self, rows: &[usize]) -> Self {
        let budget = self.budget.as_ref().map(|budget| Reviews {
            most: budget.most,
            days: select(&budget.days, rows),
            units: select(&budget.units, rows),
        });
        Self { budget, costs: self.costs }
    }
}

/// Bins of the calibration error.
const BINS: u32 = 10;

impl Measure {
    /// Its value, `None` where it is not defined.
    pub(super) fn value(&self, weights: Weights<'_>) -> Option<f64> {
        self.formula.value(weights)
    }
}

impl Formula {
    fn value(&self, weights: Weights<'_>) -> Option<f64> {
        let weight = |row: usize| weights.of(row);
        match self {
            Self::Auroc(sorted) => sorted.auroc(weight),
            Self::AveragePrecision(sorted) => sorted.average_precision(weight),
            Self::CalibrationError(sorted) => sorted.calibration_error(BINS, weight),
            Self::MeanAuroc(classes) => {
                let areas: Vec<f64> = classes.iter().filter_map(|sorted| sorted.auroc(weight)).collect();
                mean(areas.iter().map(|area| (1.0, *area)))
            }
            Self::Mean(values) => mean(values.iter().enumerate().map(|(row, value)| (weight(row), *value))),
            Self::RootOfMean(values) => {
                mean(values.iter().enumerate().map(|(row, value)| (weight(row), *value))).map(f64::sqrt)
            }
            Self::Explained { squares, truths } => {
                let weighted =
                    |values: &[f64]| mean(values.iter().enumerate().map(|(row, value)| (weight(row), *value)));
                let centre = weighted(truths)?;
                let spread: Vec<f64> = truths.iter().map(|truth| (truth - centre).powi(2)).collect();
                let variance = weighted(&spread)?;
                (variance > 0.0).then_some(1.0 - weighted(squares)? / variance)
            }
            Self::Ratio { above, below } => {
                let sum = |days: &[(usize, f64)]| days.iter().map(|(row, value)| weight(*row) * value).sum::<f64>();
                let below = sum(below);
                (below > 0.0).then(|| sum(above) / below)
            }
            Self::RatioOfRatios(ratios) => {
                let below = ratios.1.value(weights)?;
                (below > 0.0).then_some(ratios.0.value(weights)? / below)
            }
        }
    }
}

fn mean(values: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let (weight, sum) = values.fold((0.0, 0.0), |(all, sum), (weight, value)| (all + weight, sum + weight * value));
    (weight > 0.0).then(|| sum / weight)
}

/// What is measured of one member.
pub(super) fn measures(truths: &Truths, answers: &Answers, wanted: &Wanted) -> Vec<Measure> {
    match (truths, answers) {
        (Truths::Binary(truths), Answers::Binary(scores)) => of_binary(truths, scores, wanted),
        (Truths::Classes(truths), Answers::Classes(shares)) => of_classes(truths, shares),
        (Truths::Numbers(truths), Answers::Quantiles(quantiles)) => of_numbers(truths, quantiles),
        (Truths::Lists(truths), Answers::Rankings(ranked)) => of_rankings(truths, ranked),
        _ => unreachable!("truths and answers are of one kind"),
    }
}

fn of_binary(truths: &[bool], scores: &[f64], wanted: &Wanted) -> Vec<Measure> {
    let sorted = Arc::new(Sorted::new(scores, truths));
    let each = |of: &dyn Fn(f64, bool) -> f64| {
        Formula::Mean(scores.iter().zip(truths).map(|(score, truth)| of(*score, *truth)).collect())
    };
    let mut all = vec![
        Measure { name: "auroc", formula: Formula::Auroc(Arc::clone(&sorted)) },
        Measure { name: "average_precision", formula: Formula::AveragePrecision(Arc::clone(&sorted)) },
        Measure { name: "log_loss", formula: each(&log_loss_of) },
        Measure { name: "brier", formula: each(&|score, truth| (score - f64::from(truth)).powi(2)) },
        Measure { name: "calibration_error", formula: Formula::CalibrationError(sorted) },
        Measure { name: "predicted", formula: each(&|score, _| score) },
        Measure { name: "observed", formula: each(&|_, truth| f64::from(truth)) },
    ];
    if let Some((missed, false_alarm)) = wanted.costs {
        let threshold = false_alarm / (false_alarm + missed);
        let cost = each(&|score, truth| match (score >= threshold, truth) {
            (true, false) => false_alarm,
            (false, true) => missed,
            _ => 0.0,
        });
        all.push(Measure { name: "cost", formula: cost });
    }
    all.extend(wanted.budget.iter().flat_map(|budget| of_reviews(truths, scores, budget)));
    all
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn of_reviews(truths: &[bool], scores: &[f64], budget: &Reviews) -> Vec<Measure> {
    /// First row, and of each unit the highest score and whether anything of it is true.
    type Day = (usize, BTreeMap<u64, (f64, bool)>);
    let mut days: BTreeMap<i64, Day> = BTreeMap::new();
    for (row, (score, truth)) in scores.iter().zip(truths).enumerate() {
        let day = days.entry(budget.days[row]).or_insert_with(|| (row, BTreeMap::new()));
        let unit = day.1.entry(budget.units[row]).or_insert((f64::NEG_INFINITY, false));
        *unit = (unit.0.max(*score), unit.1 | truth);
    }
    let (mut found, mut taken, mut positives, mut units, mut most) = (vec![], vec![], vec![], vec![], vec![]);
    for (row, of_day) in days.values() {
        let (scores, truths): (Vec<f64>, Vec<bool>) = of_day.values().copied().unzip();
        found.push((*row, Sorted::new(&scores, &truths).found_among(budget.most)));
        taken.push((*row, budget.most.min(truths.len()) as f64));
        positives.push((*row, truths.iter().filter(|truth| **truth).count() as f64));
        units.push((*row, truths.len() as f64));
        most.push((*row, budget.most as f64));
    }
    let ratio = |above: &Vec<(usize, f64)>, below: Vec<(usize, f64)>| Formula::Ratio { above: above.clone(), below };
    let lift = (ratio(&found, taken), ratio(&positives, units));
    vec![
        Measure { name: "precision_at_budget", formula: ratio(&found, most) },
        Measure { name: "recall_at_budget", formula: ratio(&found, positives) },
        Measure { name: "lift_at_budget", formula: Formula::RatioOfRatios(Box::new(lift)) },
    ]
}

fn of_classes(truths: &[String], shares: &[BTreeMap<String, f64>]) -> Vec<Measure> {
    let share = |row: usize, class: &str| shares[row].get(class).copied().unwrap_or(0.0);
    let right = |row: usize| {
        // Of equally likely classes each counts in part.
        let best = shares[row].values().copied().fold(f64::NEG_INFINITY, f64::max);
        let likeliest: Vec<&String> =
            shares[row].iter().filter(|(_, share)| **share >= best).map(|(class, _)| class).collect();
        if likeliest.contains(&&truths[row]) {
            1.0 / f64::from(u32::try_from(likeliest.len()).unwrap_or(u32::MAX))
        } else {
            0.0
        }
    };
    let rows = 0..truths.len();
    let losses = rows.clone().map(|row| log_loss_of(share(row, &truths[row]), true)).collect();
    let mut classes: Vec<&String> = truths.iter().collect();
    classes.sort();
    classes.dedup();
    let against_rest = |class: &&String| {
        let scores: Vec<f64> = rows.clone().map(|row| share(row, class)).collect();
        let is: Vec<bool> = truths.iter().map(|truth| truth == *class).collect();
        Sorted::new(&scores, &is)
    };
    let rank = |row: usize| {
        let own = share(row, &truths[row]);
        let above = shares[row].values().filter(|other| **other > own).count();
        let ties = shares[row].values().filter(|other| **other >= own).count();
        // The middle of the places that equal shares have.
        let place = f64::from(u32::try_from(above + ties.max(above + 1)).unwrap_or(u32::MAX)) / 2.0 + 0.5;
        if own > 0.0 { 1.0 / place } else { 0.0 }
    };
    vec![
        Measure { name: "accuracy", formula: Formula::Mean(rows.clone().map(right).collect()) },
        Measure { name: "log_loss", formula: Formula::Mean(losses) },
        Measure { name: "macro_auroc", formula: Formula::MeanAuroc(classes.iter().map(against_rest).collect()) },
        Measure { name: "reciprocal_rank", formula: Formula::Mean(rows.clone().map(rank).collect()) },
    ]
}

fn of_numbers(truths: &[f64], quantiles: &[[f64; 9]]) -> Vec<Measure> {
    let each = |of: &dyn Fn(&[f64; 9], f64) -> f64| -> Vec<f64> {
        quantiles.iter().zip(truths).map(|(quantiles, truth)| of(quantiles, *truth)).collect()
    };
    let squares = each(&|quantiles, truth| (quantiles[4] - truth).powi(2));
    let within = |low: usize, high: usize| {
        each(&move |quantiles, truth| f64::from(u8::from(quantiles[low] <= truth && truth <= quantiles[high])))
    };
    debug_assert!((Prediction::LEVELS[8] - Prediction::LEVELS[0] - 0.9).abs() < 1e-12);
    debug_assert!((Prediction::LEVELS[6] - Prediction::LEVELS[2] - 0.5).abs() < 1e-12);
    let explained = Formula::Explained { squares: squares.clone(), truths: truths.to_vec() };
    vec![
        Measure { name: "mae", formula: Formula::Mean(each(&|quantiles, truth| (quantiles[4] - truth).abs())) },
        Measure { name: "rmse", formula: Formula::RootOfMean(squares) },
        Measure { name: "r2", formula: explained },
        Measure { name: "pinball", formula: Formula::Mean(each(&pinball_of)) },
        Measure { name: "coverage_90", formula: Formula::Mean(within(0, 8)) },
        Measure { name: "width_90", formula: Formula::Mean(each(&|quantiles, _| quantiles[8] - quantiles[0])) },
        Measure { name: "coverage_50", formula: Formula::Mean(within(2, 6)) },
        Measure { name: "width_50", formula: Formula::Mean(each(&|quantiles, _| quantiles[6] - quantiles[2])) },
        Measure { name: "predicted", formula: Formula::Mean(each(&|quantiles, _| quantiles[4])) },
        Measure { name: "observed", formula: Formula::Mean(each(&|_, truth| truth)) },
    ]
}

fn of_rankings(truths: &[Vec<String>], ranked: &[Vec<String>]) -> Vec<Measure> {
    vec![
        Measure { name: "map", formula: of_each(truths, ranked, average_precision_at) },
        Measure { name: "ndcg", formula: of_each(truths, ranked, gain_at) },
        Measure { name: "mrr", formula: of_each(truths, ranked, |_, right, all| reciprocal_rank(right, all)) },
        Measure { name: "recall", formula: of_each(truths, ranked, recall_at) },
    ]
}

/// The mean over rankings of which something came true; the others say nothing.
fn of_each(
    truths: &[Vec<String>],
    ranked: &[Vec<String>],
    of: impl Fn(usize, &[bool], usize) -> Option<f64>,
) -> Formula {
    let (mut above, mut below) = (Vec::new(), Vec::new());
    for (row, (ranked, truths)) in ranked.iter().zip(truths).enumerate() {
        let right: Vec<bool> = ranked.iter().map(|key| truths.contains(key)).collect();
        if let Some(value) = of(ranked.len(), &right, truths.len()) {
            above.push((row, value));
            below.push((row, 1.0));
        }
    }
    Formula::Ratio { above, below }
}

/// Whether more of it is better; `None` where neither is.
pub(crate) fn more_is_better(name: &str) -> Option<bool> {
    match name {
        "log_loss" | "brier" | "calibration_error" | "cost" | "mae" | "rmse" | "pinball" => Some(false),
        "coverage_90" | "coverage_50" | "width_90" | "width_50" | "predicted" | "observed" => None,
        _ => Some(true),
    }
}

/// The UTC day of a time.
pub(super) fn day(time: EventTime) -> i64 {
    time.0.div_euclid(EventTime::DAY)
}

#[cfg(test)]
mod tests {
    use super::super::bootstrap::Blocks;
    use super::*;

    fn value(measures: &[Measure], name: &str) -> f64 {
        let rows: Vec<EventTime> = (0..20).map(|row| EventTime(row * EventTime::DAY)).collect();
        let blocks = Blocks::new(&rows, 0);
        let whole = blocks.whole();
        let measure = measures.iter().find(|measure| measure.name == name).expect("it is measured");
        measure.value(Weights::new(&blocks, &whole)).expect("it is defined")
    }

    #[test]
    fn a_budget_is_spent_day_by_day_on_the_highest_units() {
        // Two days; on the first unit 1 is seen twice, once true.
        let truths = [true, false, false, false, true];
        let scores = [0.2, 0.9, 0.5, 0.8, 0.1];
        let budget = Reviews { most: 1, days: vec![0, 0, 0, 1, 1], units: vec![1, 1, 2, 3, 4] };
        let all = of_binary(&truths, &scores, &Wanted { budget: Some(budget), costs: None });
        assert!((value(&all, "precision_at_budget") - 0.5).abs() < 1e-12);
        assert!((value(&all, "recall_at_budget") - 0.5).abs() < 1e-12);
        assert!((value(&all, "lift_at_budget") - 0.5 / (2.0 / 4.0)).abs() < 1e-12);
    }

    #[test]
    fn costs_are_those_of_the_best_threshold_for_true_probabilities() {
        let all =
            of_binary(&[true, false, true], &[0.3, 0.15, 0.05], &Wanted { budget: None, costs: Some((9.0, 1.0)) });
        // From 0.1 on: one alarm is false, one true is missed.
        assert!((value(&all, "cost") - 10.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn numbers_by_hand() {
        let spread = |middle: f64| std::array::from_fn(|place| middle + f64::from(u8::try_from(place).unwrap()) - 4.0);
        let all = of_numbers(&[1.0, 5.0], &[spread(2.0), spread(0.0)]);
        assert!((value(&all, "mae") - 3.0).abs() < 1e-12);
        assert!((value(&all, "rmse") - 13f64.sqrt()).abs() < 1e-12);
        assert!((value(&all, "r2") - (1.0 - 13.0 / 4.0)).abs() < 1e-12);
        assert!((value(&all, "coverage_90") - 0.5).abs() < 1e-12 && (value(&all, "width_90") - 8.0).abs() < 1e-12);
    }

    #[test]
    fn classes_by_hand() {
        let shares = |a: f64, b: f64| BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b)]);
        let truths = ["a".to_owned(), "b".to_owned(), "a".to_owned()];
        let all = of_classes(&truths, &[shares(0.8, 0.2), shares(0.5, 0.5), shares(0.3, 0.7)]);
        assert!((value(&all, "accuracy") - 0.5).abs() < 1e-12);
        assert!((value(&all, "reciprocal_rank") - (1.0 + 1.0 / 1.5 + 0.5) / 3.0).abs() < 1e-12);
        let loss = -(0.8f64.ln() + 0.5f64.ln() + 0.3f64.ln()) / 3.0;
        assert!((value(&all, "log_loss") - loss).abs() < 1e-12);
        assert!((value(&all, "macro_auroc") - 0.5).abs() < 1e-12);
    }
}
