//! What an earlier version has written can still be read: `fixtures/v2.bin` is a store as a crash would have left it,
//! `fixtures/v2.txt` what is in it. `FORESHORE_UPDATE_FIXTURES=1` writes both anew.

#[path = "../src/tests/fixture.rs"]
mod fixture;
#[path = "../src/tests/numbers.rs"]
mod numbers;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fixture::{bounds, change, index, parents, rows, window};
use graph_store::{Children, Keyspace, Options, Store};
use numbers::Numbers;
use relational::{EventTime, ForeignKeyId, Position, Sequence, TableId, Window};

const KEYS: u64 = 60;

fn open(directory: &Path) -> Store {
    let options = Options { memory_bytes: 256 << 10, sync: true, ..Options::default() };
    Store::open(directory, fixture::schema(), &options).expect("opens")
}

fn apply(store: &Store, numbers: &mut Numbers, offsets: std::ops::Range<i64>) {
    let mut transaction = store.begin();
    for offset in offsets.clone() {
        transaction.apply(&change(numbers, offset, KEYS), &mut Vec::new()).ok();
    }
    transaction.set_position(Position { topic: Arc::from("topic"), partition: 3, offset: offsets.end });
    transaction.put(Keyspace::Outbox, offsets.end.to_be_bytes().to_vec(), b"value".to_vec());
    transaction.commit().expect("commits");
}

fn lines(out: &mut String, what: &str, children: &Children, window: Window) {
    let summary = children.summary(window).expect("reads");
    let moments: Vec<_> =
        summary.columns.iter().map(|c| (c.count, c.sum.to_bits(), c.sum_squares.to_bits(), c.min, c.max)).collect();
    writeln!(out, "{what}: first {:?}, {} rows, {moments:?}", children.first().expect("reads"), summary.rows)
        .expect("text");
    for version in children.newest(window, 20).expect("reads") {
        writeln!(out, "  {version:?}").expect("text");
    }
}

/// Everything that can be read at some bounds, as text.
fn dump(store: &Store) -> String {
    let mut out = String::new();
    let numbers = &mut Numbers::new(5);
    writeln!(out, "{:?} {:?} {:?}", store.sequence(), store.newest_time(), store.positions()).expect("text");
    writeln!(out, "{:?}", store.range(Keyspace::Outbox, &[], 100).expect("reads")).expect("text");
    for _ in 0..3 {
        let mut bounds = bounds(numbers, store.sequence());
        bounds.sequence = bounds.sequence.max(Sequence(store.sequence().0 / 2));
        let snapshot = store.as_of(bounds);
        writeln!(out, "at {bounds:?}").expect("text");
        for key in rows(KEYS).iter().filter(|_| numbers.one_in(9)) {
            writeln!(out, "{key:?}: {:?}", snapshot.row(key).expect("reads")).expect("text");
        }
        for table in (0..4).map(TableId) {
            let keys = snapshot.keys(table, None, index(numbers.below(20))).expect("reads");
            writeln!(out, "keys of {table:?}: {keys:?}").expect("text");
            let timeline = snapshot.timeline(table).expect("reads");
            lines(&mut out, &format!("{table:?}"), &timeline, Window::up_to(EventTime::MAX));
        }
        for foreign_key in (0..4).map(ForeignKeyId) {
            let parent = &parents(foreign_key)[index(numbers.below(4))];
            let children = snapshot.children(foreign_key, parent).expect("reads");
            lines(&mut out, &format!("{foreign_key:?} {parent}"), &children, window(numbers));
        }
    }
    out
}

/// Packs the files of a store: name, length and content of each, compressed.
fn pack(directory: &Path) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory).expect("lists").map(|entry| entry.expect("lists").path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.is_file()) {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a plain name");
        let content = std::fs::read(file).expect("reads");
        for part in [name.as_bytes(), &content] {
            plain.extend((part.len() as u64).to_le_bytes());
            plain.extend(part);
        }
    }
    lz4_flex::block::compress_prepend_size(&plain)
}

fn unpack(packed: &[u8], directory: &Path) {
    let plain = lz4_flex::block::decompress_size_prepended(packed).expect("decompresses");
    let mut rest = plain.as_slice();
    let mut part = || {
        let (length, after) = rest.split_first_chunk::<8>()?;
        let (bytes, after) = after.split_at(index(u64::from_le_bytes(*length)));
        rest = after;
        Some(bytes)
    };
    while let (Some(name), Some(content)) = (part(), part()) {
        std::fs::write(directory.join(str::from_utf8(name).expect("a name")), content).expect("writes");
    }
}

#[expect(clippy::disallowed_methods, reason = "how a person asks for new fixtures")]
fn update_wanted() -> bool {
    std::env::var("FORESHORE_UPDATE_FIXTURES").is_ok()
}

fn write(binary: &Path, text: &Path) {
    let directory = tempfile::tempdir().expect("a directory");
    let numbers = &mut Numbers::new(3);
    let store = open(directory.path());
    (0..9).for_each(|batch| apply(&store, numbers, 100 * batch..100 * batch + 100));
    drop(store);
    let store = open(directory.path());
    apply(&store, numbers, 900..950);
    // The last commit is in the log only.
    assert!(store.statistics().expect("counts").redo_changes > 0);
    std::fs::write(binary, pack(directory.path())).expect("writes");
    std::fs::write(text, dump(&store)).expect("writes");
}

#[test]
fn the_first_format_can_be_read() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let (binary, text) = (fixtures.join("v2.bin"), fixtures.join("v2.txt"));
    if update_wanted() {
        write(&binary, &text);
    }
    let directory = tempfile::tempdir().expect("a directory");
    unpack(&std::fs::read(binary).expect("reads"), directory.path());
    let expected = std::fs::read_to_string(text).expect("reads");
    for opening in ["after the crash", "closed and opened again"] {
        let found = dump(&open(directory.path()));
        let difference = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
        assert_eq!(difference, None, "{opening}");
        assert_eq!(found.len(), expected.len(), "{opening}");
    }
}
