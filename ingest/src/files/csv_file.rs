//! A CSV file, record by record, with the original bytes of the newest record at hand.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use super::open::{Format, format_of, open_bytes};
use crate::Error;

/// Bytes that are searched for the header's delimiter.
const HEADER_BYTES_MAX: u64 = 64 * 1024;

/// Bytes that are kept behind the newest record before they are let go.
const KEPT_BYTES: usize = 1 << 20;

pub(super) struct CsvFile {
    path: PathBuf,
    reader: csv::Reader<Tee>,
    header: Vec<String>,
    record: ByteRecord,
    start: u64,
    number: u64,
}

impl CsvFile {
    /// Opens the file and reads its header.
    pub(super) fn open(path: &Path, delimiter: Option<u8>) -> Result<Self, Error> {
        let failed = |source| Error::File { doing: "read", path: path.to_owned(), source };
        let mut bytes = open_bytes(path)?;
        let mut beginning = Vec::new();
        bytes.by_ref().take(HEADER_BYTES_MAX).read_to_end(&mut beginning).map_err(failed)?;
        let tabs = format_of(path)? == Format::Csv { tabs: true };
        let delimiter = delimiter.unwrap_or_else(|| if tabs { b'\t' } else { detect_delimiter(&beginning) });
        let tee = Tee { inner: Box::new(io::Cursor::new(beginning).chain(bytes)), kept: Vec::new(), start: 0 };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .buffer_capacity(1 << 16)
            .has_headers(true)
            .from_reader(tee);
        let names = reader.byte_headers().map_err(|error| broken(path, &error))?;
        let header: Vec<String> = names.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        if header.iter().all(String::is_empty) {
            let reason = "the file is empty; its first line must name the columns".into();
            return Err(Error::Content { path: path.to_owned(), reason });
        }
        Ok(Self { path: path.to_owned(), reader, header, record: ByteRecord::new(), start: 0, number: 0 })
    }

    /// The columns' names.
    pub(super) fn header(&self) -> &[String] {
        &self.header
    }

    /// Reads the next record; `false` at the end.
    pub(super) fn advance(&mut self) -> Result<bool, Error> {
        self.start = self.reader.position().byte();
        let start = self.start;
        self.reader.get_mut().forget(start);
        let found = self.reader.read_byte_record(&mut self.record).map_err(|error| broken(&self.path, &error))?;
        self.number += u64::from(found);
        Ok(found)
    }

    /// The newest record's fields.
    pub(super) fn record(&self) -> &ByteRecord {
        &self.record
    }

    /// The newest record as it stands in the file, without the end of the line.
    pub(super) fn original(&self) -> Vec<u8> {
        let bytes = self.reader.get_ref().slice(self.start, self.reader.position().byte());
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let from = bytes.iter().take_while(|byte| is_end(byte)).count();
        let to = bytes.len() - bytes[from..].iter().rev().take_while(|byte| is_end(byte)).count();
        bytes[from..to].to_vec()
    }

    /// How many records were read.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Debug for CsvFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvFile").field("path", &self.path).field("number", &self.number).finish_non_exhaustive()
    }
}

fn broken(path: &Path, error: &csv::Error) -> Error {
    Error::Content { path: path.to_owned(), reason: format!("cannot be read as CSV: {error}") }
}

/// The delimiter that stands most often in the first line, outside of quotes.
fn detect_delimiter(beginning: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0usize), (b';', 0), (b'\t', 0), (b'|', 0)];
    for byte in beginning.iter().copied().take_while(|byte| !matches!(byte, b'\n' | b'\r')) {
        quoted ^= byte == b'"';
        if let Some((_, count)) = counts.iter_mut().find(|(delimiter, _)| *delimiter == byte && !quoted) {
            *count += 1;
        }
    }
    // The first of equals wins, so a file of one column has commas.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter)
}

/// Keeps what passed through it lately.
struct Tee {
    inner: Box<dyn Read + Send>,
    kept: Vec<u8>,
    start: u64,
}

impl Tee {
    fn forget(&mut self, until: u64) {
        if self.kept.len() > KEPT_BYTES {
            let count = self.offset(until);
            self.kept.drain(..count);
            self.start = until;
        }
    }

    fn slice(&self, from: u64, to: u64) -> &[u8] {
        &self.kept[self.offset(from)..self.offset(to)]
    }

    fn offset(&self, position: u64) -> usize {
        usize::try_from(position.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.kept.len())
    }
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.kept.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_found_in_the_header() {
        assert_eq!(detect_delimiter(b"a;b;\"c,d,e\"\n1,2,3,4"), b';');
        assert_eq!(detect_delimiter(b"a\tb\r\n"), b'\t');
        assert_eq!(detect_delimiter(b"a"), b',');
    }

    #[test]
    fn the_original_line_is_kept() {
        let directory = tempfile::tempdir().expect("a folder");
        let path = directory.path().join("a.csv");
        let mut text = String::from("x,y\r\n");
        for number in 0..200_000 {
            text.push_str(&format!("\"{number}\",\"a\nb\"\r\n"));
        }
        std::fs::write(&path, text).expect("written");
        let mut file = CsvFile::open(&path, None).expect("opened");
        while file.advance().expect("read") {
            assert_eq!(file.original(), format!("\"{}\",\"a\nb\"", file.number() - 1).into_bytes());
        }
        assert_eq!(file.number(), 200_000);
    }
}
