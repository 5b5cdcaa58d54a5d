//! A run's answers, kept part by part, so that a killed run goes on where it was.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::world::Failure;

/// The folder `parts` of a run's output. Each part has its final name only once it is whole and on the disk.
#[derive(Debug)]
pub(super) struct Parts {
    folder: PathBuf,
}

const RUN: &str = "run";

impl Parts {
    /// Begins a run, or goes on with one of the same fingerprint.
    ///
    /// # Errors
    ///
    /// When the folder belongs to another run, or cannot be used.
    pub(super) fn open(out: &Path, fingerprint: &str) -> Result<Self, Failure> {
        let folder = out.join("parts");
        fs::create_dir_all(&folder).map_err(|error| named(&folder, &error))?;
        let run = folder.join(RUN);
        match fs::read_to_string(&run) {
            Ok(found) if found == fingerprint => {}
            Ok(_) => {
                return Err(Failure::Usage(format!(
                    "{} holds an unfinished backtest of another question, config or store: choose another --out, or \
                     remove the folder",
                    out.display()
                )));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                write_whole(&run, |file| file.write_all(fingerprint.as_bytes()))?;
            }
            Err(error) => return Err(named(&run, &error)),
        }
        Ok(Self { folder })
    }

    fn path(&self, part: usize) -> PathBuf {
        self.folder.join(format!("{part:06}.parquet"))
    }

    /// Whether a part is there.
    pub(super) fn has(&self, part: usize) -> bool {
        self.path(part).exists()
    }

    /// Keeps a part.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(super) fn write(&self, part: usize, rows: &RecordBatch) -> Result<(), Failure> {
        write_parquet(&self.path(part), &rows.schema(), std::iter::once(Ok(rows.clone())))
    }

    /// Puts the parts together into one file.
    ///
    /// # Errors
    ///
    /// When one of them is missing or damaged, or the file cannot be written.
    pub(super) fn join(&self, parts: usize, schema: &SchemaRef, to: &Path) -> Result<(), Failure> {
        let rows = (0..parts).flat_map(|part| read_all(&self.path(part)));
        write_parquet(to, schema, rows)
    }

    /// Forgets the parts.
    ///
    /// # Errors
    ///
    /// When the folder cannot be removed.
    pub(super) fn remove(self) -> Result<(), Failure> {
        fs::remove_dir_all(&self.folder).map_err(|error| named(&self.folder, &error))
    }
}

fn read_all(path: &Path) -> Vec<Result<RecordBatch, Failure>> {
    let opened = File::open(path).map_err(|error| named(path, &error)).and_then(|file| {
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build());
        reader.map_err(|error| named(path, &error))
    });
    match opened {
        Ok(reader) => reader.map(|batch| batch.map_err(|error| named(path, &error))).collect(),
        Err(failure) => vec![Err(failure)],
    }
}

fn write_parquet(
    path: &Path,
    schema: &SchemaRef,
    rows: impl Iterator<Item = Result<RecordBatch, Failure>>,
) -> Result<(), Failure> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut failure = None;
    write_whole(path, |file| {
        let writer = ArrowWriter::try_new(file, SchemaRef::clone(schema), Some(properties));
        let mut writer = writer.map_err(std::io::Error::other)?;
        for rows in rows {
            match rows {
                Ok(rows) => writer.write(&rows).map_err(std::io::Error::other)?,
                Err(error) => {
                    failure = Some(error);
                    return Err(std::io::Error::other("a part is damaged"));
                }
            }
        }
        writer.close().map(drop).map_err(std::io::Error::other)
    })
    .map_err(|error| failure.unwrap_or(error))
}

/// Writes a file that has its name only once it is whole and on the disk.
///
/// # Errors
///
/// When it cannot be written.
pub(super) fn write_whole(path: &Path, write: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<(), Failure> {
    let unfinished = path.with_extension("unfinished");
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = File::create(&unfinished)
        .and_then(|mut file| write(&mut file).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, path))
        .and_then(|()| File::open(folder)?.sync_all());
    written.map_err(|error| named(path, &error))
}

pub(super) fn named(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::Io(std::io::Error::other(format!("{}: {error}", path.display())))
}
