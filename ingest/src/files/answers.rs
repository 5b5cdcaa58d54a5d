//! A file of questions, written back with answers.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType as ArrowType, Field, Schema as ArrowSchema};
use arrow::util::display::array_value_to_string;
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;

use super::open::{Format, format_of};
use super::questions::Questions;
use crate::Error;

/// A column of answers, one per question.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerColumn {
    /// Floats; as text in the shortest form that reads back the same.
    Float(Vec<Option<f64>>),
    /// Whole numbers.
    Int(Vec<Option<i64>>),
    /// Texts.
    Text(Vec<Option<String>>),
}

impl AnswerColumn {
    fn len(&self) -> usize {
        match self {
            Self::Float(values) => values.len(),
            Self::Int(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    fn field(&self, name: &str) -> Field {
        let data_type = match self {
            Self::Float(_) => ArrowType::Float64,
            Self::Int(_) => ArrowType::Int64,
            Self::Text(_) => ArrowType::Utf8,
        };
        Field::new(name, data_type, true)
    }

    fn array(&self, from: usize, count: usize) -> ArrayRef {
        match self {
            Self::Float(values) => Arc::new(values[from..from + count].iter().copied().collect::<Float64Array>()),
            Self::Int(values) => Arc::new(values[from..from + count].iter().copied().collect::<Int64Array>()),
            Self::Text(values) => Arc::new(values[from..from + count].iter().cloned().collect::<StringArray>()),
        }
    }
}

/// Writes the questions with all their columns, in their order, and these columns behind; a column of the questions
/// that has the name of one of them is left out. The format is that of the name of `out`: `.csv` or `.tsv`, plain or
/// with `.gz` or `.zst` behind, or `.parquet`; missing answers are empty.
///
/// # Errors
///
/// When the file cannot be written.
///
/// # Panics
///
/// When a column has not one answer per question.
pub fn write_answers(out: &Path, questions: &Questions, columns: &[(String, AnswerColumn)]) -> Result<(), Error> {
    for (name, column) in columns {
        assert_eq!(column.len(), questions.rows().len(), "column `{name}` has one answer per question");
    }
    let format = format_of(out)?;
    let created = File::create(out);
    let file =
        BufWriter::new(created.map_err(|source| Error::File { doing: "write", path: out.to_owned(), source })?);
    let batches = answered(questions, columns).map_err(|error| failed(out, error))?;
    match format {
        Format::Parquet => write_parquet(file, &batches).map_err(|error| failed(out, error)),
        Format::Csv { tabs } => {
            let delimiter = if tabs { b'\t' } else { b',' };
            let extension = out.extension().map(|extension| extension.to_ascii_lowercase()).unwrap_or_default();
            let written = if extension == "gz" {
                let mut encoder = GzEncoder::new(file, Compression::default());
                write_csv(&mut encoder, delimiter, &batches).and_then(|()| Ok(encoder.finish()?.flush()?))
            } else if extension == "zst" {
                zstd::stream::write::Encoder::new(file, 0).map_err(Into::into).and_then(|mut encoder| {
                    write_csv(&mut encoder, delimiter, &batches)?;
                    Ok(encoder.finish()?.flush()?)
                })
            } else {
                let mut file = file;
                write_csv(&mut file, delimiter, &batches).and_then(|()| Ok(file.flush()?))
            };
            written.map_err(|error| failed(out, error))
        }
    }
}

fn failed(out: &Path, error: impl ToString) -> Error {
    Error::Content { path: out.to_owned(), reason: format!("cannot be written: {}", error.to_string()) }
}

fn answered(
    questions: &Questions,
    columns: &[(String, AnswerColumn)],
) -> Result<Vec<RecordBatch>, arrow::error::ArrowError> {
    let mut from = 0;
    let mut batches = Vec::new();
    for batch in &questions.batches {
        let schema = batch.schema();
        let kept = schema.fields().iter().zip(batch.columns());
        let kept = kept.filter(|(field, _)| !columns.iter().any(|(name, _)| name == field.name()));
        let (mut fields, mut arrays): (Vec<_>, Vec<_>) =
            kept.map(|(field, array)| (field.clone(), array.clone())).unzip();
        for (name, column) in columns {
            fields.push(Arc::new(column.field(name)));
            arrays.push(column.array(from, batch.num_rows()));
        }
        from += batch.num_rows();
        batches.push(RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), arrays)?);
    }
    Ok(batches)
}

fn write_parquet(file: BufWriter<File>, batches: &[RecordBatch]) -> Result<(), parquet::errors::ParquetError> {
    let schema = batches.first().map_or_else(|| Arc::new(ArrowSchema::empty()), RecordBatch::schema);
    let mut writer = ArrowWriter::try_new(file, schema, None)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.close()?;
    Ok(())
}

fn write_csv(
    out: &mut impl Write,
    delimiter: u8,
    batches: &[RecordBatch],
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(out);
    if let Some(batch) = batches.first() {
        writer.write_record(batch.schema().fields().iter().map(|field| field.name()))?;
    }
    for batch in batches {
        for row in 0..batch.num_rows() {
            for array in batch.columns() {
                writer.write_field(text(array, row)?)?;
            }
            writer.write_record(None::<&[u8]>)?;
        }
    }
    Ok(writer.flush()?)
}

fn text(array: &ArrayRef, row: usize) -> Result<String, arrow::error::ArrowError> {
    if array.is_null(row) {
        return Ok(String::new());
    }
    match array.as_any().downcast_ref::<Float64Array>() {
        Some(floats) => Ok(format!("{:?}", floats.value(row))),
        None => array_value_to_string(array, row),
    }
}
