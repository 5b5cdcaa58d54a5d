//! Scores as Parquet files. Rows are acknowledged as JSON lines in `<prefix>.pending.jsonl`; when there are enough of
//! them, or on a flush, they become one file under their final name at once, and the pending lines are cut.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use relational::Position;

use crate::error::Error;
use crate::json_lines::{JsonLines, with_suffix};
use crate::lines::Lines;
use crate::parquet_columns::{PendingRow, batch, schema};
use crate::{Outgoing, Receipt, Sink, StoreId};

/// Rows that make a file of their own: some 20 MB.
const FILE_ROWS: u64 = 250_000;

/// Rows that are turned into columns at a time.
const BATCH_ROWS: usize = 8_192;

/// Files `<prefix>-<store>-<last outbox sequence>.parquet`, one row a score; the columns stand in `docs/scores.md`.
/// Dead letters go to `<prefix>.dlq.jsonl` as they do for [`JsonLines`].
#[derive(Debug)]
pub struct ParquetSink {
    pending: JsonLines,
    prefix: PathBuf,
    store: StoreId,
    rows: u64,
}

impl ParquetSink {
    /// Writes files whose names begin with `path`, less a `.parquet` at its end. With `sync`, each batch waits for the
    /// disk.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read, or pending rows of an earlier run cannot.
    pub fn open(path: &Path, store: StoreId, sync: bool) -> Result<Self, Error> {
        let prefix =
            if path.extension().is_some_and(|end| end == "parquet") { path.with_extension("") } else { path.into() };
        let mut scores = Lines::new(with_suffix(&prefix, ".pending.jsonl"), store, sync)?;
        if let Some(finished) = last_finished(&prefix, store)? {
            // Killed after the file got its name and before the lines were cut: they are all in the file.
            if scores.last().is_some_and(|last| last <= finished) {
                scores.empty()?;
            }
            scores.hold(finished)?;
        }
        let rows = count_lines(scores.path())?;
        let letters = Lines::new(with_suffix(&prefix, ".dlq.jsonl"), store, sync)?;
        Ok(Self { pending: JsonLines::new(scores, letters, store), prefix, store, rows })
    }

    /// Turns the pending lines into a file.
    fn finish(&mut self) -> Result<(), Error> {
        self.pending.flush()?;
        let lines = self.pending.scores().expect("a Parquet sink has a file of pending scores");
        let Some(last) = lines.last().filter(|_| self.rows > 0) else { return Ok(()) };
        let path = with_suffix(&self.prefix, &format!("-{}-{last:012}.parquet", self.store));
        let unfinished = with_suffix(&path, ".unfinished");
        write_file(lines.path(), &unfinished)?;
        fs::rename(&unfinished, &path).map_err(Error::file("give its final name to", &unfinished))?;
        sync_folder(&path)?;
        lines.empty()?;
        self.rows = 0;
        Ok(())
    }
}

impl Sink for ParquetSink {
    fn publish(&mut self, batch: &[(u64, Outgoing)], positions: &[Position]) -> Result<Receipt, Error> {
        self.pending.publish(batch, positions)?;
        self.rows += batch.iter().filter(|(_, outgoing)| matches!(outgoing, Outgoing::Score(_))).count() as u64;
        if self.rows >= FILE_ROWS {
            self.finish()?;
        }
        Ok(Receipt::default())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.finish()
    }
}

/// The highest sequence in the names of this store's files.
fn last_finished(prefix: &Path, store: StoreId) -> Result<Option<u64>, Error> {
    let folder = folder_of(prefix);
    let name = prefix.file_name().unwrap_or_default().to_string_lossy();
    let opening = format!("{name}-{store}-");
    let mut last = None;
    for entry in fs::read_dir(folder).map_err(Error::file("list", folder))? {
        let entry = entry.map_err(Error::file("list", folder))?;
        let file = entry.file_name();
        let sequence =
            file.to_str().and_then(|file| file.strip_prefix(&opening)?.strip_suffix(".parquet")?.parse().ok());
        last = last.max(sequence);
    }
    Ok(last)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn count_lines(path: &Path) -> Result<u64, Error> {
    if !path.exists() {
        return Ok(0);
    }
    let file = File::open(path).map_err(Error::file("open", path))?;
    Ok(BufReader::new(file).split(b'\n').count() as u64)
}

fn write_file(lines: &Path, path: &Path) -> Result<(), Error> {
    let failed = |error: parquet::errors::ParquetError| Error::Parquet { path: path.into(), reason: error.to_string() };
    let input = BufReader::new(File::open(lines).map_err(Error::file("open", lines))?);
    let output = File::create(path).map_err(Error::file("create", path))?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let schema = Arc::new(schema());
    let mut writer = ArrowWriter::try_new(output, Arc::clone(&schema), Some(properties)).map_err(failed)?;
    let mut rows = Vec::with_capacity(BATCH_ROWS);
    for (number, line) in (1..).zip(input.lines()) {
        let line = line.map_err(Error::file("read", lines))?;
        let row: PendingRow = serde_json::from_str(&line).map_err(|error| Error::Foreign {
            path: lines.into(),
            line: number,
            reason: error.to_string(),
        })?;
        rows.push(row);
        if rows.len() == BATCH_ROWS {
            writer.write(&batch(&schema, &rows)).map_err(failed)?;
            rows.clear();
        }
    }
    writer.write(&batch(&schema, &rows)).map_err(failed)?;
    let output = writer.into_inner().map_err(failed)?;
    output.sync_all().map_err(Error::file("sync", path))
}

/// A renamed file has its name for good only when its folder is on the disk.
fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file("sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ScoreRecord;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use relational::EventTime;

    const STORE: StoreId = StoreId(7);

    fn scores(sequences: std::ops::RangeInclusive<u64>) -> Vec<(u64, Outgoing)> {
        let score = |sequence: u64| ScoreRecord {
            app: "app".into(),
            task: "churn".into(),
            table: "customers".into(),
            key: sequence.to_string(),
            value: Some(r#"{"prediction":{"probability":0.1},"model":"baseline","examples":5}"#.into()),
            cutoff: EventTime(1_500_000),
            id: u128::from(sequence),
            revision: 0,
            digest: 0,
        };
        sequences.map(|sequence| (sequence, Outgoing::Score(score(sequence)))).collect()
    }

    fn rows(folder: &Path) -> usize {
        let files = fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path());
        let parquet = files.filter(|path| path.extension().is_some_and(|end| end == "parquet"));
        let read = |path: PathBuf| {
            let file = File::open(path).expect("file");
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").build().expect("reader");
            reader.map(|batch| batch.expect("batch").num_rows()).sum::<usize>()
        };
        parquet.map(read).sum()
    }

    #[test]
    fn rows_survive_a_restart_before_and_after_the_file_is_finished() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("scores.parquet");
        ParquetSink::open(&path, STORE, true).expect("new").publish(&scores(1..=3), &[]).expect("published");
        assert_eq!(rows(folder.path()), 0);

        let mut again = ParquetSink::open(&path, STORE, true).expect("ours");
        again.publish(&scores(1..=5), &[]).expect("published");
        again.flush().expect("finished");
        assert_eq!(rows(folder.path()), 5);
        drop(again);

        let mut again = ParquetSink::open(&path, STORE, true).expect("ours");
        again.publish(&scores(4..=6), &[]).expect("published");
        again.flush().expect("finished");
        assert_eq!(rows(folder.path()), 6);
    }

    #[test]
    fn a_kill_between_the_name_and_the_cut_repeats_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("scores");
        let pending = folder.path().join("scores.pending.jsonl");
        let mut sink = ParquetSink::open(&path, STORE, true).expect("new");
        sink.publish(&scores(1..=3), &[]).expect("published");
        let lines = fs::read(&pending).expect("lines");
        sink.flush().expect("finished");
        drop(sink);
        fs::write(&pending, lines).expect("as before the cut");

        ParquetSink::open(&path, STORE, true).expect("ours").flush().expect("nothing to finish");
        assert_eq!(rows(folder.path()), 3);
    }
}
