//! Schemas of Kafka Connect's JSON converter, and the layout of rows that they (or the table alone) give.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use relational::{ColumnId, DataType, Table};
use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::Row;
use super::tables::{ColumnHint, SchemaCache};
use super::value::Encoding;
use crate::coerce::EpochUnit;

/// One field of a row: where it goes and how it is written.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    /// `None` when the table has no such column.
    pub(super) column: Option<(ColumnId, DataType, ColumnHint)>,
    pub(super) encoding: Encoding,
}

/// The fields of a topic's rows (or keys).
#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    pub(super) fields: Vec<Field>,
    index: FxHashMap<String, usize>,
}

impl Layout {
    /// For rows without a schema: the table's columns.
    pub(super) fn bare(table: &Table, hints: &[ColumnHint]) -> Self {
        let names = table.columns.iter().map(|column| (column.name.clone(), Encoding::Bare));
        Self::of(names.collect(), table, hints)
    }

    fn of(fields: Vec<(String, Encoding)>, table: &Table, hints: &[ColumnHint]) -> Self {
        let fields: Vec<Field> = fields
            .into_iter()
            .map(|(name, encoding)| {
                let column = table.column(&name).map(|id| {
                    let hint = hints.get(usize::from(id.0)).copied().unwrap_or_default();
                    (id, table.columns[usize::from(id.0)].data_type, hint)
                });
                Field { name, column, encoding }
            })
            .collect();
        let index = fields.iter().enumerate().map(|(index, field)| (field.name.clone(), index)).collect();
        Self { fields, index }
    }

    /// The field of this name, most likely at `guess`.
    pub(super) fn field(&self, name: &str, guess: usize) -> Option<&Field> {
        let guessed = self.fields.get(guess).filter(|field| field.name == name);
        guessed.or_else(|| self.fields.get(*self.index.get(name)?))
    }
}

/// A schema node as the JSON converter writes it.
#[derive(Debug, Deserialize)]
pub(super) struct Node {
    #[serde(rename = "type")]
    kind: String,
    pub(super) name: Option<String>,
    pub(super) field: Option<String>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    #[serde(default)]
    fields: Vec<Node>,
    items: Option<Box<Node>>,
    #[serde(default)]
    pub(super) optional: bool,
    pub(super) default: Option<Box<RawValue>>,
}

impl Node {
    /// The fields of the row: those of `after` in Debezium's envelope, else its own.
    pub(super) fn row(&self) -> &[Self] {
        let after = self.fields.iter().find(|node| node.field.as_deref() == Some("after"));
        let is_envelope = self.fields.iter().any(|node| node.field.as_deref() == Some("op"));
        after.filter(|after| is_envelope && !after.fields.is_empty()).map_or(&self.fields, |after| &after.fields)
    }

    /// How values of this schema are written. The names are those of `io.debezium.time`, `io.debezium.data` and
    /// `org.apache.kafka.connect.data`.
    pub(super) fn encoding(&self) -> Encoding {
        let name = self.name.as_deref().unwrap_or("");
        let (package, class) = name.rsplit_once('.').unwrap_or(("", name));
        let known = match (package, class) {
            ("io.debezium.time" | "org.apache.kafka.connect.data", "Date") => Some(Encoding::Days),
            ("io.debezium.time" | "org.apache.kafka.connect.data", "Timestamp") => {
                Some(Encoding::Epoch(EpochUnit::Millis))
            }
            ("io.debezium.time", "MicroTimestamp") => Some(Encoding::Epoch(EpochUnit::Micros)),
            ("io.debezium.time", "NanoTimestamp") => Some(Encoding::Epoch(EpochUnit::Nanos)),
            ("io.debezium.time", "ZonedTimestamp" | "IsoTimestamp") => Some(Encoding::IsoTime),
            ("io.debezium.time", "IsoDate") => Some(Encoding::IsoDate),
            ("org.apache.kafka.connect.data", "Decimal") => self.scale().map(Encoding::Decimal),
            ("io.debezium.data", "VariableScaleDecimal") => Some(Encoding::VariableDecimal),
            _ => None,
        };
        known.unwrap_or_else(|| match self.kind.as_str() {
            "int8" | "int16" | "int32" | "int64" => Encoding::Plain(DataType::Int),
            "float" | "double" | "float32" | "float64" => Encoding::Plain(DataType::Float),
            "boolean" => Encoding::Plain(DataType::Bool),
            "string" => Encoding::Plain(DataType::Text),
            "bytes" => Encoding::Bytes,
            // Of several types: the value shows which.
            "union" => Encoding::Bare,
            "array" => Encoding::List(Box::new(self.items.as_ref().map_or(Encoding::Bare, |items| items.encoding()))),
            _ => Encoding::Object,
        })
    }

    fn scale(&self) -> Option<i8> {
        self.parameters.get("scale")?.parse().ok()
    }
}

/// A key or value with what is known of its layout: the record's schema where it has one.
pub(super) struct Opened<T> {
    /// `None` when the JSON, or its `payload`, is null.
    pub(super) payload: Option<T>,
    /// The record's own schema.
    pub(super) schema: Option<Arc<(String, Layout)>>,
}

impl<T> Opened<T> {
    pub(super) fn layout<'a>(&'a self, bare: &'a Layout) -> &'a Layout {
        self.schema.as_ref().map_or(bare, |schema| &schema.1)
    }
}

/// Reads a key or value, whether it is bare or wrapped as `{"schema":..,"payload":..}`.
///
/// The converter repeats the same schema in every record: when the text starts with the one seen last, it is skipped
/// by comparison. That gives the same answer as parsing it, for else it is parsed.
pub(super) fn open<'a, T: Deserialize<'a>>(
    text: &'a str,
    cache: &SchemaCache,
    table: &Table,
    hints: &[ColumnHint],
) -> Result<Opened<T>, serde_json::Error> {
    let text = text.trim();
    let known = cache.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(schema) = &known
        && let Some(payload) = text.strip_prefix(schema.0.as_str()).and_then(|rest| rest.strip_suffix('}'))
        && let Ok(payload) = serde_json::from_str(payload)
    {
        return Ok(Opened { payload, schema: known });
    }
    let Some((schema, payload)) = unwrap(text) else {
        return Ok(Opened { payload: serde_json::from_str(text)?, schema: None });
    };
    let payload = serde_json::from_str(payload)?;
    if schema == "null" {
        return Ok(Opened { payload, schema: None });
    }
    let prefix = format!("{{\"schema\":{schema},\"payload\":");
    if known.as_ref().is_some_and(|known| known.0 == prefix) {
        return Ok(Opened { payload, schema: known });
    }
    let node: Node = serde_json::from_str(schema)?;
    let fields = node.row().iter().filter_map(|node| Some((node.field.clone()?, node.encoding()))).collect();
    let schema = Arc::new((prefix, Layout::of(fields, table, hints)));
    *cache.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&schema));
    Ok(Opened { payload, schema: Some(schema) })
}

/// The schema and payload of a wrapped text; `None` for a bare one. Wrapped is an object of just these two fields whose
/// schema is null or has a `type`.
pub(super) fn unwrap(text: &str) -> Option<(&str, &str)> {
    let start = text.strip_prefix('{')?.trim_start();
    if !start.starts_with("\"schema\"") && !start.starts_with("\"payload\"") {
        return None;
    }
    let row: Row<'_> = serde_json::from_str(text).ok()?;
    let (schema, payload) = (row.get("schema")?, row.get("payload")?);
    let is_schema = || serde_json::from_str::<Row<'_>>(schema).is_ok_and(|schema| schema.get("type").is_some());
    (row.0.len() == 2 && (schema == "null" || is_schema())).then_some((schema, payload))
}
