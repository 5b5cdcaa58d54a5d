//! The files of the repository, for tests that read them.

use std::fs;
use std::path::{Path, PathBuf};

/// Every crate of the workspace.
pub(crate) const CRATES: [&str; 10] = [
    "relational",
    "pql",
    "fluvio-log",
    "ingest",
    "graph-store",
    "predictor",
    "sinks",
    "pipeline",
    "pretrain",
    "integration-tests",
];

/// What is not ours: build outputs, services, data.
const SKIPPED: [&str; 5] = ["target", ".git", ".services", "proptest-regressions", "foreshore-store"];

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("this crate lies in the repository").to_owned()
}

/// Every file below `folder` (relative to the root) whose name has one of these endings, relative to the root, in order
/// of their names.
pub(crate) fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&root().join(folder), &mut found);
    found.retain(|path| endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)));
    let mut relative: Vec<_> =
        found.iter().map(|path| path.strip_prefix(root()).expect("below the root").to_owned()).collect();
    relative.sort();
    relative
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !SKIPPED.contains(&name.as_str()) {
            collect(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

/// The text of a file, by its path from the root.
pub(crate) fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Fails with all findings, one a line.
#[track_caller]
pub(crate) fn none(findings: &[String]) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}
