//! `foreshore check`

use std::collections::BTreeSet;

use predictor::lookahead;
use relational::{AsOf, SemanticType, TaskKind};
use serde_json::{Value as Json, json};

use super::online;
use crate::cli::{Check, Format};
use crate::config::{Emit, RawSourceKind};
use crate::driver::is_complete;
use crate::learning::Learned;
use crate::output;
use crate::plan::Plan;
use crate::world::{Failure, World};

pub(super) fn check(arguments: &Check) -> Result<(), Failure> {
    let world = World::load(&arguments.common)?;
    let mut warnings = warnings(&world);
    warnings.extend(world.learned.iter().flat_map(|learned| learned.notes.clone()));
    warnings.extend(look_ahead(&world)?);
    let found = if arguments.online { Some(online::look(&world)?) } else { None };
    warnings.extend(found.iter().flat_map(|found| found.warnings.clone()));
    let mut said = BTreeSet::new();
    warnings.retain(|warning| said.insert(warning.clone()));
    if arguments.format == Format::Json {
        return Ok(output::print_json(&json!({
            "tables": tables_json(&world),
            "learned": world.learned.iter().flat_map(Learned::tables).collect::<Vec<_>>(),
            "tasks": world.plans.iter().map(|plan| task_json(&world, plan)).collect::<Vec<_>>(),
            "online": found.as_ref().map(online::Findings::to_json),
            "warnings": warnings,
        }))?);
    }
    print_tables(&world)?;
    if let Some(learned) = &world.learned {
        let names: Vec<&str> = learned.tables().collect();
        output::print_line(&format!("learnt from the source, and kept with the store: {}", names.join(", ")))?;
    }
    print_tasks(&world)?;
    for plan in &world.plans {
        output::print_line(&format!("what `{}` reads, and so what makes its scores out of date:", plan.task.name))?;
        plan.read_set.describe().iter().try_for_each(|line| output::print_line(&format!("  {line}")))?;
    }
    if let Some(found) = &found {
        found.print()?;
    }
    for warning in &warnings {
        output::print_line(&format!("warning: {warning}"))?;
    }
    Ok(output::print_line(if warnings.is_empty() { "ok" } else { "ok, with warnings" })?)
}

fn print_tables(world: &World) -> Result<(), Failure> {
    let rows = world.schema.tables().map(|(id, table)| {
        let name = |column: &relational::ColumnId| table.columns[usize::from(column.0)].name.clone();
        let columns = table.columns.iter().map(|column| {
            let late = if column.arrives_after > 0 { ", late" } else { "" };
            format!("{} ({}{late})", column.name, meaning(column.semantic))
        });
        let parents = world.schema.parents_of(id).map(|(_, link)| {
            let columns: Vec<String> = link.columns.iter().map(name).collect();
            format!("{} -> {}", columns.join(","), world.schema.table(link.parent).name)
        });
        vec![
            table.name.clone(),
            table.key.iter().map(name).collect::<Vec<_>>().join(","),
            table.time.as_ref().map_or_else(|| "from the beginning".to_owned(), name),
            parents.collect::<Vec<_>>().join("\n"),
            columns.collect::<Vec<_>>().join(", "),
        ]
    });
    Ok(output::print_table(&["table", "key", "time", "foreign keys", "columns"], rows)?)
}

fn print_tasks(world: &World) -> Result<(), Failure> {
    let rows = world.plans.iter().map(|plan| {
        vec![
            plan.task.name.clone(),
            plan.task.kind.name().to_owned(),
            world.schema.table(plan.task.entity).name.clone(),
            days(plan.task.horizon()),
            days(plan.task.label_delay(&world.schema)),
            emit_name(plan.emit),
            plan.model().to_owned(),
            plan.featuriser.names().len().to_string(),
        ]
    });
    let header = ["task", "kind", "for each", "horizon", "label known after", "emitted", "model", "features"];
    Ok(output::print_table(&header, rows)?)
}

fn meaning(semantic: SemanticType) -> &'static str {
    if semantic == SemanticType::Ignore { "ignored" } else { semantic.name() }
}

fn days(micros: i64) -> String {
    let micros = u64::try_from(micros).unwrap_or(0);
    humantime::format_duration(std::time::Duration::from_micros(micros)).to_string()
}

fn emit_name(emit: Emit) -> String {
    match emit {
        Emit::PerEvent => "per event".into(),
        Emit::Latest { quiet, max_delay } => format!("latest, {} quiet, {} at most", days(quiet), days(max_delay)),
        Emit::Every { step } => format!("every {}", days(step)),
        Emit::Never => "never".into(),
    }
}

fn tables_json(world: &World) -> Json {
    let tables = world.schema.tables().map(|(id, table)| {
        let name = |column: &relational::ColumnId| table.columns[usize::from(column.0)].name.as_str();
        let columns = table.columns.iter().map(|column| {
            json!({ "name": column.name, "type": column.data_type.name(), "semantic": meaning(column.semantic), "arrives_after_micros": column.arrives_after })
        });
        let links = world.schema.parents_of(id).map(|(_, link)| {
            json!({ "columns": link.columns.iter().map(name).collect::<Vec<_>>(), "parent": world.schema.table(link.parent).name })
        });
        json!({
            "name": table.name, "key": table.key.iter().map(name).collect::<Vec<_>>(), "time": table.time.as_ref().map(name),
            "foreign_keys": links.collect::<Vec<_>>(), "columns": columns.collect::<Vec<_>>(),
        })
    });
    Json::Array(tables.collect())
}

fn task_json(world: &World, plan: &Plan) -> Json {
    json!({
        "name": plan.task.name, "kind": plan.task.kind.name(), "entity": world.schema.table(plan.task.entity).name,
        "horizon_micros": plan.task.horizon(), "label_delay_micros": plan.task.label_delay(&world.schema),
        "emit": emit_name(plan.emit), "model": plan.model(), "features": plan.featuriser.names(),
        "reads": plan.read_set.describe(),
    })
}

/// What the schema and the queries alone give away.
fn warnings(world: &World) -> Vec<String> {
    let mut warnings = Vec::new();
    for (id, table) in world.schema.tables() {
        let pointed_at = world.schema.children_of(id).next().is_some();
        if table.time.is_none() && table.columns.len() > table.key.len() && !table.columns.is_empty() {
            warnings.push(format!(
                "table `{}` has no time column: its rows are visible from the beginning, so a column that is filled in later would be seen too early",
                table.name
            ));
        }
        if table.key.is_empty() && pointed_at {
            warnings.push(format!("table `{}` has no key, but other tables point at it", table.name));
        }
    }
    for (plan, settings) in world.plans.iter().zip(&world.settings.tasks) {
        if settings.weights.is_some() && !plan.takes_weights() {
            let (task, model) = (&settings.name, plan.model());
            warnings.push(format!("task `{task}` names weights, but its model {model} takes none: they are not read"));
        }
        if matches!(plan.emit, Emit::Every { .. })
            && world
                .settings
                .tables
                .get(&world.schema.table(plan.task.entity).name)
                .is_some_and(|raw| raw.files.0.is_empty() && world.settings.source.kind == RawSourceKind::Files)
        {
            warnings.push(format!(
                "task `{}` is scheduled for a table without rows of its own: nothing will be scored",
                plan.task.name
            ));
        }
        if plan.task.kind == TaskKind::Binary && plan.task.horizon() == 0 && plan.task.label_delay(&world.schema) == 0 {
            warnings.push(format!(
                "task `{}`: its label comes with the row itself; if it is filled in later, say when: columns.<name> = {{ arrives_after = \"7d\" }}",
                plan.task.name
            ));
        }
    }
    warnings
}

/// What the data gives away, once the store holds it.
fn look_ahead(world: &World) -> Result<Vec<String>, Failure> {
    if !world.settings.app.store.exists() {
        return Ok(vec!["the store is empty: run `foreshore replay --no-score` and check again to have columns examined that may look ahead".into()]);
    }
    let store = world.open_store(false)?;
    if store.sequence().0 == 0 || (!world.settings.source.kind.is_live() && !is_complete(&store)?) {
        return Ok(Vec::new());
    }
    let at = AsOf::historical(store.newest_time(), store.sequence());
    let mut warnings = lookahead::of_tables(&store, at)?;
    for plan in &world.plans {
        let found = lookahead::of_task(&store, &plan.executor, at)?;
        warnings.extend(found.into_iter().map(|warning| format!("task `{}`: {warning}", plan.task.name)));
    }
    Ok(warnings)
}
