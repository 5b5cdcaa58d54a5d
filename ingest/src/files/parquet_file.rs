//! A Parquet file, batch by batch, with only the columns that are wanted.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;

use super::arrays;
use super::open::open_file;
use crate::Error;

/// Rows that are decoded at once: enough to spread the cost of a batch, few enough to stay in the processor's cache.
pub(super) const BATCH_ROWS: usize = 8_192;

#[derive(Debug)]
pub(super) struct ParquetFile {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
}

impl ParquetFile {
    /// Opens the file for the columns that `wanted` names; `None` for all.
    pub(super) fn open(path: &Path, wanted: Option<&[&str]>) -> Result<Self, Error> {
        let builder = open(path)?;
        let mask = match wanted {
            None => ProjectionMask::all(),
            Some(names) => {
                let fields = builder.schema().fields().iter().enumerate();
                let roots = fields.filter(|(_, field)| names.contains(&field.name().as_str())).map(|(index, _)| index);
                ProjectionMask::roots(builder.parquet_schema(), roots)
            }
        };
        let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
        Ok(Self { path: path.to_owned(), reader: reader.map_err(|error| broken(path, &error.to_string()))? })
    }

    /// The next rows; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        self.reader.next().transpose().map_err(|error| broken(&self.path, &error.to_string()))
    }
}

/// All fields of a file, whether we can read them or not.
pub(super) fn fields(path: &Path) -> Result<SchemaRef, Error> {
    Ok(open(path)?.schema().clone())
}

/// The names of the columns that we can read.
pub(super) fn header(path: &Path) -> Result<Vec<String>, Error> {
    let fields = fields(path)?;
    let readable = fields
        .fields()
        .iter()
        .filter(|field| arrays::type_of(field.data_type()).is_some() && !field.name().starts_with("__index_level_"));
    Ok(readable.map(|field| field.name().clone()).collect())
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<std::fs::File>, Error> {
    let opened = ParquetRecordBatchReaderBuilder::try_new(open_file(path)?);
    opened.map_err(|error: ParquetError| broken(path, &error.to_string()))
}

fn broken(path: &Path, reason: &str) -> Error {
    Error::Content { path: path.to_owned(), reason: format!("cannot be read as Parquet: {reason}") }
}
