//! Which topic feeds which table, and how.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex_lite::Regex;
use relational::{Schema, TableId};
use rustc_hash::FxHashMap;

use super::connect::Layout;
use crate::Error;
use crate::coerce::EpochUnit;
use crate::registry::Registry;

/// What Debezium writes for a column that it did not read, unless it is configured otherwise.
pub const PLACEHOLDER: &str = "__debezium_unavailable_value";

/// Topics whose table is remembered; beyond, it is looked up each time.
const TOPICS_REMEMBERED_MAX: usize = 10_000;

/// How a topic's records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// Debezium's envelope with `before`, `after`, `source` and `op`.
    #[default]
    Debezium,
    /// Rows as `ExtractNewRecordState` leaves them, with fields such as `__op` and `__deleted`.
    Flattened,
    /// The value is the row, a null value deletes it.
    Upsert,
    /// Every record is a new row.
    Append,
}

impl Format {
    /// The format of this name in a config file.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Debezium, Self::Flattened, Self::Upsert, Self::Append].into_iter().find(|format| format.name() == name)
    }

    /// The name used in config files and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Debezium => "debezium",
            Self::Flattened => "flattened",
            Self::Upsert => "upsert",
            Self::Append => "append",
        }
    }
}

/// What records without a schema do not say of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ColumnHint {
    /// Digits behind the decimal point of a number that is written as base64 (`decimal.handling.mode=precise`).
    pub scale: Option<i8>,
    /// The unit of a time that is written as a number.
    pub unit: Option<EpochUnit>,
}

/// One table and the topics that feed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The table.
    pub table: TableId,
    /// A topic's name, a pattern that starts with `^`, or `None` for the topics whose last part is the table's name.
    pub topic: Option<String>,
    /// How the records are written.
    pub format: Format,
    /// One per column, in the schema's order; columns beyond the end have none.
    pub hints: Vec<ColumnHint>,
}

/// A schema and the topics that feed it: all that [`super::decode`] needs to know.
#[derive(Debug)]
pub struct Tables {
    schema: Arc<Schema>,
    mappings: Vec<(Mapping, Option<Regex>)>,
    unavailable: Vec<String>,
    registry: Option<Arc<Registry>>,
    // Remembers lookups and parsed schemas; never changes an answer.
    topics: RwLock<FxHashMap<Arc<str>, Option<Arc<Topic>>>>,
}

/// What is known of one topic.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) table: TableId,
    pub(super) format: Format,
    pub(super) hints: Vec<ColumnHint>,
    /// For rows without a schema.
    pub(super) bare: Arc<Layout>,
    pub(super) key_schema: SchemaCache,
    pub(super) value_schema: SchemaCache,
}

/// The last schema that a topic's records carried: its text with the frame around it, and what it means.
pub(super) type SchemaCache = Mutex<Option<Arc<(String, Layout)>>>;

impl Tables {
    /// Puts a schema and its topics together.
    ///
    /// # Errors
    ///
    /// When a pattern is not a regular expression, or a table lacks the key that its format needs.
    pub fn new(schema: Arc<Schema>, mappings: Vec<Mapping>) -> Result<Self, Error> {
        let mut compiled = Vec::with_capacity(mappings.len());
        for mapping in mappings {
            let table = schema.table(mapping.table);
            let refuse = |reason: String| Error::Table { table: table.name.clone(), reason };
            if table.key.is_empty() && matches!(mapping.format, Format::Upsert | Format::Flattened) {
                let format = mapping.format.name();
                return Err(refuse(format!("format `{format}` needs a key; set `key`, or use format `append`")));
            }
            let pattern = mapping.topic.as_deref().filter(|topic| topic.starts_with('^'));
            let pattern = pattern.map(Regex::new).transpose().map_err(|error| {
                refuse(format!("topic `{}` is not a pattern: {error}", mapping.topic.as_deref().unwrap_or("")))
            })?;
            compiled.push((mapping, pattern));
        }
        let tables =
            Self { schema, mappings: compiled, unavailable: Vec::new(), registry: None, topics: RwLock::default() };
        Ok(tables.with_placeholder(PLACEHOLDER))
    }

    /// Sets what the source writes for a column that it did not read (`unavailable.value.placeholder`).
    #[must_use]
    pub fn with_placeholder(mut self, placeholder: &str) -> Self {
        let bytes = placeholder.as_bytes();
        let text = serde_json::Value::from(placeholder).to_string();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
        self.unavailable = vec![
            format!("[{text}]"),
            format!("[{}]", numbers.join(",")),
            format!("{{{text}:{text}}}"),
            format!("\"{}\"", STANDARD.encode(bytes)),
            format!("\"{hex}\""),
            text,
        ];
        self
    }

    /// Sets where the schemas of framed records are.
    #[must_use]
    pub fn with_registry(mut self, registry: Option<Arc<Registry>>) -> Self {
        self.registry = registry;
        self
    }

    pub(super) fn registry(&self) -> Option<&Registry> {
        self.registry.as_deref()
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The table that a topic feeds.
    #[must_use]
    pub fn table_of(&self, topic: &str) -> Option<TableId> {
        self.find(topic).map(|mapping| mapping.table)
    }

    /// The topics and patterns that feed tables, as the config writes them, for messages.
    #[must_use]
    pub fn known_topics(&self) -> String {
        let name = |(mapping, _): &(Mapping, Option<Regex>)| match &mapping.topic {
            Some(topic) => format!("`{topic}`"),
            None => format!("`*.{}`", self.schema.table(mapping.table).name),
        };
        self.mappings.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    /// Whether a field holds the placeholder in one of the forms that it takes by type.
    pub(super) fn is_unavailable(&self, json: &str) -> bool {
        self.unavailable.iter().any(|form| form == json)
    }

    pub(super) fn topic(&self, name: &Arc<str>) -> Option<Arc<Topic>> {
        if let Some(known) = self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return known.clone();
        }
        let topic = self.find(name).map(|mapping| {
            let table = self.schema.table(mapping.table);
            Arc::new(Topic {
                table: mapping.table,
                format: mapping.format,
                hints: mapping.hints.clone(),
                bare: Arc::new(Layout::bare(table, &mapping.hints)),
                key_schema: SchemaCache::default(),
                value_schema: SchemaCache::default(),
            })
        });
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if topics.len() < TOPICS_REMEMBERED_MAX {
            topics.insert(Arc::clone(name), topic.clone());
        }
        topic
    }

    /// Exact names win over patterns, and patterns over the last part of the name.
    fn find(&self, topic: &str) -> Option<&Mapping> {
        let exact = self.mappings.iter().find(|(mapping, _)| mapping.topic.as_deref() == Some(topic));
        let by_pattern = || {
            let matches = |pattern: &Option<Regex>| pattern.as_ref().is_some_and(|regex| regex.is_match(topic));
            self.mappings.iter().find(|(_, pattern)| matches(pattern))
        };
        let by_name = || {
            let last = topic.rsplit('.').next().unwrap_or(topic);
            let named = |mapping: &Mapping| mapping.topic.is_none() && self.schema.table(mapping.table).name == last;
            self.mappings.iter().find(|(mapping, _)| named(mapping))
        };
        exact.or_else(by_pattern).or_else(by_name).map(|(mapping, _)| mapping)
    }
}
