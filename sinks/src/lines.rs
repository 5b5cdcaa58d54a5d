//! A file of lines that survives a kill: a torn last line is cut off when the file is opened again, and the last whole
//! one says how far its writer had come.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::StoreId;
use crate::error::Error;
use crate::mark::Mark;

/// Bytes that are gathered before they are written; a line may be longer.
const BUFFER_BYTES: usize = 1 << 20;

/// What every line begins with.
const OPENING: &[u8] = b"{\"outbox\":\"";

/// A file of JSON lines that each begin with their [`Mark`].
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    store: StoreId,
    sync: bool,
    /// Absent before the first line, and after a failure: what the file then holds is read again.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    buffer: Vec<u8>,
    /// The sequence of the last line, if it is of our store.
    last: Option<u64>,
}

impl Lines {
    /// Lines in `path`, which is opened (and read for the last line) at once if it exists, and else created with the
    /// first line. With `sync`, every [`Lines::write`] waits for the disk.
    pub(crate) fn new(path: PathBuf, store: StoreId, sync: bool) -> Result<Self, Error> {
        let mut lines = Self { path, store, sync, open: None };
        let exists = lines.path.try_exists().map_err(Error::file("look for", &lines.path))?;
        if exists {
            lines.open()?;
        }
        Ok(lines)
    }

    /// The sequence of the last line of this store.
    pub(crate) fn last(&self) -> Option<u64> {
        self.open.as_ref().and_then(|open| open.last)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds the line that `line` makes of its mark, unless the file holds it already.
    pub(crate) fn push(&mut self, sequence: u64, line: impl FnOnce(&str) -> String) -> Result<(), Error> {
        let mark = Mark { store: self.store, sequence };
        let open = self.open()?;
        if open.last.is_some_and(|last| sequence <= last) {
            return Ok(());
        }
        let line = line(&mark.to_string());
        debug_assert!(line.as_bytes().starts_with(OPENING) && !line.contains('\n'));
        open.buffer.extend(line.as_bytes());
        open.buffer.push(b'\n');
        open.last = Some(sequence);
        if open.buffer.len() >= BUFFER_BYTES { self.write() } else { Ok(()) }
    }

    /// Hands what was pushed to the system, and with `sync` to the disk.
    pub(crate) fn write(&mut self) -> Result<(), Error> {
        let Some(mut open) = self.open.take_if(|open| !open.buffer.is_empty()) else { return Ok(()) };
        open.file.write_all(&open.buffer).map_err(Error::file("append to", &self.path))?;
        open.buffer.clear();
        if self.sync {
            open.file.sync_data().map_err(Error::file("sync", &self.path))?;
        }
        self.open = Some(open);
        Ok(())
    }

    /// Empties the file; the lines that were in it count as held.
    pub(crate) fn empty(&mut self) -> Result<(), Error> {
        let path = self.path.clone();
        let open = self.open()?;
        open.file.set_len(0).map_err(Error::file("empty", &path))?;
        open.file.sync_data().map_err(Error::file("sync", &path))
    }

    /// Takes lines up to `sequence` as held, for they are elsewhere.
    pub(crate) fn hold(&mut self, sequence: u64) -> Result<(), Error> {
        let open = self.open()?;
        open.last = open.last.max(Some(sequence));
        Ok(())
    }

    fn open(&mut self) -> Result<&mut Open, Error> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.open_file()?,
        };
        Ok(self.open.insert(open))
    }

    fn open_file(&self) -> Result<Open, Error> {
        let path = &self.path;
        let file = OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut file = file.map_err(Error::file("open", path))?;
        file.try_lock().map_err(|error| {
            let busy = std::io::Error::new(ErrorKind::ResourceBusy, "another process writes to it");
            Error::file("lock", path)(if let TryLockError::Error(source) = error { source } else { busy })
        })?;
        let tail = Tail::read(&mut file).map_err(Error::file("read the end of", path))?;
        let foreign = |reason: String| Error::Foreign { path: path.clone(), line: 0, reason };
        let mark = match &tail.line {
            Some(line) => Some(mark_of(line).map_err(foreign)?),
            None => None,
        };
        let ours = tail.torn.iter().zip(OPENING).all(|(found, wanted)| found == wanted);
        if mark.is_none() && !ours {
            return Err(foreign("its last line does not begin with an outbox mark".into()));
        }
        if !tail.torn.is_empty() {
            file.set_len(tail.whole).map_err(Error::file("cut the torn last line off", path))?;
        }
        let last = mark.filter(|mark| mark.store == self.store).map(|mark| mark.sequence);
        Ok(Open { file, buffer: Vec::new(), last })
    }
}

fn mark_of(line: &[u8]) -> Result<Mark, String> {
    #[derive(Deserialize)]
    struct Line {
        outbox: String,
    }
    let line: Line = serde_json::from_slice(line).map_err(|error| format!("its last line: {error}"))?;
    line.outbox.parse()
}

/// The end of a file.
struct Tail {
    /// The last whole line, without its end.
    line: Option<Vec<u8>>,
    /// What follows it.
    torn: Vec<u8>,
    /// Bytes up to the end of the last whole line.
    whole: u64,
}

impl Tail {
    /// Reads backwards until two line ends, or the beginning, are seen.
    fn read(file: &mut File) -> std::io::Result<Self> {
        let length = file.seek(SeekFrom::End(0))?;
        let mut size = 4_096;
        loop {
            let start = length.saturating_sub(size);
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let end = bytes.iter().rposition(|byte| *byte == b'\n');
            let before = end.and_then(|end| bytes[..end].iter().rposition(|byte| *byte == b'\n'));
            if start == 0 || before.is_some() {
                let line = end.map(|end| bytes[before.map_or(0, |before| before + 1)..end].to_vec());
                let torn = bytes.split_off(end.map_or(0, |end| end + 1));
                return Ok(Self { line, whole: length - torn.len() as u64, torn });
            }
            size *= 4;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const STORE: StoreId = StoreId(1);

    fn line(mark: &str) -> String {
        format!("{{\"outbox\":\"{mark}\",\"filler\":\"{}\"}}", "x".repeat(3_000))
    }

    fn written(path: &Path, sequences: impl IntoIterator<Item = u64>) -> Lines {
        let mut lines = Lines::new(path.to_owned(), STORE, false).expect("ours");
        for sequence in sequences {
            lines.push(sequence, line).expect("pushed");
        }
        lines.write().expect("written");
        lines
    }

    #[test]
    fn a_file_cut_anywhere_is_completed_without_loss_or_repetition() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("scores.jsonl");
        drop(written(&path, 1..=5));
        let whole = fs::read(&path).expect("read");
        for cut in (0..whole.len()).step_by(97) {
            fs::write(&path, &whole[..cut]).expect("cut");
            drop(written(&path, 1..=5));
            assert!(fs::read(&path).expect("read") == whole, "cut at {cut}");
        }
    }

    #[test]
    fn lines_of_another_store_are_not_ours() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("scores.jsonl");
        drop(written(&path, 1..=5));
        let mut other = Lines::new(path.clone(), StoreId(2), false).expect("readable");
        assert_eq!(other.last(), None);
        other.push(1, line).expect("pushed");
        other.write().expect("written");
        assert_eq!(fs::read_to_string(&path).expect("text").lines().count(), 6);
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("notes.txt");
        for content in ["milk and bread", "milk\nbread\n", "milk\nbread", "{\"a\":1}\n"] {
            fs::write(&path, content).expect("written");
            let refused = Lines::new(path.clone(), STORE, false).expect_err("foreign");
            assert!(refused.to_string().contains("notes.txt"), "{refused}");
            assert_eq!(fs::read_to_string(&path).expect("text"), content);
        }
    }

    #[test]
    fn two_writers_are_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("scores.jsonl");
        let _first = written(&path, 1..=1);
        let refused = Lines::new(path, STORE, false).expect_err("locked");
        assert!(refused.to_string().contains("another process"), "{refused}");
    }
}
