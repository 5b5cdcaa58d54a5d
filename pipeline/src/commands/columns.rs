//! Predictions as columns of a file, and as lines for people.

use ingest::files::AnswerColumn;
use relational::{Prediction, Problem, Task, TaskKind, Value};

use crate::scorer::Scored;

type Columns = Vec<(String, AnswerColumn)>;

/// Binary: `prediction`. Regression: `prediction` and one column per quantile. Multiclass: the likeliest class as
/// `prediction`, and `p_<class>`. Ranking: the likeliest row as `prediction`, and `rank<i>` with `p_rank<i>` from the
/// likeliest on. Forecast: for each timeframe the columns of its kind, with `_<i>` behind.
pub(super) fn of(task: &Task, scored: &[Option<Scored>]) -> Columns {
    let predictions: Vec<Option<&Prediction>> =
        scored.iter().map(|made| made.as_ref().map(|made| &made.prediction)).collect();
    match task.problem {
        Problem::Forecast { steps: steps @ 2.. } => {
            let kind = task.timeframes()[0].kind;
            (0..steps as usize).flat_map(|step| of_timeframe(kind, step, &predictions)).collect()
        }
        _ if task.kind == TaskKind::Ranking => of_ranking(task.rank_top(), &predictions),
        _ => of_kind(task.kind, &predictions),
    }
}

fn of_timeframe(kind: TaskKind, step: usize, predictions: &[Option<&Prediction>]) -> Columns {
    let of_step = |prediction: &Option<&'_ Prediction>| match prediction {
        Some(Prediction::Forecast(windows)) => windows.get(step).map(|(_, prediction)| prediction.clone()),
        _ => None,
    };
    let own: Vec<Option<Prediction>> = predictions.iter().map(of_step).collect();
    let columns = of_kind(kind, &own.iter().map(Option::as_ref).collect::<Vec<_>>());
    columns.into_iter().map(|(name, column)| (format!("{name}_{}", step + 1), column)).collect()
}

fn of_ranking(top: usize, predictions: &[Option<&Prediction>]) -> Columns {
    let ranked = |prediction: &Option<&Prediction>, rank: usize| match prediction {
        Some(Prediction::Ranking(rows)) => rows.get(rank).cloned(),
        _ => None,
    };
    let key = |rank: usize| {
        let keys = predictions.iter().map(|prediction| ranked(prediction, rank).map(|(key, _)| key.to_string()));
        AnswerColumn::Text(keys.collect())
    };
    let mut columns = vec![("prediction".to_owned(), key(0))];
    for rank in 0..top {
        let shares = predictions.iter().map(|prediction| ranked(prediction, rank).map(|(_, share)| share));
        columns.push((format!("rank{}", rank + 1), key(rank)));
        columns.push((format!("p_rank{}", rank + 1), AnswerColumn::Float(shares.collect())));
    }
    columns
}

fn of_kind(kind: TaskKind, predictions: &[Option<&Prediction>]) -> Columns {
    let numbers = |read: &dyn Fn(&Prediction) -> Option<f64>| {
        AnswerColumn::Float(predictions.iter().map(|prediction| prediction.and_then(read)).collect())
    };
    match kind {
        TaskKind::Multiclass => of_classes(predictions),
        TaskKind::Regression => {
            let quantile = |index: usize| {
                move |prediction: &Prediction| match prediction {
                    Prediction::Quantiles(values) => Some(values[index]),
                    _ => None,
                }
            };
            let mut columns = vec![("prediction".into(), numbers(&quantile(4)))];
            for (index, level) in Prediction::LEVELS.iter().enumerate() {
                columns.push((format!("q{:02.0}", level * 100.0), numbers(&quantile(index))));
            }
            columns
        }
        TaskKind::Binary | TaskKind::Ranking | TaskKind::Forecast => {
            vec![("prediction".into(), numbers(&|prediction| Some(prediction.point())))]
        }
    }
}

fn of_classes(predictions: &[Option<&Prediction>]) -> Columns {
    let shares = |prediction: &Option<&Prediction>| match prediction {
        Some(Prediction::Multiclass(shares)) => shares.clone(),
        _ => Vec::new(),
    };
    let all: Vec<Vec<(Value, f64)>> = predictions.iter().map(shares).collect();
    let mut classes: Vec<&Value> = all.iter().flatten().map(|(class, _)| class).collect();
    classes.sort();
    classes.dedup();
    let likeliest = all.iter().map(|shares| {
        let best = shares.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        best.map(|(class, _)| class.to_string())
    });
    let mut columns = vec![("prediction".to_owned(), AnswerColumn::Text(likeliest.collect()))];
    for class in classes {
        let share = |shares: &Vec<(Value, f64)>| {
            let own = shares.iter().find(|(other, _)| other == class).map_or(0.0, |(_, share)| *share);
            (!shares.is_empty()).then_some(own)
        };
        columns.push((format!("p_{class}"), AnswerColumn::Float(all.iter().map(share).collect())));
    }
    columns
}

/// What a prediction says, one line each: name and number.
pub(super) fn lines(prediction: &Prediction) -> Vec<Vec<String>> {
    let line = |name: String, number: f64| vec![name, format!("{number:.4}")];
    match prediction {
        Prediction::Binary(probability) => vec![line("probability".into(), *probability)],
        Prediction::Multiclass(shares) | Prediction::Ranking(shares) => {
            shares.iter().map(|(value, share)| line(value.to_string(), *share)).collect()
        }
        Prediction::Quantiles(values) => {
            let levels = Prediction::LEVELS.iter().zip(values);
            levels.map(|(level, value)| line(format!("{:.0} %", level * 100.0), *value)).collect()
        }
        Prediction::Forecast(windows) => {
            let of_window = |(window, prediction): &(relational::Window, Prediction)| {
                let named = |mut line: Vec<String>| {
                    line[0] = format!("until {}: {}", window.end, line[0]);
                    line
                };
                lines(prediction).into_iter().map(named).collect::<Vec<_>>()
            };
            windows.iter().flat_map(of_window).collect()
        }
    }
}
