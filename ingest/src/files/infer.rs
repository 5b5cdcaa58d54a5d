//! The schema of plain tables, from their files. The rules stand at the head of the [module](super).

use relational::{Column, ColumnId, DataType, ForeignKey, Schema, SemanticType, Table, TableId};

use super::TableFile;
use super::keys::{KeyColumn, unify};
use super::names::unknown;
use super::profile::Profile;
use super::survey::Survey;
use crate::Error;

/// Reads each file once to find columns, types and meanings.
///
/// # Errors
///
/// When a file cannot be read, a name in `tables` does not exist, the two sides of a foreign key can never be equal, or
/// a time column holds no times.
pub fn infer(tables: &[TableFile]) -> Result<Schema, Error> {
    let surveys = tables.iter().map(Survey::of).collect::<Result<Vec<_>, _>>()?;
    let links = links(tables, &surveys)?;
    let types = types(tables, &surveys, &links)?;
    let mut schema = Vec::new();
    for ((file, survey), types) in tables.iter().zip(&surveys).zip(&types) {
        schema.push(table(file, survey, types)?);
    }
    Ok(Schema::new(schema, links)?)
}

/// The foreign keys, with columns and tables by place.
fn links(tables: &[TableFile], surveys: &[Survey]) -> Result<Vec<ForeignKey>, Error> {
    let mut links = Vec::new();
    for ((file, survey), child) in tables.iter().zip(surveys).zip((0..).map(TableId)) {
        for (columns, parent) in &file.foreign_keys {
            let found = tables.iter().zip((0..).map(TableId)).find(|(table, _)| table.table == *parent);
            let Some((parent_file, parent)) = found else {
                let reason = unknown("table", parent, tables.iter().map(|table| table.table.as_str()));
                let hint = format!("a parent without files needs [tables.{parent}] with its key");
                return Err(error(file, format!("foreign key {}: {reason} ({hint})", columns.join(", "))));
            };
            if parent_file.key.is_empty() {
                let reason = format!("points at table `{}`, which has no key; name it", parent_file.table);
                return Err(error(file, format!("foreign key {} {reason}", columns.join(", "))));
            }
            links.push(ForeignKey { child, columns: places(columns, survey), parent });
        }
    }
    Ok(links)
}

/// The types of each table's columns.
fn types(tables: &[TableFile], surveys: &[Survey], links: &[ForeignKey]) -> Result<Vec<Vec<DataType>>, Error> {
    let keys: Vec<Vec<ColumnId>> = tables.iter().zip(surveys).map(|(file, survey)| places(&file.key, survey)).collect();
    let mut members: Vec<(TableId, ColumnId)> = Vec::new();
    let mut joined = Vec::new();
    let mut place = |member: (TableId, ColumnId)| {
        members.iter().position(|other| *other == member).unwrap_or_else(|| {
            members.push(member);
            members.len() - 1
        })
    };
    for (table, key) in (0..).map(TableId).zip(&keys) {
        for column in key {
            place((table, *column));
        }
    }
    for link in links {
        // Unequal lengths are refused when the schema is put together.
        for (child, parent) in link.columns.iter().zip(&keys[usize::from(link.parent.0)]) {
            joined.push((place((link.child, *child)), place((link.parent, *parent))));
        }
    }
    let columns: Vec<KeyColumn> = members.iter().map(|member| key_column(tables, surveys, *member)).collect();
    let unified = unify(&columns, &joined)?;
    let own = |file: &TableFile, survey: &Survey| -> Vec<DataType> {
        survey.names.iter().zip(&survey.profiles).map(|(name, profile)| own_type(file, name, profile)).collect()
    };
    let mut types: Vec<Vec<DataType>> = tables.iter().zip(surveys).map(|(file, survey)| own(file, survey)).collect();
    for ((table, column), data_type) in members.into_iter().zip(unified) {
        types[usize::from(table.0)][usize::from(column.0)] = data_type;
    }
    Ok(types)
}

fn key_column(tables: &[TableFile], surveys: &[Survey], (table, column): (TableId, ColumnId)) -> KeyColumn {
    let (file, survey) = (&tables[usize::from(table.0)], &surveys[usize::from(table.0)]);
    let (name, profile) = (&survey.names[usize::from(column.0)], &survey.profiles[usize::from(column.0)]);
    KeyColumn {
        table: file.table.clone(),
        name: name.clone(),
        demanded: file.columns.get(name).and_then(|said| said.data_type),
        natural: if profile.is_whole() { Some(DataType::Int) } else { profile.data_type() },
    }
}

/// The type of a column that is not part of a key.
fn own_type(file: &TableFile, name: &str, profile: &Profile) -> DataType {
    if let Some(demanded) = file.columns.get(name).and_then(|said| said.data_type) {
        return demanded;
    }
    let is_time = file.time.as_deref() == Some(name);
    if profile.is_calendar() && !named_like_an_id(name) {
        return DataType::Date;
    }
    profile.data_type().unwrap_or(if is_time { DataType::Time } else { DataType::Text })
}

fn table(file: &TableFile, survey: &Survey, types: &[DataType]) -> Result<Table, Error> {
    let mut columns = Vec::new();
    for ((name, profile), data_type) in survey.names.iter().zip(&survey.profiles).zip(types) {
        let said = file.columns.get(name);
        let is_time = file.time.as_ref() == Some(name);
        if is_time && !matches!(data_type, DataType::Time | DataType::Date) {
            let hint = match data_type {
                DataType::Int | DataType::Float | DataType::Decimal => format!(
                    "if they count seconds, ms, us or ns since 1970, set columns.{name}.type = \"time\"; \
                     if they are years, \"date\""
                ),
                _ => "write times like 2010-12-01 08:26:00, or in RFC 3339".to_owned(),
            };
            let reason = format!("column `{name}` is the time, but its values are {}: {hint}", data_type.name());
            return Err(error(file, reason));
        }
        columns.push(Column {
            name: name.clone(),
            data_type: *data_type,
            semantic: said.and_then(|said| said.semantic).unwrap_or_else(|| {
                let linked = file.foreign_keys.iter().any(|(columns, _)| columns.contains(name));
                meaning(name, *data_type, profile, linked || file.key.contains(name), is_time)
            }),
            arrives_after: said.and_then(|said| said.arrives_after).unwrap_or(0),
        });
    }
    let time = file.time.as_ref().and_then(|time| places(std::slice::from_ref(time), survey).first().copied());
    Ok(Table { name: file.table.clone(), columns, key: places(&file.key, survey), time })
}

/// What a column means by its name, type and values.
pub(crate) fn meaning(name: &str, data_type: DataType, profile: &Profile, is_key: bool, is_time: bool) -> SemanticType {
    let is_id = named_like_an_id(name);
    match data_type {
        _ if is_key => SemanticType::Id,
        _ if profile.is_empty() && !is_time => SemanticType::Ignore,
        DataType::Text | DataType::Int if is_id && !profile.repeats(data_type) => SemanticType::Id,
        DataType::Int if is_id => SemanticType::Category,
        DataType::Text if !profile.repeats(data_type) => SemanticType::Text,
        _ => SemanticType::of(data_type),
    }
}

/// `id`, `code`, `..._id`, `...Id`, `...ID`, `..._code`, `...Code`, `...CODE`, `id_...`. Names all in capitals need the
/// underscore: `PAID` is not an id.
pub(crate) fn named_like_an_id(name: &str) -> bool {
    let lower = name.to_lowercase();
    let has_lower = name.chars().any(char::is_lowercase);
    lower == "id"
        || lower == "code"
        || ["_id", "_code"].iter().any(|suffix| lower.ends_with(suffix))
        || lower.starts_with("id_")
        || has_lower && ["Id", "ID", "Code", "CODE"].iter().any(|suffix| name.ends_with(suffix))
}

/// The places of columns that are known to exist.
fn places(names: &[String], survey: &Survey) -> Vec<ColumnId> {
    let place = |name: &String| survey.names.iter().position(|other| other == name);
    names.iter().filter_map(|name| u16::try_from(place(name)?).ok().map(ColumnId)).collect()
}

fn error(file: &TableFile, reason: String) -> Error {
    Error::Table { table: file.table.clone(), reason }
}
