//! `foreshore labels`

use ingest::files::{AnswerColumn, Question};
use relational::Value;
use serde_json::json;

use super::questions;
use crate::cli::{Format, Labels};
use crate::driver::ensure_replayed;
use crate::labels::{self, Label, label_text};
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
    let closed = labels::Labels::closed(&store, plan);
    let of_row = |row: &Question| match (&row.key, row.time) {
        (Some(key), Some(time)) => closed.of(key, time).map(Some),
        _ => Ok(None),
    };
    let found = parallel::map(questions.rows(), of_row)?;
    let columns: Vec<(String, AnswerColumn)> = (0..plan.timeframes.len())
        .map(|timeframe| {
            let label = |of: &Option<Vec<Label>>| of.as_ref()?[timeframe].value().cloned();
            let values = found.iter().map(label).collect();
            let name = if plan.timeframes.len() > 1 { format!("label_{}", timeframe + 1) } else { "label".to_owned() };
            (name, written(values))
        })
        .collect();
    let unreadable = (found.iter().filter(|of| of.is_none()).count() * plan.timeframes.len()) as u64;
    let number =
        |wanted: &dyn Fn(&Label) -> bool| found.iter().flatten().flatten().filter(|of| wanted(of)).count() as u64;
    let labelled = number(&|of| matches!(of, Label::Known(_)));
    let (undefined, open) = (number(&|of| *of == Label::Undefined), number(&|of| *of == Label::Open));
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
    AnswerColumn::Text(values.into_iter().map(|value| value.as_ref().map(label_text)).collect())
}
