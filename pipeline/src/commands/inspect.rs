//! `foreshore inspect`

use graph_store::{Store, Version};
use relational::{AsOf, EventTime, RowKey, TableId, Value};
use serde_json::{Value as Json, json};

use super::questions;
use crate::cli::{Format, Inspect, InspectWhat};
use crate::config::nearest;
use crate::engine::Queue;
use crate::output;
use crate::plan;
use crate::scorer::{Bounds, Scorer};
use crate::world::{Failure, World};

pub(super) fn inspect(arguments: &Inspect) -> Result<(), Failure> {
    let world = World::load(&arguments.common)?;
    let store = world.open_store(false)?;
    let format = arguments.format;
    match &arguments.what {
        InspectWhat::Store => about_store(&store, format),
        InspectWhat::Positions => positions(&store, format),
        InspectWhat::Dirty => dirty(&world, &store, format),
        InspectWhat::Row { table, key, at } => {
            let table = table_named(&world, table)?;
            let key = questions::key(&world, table, key)?;
            let snapshot = store.as_of(bounds(&store, at.as_deref())?);
            let row = snapshot.row(&RowKey { table, key })?;
            rows(&world, table, row.into_iter().collect(), format)
        }
        InspectWhat::Rows { table, at, limit } => {
            let table = table_named(&world, table)?;
            let snapshot = store.as_of(bounds(&store, at.as_deref())?);
            let keys = snapshot.keys(table, None, *limit)?;
            let found = keys.into_iter().map(|key| snapshot.row(&RowKey { table, key }));
            rows(&world, table, found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect(), format)
        }
        InspectWhat::Features { task, entity, at } => features(&world, store, task, entity, at.as_deref(), format),
    }
}

fn bounds(store: &Store, at: Option<&str>) -> Result<AsOf, Failure> {
    Ok(match at {
        Some(text) => AsOf::historical(questions::time("--at", text)?, store.sequence()),
        None => AsOf::live(EventTime::MAX, store.sequence()),
    })
}

fn table_named(world: &World, name: &str) -> Result<TableId, Failure> {
    world.schema.table_named(name).ok_or_else(|| {
        let names: Vec<&str> = world.schema.tables().map(|(_, table)| table.name.as_str()).collect();
        let hint = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the tables are: {}", names.join(", ")),
        };
        Failure::Usage(format!("there is no table `{name}`; {hint}"))
    })
}

fn about_store(store: &Store, format: Format) -> Result<(), Failure> {
    let statistics = store.statistics()?;
    let facts = [
        ("sequence", json!(store.sequence().0)),
        ("newest_time", json!(store.newest_time().to_string())),
        ("disk_bytes", json!(statistics.disk_bytes)),
        ("pages_in_memory_bytes", json!(statistics.page_bytes)),
        ("dirty_pages", json!(statistics.dirty_pages)),
        ("rows", json!(statistics.rows)),
        ("versions", json!(statistics.versions)),
        ("redo_changes", json!(statistics.redo_changes)),
    ];
    match format {
        Format::Json => output::print_json(&Json::Object(
            facts.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
        ))?,
        Format::Table => {
            output::print_table(&["store", ""], facts.map(|(name, value)| vec![name.to_owned(), plain(&value)]))?
        }
    }
    Ok(())
}

fn positions(store: &Store, format: Format) -> Result<(), Failure> {
    let positions = store.positions();
    if format == Format::Json {
        let list = positions
            .iter()
            .map(|next| json!({ "topic": &*next.topic, "partition": next.partition, "next_offset": next.offset }));
        return Ok(output::print_json(&Json::Array(list.collect()))?);
    }
    let rows =
        positions.iter().map(|next| vec![next.topic.to_string(), next.partition.to_string(), next.offset.to_string()]);
    Ok(output::print_table(&["topic", "partition", "next offset"], rows)?)
}

fn dirty(world: &World, store: &Store, format: Format) -> Result<(), Failure> {
    let queue = Queue::load(store)?;
    let name = |task: u16| {
        world.plans.get(usize::from(task)).map_or_else(|| format!("#{task}"), |plan| plan.task.name.clone())
    };
    if format == Format::Json {
        let list = queue.iter().map(|((task, entity), due)| {
            json!({ "task": name(*task), "entity": entity.to_string(), "due": due.due.to_string(), "cutoff": due.cutoff.to_string() })
        });
        return Ok(output::print_json(&Json::Array(list.collect()))?);
    }
    let rows = queue.iter().map(|((task, entity), due)| {
        vec![name(*task), entity.to_string(), due.due.to_string(), due.cutoff.to_string()]
    });
    Ok(output::print_table(&["task", "entity", "due", "cutoff"], rows)?)
}

fn rows(world: &World, table: TableId, versions: Vec<Version>, format: Format) -> Result<(), Failure> {
    let columns: Vec<&str> = world.schema.table(table).columns.iter().map(|column| column.name.as_str()).collect();
    if format == Format::Json {
        let list = versions.iter().map(|version| {
            let cells =
                columns.iter().zip(version.row.values()).map(|(name, value)| ((*name).to_owned(), as_json(value)));
            Json::Object(cells.collect())
        });
        return Ok(output::print_json(&Json::Array(list.collect()))?);
    }
    let lines = versions.iter().map(|version| version.row.values().iter().map(ToString::to_string).collect());
    Ok(output::print_table(&columns, lines)?)
}

fn features(
    world: &World,
    store: std::sync::Arc<Store>,
    task: &str,
    entity: &str,
    at: Option<&str>,
    format: Format,
) -> Result<(), Failure> {
    let plan = plan::find(&world.plans, task, &world.settings.document)?;
    let key = questions::key(world, plan.task.entity, entity)?;
    let time = at.map(|text| questions::time("--at", text)).transpose()?.unwrap_or_else(|| store.newest_time());
    let scorer = Scorer::new(store, std::sync::Arc::clone(plan), Bounds::default());
    let as_of = scorer.historical(&key, time)?.ok_or_else(|| Failure::Usage(format!("there is no row `{entity}`")))?;
    let features = scorer.features(&key, as_of)?;
    if format == Format::Json {
        let list =
            features.into_iter().map(|(name, value)| (name, if value.is_nan() { Json::Null } else { json!(value) }));
        return Ok(output::print_json(&Json::Object(list.collect()))?);
    }
    let rows = features
        .into_iter()
        .map(|(name, value)| vec![name, if value.is_nan() { String::new() } else { value.to_string() }]);
    Ok(output::print_table(&["feature", "value"], rows)?)
}

/// Exact text for what JSON numbers cannot hold exactly.
fn as_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => json!(truth),
        Value::Int(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::List(values) => Json::Array(values.iter().map(as_json).collect()),
        other => Json::String(other.to_string()),
    }
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.as_u64().map_or_else(|| number.to_string(), output::count),
        other => other.to_string(),
    }
}
