//! How good the scores of a file were.

use indexmap::IndexMap;
use relational::TaskKind;
use serde::{Deserialize, Serialize};

use super::bootstrap::{BLOCKS_MIN, Blocks, Weights, interval};
use super::curves::Curves;
use super::drift::{Drift, drift};
use super::measures::{Measure, Reviews, Wanted, day, measures};
use super::read::{Answers, Scores, Truths};
use super::slices::slices;
use crate::parallel;

/// A budget of reviews: how many a day, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Budget {
    /// Each UTC day.
    pub per_day: usize,
    /// The segment whose rows of one day are looked at together; `None` for each row by itself.
    pub by: Option<String>,
}

/// What mistakes cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Costs {
    /// Something true that was not acted on.
    pub missed: f64,
    /// Something false that was acted on.
    pub false_alarm: f64,
}

/// A figure with its interval of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// `None` where it is not defined.
    pub value: Option<f64>,
    /// The interval's ends; `None` where resamples leave it undefined.
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// Figures of one member by their names.
pub(crate) type Figures<T> = IndexMap<String, T>;

/// One timeframe of a task, evaluated.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Evaluation {
    /// From 1; always 1 unless the task is a forecast.
    pub timeframe: usize,
    /// Rows whose label is known and that were scored.
    pub rows: usize,
    /// Rows without a label yet, and such that have none.
    pub open: usize,
    pub undefined: usize,
    /// Rows that had no labelled past to be scored from.
    pub without_context: usize,
    /// Of a yes or no, how many came true.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub positives: Option<usize>,
    /// What intervals are made of: resamples of so many blocks of so many days; without days, of rows.
    pub blocks: usize,
    pub block_days: Option<i64>,
    pub resamples: usize,
    /// How far the scores of each period are from those of the first half of all rows.
    pub drift: Vec<Drift>,
    /// What makes these figures say less than they seem to.
    pub warnings: Vec<String>,
    /// By member.
    pub members: IndexMap<String, Figures<Figure>>,
    /// By member, how much more the member that is asked about has of each figure, on the same rows.
    pub differences: IndexMap<String, Figures<Figure>>,
    /// By what is sliced by.
    pub slices: IndexMap<String, Vec<SliceFigures>>,
    /// By member, of a yes or no.
    #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
    pub curves: IndexMap<String, Curves>,
}

/// Figures of a part of the rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SliceFigures {
    pub name: String,
    pub rows: usize,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub positives: Option<usize>,
    pub members: IndexMap<String, Figures<Option<f64>>>,
}

/// How to evaluate.
#[derive(Debug, Clone)]
pub(super) struct How {
    pub budget: Option<Budget>,
    pub costs: Option<Costs>,
    /// Decides the resamples.
    pub seed: u64,
    /// The length of the target's window, in microseconds.
    pub horizon: i64,
}

/// Fewer positive or negative labels say little.
pub(super) const FEW: usize = 30;

/// Evaluates one timeframe.
pub(super) fn evaluate(scores: &Scores, timeframe: usize, how: &How) -> Evaluation {
    let rows = scores.evaluated(timeframe);
    let truths = scores.truths(timeframe, &rows);
    let members = &scores.layout().members;
    let answers: Vec<Answers> = (0..members.len()).map(|member| scores.answers(member, timeframe, &rows)).collect();
    let wanted = wanted(scores, &rows, how);
    let of_members: Vec<Vec<Measure>> = answers.iter().map(|answers| measures(&truths, answers, &wanted)).collect();
    let cutoffs = scores.cutoffs();
    let cutoffs: Vec<_> = rows.iter().map(|row| cutoffs[*row]).collect();
    let blocks = Blocks::new(&cutoffs, how.horizon);
    let (figures, differences) = with_intervals(&of_members, &blocks, how.seed);
    let name = |(member, figures): (usize, Figures<Figure>)| (members[member].clone(), figures);
    let states = scores.texts(&format!("label_state{}", scores.layout().suffix(timeframe)));
    let state = |wanted: &str| states.iter().filter(|state| **state == Some(wanted)).count();
    let mut evaluation = Evaluation {
        timeframe: timeframe + 1,
        rows: rows.len(),
        open: state("open"),
        undefined: state("undefined"),
        without_context: scores.texts("context").iter().filter(|context| context.is_none()).count(),
        positives: positives(&truths),
        blocks: blocks.count,
        block_days: blocks.days,
        resamples: blocks.resamples(),
        drift: drift(&cutoffs, &answers[0]),
        warnings: Vec::new(),
        members: figures.into_iter().enumerate().map(name).collect(),
        differences: (1..members.len()).zip(differences).map(name).collect(),
        slices: IndexMap::new(),
        curves: curves(members, &truths, &answers, how),
    };
    evaluation.warnings = warnings(&evaluation, how);
    for (name, slices) in slices(scores, &rows) {
        let of_slice = |slice: super::slices::Slice| {
            let truths = truths.select(&slice.rows);
            let of_member = |(member, answers): (&String, &Answers)| {
                let all = measures(&truths, &answers.select(&slice.rows), &wanted.select(&slice.rows));
                (member.clone(), values(&all, slice.rows.len()))
            };
            let of_members = members.iter().zip(&answers).map(of_member).collect();
            let positives = positives(&truths);
            SliceFigures { name: slice.name, rows: slice.rows.len(), positives, members: of_members }
        };
        evaluation.slices.insert(name, slices.into_iter().map(of_slice).collect());
    }
    evaluation
}

/// What is asked for of these rows.
fn wanted(scores: &Scores, rows: &[usize], how: &How) -> Wanted {
    let costs = how.costs.map(|costs| (costs.missed, costs.false_alarm));
    let binary = scores.layout().kind == TaskKind::Binary;
    let Some(budget) = how.budget.as_ref().filter(|_| binary) else { return Wanted { budget: None, costs } };
    let cutoffs = scores.cutoffs();
    let days = rows.iter().map(|row| day(cutoffs[*row])).collect();
    let units: Vec<u64> = match &budget.by {
        None => (0..rows.len() as u64).collect(),
        Some(segment) => {
            let values = scores.texts(&format!("segment_{segment}"));
            let mut numbers: IndexMap<Option<&str>, u64> = IndexMap::new();
            rows.iter()
                .map(|row| {
                    let next = numbers.len() as u64;
                    *numbers.entry(values[*row]).or_insert(next)
                })
                .collect()
        }
    };
    Wanted { budget: Some(Reviews { most: budget.per_day, days, units }), costs }
}

/// Figures of every member, and differences of the first to each of the others.
pub(super) type Intervals = (Vec<Figures<Figure>>, Vec<Figures<Figure>>);

pub(super) fn with_intervals(of_members: &[Vec<Measure>], blocks: &Blocks, seed: u64) -> Intervals {
    let all = |counts: &[f64]| -> Vec<Vec<Option<f64>>> {
        let weights = Weights::new(blocks, counts);
        of_members.iter().map(|all| all.iter().map(|measure| measure.value(weights)).collect()).collect()
    };
    let whole = all(&blocks.whole());
    let numbers: Vec<usize> = (0..blocks.resamples()).collect();
    let resampled: Vec<Vec<Vec<Option<f64>>>> =
        parallel::map(&numbers, |number| Ok::<_, std::convert::Infallible>(all(&blocks.draw(seed, *number))))
            .unwrap_or_else(|never| match never {});
    let figure = |value: Option<f64>, resampled: Vec<Option<f64>>| {
        let (low, high) = interval(&resampled).filter(|_| value.is_some()).unzip();
        Figure { value, low, high }
    };
    let less = |one: Option<f64>, other: Option<f64>| Some(one? - other?);
    let own = (0..of_members.len()).map(|member| {
        let of_measure = |(place, measure): (usize, &Measure)| {
            let resampled = resampled.iter().map(|values| values[member][place]).collect();
            (measure.name.to_owned(), figure(whole[member][place], resampled))
        };
        of_members[member].iter().enumerate().map(of_measure).collect()
    });
    let differences = (1..of_members.len()).map(|member| {
        let of_measure = |(place, measure): (usize, &Measure)| {
            let resampled = resampled.iter().map(|values| less(values[0][place], values[member][place])).collect();
            (measure.name.to_owned(), figure(less(whole[0][place], whole[member][place]), resampled))
        };
        of_members[member].iter().enumerate().map(of_measure).collect()
    });
    (own.collect(), differences.collect())
}

fn values(all: &[Measure], rows: usize) -> Figures<Option<f64>> {
    let blocks = Blocks::one(rows);
    let whole = blocks.whole();
    all.iter().map(|measure| (measure.name.to_owned(), measure.value(Weights::new(&blocks, &whole)))).collect()
}

fn positives(truths: &Truths) -> Option<usize> {
    match truths {
        Truths::Binary(truths) => Some(truths.iter().filter(|truth| **truth).count()),
        _ => None,
    }
}

fn curves(members: &[String], truths: &Truths, answers: &[Answers], how: &How) -> IndexMap<String, Curves> {
    let Truths::Binary(truths) = truths else { return IndexMap::new() };
    let costs = how.costs.map(|costs| (costs.missed, costs.false_alarm));
    let of_member = |(member, answers): (&String, &Answers)| match answers {
        Answers::Binary(scores) => Some((member.clone(), Curves::of(scores, truths, costs)?)),
        _ => None,
    };
    members.iter().zip(answers).filter_map(of_member).collect()
}

fn warnings(of: &Evaluation, how: &How) -> Vec<String> {
    let mut all = Vec::new();
    if of.rows == 0 {
        all.push("no row was scored and has a label: there is nothing to evaluate".to_owned());
        return all;
    }
    if let Some(positives) = of.positives {
        let rarer = positives.min(of.rows - positives);
        if rarer < FEW {
            all.push(format!("only {rarer} rows of the rarer label: every figure may be chance"));
        }
    } else if of.rows < FEW {
        all.push(format!("only {} rows: every figure may be chance", of.rows));
    }
    match of.block_days {
        None => all.push(format!(
            "the cutoffs lie on fewer than {BLOCKS_MIN} days that are independent of each other: intervals resample \
             rows, and do not tell how the figures change over time"
        )),
        Some(days) if days > 1 => all.push(format!(
            "the windows of neighbouring cutoffs overlap, so that the same events count more than once: intervals \
             resample blocks of {days} days"
        )),
        Some(_) => {}
    }
    if of.open > 0 {
        all.push(format!("{} rows have no label yet, and are in no figure", of.open));
    }
    if of.without_context > 0 {
        all.push(format!("{} rows had no labelled past to be scored from, and are in no figure", of.without_context));
    }
    if how.budget.is_some() && of.positives.is_none() {
        all.push("a review budget is for yes or no".to_owned());
    }
    all
}
