//! Encoded contexts of `kumo-relational` in files, so that a restart need not encode them again.
//!
//! `contexts/TASK-ID` in the store's directory (the task's name as a digest, the context's id, 16 hexadecimal digits each):
//! `magic (8) | id (8) | context | xxh3 of all before (8)`, big-endian. A file that is anything else is left unread. The
//! newest four of each task stay, as many as are in memory, each within the bytes that a context may take.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use relational::ContextId;
use tracing::warn;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::CONTEXTS_KEPT;

const MAGIC: &[u8; 8] = b"FSCTXT\0\0";

/// One task's files.
#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
    task: String,
    writes: bool,
    /// Two contexts may be made at once, and the unfinished file is one.
    writing: Mutex<()>,
}

impl Kept {
    pub(super) fn new(store: &Path, task: &str, writes: bool) -> Self {
        let task = format!("{:016x}-", xxh3_64(task.as_bytes()));
        Self { folder: store.join("contexts"), task, writes, writing: Mutex::default() }
    }

    /// The context of this id, where a whole one is kept.
    pub(super) fn read(&self, id: ContextId) -> Option<Vec<u8>> {
        let file = self.file(id);
        let mut bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                warn!(file = %file.display(), %error, "a kept context cannot be read: it is encoded again");
                return None;
            }
        };
        if !is_whole(&bytes, id) {
            warn!(file = %file.display(), "a kept context is damaged: it is encoded again");
            return None;
        }
        bytes.truncate(bytes.len() - 8);
        bytes.drain(..16);
        Some(bytes)
    }

    /// Keeps a context, and lets go of the oldest. Failing costs no more than encoding it again after a restart.
    pub(super) fn write(&self, id: ContextId, context: &[u8]) {
        if !self.writes {
            return;
        }
        if let Err(error) = self.try_write(id, context) {
            warn!(folder = %self.folder.display(), %error, "an encoded context is not kept for a restart");
        }
    }

    fn try_write(&self, id: ContextId, context: &[u8]) -> io::Result<()> {
        let _guard = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        fs::create_dir_all(&self.folder)?;
        // Whole or not at all: under its name it appears at once.
        let unfinished = self.unfinished();
        let mut file = File::create(&unfinished)?;
        let mut hasher = Xxh3::new();
        for part in [MAGIC.as_slice(), &id.0.to_be_bytes(), context] {
            hasher.update(part);
            file.write_all(part)?;
        }
        file.write_all(&hasher.digest().to_be_bytes())?;
        fs::rename(&unfinished, self.file(id))?;
        let mut files = self.files()?;
        files.sort();
        files.iter().rev().skip(CONTEXTS_KEPT.get()).try_for_each(|(_, file)| fs::remove_file(file))
    }

    /// The task's files, with the times when they were written.
    fn files(&self) -> io::Result<Vec<(SystemTime, PathBuf)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&self.task) {
                files.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        Ok(files)
    }

    fn unfinished(&self) -> PathBuf {
        self.folder.join(format!("{}unfinished", self.task))
    }

    fn file(&self, id: ContextId) -> PathBuf {
        self.folder.join(format!("{}{:016x}", self.task, id.0))
    }
}

fn is_whole(bytes: &[u8], id: ContextId) -> bool {
    let Some((before, digest)) = bytes.split_last_chunk::<8>() else { return false };
    let start = [MAGIC.as_slice(), &id.0.to_be_bytes()].concat();
    before.starts_with(&start) && u64::from_be_bytes(*digest) == xxh3_64(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_what_is_damaged_or_foreign_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(folder.path(), "churn", true);
        let (id, other) = (ContextId(7), ContextId(8));
        assert_eq!(kept.read(id), None);
        kept.write(id, b"a context");
        assert_eq!(kept.read(id).as_deref(), Some(b"a context".as_slice()));
        fs::copy(kept.file(id), kept.file(other)).unwrap();
        assert_eq!(kept.read(other), None, "the file is another context's");
        let mut bytes = fs::read(kept.file(id)).unwrap();
        for place in 0..bytes.len() {
            bytes[place] ^= 1;
            fs::write(kept.file(id), &bytes).unwrap();
            assert_eq!(kept.read(id), None, "byte {place}");
            bytes[place] ^= 1;
        }
        fs::write(kept.file(id), &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(kept.read(id), None, "cut short");
    }

    #[test]
    fn the_newest_four_of_each_task_stay() {
        let folder = tempfile::tempdir().unwrap();
        let [churn, fraud] = ["churn", "fraud"].map(|task| Kept::new(folder.path(), task, true));
        fraud.write(ContextId(1), b"fraud");
        for id in 1..=6 {
            churn.write(ContextId(id), b"churn");
            let written = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(id);
            File::options().write(true).open(churn.file(ContextId(id))).unwrap().set_modified(written).unwrap();
        }
        let there: Vec<u64> = (1..=6).filter(|id| churn.read(ContextId(*id)).is_some()).collect();
        assert_eq!(there, [3, 4, 5, 6]);
        assert!(fraud.read(ContextId(1)).is_some());
    }

    #[test]
    fn a_file_that_was_never_finished_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(folder.path(), "churn", true);
        let id = ContextId(7);
        fs::create_dir_all(&kept.folder).unwrap();
        fs::write(kept.unfinished(), MAGIC).unwrap();
        assert_eq!(kept.read(id), None);
        kept.write(id, b"a context");
        assert_eq!(kept.read(id).as_deref(), Some(b"a context".as_slice()));
        assert_eq!(kept.files().unwrap().len(), 1);
    }

    #[test]
    fn who_only_reads_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(folder.path(), "churn", false);
        kept.write(ContextId(7), b"a context");
        assert!(!kept.folder.exists());
    }
}
