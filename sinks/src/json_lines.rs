//! Scores as JSON lines in a file or on standard output, dead letters in a second file.

use std::ffi::OsString;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use relational::Position;

use crate::error::Error;
use crate::json::rfc3339;
use crate::lines::Lines;
use crate::mark::Mark;
use crate::{Outgoing, Receipt, ScoreRecord, Sink, StoreId};

/// One JSON object a line: `outbox` (store and sequence), `id`, `task`, `table`, `cutoff`, `key` and `value`, which is
/// null when the entity is gone. Dead letters go to `<path>.dlq.jsonl` in the layout of change-record files.
///
/// Lines are written in the order of their sequences, across both files, and a line that was cut by a kill is cut off
/// when the file is opened again. Standard output cannot be read back: there a crash may repeat lines.
#[derive(Debug)]
pub struct JsonLines {
    /// Absent for standard output.
    scores: Option<Lines>,
    letters: Lines,
    store: StoreId,
}

impl JsonLines {
    /// Appends to `path`. With `sync`, each batch waits for the disk; without, the newest lines may be lost with the
    /// machine's power, though not with the process.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, is written by another process, or holds something else.
    pub fn open(path: &Path, store: StoreId, sync: bool) -> Result<Self, Error> {
        let letters = Lines::new(with_suffix(path, ".dlq.jsonl"), store, sync)?;
        Ok(Self { scores: Some(Lines::new(path.to_owned(), store, sync)?), letters, store })
    }

    /// Writes scores to standard output, and dead letters to `<app>.dlq.jsonl` in the working directory.
    ///
    /// # Errors
    ///
    /// As for [`JsonLines::open`].
    pub fn stdout(app: &str, store: StoreId) -> Result<Self, Error> {
        let letters = Lines::new(PathBuf::from(format!("{app}.dlq.jsonl")), store, false)?;
        Ok(Self { scores: None, letters, store })
    }

    /// With the scores in `scores` and the dead letters in `letters`.
    pub(crate) fn new(scores: Lines, letters: Lines, store: StoreId) -> Self {
        Self { scores: Some(scores), letters, store }
    }

    pub(crate) fn scores(&mut self) -> Option<&mut Lines> {
        self.scores.as_mut()
    }

    /// Only one of the files has lines that are not written yet, so that the system sees all lines in order.
    fn push(&mut self, sequence: u64, outgoing: &Outgoing, printed: &mut Vec<u8>) -> Result<(), Error> {
        match (outgoing, &mut self.scores) {
            (Outgoing::DeadLetter(letter), scores) => {
                scores.as_mut().map_or(Ok(()), Lines::write)?;
                self.letters.push(sequence, |mark| letter.line(mark))
            }
            (Outgoing::Score(score), Some(scores)) => {
                self.letters.write()?;
                scores.push(sequence, |mark| score_line(score, mark))
            }
            (Outgoing::Score(score), None) => {
                let mark = Mark { store: self.store, sequence };
                printed.extend(score_line(score, &mark.to_string()).into_bytes());
                printed.push(b'\n');
                Ok(())
            }
        }
    }
}

impl Sink for JsonLines {
    fn publish(&mut self, batch: &[(u64, Outgoing)], _: &[Position]) -> Result<Receipt, Error> {
        let mut printed = Vec::new();
        for (sequence, outgoing) in batch {
            self.push(*sequence, outgoing, &mut printed)?;
        }
        let mut out = stdout().lock();
        let shown = out.write_all(&printed).and_then(|()| out.flush());
        shown.map_err(Error::file("write to", Path::new("standard output")))?;
        self.flush()?;
        Ok(Receipt::default())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.scores.as_mut().map_or(Ok(()), Lines::write)?;
        self.letters.write()
    }
}

fn score_line(score: &ScoreRecord, mark: &str) -> String {
    let ScoreRecord { task, table, key, value, cutoff, .. } = score;
    let text = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        r#"{{"outbox":"{mark}","id":"{}","task":{},"table":{},"cutoff":{},"key":{key},"value":{}}}"#,
        score.id_text(),
        text(task),
        text(table),
        rfc3339(*cutoff).map_or_else(|| "null".to_owned(), |time| text(&time)),
        value.as_deref().unwrap_or("null"),
    )
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeadLetterRecord;
    use crate::outgoing::tests::outgoing;
    use proptest::prelude::*;
    use std::fs;

    const STORE: StoreId = StoreId(7);

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Whatever was written of the two files when the process was killed, publishing all of it again completes
        /// them.
        #[test]
        fn a_kill_loses_and_repeats_nothing(
            all in prop::collection::vec(outgoing(), 1..12), written in 0_usize..12, torn in 0_usize..40,
        ) {
            let folder = tempfile::tempdir().expect("folder");
            let path = folder.path().join("scores.jsonl");
            let letters = with_suffix(&path, ".dlq.jsonl");
            let all: Vec<_> = (1..).zip(all).collect();
            let publish = |batch: &[(u64, Outgoing)]| {
                JsonLines::open(&path, STORE, false).expect("ours").publish(batch, &[]).expect("published");
            };
            publish(&all);
            let whole = (read(&path), read(&letters));
            fs::remove_file(&path).unwrap_or_default();
            fs::remove_file(&letters).unwrap_or_default();

            let written = written.min(all.len());
            publish(&all[..written]);
            if let Some((_, next)) = all.get(written) {
                let (torn_path, whole) = match next {
                    Outgoing::Score(_) => (&path, &whole.0),
                    Outgoing::DeadLetter(_) => (&letters, &whole.1),
                };
                let start = read(torn_path).len();
                let end = whole[start..].find('\n').map_or(whole.len(), |end| start + end);
                let mut cut = (start + torn).min(end);
                while !whole.is_char_boundary(cut) {
                    cut -= 1;
                }
                fs::write(torn_path, &whole[..cut]).expect("torn");
            }
            publish(&all);
            prop_assert_eq!((read(&path), read(&letters)), whole);
        }
    }

    #[test]
    fn lines_are_json_and_letters_are_read_back() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("scores.jsonl");
        let mut sink = JsonLines::open(&path, STORE, true).expect("new");
        let score = ScoreRecord {
            app: "app".into(),
            task: "churn".into(),
            table: "customers".into(),
            key: "[1,\"x\"]".into(),
            value: Some(r#"{"examples":5}"#.into()),
            cutoff: relational::EventTime(1_500_000),
            id: 255,
            revision: 0,
            digest: 0,
        };
        let gone = ScoreRecord { value: None, ..score.clone() };
        let letter = relational::DeadLetter {
            position: Position { topic: "orders".into(), partition: 0, offset: 3 },
            stage: relational::Stage::Decode,
            reason: "not JSON".into(),
            key: None,
            value: Some(vec![0xff]),
            headers: vec![],
            timestamp: None,
        };
        let letter = DeadLetterRecord::new(letter);
        let batch =
            [(1, Outgoing::Score(score)), (2, Outgoing::DeadLetter(letter.clone())), (3, Outgoing::Score(gone))];
        sink.publish(&batch, &[]).expect("published");
        let expected = concat!(
            r#"{"outbox":"0000000000000007:1","id":"000000000000000000000000000000ff","task":"churn","table":"customers","#,
            r#""cutoff":"1970-01-01T00:00:01.500000Z","key":[1,"x"],"value":{"examples":5}}"#
        );
        assert_eq!(read(&path).lines().next(), Some(expected));
        assert!(read(&path).ends_with("\"value\":null}\n"));
        let line = read(&with_suffix(&path, ".dlq.jsonl"));
        assert!(line.contains(r#""value":{"hex":"ff"}"#), "{line}");
        assert_eq!(DeadLetterRecord::from_line(line.trim()).expect("ours"), letter);
    }
}
