//! Files that ask for an answer per row: which entity, as of when.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType as ArrowType, Field, Schema as ArrowSchema};
use relational::{DataType, EventTime, Key, Schema, TableId, Value};

use super::arrays;
use super::column::{Column, Texts};
use super::csv_file::CsvFile;
use super::names::unknown;
use super::open::{Format, format_of};
use super::parquet_file::{BATCH_ROWS, ParquetFile};
use crate::Error;
use crate::coerce;

/// One row of a file of questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The entity's primary key, as its table's types have it.
    pub key: Option<Key>,
    /// The time as of which the question is asked.
    pub time: Option<EventTime>,
    /// Why key or time cannot be read, where one of them is missing.
    pub error: Option<String>,
}

/// A file of questions, with all its columns so that it can be written back with the answers.
#[derive(Debug, Clone)]
pub struct Questions {
    rows: Vec<Question>,
    pub(super) batches: Vec<RecordBatch>,
    path: PathBuf,
}

impl Questions {
    /// Reads a CSV or Parquet file, compressed or not, whose rows name an entity by the columns of its table's primary
    /// key, under their own names, and a time in the column `time_column`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or lacks one of these columns. A row whose key or time cannot be read is kept with
    /// its [`Question::error`].
    pub fn read(path: &Path, schema: &Schema, entity: TableId, time_column: &str) -> Result<Self, Error> {
        let batches = match format_of(path)? {
            Format::Csv { .. } => read_csv(path)?,
            Format::Parquet => read_parquet(path)?,
        };
        let table = schema.table(entity);
        let keys = table.key.iter().map(|column| &table.columns[usize::from(column.0)]);
        let mut wanted: Vec<(&str, DataType)> = keys.map(|column| (column.name.as_str(), column.data_type)).collect();
        wanted.push((time_column, DataType::Time));
        if let Some(batch) = batches.first() {
            let fields = batch.schema();
            let names: Vec<&str> = fields.fields().iter().map(|field| field.name().as_str()).collect();
            if let Some((missing, _)) = wanted.iter().find(|(name, _)| !names.contains(name)) {
                let reason = unknown("column", missing, names);
                let hint = format!("rows are asked for by the key of `{}` and the time column", table.name);
                return Err(Error::Content { path: path.to_owned(), reason: format!("{reason} ({hint})") });
            }
        }
        let mut rows = Vec::new();
        for batch in &batches {
            questions_of(batch, &wanted, &mut rows);
        }
        Ok(Self { rows, batches, path: path.to_owned() })
    }

    /// The questions, in the order of the file.
    #[must_use]
    pub fn rows(&self) -> &[Question] {
        &self.rows
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The last of `wanted` is the time, those before are the key.
fn questions_of(batch: &RecordBatch, wanted: &[(&str, DataType)], rows: &mut Vec<Question>) {
    let columns: Vec<Option<Column>> =
        wanted.iter().map(|(name, _)| batch.column_by_name(name).and_then(arrays::column_of)).collect();
    let mut texts = Texts::default();
    for row in 0..batch.num_rows() {
        let mut error = None;
        let mut values = Vec::with_capacity(wanted.len());
        for ((name, data_type), column) in wanted.iter().zip(&columns) {
            let value = column.as_ref().map_or(Value::Null, |column| column.value(row, &mut texts));
            let value = coerce::to_type(value, *data_type).unwrap_or_else(|misfit| {
                error.get_or_insert(format!("column `{name}`: {misfit}"));
                Value::Null
            });
            if value.is_null() {
                error.get_or_insert(format!("column `{name}` is empty"));
            }
            values.push(value);
        }
        let time = values.pop().and_then(|value| value.as_time());
        let key = (!values.iter().any(Value::is_null)).then(|| Key::new(values));
        rows.push(Question { key, time, error });
    }
}

fn read_parquet(path: &Path) -> Result<Vec<RecordBatch>, Error> {
    let mut file = ParquetFile::open(path, None)?;
    let mut batches = Vec::new();
    while let Some(batch) = file.next()? {
        batches.push(batch);
    }
    Ok(batches)
}

/// All columns as text; empty fields are null.
fn read_csv(path: &Path) -> Result<Vec<RecordBatch>, Error> {
    let mut file = CsvFile::open(path, None)?;
    let fields: Vec<Field> = file.header().iter().map(|name| Field::new(name, ArrowType::Utf8, true)).collect();
    let schema = Arc::new(ArrowSchema::new(fields));
    let mut batches = Vec::new();
    loop {
        let mut builders: Vec<StringBuilder> = schema.fields().iter().map(|_| StringBuilder::new()).collect();
        let mut rows = 0;
        while rows < BATCH_ROWS && file.advance()? {
            let number = file.number();
            let record = file.record();
            if record.len() != builders.len() {
                let found = record.len();
                let reason = format!("line of record {number} has {found} fields, the header {}", builders.len());
                return Err(Error::Content { path: path.to_owned(), reason });
            }
            for (builder, field) in builders.iter_mut().zip(record) {
                let text = String::from_utf8_lossy(field);
                builder.append_option((!text.is_empty()).then_some(text));
            }
            rows += 1;
        }
        if rows == 0 && !batches.is_empty() {
            return Ok(batches);
        }
        let columns = builders.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect();
        batches.push(
            RecordBatch::try_new(Arc::clone(&schema), columns)
                .map_err(|error| Error::Content { path: path.to_owned(), reason: error.to_string() })?,
        );
    }
}
