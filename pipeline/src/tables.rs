//! The config's tables as the sources take them, and the schema that follows.

use std::path::Path;
use std::sync::Arc;

use ingest::coerce::EpochUnit;
use ingest::decode::{ColumnHint, Format, Mapping, Tables};
use ingest::files::{ColumnOverride, TableFile};
use ingest::learning::Said;
use relational::{Column, ColumnId, DataType, ForeignKey, Schema, SemanticType, TableId};

use crate::config::{ConfigError, Document, RawColumn, RawTable, Settings, nearest};

/// The tables of a `files` source.
///
/// # Errors
///
/// With the place in the config, when a name is not known.
pub(crate) fn files(settings: &Settings) -> Result<Vec<TableFile>, ConfigError> {
    let tables = settings.tables.iter().map(|(name, raw)| {
        let foreign_keys = foreign_keys(settings, name, raw)?;
        let columns = raw.columns.iter().map(|(column, raw)| (column.clone(), column_override(raw))).collect();
        Ok(TableFile {
            table: name.clone(),
            paths: raw.files.0.iter().map(|file| resolve(&settings.source.directory, file)).collect(),
            key: raw.key.0.clone(),
            time: raw.time.clone(),
            foreign_keys,
            columns,
            only: (!raw.only.0.is_empty()).then(|| raw.only.0.clone()),
            delimiter: raw.delimiter.and_then(|delimiter| u8::try_from(delimiter).ok()),
            null_values: raw.null_values.0.clone(),
        })
    });
    tables.collect()
}

fn resolve(directory: &Path, file: &str) -> std::path::PathBuf {
    directory.join(file)
}

fn column_override(raw: &RawColumn) -> ColumnOverride {
    ColumnOverride {
        data_type: raw.data_type.as_deref().and_then(data_type),
        semantic: raw.semantic.as_deref().and_then(semantic),
        arrives_after: raw.arrives_after.map(|micros| micros.0),
        hidden: raw.hidden,
        unit: raw.unit.as_deref().and_then(EpochUnit::named),
        null_values: raw.null_values.0.clone(),
    }
}

/// `column` or `column, column` to parent.
fn foreign_keys(settings: &Settings, name: &str, raw: &RawTable) -> Result<Vec<(Vec<String>, String)>, ConfigError> {
    let keys = raw.foreign_keys.iter().map(|(columns, parent)| {
        if !settings.tables.contains_key(parent) {
            let path = ["tables", name, "foreign_keys", columns];
            let error = settings.document.error(&path, format!("there is no table `{parent}`"));
            let names = settings.tables.keys().map(String::as_str);
            return Err(match nearest(parent, names) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("add [tables.{parent}] with its key; it needs no files of its own")),
            });
        }
        Ok((columns.split(',').map(|column| column.trim().to_owned()).collect(), parent.clone()))
    });
    keys.collect()
}

/// The schema of a source whose records come one by one: every column that is used must be described.
///
/// # Errors
///
/// With the place in the config, when a name is not known or a type is missing.
pub(crate) fn declared_schema(settings: &Settings) -> Result<Schema, ConfigError> {
    let document = &settings.document;
    let mut tables = Vec::new();
    for (name, raw) in &settings.tables {
        let mut columns: Vec<Column> = Vec::new();
        for (column, described) in &raw.columns {
            if described.hidden {
                continue;
            }
            let Some(data_type) = described.data_type.as_deref().and_then(data_type) else {
                let path = ["tables", name, "columns", column];
                return Err(document
                    .error(&path, format!("column `{column}` needs a type"))
                    .hint("add type = \"int\", \"text\", \"time\", ..."));
            };
            let mut column = Column::new(column, data_type);
            column.semantic = described.semantic.as_deref().and_then(semantic).unwrap_or(column.semantic);
            column.arrives_after = described.arrives_after.map_or(0, |micros| micros.0);
            columns.push(column);
        }
        let place = |wanted: &str, key: &str| {
            let found =
                columns.iter().position(|column| column.name == wanted).and_then(|index| u16::try_from(index).ok());
            found.map(ColumnId).ok_or_else(|| unknown_column(document, name, key, wanted, &columns))
        };
        let key = raw.key.0.iter().map(|column| place(column, "key")).collect::<Result<_, _>>()?;
        let time = raw.time.as_deref().map(|column| place(column, "time")).transpose()?;
        tables.push(relational::Table { name: name.clone(), columns, key, time });
    }
    let foreign_keys = declared_foreign_keys(settings, &tables)?;
    Schema::new(tables, foreign_keys).map_err(|error| document.error(&["tables"], error.to_string()))
}

fn declared_foreign_keys(settings: &Settings, tables: &[relational::Table]) -> Result<Vec<ForeignKey>, ConfigError> {
    let mut links = Vec::new();
    for (index, (name, raw)) in settings.tables.iter().enumerate() {
        let table = &tables[index];
        for (columns, parent) in foreign_keys(settings, name, raw)? {
            let parent = settings.tables.get_index_of(&parent).expect("the parent was found just before");
            let found = columns.iter().map(|column| {
                let place = table.column(column);
                place.ok_or_else(|| unknown_column(&settings.document, name, "foreign_keys", column, &table.columns))
            });
            links.push(ForeignKey { child: id(index), columns: found.collect::<Result<_, _>>()?, parent: id(parent) });
        }
    }
    Ok(links)
}

fn id(index: usize) -> TableId {
    TableId(u16::try_from(index).expect("a config has fewer than 65,536 tables"))
}

fn unknown_column(document: &Document, table: &str, key: &str, wanted: &str, columns: &[Column]) -> ConfigError {
    let error = document.error(&["tables", table, key], format!("table `{table}` has no column `{wanted}`"));
    match nearest(wanted, columns.iter().map(|column| column.name.as_str())) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("describe it: columns.{wanted} = {{ type = \"...\" }}")),
    }
}

/// Which topic feeds which table.
///
/// # Errors
///
/// With the place in the config, when a table's topic or format cannot be used.
pub(crate) fn topics(settings: &Settings, schema: &Arc<Schema>) -> Result<Tables, ConfigError> {
    let mut mappings = Vec::new();
    for (name, raw) in &settings.tables {
        let table = schema.table_named(name).expect("the schema was made from these tables");
        let format = raw.format.as_deref().unwrap_or(&settings.source.format);
        let hint = |column: &Column| {
            let described = raw.columns.get(&column.name);
            ColumnHint {
                scale: described.and_then(|described| described.scale),
                unit: described.and_then(|described| described.unit.as_deref()).and_then(EpochUnit::named),
            }
        };
        mappings.push(Mapping {
            table,
            topic: raw.topic.as_ref().map(|topic| topic.0.clone()),
            format: Format::named(format).expect("the config has been checked for known formats"),
            hints: schema.table(table).columns.iter().map(hint).collect(),
        });
    }
    Tables::new(Arc::clone(schema), mappings).map_err(|error| settings.document.error(&["tables"], error.to_string()))
}

/// The table that each topic feeds, while columns and keys are not known yet.
///
/// # Errors
///
/// With the place in the config, when a table's topic cannot be used.
pub(crate) fn routes(settings: &Settings) -> Result<Tables, ConfigError> {
    let refused = |error: &dyn std::fmt::Display| settings.document.error(&["tables"], error.to_string());
    let table =
        |name: &String| relational::Table { name: name.clone(), columns: Vec::new(), key: Vec::new(), time: None };
    let schema =
        Schema::new(settings.tables.keys().map(table).collect(), Vec::new()).map_err(|error| refused(&error))?;
    let mapping = |(table, raw): (TableId, &RawTable)| Mapping {
        table,
        topic: raw.topic.as_ref().map(|topic| topic.0.clone()),
        format: Format::Append,
        hints: Vec::new(),
    };
    let mappings = (0..).map(TableId).zip(settings.tables.values()).map(mapping).collect();
    Tables::new(Arc::new(schema), mappings).map_err(|error| refused(&error))
}

/// What the config says of the tables, as far as learning has to know it.
pub(crate) fn said(settings: &Settings) -> Vec<Said> {
    let said = settings.tables.iter().map(|(name, raw)| {
        let read = raw.columns.iter().filter(|(_, column)| !column.hidden);
        let typed = read.map(|(name, column)| (name.clone(), column.data_type.as_deref().and_then(data_type)));
        Said {
            table: name.clone(),
            key: raw.key.0.clone(),
            time: raw.time.clone(),
            has_foreign_keys: !raw.foreign_keys.is_empty(),
            columns: typed.collect(),
            hidden: raw.columns.iter().filter(|(_, column)| column.hidden).map(|(name, _)| name.clone()).collect(),
        }
    });
    said.collect()
}

fn data_type(name: &str) -> Option<DataType> {
    use DataType::{Bool, Bytes, Date, Decimal, Float, Int, List, Text, Time};
    [Bool, Int, Decimal, Float, Text, Time, Date, Bytes, List].into_iter().find(|data_type| data_type.name() == name)
}

fn semantic(name: &str) -> Option<SemanticType> {
    SemanticType::ALL.into_iter().find(|semantic| semantic.name() == name)
}
