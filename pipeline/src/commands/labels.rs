//! `foreshore labels`

use ingest::files::{AnswerColumn, Question};
use relational::{AsOf, EventTime, Value};
use serde_json::json;

use super::questions;
use crate::cli::{Format, Labels};
use crate::driver::ensure_replayed;
use crate::output::{self, count};
use crate::parallel;
use crate::plan;
use crate::world::{Failure, World};

pub(super) fn labels(arguments: &Labels) -> Result<(), Failure> {
    let world = World::load(&arguments.common)?;
    let plan = plan::find(&world.plans, &arguments.task, &world.settings.document)?;
    let questions = questions::read(&world, plan, &arguments.at, &arguments.time_column)?;
    let store = world.open_store(false)?;
    ensure_replayed(&world, &store)?;
    // Everything that is known by now may speak about the past; a window that has not closed yet has no label.
    let newest = store.newest_time();
    let snapshot = store.as_of(AsOf::live(EventTime::MAX, store.sequence()));
    let of_row = |row: &Question| {
        plan.timeframes
            .iter()
            .map(|executor| {
                let (Some(key), Some(time)) = (&row.key, row.time) else { return Ok((None, Missing::Unreadable)) };
                if time.plus(executor.task().horizon()) > newest {
                    return Ok((None, Missing::Open));
                }
                Ok::<_, Failure>((executor.target(&snapshot, key, time)?, Missing::Undefined))
            })
            .collect::<Result<Vec<_>, _>>()
    };
    let found = parallel::map(questions.rows(), of_row)?;
    let columns: Vec<(String, AnswerColumn)> = (0..plan.timeframes.len())
        .map(|timeframe| {
            let values = found.iter().map(|labels| labels[timeframe].0.clone()).collect();
            let name = if plan.timeframes.len() > 1 { format!("label_{}", timeframe + 1) } else { "label".to_owned() };
            (name, written(values))
        })
        .collect();
    let found: Vec<_> = found.into_iter().flatten().collect();
    let number =
        |wanted: Missing| found.iter().filter(|(label, missing)| label.is_none() && *missing == wanted).count() as u64;
    let (undefined, open, unreadable) =
        (number(Missing::Undefined), number(Missing::Open), number(Missing::Unreadable));
    let labelled = found.iter().filter(|(label, _)| label.is_some()).count() as u64;
    ingest::files::write_answers(&arguments.out, &questions, &columns)?;
    match arguments.format {
        Format::Json => output::print_json(&json!({
            "task": plan.task.name, "labelled": labelled, "without_label": undefined,
            "window_not_closed": open, "unreadable": unreadable, "out": arguments.out,
        }))?,
        Format::Table => {
            let rows = [
                ("labelled", labelled),
                ("no label", undefined),
                ("window not closed by then", open),
                ("key or time not readable", unreadable),
            ];
            output::print_table(&["rows", "number"], rows.map(|(what, number)| vec![what.to_owned(), count(number)]))?;
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Undefined,
    Open,
    Unreadable,
}

/// Truth values are written 1 and 0, as label tables usually are.
fn written(values: Vec<Option<Value>>) -> AnswerColumn {
    let numbers = |value: &Option<Value>| match value {
        None => Some(None),
        Some(Value::Bool(truth)) => Some(Some(i64::from(*truth))),
        Some(Value::Int(number)) => Some(Some(*number)),
        Some(_) => None,
    };
    if let Some(whole) = values.iter().map(numbers).collect::<Option<Vec<_>>>() {
        return AnswerColumn::Int(whole);
    }
    let is_number = |value: &Value| matches!(value, Value::Int(_) | Value::Float(_) | Value::Decimal(_));
    if values.iter().flatten().all(is_number) {
        return AnswerColumn::Float(values.iter().map(|value| value.as_ref().and_then(Value::as_f64)).collect());
    }
    AnswerColumn::Text(values.into_iter().map(|value| value.map(|value| text(&value))).collect())
}

/// A list as a JSON array of texts.
fn text(value: &Value) -> String {
    let Value::List(values) = value else { return value.to_string() };
    serde_json::Value::from(values.iter().map(ToString::to_string).collect::<Vec<_>>()).to_string()
}
