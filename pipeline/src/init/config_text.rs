//! A catalogue as a config that says where each line comes from.

use std::fmt::Write as _;

use ingest::learning::{LearnedColumn, time_column};

use super::catalogue::{Catalogue, Column, ForeignKey, Table};

/// A config, and what a reader should look at first.
pub(super) struct Config {
    pub(super) text: String,
    pub(super) warnings: Vec<String>,
}

pub(super) fn write(catalogue: &Catalogue, prefix: &str, brokers: &str) -> Config {
    let mut text = format!(
        "# Made by `foreshore init` from database `{}`, schema `{}`. Read it, and correct what is meant otherwise.\n\n\
         [app]\nname = {}\nstore = {}\n\n\
         [source]\nkind = \"kafka\"\nbrokers = {}\n\
         topics = {}\n\
         # Rows of one transaction become visible to scoring together, if this is said (docs/kafka.md):\n\
         # consistency = \"transaction\"\n# [source.transactions]\n# topic = {}\n\
         # The records' format is Debezium's, in JSON. Where a schema registry frames them, in Avro or JSON Schema:\n\
         # [source.registry]\n# url = \"http://127.0.0.1:8081\"\n\n\
         # One task per score. Queries: docs/queries.md. For example:\n# [tasks.churn]\n\
         # query = \"PREDICT COUNT(<table>.*, 0, 30, days) = 0 FOR EACH <table>.<key>\"\n\n\
         [sink]\nkind = \"kafka\"\n",
        catalogue.database,
        catalogue.schema,
        quoted(prefix),
        quoted(&format!("{prefix}-store")),
        quoted(brokers),
        quoted(&format!("^{}\\..*", escaped(&format!("{prefix}.{}", catalogue.schema)))),
        quoted(&format!("{prefix}.transaction")),
    );
    let mut warnings = Vec::new();
    if catalogue.wal_level != "logical" {
        warnings.push(format!(
            "wal_level is `{}`: Debezium needs `logical`; set it in postgresql.conf and restart the database",
            catalogue.wal_level
        ));
    }
    for table in &catalogue.tables {
        let notes = write_table(&mut text, table, prefix, catalogue);
        warnings.extend(notes.into_iter().map(|note| format!("table `{}`: {note}", table.name)));
    }
    Config { text, warnings }
}

fn write_table(text: &mut String, table: &Table, prefix: &str, catalogue: &Catalogue) -> Vec<String> {
    let mut notes = doubts(table);
    let links = links(table, catalogue);
    notes.extend(links.iter().filter_map(|link| link.clone().err()));
    let columns: Vec<LearnedColumn> = table
        .columns
        .iter()
        .map(|column| LearnedColumn { name: column.name.clone(), data_type: column.meaning().data_type, unit: None })
        .collect();
    let mut doubts = Vec::new();
    let time = time_column(&columns, &table.key, &mut doubts);
    if time.is_none() && doubts.is_empty() {
        doubts.push("no column says when a row happened: its rows are visible from the beginning".to_owned());
    }
    notes.extend(doubts);

    writeln!(text, "\n[tables.{}]", quoted(&table.name)).expect("a text");
    for note in &notes {
        writeln!(text, "# {note}").expect("a text");
    }
    writeln!(text, "topic = {}", quoted(&format!("{prefix}.{}.{}", catalogue.schema, table.name))).expect("a text");
    if !table.key.is_empty() {
        let names: Vec<String> = table.key.iter().map(|name| quoted(name)).collect();
        writeln!(text, "key = [{}]", names.join(", ")).expect("a text");
    }
    if let Some(time) = time {
        writeln!(text, "time = {}", quoted(&time)).expect("a text");
    }
    let links: Vec<String> = links.into_iter().filter_map(Result::ok).collect();
    if !links.is_empty() {
        writeln!(text, "foreign_keys = {{ {} }}", links.join(", ")).expect("a text");
    }
    writeln!(text, "\n[tables.{}.columns]", quoted(&table.name)).expect("a text");
    for column in &table.columns {
        writeln!(text, "{} = {}  # {}", quoted(&column.name), described(column), column.shown).expect("a text");
    }
    notes
}

/// Foreign keys as links, whose columns stand in the order of the parent's primary key; for one that points at other
/// columns, a note.
fn links(table: &Table, catalogue: &Catalogue) -> Vec<Result<String, String>> {
    let link = |key: &ForeignKey| {
        let parent = catalogue.tables.iter().find(|table| table.name == key.parent);
        let place = |wanted: &String| key.parent_columns.iter().position(|column| column == wanted);
        let places: Option<Vec<usize>> = parent?.key.iter().map(place).collect();
        let columns: Vec<&str> = places?.into_iter().map(|place| key.columns[place].as_str()).collect();
        (columns.len() == key.columns.len())
            .then(|| format!("{} = {}", quoted(&columns.join(", ")), quoted(&key.parent)))
    };
    let note = |key: &ForeignKey| {
        let columns = key.columns.join(", ");
        format!(
            "`{columns}` points at other columns of `{}` than its primary key, which no link can follow",
            key.parent
        )
    };
    table.foreign_keys.iter().map(|key| link(key).ok_or_else(|| note(key))).collect()
}

fn described(column: &Column) -> String {
    let meaning = column.meaning();
    let mut text = format!("{{ type = \"{}\"", meaning.data_type.name());
    if let Some(scale) = meaning.scale {
        write!(text, ", scale = {scale}").expect("a text");
    }
    if let Some(unit) = meaning.unit {
        write!(text, ", unit = \"{unit}\"").expect("a text");
    }
    text + " }"
}

fn doubts(table: &Table) -> Vec<String> {
    let mut notes = Vec::new();
    let names = |wanted: fn(&&Column) -> bool| -> String {
        let names: Vec<String> =
            table.columns.iter().filter(wanted).map(|column| format!("`{}`", column.name)).collect();
        names.join(", ")
    };
    if table.key.is_empty() {
        notes.push(
            "it has no primary key: its rows can only be appended, updates and deletes are refused; give it one, or REPLICA \
             IDENTITY FULL and the connector's message.key.columns"
                .to_owned(),
        );
    }
    if table.identity == "n" {
        notes.push("REPLICA IDENTITY NOTHING: the database does not tell which rows are updated or deleted".to_owned());
    }
    if table.partitioned {
        notes.push(
            "it is partitioned: connector.json has publish.via.partition.root, so that its changes come under its name"
                .to_owned(),
        );
    }
    let any_scale = names(|column| column.is_of_any_scale());
    if !any_scale.is_empty() {
        notes.push(format!("{any_scale}: numeric without a scale, which each value brings with it"));
    }
    let defaults = names(|column| column.nullable && column.has_default);
    if !defaults.is_empty() {
        notes.push(format!(
            "{defaults}: a null would come as the column's default; connector.json sets \
             value.converter.replace.null.with.default=false, which Kafka Connect has from version 3.5 on"
        ));
    }
    notes
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// For a regular expression: only dots of what topics may hold mean something else there.
fn escaped(text: &str) -> String {
    text.replace('.', "\\.")
}
