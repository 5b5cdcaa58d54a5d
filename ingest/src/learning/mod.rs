//! The tables of a change stream, learnt from a sample of its records where the config does not describe them.
//!
//! Columns and their types come from the schema that the records carry, else from their values; the primary key from the
//! records' keys. The time column and the foreign keys follow from types and names (`time`, `links`). What the config
//! says goes before what was learnt.

mod links;
mod meaning;
mod time;

use indexmap::IndexMap;
use relational::DataType;

use crate::Error;
use crate::coerce::EpochUnit;
use crate::decode::{self, Learned, OwnedRecord, learn};

pub use meaning::{Meanings, meanings};
pub use time::find as time_column;

/// What the config says of a table, as far as learning has to know it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// The table's name.
    pub table: String,
    /// The primary key's columns, if they are named.
    pub key: Vec<String>,
    /// The time column, if it is named.
    pub time: Option<String>,
    /// Whether its foreign keys are named: then it has no others.
    pub has_foreign_keys: bool,
    /// Columns that are read, with their types, as far as they are named.
    pub columns: Vec<(String, Option<DataType>)>,
    /// Columns that are not read.
    pub hidden: Vec<String>,
}

/// A table as its records and the config show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnedTable {
    /// Its name.
    pub table: String,
    /// Its columns, in the records' order.
    pub columns: Vec<LearnedColumn>,
    /// The primary key's columns; none when rows can only be appended.
    pub key: Vec<String>,
    /// The column that says when a row happened.
    pub time: Option<String>,
    /// Columns and the tables whose primary key they hold.
    pub foreign_keys: Vec<(String, String)>,
    /// What a reader should look at before relying on it.
    pub notes: Vec<String>,
}

/// A column as it was learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnedColumn {
    /// Its name.
    pub name: String,
    /// How it is stored.
    pub data_type: DataType,
    /// What its whole numbers count, when they are times.
    pub unit: Option<EpochUnit>,
}

/// Records to learn from.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Every topic that is read, those without records too.
    pub topics: Vec<String>,
    /// Some records of each.
    pub records: Vec<OwnedRecord>,
}

/// Learns the tables that a sample shows. `table_of` names the table that a topic feeds.
///
/// # Errors
///
/// When a topic, or a table of the config, shows no row to learn from.
pub fn learn_tables(
    sample: &Sample,
    said: &[Said],
    table_of: &dyn Fn(&str) -> String,
) -> Result<Vec<LearnedTable>, Error> {
    let mut tables: Vec<LearnedTable> = said.iter().filter(|said| is_whole(said)).map(as_said).collect();
    for (table, topics) in by_table(&sample.topics, table_of) {
        if tables.iter().any(|known| known.table == table) {
            continue;
        }
        let of_table = |record: &&OwnedRecord| topics.contains(&&*record.origin.topic);
        let records: Vec<_> = sample.records.iter().filter(of_table).map(OwnedRecord::as_record).collect();
        if !records.is_empty() && records.iter().all(decode::is_about_no_row) {
            continue;
        }
        let learned = learn(&records).ok_or_else(|| nothing(&table, &topics))?;
        let said = said.iter().find(|said| said.table == table).cloned().unwrap_or_default();
        tables.push(one(table, &learned, &said));
    }
    if let Some(said) = said.iter().find(|said| tables.iter().all(|table| table.table != said.table)) {
        let reason = format!(
            "none of the topics ({}) feeds it, so its columns cannot be learnt; correct its `topic`, or say its columns: \
             columns.<name> = {{ type = \"...\" }}",
            sample.topics.join(", ")
        );
        return Err(Error::Table { table: said.table.clone(), reason });
    }
    links::find(&mut tables, said);
    Ok(tables)
}

fn as_said(said: &Said) -> LearnedTable {
    let column = |(name, data_type): &(String, Option<DataType>)| {
        data_type.map(|data_type| LearnedColumn { name: name.clone(), data_type, unit: None })
    };
    LearnedTable {
        table: said.table.clone(),
        columns: said.columns.iter().filter_map(column).collect(),
        key: said.key.clone(),
        time: said.time.clone(),
        foreign_keys: Vec::new(),
        notes: Vec::new(),
    }
}

/// Whether the config says all of a table's columns, so that nothing has to be learnt.
#[must_use]
pub fn is_whole(said: &Said) -> bool {
    !said.columns.is_empty() && said.columns.iter().all(|(_, data_type)| data_type.is_some())
}

/// The tables in the order of the topics, each with its topics. Heartbeats are no table's, whatever they hold.
fn by_table<'a>(topics: &'a [String], table_of: &dyn Fn(&str) -> String) -> IndexMap<String, Vec<&'a str>> {
    let mut tables: IndexMap<String, Vec<&str>> = IndexMap::new();
    for topic in topics.iter().filter(|topic| !topic.starts_with(decode::HEARTBEAT)) {
        tables.entry(table_of(topic)).or_default().push(topic);
    }
    tables
}

fn nothing(table: &str, topics: &[&str]) -> Error {
    let reason = format!(
        "nothing can be learnt from topic {}: its newest records show no row. Say its columns in the config, \
         [tables.{table}] with key = \"...\" and columns.<name> = {{ type = \"...\" }}; or take it out of `source.topics`",
        topics.join(", ")
    );
    Error::Table { table: table.to_owned(), reason }
}

fn one(table: String, learned: &Learned, said: &Said) -> LearnedTable {
    let mut notes = Vec::new();
    let demanded =
        |name: &str| said.columns.iter().find(|(other, _)| other == name).and_then(|(_, data_type)| *data_type);
    let mut columns: Vec<LearnedColumn> = Vec::new();
    for column in learned.columns.iter().filter(|column| !said.hidden.contains(&column.name)) {
        let unit = learned.epochs.iter().find(|(name, _)| *name == column.name).map(|(_, unit)| *unit);
        let unit = unit.filter(|_| demanded(&column.name).is_none() && time::is_named_so(&column.name));
        if let Some(unit) = unit {
            let text = format!(
                "column `{}` holds numbers that look like times in {}: say its `unit` if they are not",
                column.name,
                name_of(unit)
            );
            notes.push(text);
        }
        let learnt = if unit.is_some() { DataType::Time } else { column.data_type };
        let data_type = demanded(&column.name).unwrap_or(learnt);
        columns.push(LearnedColumn { name: column.name.clone(), data_type, unit });
    }
    for (name, data_type) in &said.columns {
        if let Some(data_type) = data_type.filter(|_| columns.iter().all(|column| column.name != *name)) {
            columns.push(LearnedColumn { name: name.clone(), data_type, unit: None });
        }
    }
    notes.extend(doubts(learned, said));
    let is_there = |name: &String| columns.iter().any(|column| column.name == *name);
    let key = if said.key.is_empty() { &learned.key } else { &said.key };
    let key: Vec<String> = key.iter().filter(|name| is_there(name)).cloned().collect();
    let time = said.time.clone().or_else(|| time::find(&columns, &key, &mut notes));
    LearnedTable { table, columns, key, time, foreign_keys: Vec::new(), notes }
}

/// Where values alone are no certain guide, and what hides nulls.
fn doubts(learned: &Learned, said: &Said) -> Vec<String> {
    let open = |name: &&String| said.columns.iter().all(|(other, data_type)| other != *name || data_type.is_none());
    let list =
        |names: &[String]| names.iter().filter(open).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let mut doubts = Vec::new();
    let unsure = list(&learned.unsure);
    if !unsure.is_empty() {
        doubts.push(format!("only nulls were seen in {unsure}: taken for text, unless the config says a `type`"));
    }
    if !learned.from_schema {
        doubts.push(
            "its records carry no schema, so types were guessed from values: decimals written as base64 look like \
             text, days and times written as numbers may look like numbers; say the `type` of such columns"
                .to_owned(),
        );
    }
    if !learned.defaults.is_empty() {
        doubts.push(format!(
            "a null in {} may come as the column's default, unless the connector has \
             value.converter.replace.null.with.default=false",
            list(&learned.defaults)
        ));
    }
    doubts
}

fn name_of(unit: EpochUnit) -> &'static str {
    match unit {
        EpochUnit::Seconds => "seconds",
        EpochUnit::Millis => "milliseconds",
        EpochUnit::Micros => "microseconds",
        EpochUnit::Nanos => "nanoseconds",
    }
}
