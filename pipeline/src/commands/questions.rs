//! What the command line asks: rows of a file, times, keys, which predictor, and what is kept from it.

use std::path::Path;
use std::sync::Arc;

use ingest::files::Questions;
use predictor::in_context;
use predictor::learn::Member;
use relational::{EventTime, Key};

use crate::cli;
use crate::plan::Plan;
use crate::scorer::Bounds;
use crate::world::{Failure, World};

/// Reads the rows of `--at FILE`: the entity's key under its own column names, the time under `time_column`.
pub(super) fn read(world: &World, plan: &Plan, file: &Path, time_column: &str) -> Result<Questions, Failure> {
    Ok(Questions::read(file, &world.schema, plan.task.entity, time_column)?)
}

/// A time of the command line.
pub(super) fn time(flag: &str, text: &str) -> Result<EventTime, Failure> {
    let wrong = || Failure::Usage(format!("{flag}: `{text}` is not a time such as \"2018-08-01 12:00:00\""));
    EventTime::parse(text).ok_or_else(wrong)
}

/// A key of the command line: columns of a composite key are separated by `/`.
pub(super) fn key(world: &World, table: relational::TableId, text: &str) -> Result<Key, Failure> {
    let table = world.schema.table(table);
    let parts: Vec<&str> = if table.key.len() > 1 { text.split('/').collect() } else { vec![text] };
    if parts.len() != table.key.len().max(1) {
        let message = format!("table `{}` has a key of {} columns; write them as a/b", table.name, table.key.len());
        return Err(Failure::Usage(message));
    }
    let values = parts.iter().zip(&table.key).map(|(part, column)| {
        let column = &table.columns[usize::from(column.0)];
        ingest::coerce::from_text(part, column.data_type)
            .map_err(|misfit| Failure::Usage(format!("`{part}` is no value of key column `{}`: {misfit}", column.name)))
    });
    Ok(Key::new(values.collect::<Result<Vec<_>, _>>()?))
}

/// What `--data-until` and `--labels-until` keep from the scores.
pub(super) fn bounds(regime: &cli::Regime) -> Result<Bounds, Failure> {
    let until = |flag: &str, text: &Option<String>| text.as_deref().map(|text| time(flag, text)).transpose();
    Ok(Bounds {
        data_until: until("--data-until", &regime.data_until)?,
        labels_until: until("--labels-until", &regime.labels_until)?,
    })
}

/// `--model`, `--weights` and `--context-size` compile the task anew.
pub(super) fn override_predictor(world: &mut World, task: &str, wanted: &cli::Predictor) -> Result<(), Failure> {
    let Some(index) = world.settings.tasks.iter().position(|other| other.name == task) else { return Ok(()) };
    let task = &mut world.settings.tasks[index];
    if let Some(model) = &wanted.model {
        if Member::parse(model).is_none() && model != in_context::NAME {
            let names = Member::ALL.map(Member::name).join(", ");
            return Err(Failure::Usage(format!(
                "--model: there is no `{model}`; the models are {names}, {}",
                in_context::NAME
            )));
        }
        if task.model != *model {
            // They belong to the config's model.
            task.weights = None;
        }
        task.model.clone_from(model);
    }
    if wanted.weights.is_some() {
        task.weights.clone_from(&wanted.weights);
    }
    task.context_size = wanted.context_size.or(task.context_size);
    let plan = Plan::compile(task, &world.schema, &world.settings.document)?;
    if wanted.weights.is_some() && !plan.takes_weights() {
        return Err(Failure::Usage(format!("--weights: the model {} takes none; name one with --model", plan.model())));
    }
    world.plans[index] = Arc::new(plan);
    Ok(())
}
