//! What records tell of their table, so that a config need not declare its columns.

use indexmap::IndexMap;
use relational::{Column, DataType};

use super::Record;
use super::connect::{Node, unwrap};
use super::json::{Json, Row};
use crate::coerce::{self, EpochUnit};

/// A table as its records show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// The table's name: the one at the source, else the last part of the topic.
    pub table: String,
    /// Its columns, in the records' order.
    pub columns: Vec<Column>,
    /// The names of the columns in the records' keys; empty when they have none.
    pub key: Vec<String>,
    /// Whether the types come from the records' own schema. Else they were guessed from the values: decimals in base64
    /// look like text, and times in numbers like numbers, so such columns have to be declared.
    pub from_schema: bool,
    /// Columns that held nothing but nulls, so that their type `text` is only a guess.
    pub unsure: Vec<String>,
    /// Columns whose whole numbers all look like times since 1970 in this unit; only where there is no schema.
    pub epochs: Vec<(String, EpochUnit)>,
    /// Nullable columns with a default: Connect's converter writes the default in place of null unless
    /// `value.converter.replace.null.with.default=false`.
    pub defaults: Vec<String>,
}

/// Learns a table from some of its topic's records: from the newest schema among them where there is one, else from
/// the values. `None` when no record holds a row.
#[must_use]
pub fn learn(records: &[Record<'_>]) -> Option<Learned> {
    let seen: Vec<Seen<'_>> = records.iter().filter_map(see).collect();
    let first = seen.first()?;
    let table = seen.iter().find_map(|seen| seen.table.clone());
    let last_part = first.topic.rsplit('.').next().unwrap_or(first.topic);
    let mut learned =
        seen.iter().rev().find_map(|seen| from_schema(seen.schema.as_ref()?)).or_else(|| from_values(&seen))?;
    learned.table = table.unwrap_or_else(|| last_part.to_owned());
    let key = records.iter().find_map(|record| key_names(record.key?));
    learned.key = key.unwrap_or_default();
    learned.key.retain(|name| learned.columns.iter().any(|column| column.name == *name));
    Some(learned)
}

/// A record's row, if it has one.
struct Seen<'a> {
    topic: &'a str,
    table: Option<String>,
    schema: Option<Node>,
    row: Option<Row<'a>>,
}

fn see<'a>(record: &Record<'a>) -> Option<Seen<'a>> {
    let text = str::from_utf8(record.value?).ok()?.trim();
    let (schema, payload) = unwrap(text).map_or((None, text), |(schema, payload)| (Some(schema), payload));
    let outer: Row<'a> = serde_json::from_str(payload).ok()?;
    let source: Row<'a> = outer.get("source").and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    let table = source.get("table").and_then(|json| Json::of(json).into_text()).filter(|name| !name.is_empty());
    let is_envelope = outer.get("op").is_some() && (outer.get("after").is_some() || outer.get("before").is_some());
    let row = if is_envelope { serde_json::from_str(outer.get("after")?).ok() } else { Some(outer) };
    Some(Seen {
        topic: &record.origin.topic,
        table: table.map(std::borrow::Cow::into_owned),
        schema: schema.and_then(|schema| serde_json::from_str(schema).ok()),
        row,
    })
}

fn from_schema(node: &Node) -> Option<Learned> {
    let fields = || node.row().iter().filter_map(|node| Some((node.field.clone()?, node)));
    let columns: Vec<Column> = fields()
        .filter(|(name, _)| !name.starts_with("__"))
        .map(|(name, node)| Column::new(name, node.encoding().data_type()))
        .collect();
    let defaults = fields().filter(|(_, node)| node.optional && node.default.is_some()).map(|(name, _)| name);
    let defaults = defaults.collect();
    let table = String::new();
    (!columns.is_empty()).then_some(Learned {
        table,
        columns,
        key: Vec::new(),
        from_schema: true,
        unsure: Vec::new(),
        epochs: Vec::new(),
        defaults,
    })
}

fn from_values(seen: &[Seen<'_>]) -> Option<Learned> {
    let mut types: IndexMap<String, Guess> = IndexMap::new();
    for (name, json) in seen.iter().filter_map(|seen| seen.row.as_ref()).flat_map(|row| &row.0) {
        if !name.starts_with("__") {
            types.entry(name.to_string()).or_default().see(json);
        }
    }
    let unsure = types.iter().filter(|(_, guess)| guess.data_type.is_none()).map(|(name, _)| name.clone()).collect();
    let epoch = |(name, guess): (&String, &Guess)| Some((name.clone(), guess.epoch()?));
    let epochs = types.iter().filter_map(epoch).collect();
    let column = |(name, guess): (String, Guess)| Column::new(name, guess.data_type.unwrap_or(DataType::Text));
    let columns: Vec<Column> = types.into_iter().map(column).collect();
    let (table, key, defaults) = (String::new(), Vec::new(), Vec::new());
    (!columns.is_empty()).then_some(Learned { table, columns, key, from_schema: false, unsure, epochs, defaults })
}

/// What the values of one column look like so far.
#[derive(Debug, Default)]
struct Guess {
    data_type: Option<DataType>,
    /// The least and the greatest whole number.
    range: Option<(i64, i64)>,
}

impl Guess {
    fn see(&mut self, json: &str) {
        self.data_type = join(self.data_type, looks_like(json));
        if let Ok(number) = json.parse::<i64>() {
            let (least, greatest) = self.range.unwrap_or((number, number));
            self.range = Some((least.min(number), greatest.max(number)));
        }
    }

    /// The unit in which all numbers are times of the years 2001 to 2286. No other unit puts them there.
    fn epoch(&self) -> Option<EpochUnit> {
        let (least, greatest) = self.range.filter(|_| self.data_type == Some(DataType::Int))?;
        let ends = [1_000_000_000, 1_000_000_000_000, 1_000_000_000_000_000, 1_000_000_000_000_000_000_i64];
        let within = |start: i64| least >= start && greatest < start.saturating_mul(10);
        EpochUnit::ALL.into_iter().zip(ends).find(|(_, start)| within(*start)).map(|(unit, _)| unit)
    }
}

/// The type that one value looks like; `None` for null.
fn looks_like(json: &str) -> Option<DataType> {
    Some(match Json::of(json) {
        Json::Null => return None,
        Json::Bool(_) => DataType::Bool,
        Json::Number(text) if text.parse::<i64>().is_ok() => DataType::Int,
        Json::Number(_) => DataType::Float,
        Json::Array(_) => DataType::List,
        Json::Object(text) => match serde_json::from_str::<Row<'_>>(text) {
            Ok(row) if row.0.len() == 2 && row.get("scale").is_some() && row.get("value").is_some() => {
                DataType::Decimal
            }
            _ => DataType::Text,
        },
        Json::Text(text) => match text.len() {
            _ if matches!(&*text, "NaN" | "Infinity" | "-Infinity") => DataType::Float,
            10 if text.as_bytes()[4] == b'-' && coerce::time(&text).is_some() => DataType::Date,
            19.. if text.as_bytes()[4] == b'-' && coerce::time(&text).is_some() => DataType::Time,
            _ => DataType::Text,
        },
    })
}

/// The type that holds both.
fn join(a: Option<DataType>, b: Option<DataType>) -> Option<DataType> {
    match (a, b) {
        (None, other) | (other, None) => other,
        (Some(a), Some(b)) if a == b => Some(a),
        (Some(DataType::Int | DataType::Float), Some(DataType::Int | DataType::Float)) => Some(DataType::Float),
        (Some(DataType::Date | DataType::Time), Some(DataType::Date | DataType::Time)) => Some(DataType::Time),
        _ => Some(DataType::Text),
    }
}

fn key_names(bytes: &[u8]) -> Option<Vec<String>> {
    let text = str::from_utf8(bytes).ok()?.trim();
    let payload = unwrap(text).map_or(text, |(_, payload)| payload);
    let row: Row<'_> = serde_json::from_str(payload).ok()?;
    Some(row.0.into_iter().map(|(name, _)| name.into_owned()).collect())
}
