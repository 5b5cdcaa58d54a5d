//! Rows of a file to be labelled or scored, and times on the command line.

use std::path::Path;

use ingest::files::Questions;
use relational::{EventTime, Key};

use crate::plan::Plan;
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
