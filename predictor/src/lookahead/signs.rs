//! Signs that a column knows the outcome.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use relational::{Key, Value};
use xxhash_rust::xxh3::Xxh3;

use crate::context::Example;
use crate::learn::metrics::auroc;

/// No honest column alone is this good.
const AUROC_MAX: f64 = 0.98;

/// Examples of each outcome below which nothing can be said.
const EXAMPLES_MIN: usize = 20;

/// What is wrong with a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sign {
    /// It ranks the examples almost without fault.
    Explains(f64),
    /// It is empty for every example of the other outcomes.
    FilledFor(String),
}

/// The outcomes in two parts: true against false, the most frequent class against the others, above the median
/// against up to it. `None` when a part is too small to tell anything.
pub(super) fn truths(examples: &[Example]) -> Option<Outcomes> {
    let mut counts: BTreeMap<&Value, usize> = BTreeMap::new();
    for example in examples {
        *counts.entry(&example.label).or_default() += 1;
    }
    let frequent = *counts.iter().max_by_key(|(_, count)| **count)?.0;
    let is_number = matches!(frequent, Value::Int(_) | Value::Float(_) | Value::Decimal(_) | Value::Time(_));
    let mut sorted: Vec<&Value> = examples.iter().map(|example| &example.label).collect();
    sorted.sort();
    let median = sorted[sorted.len() / 2];
    let (name, truths): (String, Vec<bool>) = match frequent {
        Value::Bool(_) => ("true".into(), examples.iter().map(|example| example.label == Value::Bool(true)).collect()),
        _ if is_number && counts.len() > EXAMPLES_MIN => {
            (format!("above {median}"), examples.iter().map(|example| example.label > *median).collect())
        }
        _ => (format!("{frequent}"), examples.iter().map(|example| example.label == *frequent).collect()),
    };
    let of_true = truths.iter().filter(|truth| **truth).count();
    (of_true >= EXAMPLES_MIN && truths.len() - of_true >= EXAMPLES_MIN).then(|| Outcomes {
        name,
        truths,
        halves: examples.iter().map(|example| half(&example.entity)).collect(),
    })
}

/// Which of two outcomes each example had.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcomes {
    /// What `true` stands for.
    name: String,
    truths: Vec<bool>,
    /// Which half of the entities each example's entity is in.
    halves: Vec<bool>,
}

fn half(entity: &Key) -> bool {
    let mut hasher = Xxh3::new();
    entity.hash(&mut hasher);
    hasher.finish().is_multiple_of(2)
}

/// The sign that a column gives, if any. `None` among the values is an example without such a row.
pub(super) fn of(values: &[Option<&Value>], outcomes: &Outcomes) -> Option<Sign> {
    let present = |value: &&Option<&Value>| value.is_some_and(|value| !value.is_null());
    let exists = |wanted: bool| {
        let pairs =
            values.iter().zip(&outcomes.truths).filter(move |(value, truth)| **truth == wanted && value.is_some());
        let filled = pairs.clone().filter(|(value, _)| present(value)).count();
        (pairs.count(), filled)
    };
    let ((rows_true, filled_true), (rows_false, filled_false)) = (exists(true), exists(false));
    if rows_true.min(rows_false) >= EXAMPLES_MIN {
        if filled_false == 0 && filled_true >= EXAMPLES_MIN {
            return Some(Sign::FilledFor(outcomes.name.clone()));
        }
        if filled_true == 0 && filled_false >= EXAMPLES_MIN {
            return Some(Sign::FilledFor(format!("not {}", outcomes.name)));
        }
    }
    if filled_true.min(filled_false) < EXAMPLES_MIN {
        return None;
    }
    let halves = outcomes.truths.iter().zip(&outcomes.halves);
    let filled = values.iter().zip(halves).filter(|(value, _)| present(value));
    let filled =
        filled.filter_map(|(value, (truth, half))| Some(Filled { value: (*value)?, truth: *truth, half: *half }));
    let filled: Vec<Filled<'_>> = filled.collect();
    let best = by_number(&filled).max(by_category(&filled));
    (best > AUROC_MAX).then_some(Sign::Explains(best))
}

/// A value of an example.
struct Filled<'a> {
    value: &'a Value,
    truth: bool,
    half: bool,
}

/// How well the values rank the outcomes, in whichever direction; 0 when they are no numbers.
fn by_number(filled: &[Filled<'_>]) -> f64 {
    let scores: Vec<f64> = filled.iter().filter_map(|example| example.value.as_f64()).collect();
    if scores.len() < filled.len() {
        return 0.0;
    }
    either_way(&scores, filled)
}

/// How well the outcomes of the same value among the other half of the entities rank them: a value that one entity has
/// to itself says nothing.
fn by_category(filled: &[Filled<'_>]) -> f64 {
    let mut scores = vec![0.0; filled.len()];
    for half in [false, true] {
        let mut rates: BTreeMap<&Value, (f64, f64)> = BTreeMap::new();
        for example in filled.iter().filter(|example| example.half != half) {
            let (all, of_true) = rates.entry(example.value).or_default();
            *all += 1.0;
            *of_true += f64::from(u8::from(example.truth));
        }
        for (score, example) in scores.iter_mut().zip(filled).filter(|(_, example)| example.half == half) {
            let (all, of_true) = rates.get(example.value).copied().unwrap_or_default();
            *score = (of_true + 0.5) / (all + 1.0);
        }
    }
    either_way(&scores, filled)
}

fn either_way(scores: &[f64], filled: &[Filled<'_>]) -> f64 {
    let truths: Vec<bool> = filled.iter().map(|example| example.truth).collect();
    auroc(scores, &truths).map_or(0.0, |auroc| auroc.max(1.0 - auroc))
}
