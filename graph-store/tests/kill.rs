//! A process that applies changes is killed again and again, at any moment. Nothing that it said was committed may be
//! lost, nothing may be half applied, and the end must be that of a run that nobody disturbed.

#[path = "../src/tests/fixture.rs"]
mod fixture;
#[path = "../src/tests/numbers.rs"]
mod numbers;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fixture::{index, parents, rows, window};
use graph_store::{Keyspace, Options, Snapshot, Store};
use numbers::Numbers;
use relational::{AsOf, EventTime, ForeignKeyId, Position, Sequence, TableId};

const DIRECTORY: &str = "FORESHORE_KILL_TEST_DIRECTORY";
const SYNC: &str = "FORESHORE_KILL_TEST_SYNC";
const SEED: u64 = 11;
const CHANGES: i64 = 24_000;
const BATCH: i64 = 40;
const KEYS: u64 = 3_000;
const KILLS: u64 = 32;

/// Little memory, so that pages are written and dropped all the time.
fn open(directory: &Path, sync: bool) -> Store {
    Store::open(directory, fixture::schema(), &Options { memory_bytes: 512 << 10, sync, ..Options::default() })
        .expect("opens")
}

/// Where the store stands in the stream of changes.
fn next(store: &Store) -> i64 {
    store.positions().first().map_or(0, |position| position.offset)
}

/// Applies the batch that begins at this place of the stream.
fn apply(store: &Store, from: i64) {
    let mut numbers = Numbers::new(SEED + from.cast_unsigned());
    let mut transaction = store.begin();
    let mut applied = Vec::new();
    for offset in from..from + BATCH {
        // Refused changes are part of the stream.
        transaction.apply(&fixture::change(&mut numbers, offset, KEYS), &mut applied).ok();
    }
    transaction.set_position(Position { topic: Arc::from("t"), partition: 0, offset: from + BATCH });
    let key = numbers.below(50).to_be_bytes().to_vec();
    transaction.put(Keyspace::Outbox, key.clone(), from.to_be_bytes().to_vec());
    transaction.remove(Keyspace::Outbox, numbers.below(50).to_be_bytes().to_vec());
    transaction.commit().expect("commits");
}

/// Runs only in the process that is to be killed: there the directory is given.
#[test]
#[expect(clippy::disallowed_methods, reason = "how a test tells its own child what to do")]
fn applies_until_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let store = open(Path::new(&directory), std::env::var(SYNC).is_ok());
    let mut out = std::io::stdout();
    while next(&store) < CHANGES {
        apply(&store, next(&store));
        writeln!(out, "committed {}", next(&store)).and_then(|()| out.flush()).expect("the parent listens");
    }
}

/// Lets a child run until some commits and a moment later it is killed. Returns the last commit that it told of.
fn live_and_die(directory: &Path, sync: bool, numbers: &mut Numbers) -> i64 {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["applies_until_killed", "--exact", "--nocapture"]).env(DIRECTORY, directory);
    if sync {
        command.env(SYNC, "1");
    }
    let mut child = command.stdout(Stdio::piped()).spawn().expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let mut last = -1;
    let mut hear =
        |line: String| line.strip_prefix("committed ").map(|offset| last = offset.parse().expect("a number"));
    let commits = numbers.below(2 * CHANGES.cast_unsigned() / BATCH.cast_unsigned() / KILLS);
    lines.by_ref().filter_map(&mut hear).take(index(commits)).for_each(drop);
    std::thread::sleep(Duration::from_micros(numbers.below(4_000)));
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    lines.filter_map(&mut hear).for_each(drop);
    last
}

/// The same bounds must give the same answers.
fn compare(numbers: &mut Numbers, found: &Store, expected: &Store) {
    let newest = found.sequence();
    let everything = AsOf { cutoff: EventTime::MAX, sequence: newest, known: EventTime::MAX };
    for bounds in [everything, fixture::bounds(numbers, newest)] {
        let bounds = AsOf { sequence: bounds.sequence.min(newest), ..bounds };
        let (found, expected) = (found.as_of(bounds), expected.as_of(bounds));
        for key in rows(KEYS).into_iter().filter(|_| numbers.one_in(40)) {
            assert_eq!(found.row(&key).expect("reads"), expected.row(&key).expect("reads"), "{key:?} at {bounds:?}");
        }
        compare_histories(numbers, &found, &expected);
    }
}

fn compare_histories(numbers: &mut Numbers, found: &Snapshot, expected: &Snapshot) {
    let mut sides = Vec::new();
    for table in (0..4).map(TableId) {
        let keys = |side: &Snapshot| side.keys(table, None, 2_000).expect("reads");
        assert_eq!(keys(found), keys(expected));
        sides.push([found, expected].map(|side| side.timeline(table).expect("reads")));
    }
    for foreign_key in (0..4).map(ForeignKeyId) {
        for parent in parents(foreign_key) {
            sides.push([found, expected].map(|side| side.children(foreign_key, &parent).expect("reads")));
        }
    }
    for [found, expected] in sides {
        let (window, limit) = (window(numbers), index(numbers.below(100)));
        assert_eq!(found.first().expect("reads"), expected.first().expect("reads"));
        assert_eq!(found.newest(window, limit).expect("reads"), expected.newest(window, limit).expect("reads"));
        assert_eq!(found.summary(window).expect("reads"), expected.summary(window).expect("reads"));
    }
}

#[test]
fn a_killed_store_goes_on_as_if_nothing_had_happened() {
    let directory = tempfile::tempdir().expect("a directory");
    let undisturbed = open(&directory.path().join("undisturbed"), false);
    let mut sequences = vec![Sequence(0)];
    let mut outbox = vec![Vec::new()];
    while next(&undisturbed) < CHANGES {
        apply(&undisturbed, next(&undisturbed));
        sequences.push(undisturbed.sequence());
        outbox.push(undisturbed.range(Keyspace::Outbox, &[], 100).expect("reads"));
    }
    let killed = directory.path().join("killed");
    let numbers = &mut Numbers::new(SEED);
    let (mut kills, mut kept) = (0, 0);
    while kept < CHANGES {
        // One life in three does not wait for the disk: it may lose commits, but only whole ones from the end.
        let sync = !numbers.one_in(3);
        let acknowledged = live_and_die(&killed, sync, numbers);
        kills += 1;
        if sync {
            kept = acknowledged.max(kept);
        }
        if numbers.one_in(3) {
            // The next life opens what this one left.
            continue;
        }
        let store = open(&killed, true);
        let position = next(&store);
        assert!(position >= kept, "only {position} of {kept} are left after kill {kills}");
        let batch = index((position / BATCH).cast_unsigned());
        assert_eq!(store.sequence(), sequences[batch], "after kill {kills} at {position}");
        assert_eq!(store.range(Keyspace::Outbox, &[], 100).expect("reads"), outbox[batch]);
        compare(numbers, &store, &undisturbed);
        kept = position;
        assert!(kills < 10 * KILLS, "every life makes some progress");
    }
    assert!(kills >= KILLS * 9 / 10, "only {kills} kills");
    println!("{kills} kills");
}
