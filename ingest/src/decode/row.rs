//! What all formats share: rows become cells, and keys are found.

use std::str;

use relational::{Cell, Change, ColumnId, EventTime, Key, Op, Table, Value};

use super::connect::{self, Layout, Opened};
use super::json::{Json, Row, clip};
use super::tables::{SchemaCache, Tables, Topic};
use super::value::{self, Encoding};
use super::{Record, Refusal};

/// One record and what is known of its topic.
pub(super) struct Context<'a> {
    pub(super) tables: &'a Tables,
    pub(super) table: &'a Table,
    pub(super) topic: &'a Topic,
    pub(super) record: &'a Record<'a>,
}

/// What becomes of a column that the record does not speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// It keeps what it held: the record tells of an update.
    Unchanged,
    /// It is null: the record is the whole row.
    Null,
}

/// A row, read.
pub(super) struct Read {
    pub(super) cells: Vec<Cell>,
    pub(super) unknown_columns: u32,
    /// The columns that the record speaks of.
    present: Vec<bool>,
}

impl Context<'_> {
    /// The row's cells, one per column. Fields in `hidden` are metadata and not counted as unknown.
    pub(super) fn read(
        &self,
        row: &Row<'_>,
        layout: &Layout,
        absent: Absent,
        hidden: fn(&str) -> bool,
    ) -> Result<Read, Refusal> {
        let empty = match absent {
            Absent::Unchanged => Cell::Unchanged,
            Absent::Null => Cell::Value(Value::Null),
        };
        let columns = self.table.columns.len();
        let mut read = Read { cells: vec![empty; columns], unknown_columns: 0, present: vec![false; columns] };
        for (place, (name, json)) in row.0.iter().enumerate() {
            let known = layout.field(name, place).and_then(|field| Some((&field.encoding, field.column?)));
            let found = known.or_else(|| {
                // A field that the record's own schema does not list is read as if there were no schema.
                let field = self.topic.bare.field(name, place)?;
                Some((&Encoding::Bare, field.column?))
            });
            let Some((encoding, (column, data_type, hint))) = found else {
                read.unknown_columns += u32::from(!hidden(name));
                continue;
            };
            let index = usize::from(column.0);
            read.present[index] = true;
            read.cells[index] = if self.tables.is_unavailable(json) {
                Cell::Unchanged
            } else {
                Cell::Value(value::read(json, encoding, data_type, hint).map_err(|why| self.misfit(name, &why))?)
            };
        }
        Ok(read)
    }

    /// Puts the key into the columns that name the row where the row itself lacks them.
    pub(super) fn fill_key(&self, read: &mut Read, key: &Key) {
        for (column, value) in self.table.key.iter().zip(key.values()) {
            let index = usize::from(column.0);
            if !read.present[index] || read.cells[index] == Cell::Unchanged {
                read.cells[index] = Cell::Value(value.clone());
            }
        }
    }

    /// The key that a row's own columns hold; `None` when one is missing or null, or the table has no key.
    pub(super) fn key_of_cells(&self, cells: &[Cell]) -> Option<Key> {
        let values: Option<Vec<Value>> = self
            .table
            .key
            .iter()
            .map(|column| match cells.get(usize::from(column.0)) {
                Some(Cell::Value(value)) if !value.is_null() => Some(value.clone()),
                _ => None,
            })
            .collect();
        values.filter(|values| !values.is_empty()).map(Key::new)
    }

    /// The key in the record's key: an object with the table's key columns, or the one key column itself. `None` when
    /// the record's key does not hold the table's key.
    pub(super) fn key_of_record(&self) -> Result<Option<Key>, Refusal> {
        let Some(bytes) = self.record.key.filter(|_| !self.table.key.is_empty()) else { return Ok(None) };
        // A frame, or a number in bytes: no text begins with a zero.
        if bytes.first() == Some(&0) {
            return Ok(None);
        }
        let Ok(text) = str::from_utf8(bytes) else { return Ok(None) };
        let opened: Result<Opened<&serde_json::value::RawValue>, _> = self.open(text, &self.topic.key_schema);
        // A key that is no JSON was written by a string serializer; but a damaged object is no text.
        let quoted = serde_json::Value::from(text).to_string();
        let Ok(opened) = opened else {
            let is_damaged = text.trim_start().starts_with("{\"");
            return if is_damaged { Ok(None) } else { self.scalar_key(&quoted, &Encoding::Bare) };
        };
        let Some(payload) = opened.payload.map(serde_json::value::RawValue::get) else { return Ok(None) };
        if !matches!(Json::of(payload), Json::Object(_)) {
            return self.scalar_key(payload, &Encoding::Bare);
        }
        let Ok(row) = serde_json::from_str::<Row<'_>>(payload) else { return Ok(None) };
        let layout = opened.layout(&self.topic.bare);
        let mut values = Vec::with_capacity(self.table.key.len());
        for column in &self.table.key {
            let name = &self.table.columns[usize::from(column.0)].name;
            let Some(json) = row.get(name).filter(|json| *json != "null") else { return Ok(None) };
            let encoding = layout.field(name, 0).map_or(&Encoding::Bare, |field| &field.encoding);
            values.push(self.key_value(*column, json, encoding)?);
        }
        Ok(Some(Key::new(values)))
    }

    fn scalar_key(&self, json: &str, encoding: &Encoding) -> Result<Option<Key>, Refusal> {
        let [column] = self.table.key.as_slice() else { return Ok(None) };
        Ok(Some(Key::single(self.key_value(*column, json, encoding)?)))
    }

    fn key_value(&self, column: ColumnId, json: &str, encoding: &Encoding) -> Result<Value, Refusal> {
        let index = usize::from(column.0);
        let hint = self.topic.hints.get(index).copied().unwrap_or_default();
        let definition = &self.table.columns[index];
        value::read(json, encoding, definition.data_type, hint).map_err(|why| {
            Refusal::fit(format!("field `{}` of the record's key, table `{}`: {why}", definition.name, self.table.name))
        })
    }

    /// Reads JSON that may be wrapped with its schema.
    pub(super) fn open<'t, T: serde::Deserialize<'t>>(
        &self,
        text: &'t str,
        cache: &SchemaCache,
    ) -> Result<Opened<T>, serde_json::Error> {
        connect::open(text, cache, self.table, &self.topic.hints)
    }

    /// The value's text.
    pub(super) fn text<'t>(&self, bytes: &'t [u8]) -> Result<&'t str, Refusal> {
        if bytes.first() == Some(&0) {
            let why = "it begins with a schema registry's frame; say where that is: [source.registry] url = \"...\"";
            return Err(self.malformed(why));
        }
        str::from_utf8(bytes)
            .map_err(|error| self.malformed(&format!("the value is not UTF-8 from byte {} on", error.valid_up_to())))
    }

    /// The record is not what the topic's format says.
    pub(super) fn malformed(&self, why: &str) -> Refusal {
        let format = self.topic.format.name();
        Refusal::decode(format!("not a record of format `{format}` for table `{}`: {why}", self.table.name))
    }

    /// A field does not fit its column.
    pub(super) fn misfit(&self, name: &str, why: &str) -> Refusal {
        Refusal::fit(format!("field `{}` of table `{}`: {why}", clip(name), self.table.name))
    }

    /// The name of a row of a table without a key: where its record stood.
    pub(super) fn place_key(&self) -> Key {
        let origin = self.record.origin;
        Key::single(Value::text(format!("{}-{}-{}", origin.topic, origin.partition, origin.offset)))
    }

    /// The row's own time; `None` when the table has no time column or the row leaves it open.
    pub(super) fn row_time(&self, cells: &[Cell]) -> Option<EventTime> {
        match cells.get(usize::from(self.table.time?.0))? {
            Cell::Value(value) => value.as_time(),
            Cell::Unchanged => None,
        }
    }

    /// The names of the key's columns, for messages.
    pub(super) fn key_names(&self) -> String {
        let name = |column: &ColumnId| format!("`{}`", self.table.columns[usize::from(column.0)].name);
        self.table.key.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    /// A change of this record's table.
    pub(super) fn change(&self, key: Key, op: Op, known: EventTime) -> Change {
        Change { table: self.topic.table, key, op, known, position: self.record.position.clone() }
    }
}
