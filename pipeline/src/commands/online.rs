//! `foreshore check --online`: what is really there. Every topic's newest records are decoded, and held against the config.

use std::collections::BTreeSet;

use ingest::Delivery;
use ingest::decode::{Learned, OwnedRecord, deliver, learn};
use relational::{Cell, DataType, Key, Op, Table, TableId, Value};
use serde_json::{Value as Json, json};

use crate::config::{RawSourceKind, SinkSettings};
use crate::learning;
use crate::output;
use crate::world::{Failure, World, sink_settings, sink_topics};

/// Refusals that are shown in full.
const REFUSALS_SHOWN: usize = 20;

/// What a sample of the source shows.
#[derive(Debug, Default)]
pub(super) struct Findings {
    topics: Vec<Topic>,
    links: Vec<Link>,
    pub(super) warnings: Vec<String>,
}

#[derive(Debug)]
struct Topic {
    name: String,
    table: String,
    records: usize,
    rows: usize,
    refused: usize,
    set_aside: u64,
    /// Whether the records carry their schema.
    has_schema: bool,
}

/// How many sampled rows point at a row that the sample holds too.
#[derive(Debug)]
struct Link {
    child: String,
    columns: String,
    parent: String,
    pointing: usize,
    found: usize,
}

/// Asks brokers and registry, and decodes the sample.
pub(super) fn look(world: &World) -> Result<Findings, Failure> {
    if world.settings.source.kind == RawSourceKind::Files {
        return Ok(Findings::default());
    }
    let sample = learning::sample(&world.settings)?;
    let tables = world.topics()?;
    let mut findings = Findings::default();
    let mut whole = Delivery::default();
    for name in &sample.topics {
        let records: Vec<&OwnedRecord> =
            sample.records.iter().filter(|record| *record.origin.topic == **name).collect();
        let mut delivery = Delivery::default();
        for record in &records {
            deliver(&tables, (*record).clone(), &mut delivery)?;
        }
        let borrowed: Vec<_> = records.iter().map(|record| record.as_record()).collect();
        let learned = learn(&borrowed);
        let table = tables.table_of(name);
        let topic = Topic {
            name: name.clone(),
            table: table.map_or_else(String::new, |table| world.schema.table(table).name.clone()),
            records: records.len(),
            rows: delivery.changes.len(),
            refused: delivery.dead_letters.len(),
            set_aside: delivery
                .set_aside
                .iter()
                .filter(|(kind, _)| *kind != "unknown_column")
                .map(|(_, count)| count)
                .sum(),
            has_schema: learned.as_ref().is_some_and(|learned| learned.from_schema),
        };
        if records.is_empty() && table.is_some() {
            findings.warnings.push(format!("topic `{name}` holds no record yet"));
        }
        if let (Some(table), Some(learned)) = (table, learned) {
            let table = world.schema.table(table);
            findings
                .warnings
                .extend(differences(world, table, &learned).into_iter().map(|note| format!("topic `{name}`: {note}")));
        }
        findings.topics.push(topic);
        whole.changes.append(&mut delivery.changes);
        whole.dead_letters.append(&mut delivery.dead_letters);
    }
    findings.links = links(world, &whole);
    findings.warnings.extend(refusals(&whole));
    findings.warnings.extend(fed_by_nothing(world, &findings.topics));
    findings.warnings.extend(sink(world)?);
    Ok(findings)
}

/// Where the records and the config do not say the same of a table.
fn differences(world: &World, table: &Table, learned: &Learned) -> Vec<String> {
    let mut notes = Vec::new();
    let list = |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let described = world.settings.tables.get(&table.name);
    let hidden = |name: &str| described.and_then(|raw| raw.columns.get(name)).is_some_and(|column| column.hidden);
    let there = |name: &str| learned.columns.iter().any(|column| column.name == name);
    let unread: Vec<&str> = learned.columns.iter().map(|column| column.name.as_str()).collect();
    let unread = unread.into_iter().filter(|name| table.column(name).is_none() && !hidden(name)).collect::<Vec<_>>();
    if !unread.is_empty() {
        notes.push(format!("its records hold {}, which table `{}` does not read", list(unread), table.name));
    }
    let absent: Vec<&str> =
        table.columns.iter().map(|column| column.name.as_str()).filter(|name| !there(name)).collect();
    if !absent.is_empty() {
        notes.push(format!("table `{}` has {}, which its records do not hold", table.name, list(absent)));
    }
    let key: Vec<&str> = table.key.iter().map(|column| table.columns[usize::from(column.0)].name.as_str()).collect();
    if learned.key.is_empty() && !key.is_empty() {
        notes.push(format!("its records have no key that names columns; rows are named by their own {}", list(key)));
    } else if key.is_empty() && !learned.key.is_empty() {
        let names = learned.key.iter().map(String::as_str).collect();
        notes.push(format!("table `{}` has no key, but its records are keyed by {}", table.name, list(names)));
    } else if learned.key.iter().map(String::as_str).collect::<BTreeSet<_>>() != key.iter().copied().collect() {
        let names = learned.key.iter().map(String::as_str).collect();
        notes.push(format!("its records are keyed by {}, table `{}` by {}", list(names), table.name, list(key)));
    }
    if !learned.defaults.is_empty() {
        let names = learned.defaults.iter().map(String::as_str).collect();
        notes.push(format!(
            "a null in {} may come as the column's default, unless the connector has \
             value.converter.replace.null.with.default=false",
            list(names)
        ));
    }
    if !learned.from_schema {
        notes.extend(without_schema(world, table, learned));
    }
    notes
}

/// What records without a schema leave open.
fn without_schema(world: &World, table: &Table, learned: &Learned) -> Vec<String> {
    let described = world.settings.tables.get(&table.name);
    let mut notes = Vec::new();
    for column in &table.columns {
        let Some(shown) = learned.columns.iter().find(|other| other.name == column.name) else { continue };
        let raw = described.and_then(|raw| raw.columns.get(&column.name));
        let (scale, unit) = (raw.and_then(|raw| raw.scale), raw.and_then(|raw| raw.unit.as_ref()));
        match (column.data_type, shown.data_type) {
            (DataType::Decimal, DataType::Text) if scale.is_none() => notes.push(format!(
                "decimals in `{}` come as text without a schema: if that is base64 (decimal.handling.mode=precise), say `scale`",
                column.name
            )),
            (DataType::Time, DataType::Int) if unit.is_none() => notes.push(format!(
                "times in `{}` come as numbers without a schema: say `unit`, for their size alone decides now",
                column.name
            )),
            _ => {}
        }
    }
    notes
}

fn links(world: &World, delivery: &Delivery) -> Vec<Link> {
    let keys: BTreeSet<(TableId, &Key)> = delivery.changes.iter().map(|change| (change.table, &change.key)).collect();
    let mut links = Vec::new();
    for (child, table) in world.schema.tables() {
        for (_, link) in world.schema.parents_of(child) {
            let name = |column: &relational::ColumnId| table.columns[usize::from(column.0)].name.as_str();
            let rows = delivery.changes.iter().filter(|change| change.table == child);
            let pointers = rows.filter_map(|change| match &change.op {
                Op::Upsert(cells) | Op::Snapshot(cells) => pointer(cells, &link.columns),
                Op::Delete | Op::Truncate => None,
            });
            let (mut pointing, mut found) = (0, 0);
            for key in pointers {
                pointing += 1;
                found += usize::from(keys.contains(&(link.parent, &key)));
            }
            links.push(Link {
                child: table.name.clone(),
                columns: link.columns.iter().map(name).collect::<Vec<_>>().join(", "),
                parent: world.schema.table(link.parent).name.clone(),
                pointing,
                found,
            });
        }
    }
    links
}

/// The key that a row's foreign key holds; none when a column is null or was not sent.
fn pointer(cells: &[Cell], columns: &[relational::ColumnId]) -> Option<Key> {
    let value = |column: &relational::ColumnId| match cells.get(usize::from(column.0)) {
        Some(Cell::Value(value)) if !value.is_null() => Some(value.clone()),
        _ => None,
    };
    columns.iter().map(value).collect::<Option<Vec<Value>>>().map(Key::new)
}

fn refusals(delivery: &Delivery) -> Vec<String> {
    let letters = &delivery.dead_letters;
    let shown = letters.iter().take(REFUSALS_SHOWN);
    let mut notes: Vec<String> =
        shown.map(|letter| format!("{} would be refused: {}", letter.position, letter.reason)).collect();
    if letters.len() > REFUSALS_SHOWN {
        notes.push(format!("{} more records of the sample would be refused", letters.len() - REFUSALS_SHOWN));
    }
    notes
}

fn fed_by_nothing(world: &World, topics: &[Topic]) -> Vec<String> {
    let fed = |table: &Table| topics.iter().any(|topic| topic.table == table.name);
    let tables = world.schema.tables().filter(|(_, table)| !fed(table));
    tables
        .map(|(_, table)| format!("no topic feeds table `{}`; correct its `topic`, or `source.topics`", table.name))
        .collect()
}

/// Whether the topics that scores go to are there.
fn sink(world: &World) -> Result<Vec<String>, Failure> {
    let SinkSettings::Kafka(output) = &world.settings.sink else { return Ok(Vec::new()) };
    let written = sink_settings(&world.settings, output).topics;
    let mut topics: Vec<String> = written.all().collect();
    let there = sink_topics(&world.settings, output)?;
    topics.retain(|topic| !there.contains(topic));
    let note = |topic: &String| format!("topic `{topic}` of the sink does not exist; foreshore topics create makes it");
    Ok(topics.iter().map(note).collect())
}

impl Findings {
    pub(super) fn print(&self) -> Result<(), Failure> {
        let rows = self.topics.iter().map(|topic| {
            let numbers = [topic.records, topic.rows, topic.refused].map(|number| number.to_string());
            let form = if topic.has_schema { "with schema" } else { "bare" };
            let mut row = vec![topic.name.clone(), topic.table.clone(), form.to_owned()];
            row.extend(numbers);
            row.push(topic.set_aside.to_string());
            row
        });
        let header = ["topic", "table", "records", "sampled", "changes", "refused", "set aside"];
        output::print_table(&header, rows)?;
        let rows = self.links.iter().map(|link| {
            let told = format!("{} of {} sampled rows that point", link.found, link.pointing);
            vec![format!("{}.{}", link.child, link.columns), link.parent.clone(), told]
        });
        Ok(output::print_table(&["foreign key", "parent", "point at a sampled row"], rows)?)
    }

    pub(super) fn to_json(&self) -> Json {
        let topics = self.topics.iter().map(|topic| {
            json!({
                "topic": topic.name, "table": topic.table, "sampled": topic.records, "changes": topic.rows,
                "refused": topic.refused, "set_aside": topic.set_aside, "has_schema": topic.has_schema,
            })
        });
        let links = self.links.iter().map(|link| {
            json!({ "child": link.child, "columns": link.columns, "parent": link.parent, "pointing": link.pointing, "found": link.found })
        });
        json!({ "topics": topics.collect::<Vec<_>>(), "foreign_keys": links.collect::<Vec<_>>() })
    }
}
