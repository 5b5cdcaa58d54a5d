//! A table's files, one after the other, chunk by chunk.

use std::path::PathBuf;

use super::chunk::{self, Chunk, Layout};
use super::csv_file::CsvFile;
use super::open::{Format, format_of};
use super::parquet_file::ParquetFile;
use crate::Error;

#[derive(Debug)]
pub(super) struct TableReader {
    paths: Vec<PathBuf>,
    delimiter: Option<u8>,
    layout: Layout,
    open: Option<Open>,
    /// The file that is open or comes next.
    file: usize,
    first_in_file: u64,
    first_in_table: u64,
}

#[derive(Debug)]
enum Open {
    Csv { file: Box<CsvFile>, places: Vec<usize> },
    Parquet(Box<ParquetFile>),
}

impl TableReader {
    /// A reader at the beginning of the first file.
    pub(super) fn new(paths: Vec<PathBuf>, delimiter: Option<u8>, layout: Layout) -> Self {
        Self { paths, delimiter, layout, open: None, file: 0, first_in_file: 0, first_in_table: 0 }
    }

    /// Goes back to the beginning.
    pub(super) fn rewind(&mut self) {
        (self.open, self.file, self.first_in_file, self.first_in_table) = (None, 0, 0, 0);
    }

    /// The next records; `None` after the last file's end.
    pub(super) fn next(&mut self) -> Result<Option<Chunk>, Error> {
        while let Some(path) = self.paths.get(self.file) {
            if self.open.is_none() {
                self.open = Some(self.open(self.file)?);
            }
            let chunk = match &mut self.open {
                Some(Open::Csv { file, places }) => chunk::from_csv(file, places, &self.layout)?,
                Some(Open::Parquet(file)) => match file.next()? {
                    Some(batch) => Some(chunk::from_batch(path, &batch, &self.layout)?),
                    None => None,
                },
                None => None,
            };
            if let Some(mut chunk) = chunk {
                chunk.file = self.file;
                chunk.first_in_file = self.first_in_file;
                chunk.first_in_table = self.first_in_table;
                self.first_in_file += chunk.rows as u64;
                self.first_in_table += chunk.rows as u64;
                return Ok(Some(chunk));
            }
            (self.open, self.file, self.first_in_file) = (None, self.file + 1, 0);
        }
        Ok(None)
    }

    fn open(&self, file: usize) -> Result<Open, Error> {
        let path = &self.paths[file];
        match format_of(path)? {
            Format::Parquet => {
                let names: Vec<&str> = self.layout.columns.iter().map(|wanted| wanted.name.as_str()).collect();
                Ok(Open::Parquet(Box::new(ParquetFile::open(path, Some(&names))?)))
            }
            Format::Csv { .. } => {
                let file = CsvFile::open(path, self.delimiter)?;
                let place = |name: &str| {
                    let place = file.header().iter().position(|column| column == name);
                    let reason = || format!("has no column `{name}`; its columns are {}", file.header().join(", "));
                    place.ok_or_else(|| Error::Content { path: path.clone(), reason: reason() })
                };
                let places = self.layout.columns.iter().map(|wanted| place(&wanted.name)).collect::<Result<_, _>>()?;
                Ok(Open::Csv { file: Box::new(file), places })
            }
        }
    }
}
