//! What a task may know too early. A table that is loaded as it stands today, without its history, shows values that
//! were filled in later: no cutoff can hide them, but the data gives them away.

mod signs;
#[cfg(test)]
mod tests;

use graph_store::{Snapshot, Store};
use relational::{AsOf, ColumnId, DataType, EventTime, RowKey, SemanticType, Table, TableId, Task, Value, Window};

use crate::Error;
use crate::context::{ContextSpec, Example, Policy, select};
use crate::executor::Executor;
use signs::Sign;

/// Past examples that columns are judged by: enough to tell .98 from .95 with fifty of the rarer class.
const EXAMPLES: usize = 1_000;

/// Newest rows per table whose dates are looked at.
const ROWS: usize = 1_000;

/// A share of later dates below this one is noise in the data.
const LATER_SHARE_PERCENT: usize = 2;

/// What a task's past examples up to `at` give away: columns of the entity, of its parents and of its newest child rows
/// that tell the target almost alone or are filled for one outcome only, and a population that nobody can know at the
/// time of a score. One sentence each.
///
/// # Errors
///
/// When the store cannot be read.
pub fn of_task(store: &Store, executor: &Executor, at: AsOf) -> Result<Vec<String>, Error> {
    let mut warnings: Vec<String> = unknowable(executor.task()).into_iter().collect();
    let spec = ContextSpec { policy: Policy::Stratified, size: EXAMPLES, ..ContextSpec::default() };
    let examples = select(store, executor, at, &spec)?.examples;
    let Some(truths) = signs::truths(&examples) else { return Ok(warnings) };
    for (table, rows) in readings(store, executor, at, &examples)? {
        for (column, meant) in executor.schema().table(table).columns() {
            if !is_read(executor, table, column) {
                continue;
            }
            let values: Vec<Option<&Value>> =
                rows.iter().map(|row| row.as_ref().map(|row| row.value(column))).collect();
            if let Some(sign) = signs::of(&values, &truths) {
                let name = format!("{}.{}", executor.schema().table(table).name, meant.name);
                warnings.push(sentence(&name, &meant.name, &sign, examples.len()));
            }
        }
    }
    Ok(warnings)
}

/// Columns whose dates are later than their row's own time although they came with the row, as of `at`. One sentence
/// each.
///
/// # Errors
///
/// When the store cannot be read.
pub fn of_tables(store: &Store, at: AsOf) -> Result<Vec<String>, Error> {
    let snapshot = store.as_of(at);
    let mut warnings = Vec::new();
    for (id, table) in store.schema().tables().filter(|(_, table)| table.time.is_some()) {
        let rows = snapshot.timeline(id)?.newest(Window::up_to(at.cutoff), ROWS)?;
        for (column, meant) in dates(table) {
            let later = |value: &Value, time: EventTime| value.as_time().is_some_and(|date| date > time);
            let unchanged = || rows.iter().filter(|version| version.sequence == version.born);
            let filled = unchanged().filter(|version| !version.row.value(column).is_null()).count();
            let late = unchanged().filter(|version| later(version.row.value(column), version.time)).count();
            if late > 0 && late * 100 >= filled * LATER_SHARE_PERCENT {
                warnings.push(format!(
                    "column `{0}.{1}` is later than its row's own time in {late} of {filled} rows: if it is filled in \
                     later, say when (columns.{1} = {{ arrives_after = \"30d\" }}) or hide it (hidden = true)",
                    table.name, meant.name
                ));
            }
        }
    }
    Ok(warnings)
}

fn dates(table: &Table) -> impl Iterator<Item = (ColumnId, &relational::Column)> {
    table.columns().filter(|(id, column)| {
        matches!(column.data_type, DataType::Time | DataType::Date)
            && column.semantic != SemanticType::Ignore
            && column.arrives_after == 0
            && table.time != Some(*id)
    })
}

fn unknowable(task: &Task) -> Option<String> {
    task.assuming.as_ref().map(|_| {
        "it assumes something of the future (ASSUMING): past examples are those where that came true, but a live score \
         is made before anybody knows; its figures in a backtest hold only for entities where it does come true"
            .to_owned()
    })
}

/// Whether a feature could read the column: not the target itself, no name, and known with its row.
fn is_read(executor: &Executor, table: TableId, column: ColumnId) -> bool {
    let described = executor.schema().table(table);
    let meant = &described.columns[usize::from(column.0)];
    let is_target = table == executor.task().entity && executor.task().own_target_columns().contains(&column);
    !is_target
        && meant.arrives_after == 0
        && !matches!(meant.semantic, SemanticType::Ignore | SemanticType::Id)
        && described.time != Some(column)
}

type Readings = Vec<(TableId, Vec<Option<relational::Row>>)>;

/// One row per example from the entity's own table, from each parent's, and the newest from each child's.
fn readings(store: &Store, executor: &Executor, at: AsOf, examples: &[Example]) -> Result<Readings, Error> {
    let (schema, entity) = (executor.schema(), executor.task().entity);
    let mut readings: Readings = vec![(entity, Vec::new())];
    readings.extend(schema.parents_of(entity).map(|(_, link)| (link.parent, Vec::new())));
    readings.extend(schema.children_of(entity).map(|(_, link)| (link.child, Vec::new())));
    for example in examples {
        let snapshot = store.as_of(executor.example_bounds(at, example.anchor));
        for (place, row) in rows_of(&snapshot, executor, example)?.into_iter().enumerate() {
            readings[place].1.push(row);
        }
    }
    Ok(readings)
}

fn rows_of(snapshot: &Snapshot, executor: &Executor, example: &Example) -> Result<Vec<Option<relational::Row>>, Error> {
    let (schema, entity) = (executor.schema(), executor.task().entity);
    let row = |table, key| Ok::<_, Error>(snapshot.row(&RowKey { table, key })?.map(|version| version.row));
    let own = row(entity, example.entity.clone())?;
    let mut rows = vec![own.clone()];
    for (_, link) in schema.parents_of(entity) {
        let key = own.as_ref().and_then(|own| relational::Key::of(own, &link.columns));
        rows.push(key.map_or(Ok(None), |key| row(link.parent, key))?);
    }
    for (foreign_key, _) in schema.children_of(entity) {
        let newest = snapshot.children(foreign_key, &example.entity)?.newest(Window::up_to(example.anchor), 1)?;
        rows.push(newest.into_iter().next().map(|version| version.row));
    }
    Ok(rows)
}

fn sentence(name: &str, column: &str, sign: &Sign, examples: usize) -> String {
    let found = match sign {
        Sign::Explains(auroc) => {
            format!("tells the target almost alone (AUROC {auroc:.3} on {examples} past examples)")
        }
        Sign::FilledFor(class) => format!("is filled only where the target is {class} ({examples} past examples)"),
    };
    format!(
        "column `{name}` {found}: if it is filled in later, say when (columns.{column} = {{ arrives_after = \"30d\" }}) \
         or hide it (hidden = true)"
    )
}
