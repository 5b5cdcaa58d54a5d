//! Random changes, commits, crashes and reopenings: every read must be that of the model.

use std::path::Path;
use std::sync::Arc;

use relational::{Change, EventTime, ForeignKeyId, Op, Position, Schema, Window};

use super::Numbers;
use super::fixture::{self, bounds, change, index, parents, rows, window};
use crate::reference;
use crate::store::lock;
use crate::{Error, Keyspace, Options, Store};

const SPACES: [Keyspace; 2] = [Keyspace::Dirty, Keyspace::Outbox];

/// What one micro-batch did.
#[derive(Debug, Default, Clone)]
struct Batch {
    changes: Vec<Change>,
    position: i64,
    entries: Vec<(Keyspace, Vec<u8>, Option<Vec<u8>>)>,
}

fn open(directory: &Path, schema: &Arc<Schema>, memory_bytes: u64) -> Store {
    let options = Options { memory_bytes, sync: false, ..Options::default() };
    Store::open(directory, Arc::clone(schema), &options).expect("opens")
}

fn model(schema: &Arc<Schema>) -> reference::Store {
    reference::Store::open(Path::new(""), Arc::clone(schema), &Options::default()).expect("opens")
}

fn batch(numbers: &mut Numbers, position: &mut i64, rows: u64) -> Batch {
    let mut batch = Batch::default();
    for _ in 0..numbers.below(30) {
        batch.changes.push(change(numbers, *position, rows));
        *position += 1;
    }
    batch.position = *position;
    for _ in 0..numbers.below(6) {
        let value = if numbers.one_in(3) { None } else { Some(vec![numbers.below(9).to_le_bytes()[0]]) };
        batch.entries.push((SPACES[index(numbers.below(2))], vec![numbers.below(20).to_le_bytes()[0]], value));
    }
    batch
}

/// Both stores speak the same language, but are different types.
macro_rules! put {
    ($transaction:expr, $batch:expr) => {{
        let transaction = $transaction;
        let mut results = Vec::new();
        for change in &$batch.changes {
            let mut applied = Vec::new();
            let refused = transaction.apply(change, &mut applied).err().map(|error| error.to_string());
            results.push((applied, refused));
        }
        let next = Position { topic: Arc::from("t"), partition: 0, offset: $batch.position };
        transaction.set_position(next);
        for (space, key, value) in $batch.entries.clone() {
            match value {
                Some(value) => transaction.put(space, key, value),
                None => transaction.remove(space, key),
            }
        }
        results
    }};
}

fn compare(numbers: &mut Numbers, store: &Store, model: &reference::Store, key_count: u64) {
    assert_eq!(store.sequence(), model.sequence());
    assert_eq!(store.newest_time(), model.newest_time());
    assert_eq!(store.positions(), model.positions());
    for space in SPACES {
        let (start, limit) = ([numbers.below(9).to_le_bytes()[0]], index(numbers.below(12)));
        let same = |found: Result<_, Error>| found.expect("reads");
        assert_eq!(same(store.range(space, &start, limit)), same(model.range(space, &start, limit)));
        assert_eq!(store.get(space, &start).expect("reads"), model.get(space, &start).expect("reads"));
    }
    let bounds = bounds(numbers, model.sequence());
    let (mut real, mut expected) = (store.as_of(bounds), model.as_of(bounds));
    if numbers.one_in(2) {
        let mut keys = rows(key_count);
        let hidden = keys.swap_remove(index(numbers.below(keys.len() as u64)));
        (real, expected) = (real.without(&hidden).expect("reads"), expected.without(&hidden).expect("reads"));
    }
    for key in rows(key_count) {
        assert_eq!(real.row(&key).expect("reads"), expected.row(&key).expect("reads"), "{key:?} at {bounds:?}");
    }
    for (table, _) in store.schema().tables() {
        let limit = index(numbers.below(30));
        let all = expected.keys(table, None, usize::MAX).expect("reads");
        let after = all.get(index(numbers.below(9)));
        let found = real.keys(table, after, limit).expect("reads");
        assert_eq!(found, expected.keys(table, after, limit).expect("reads"), "keys of {table:?} at {bounds:?}");
        let sides = (real.timeline(table).expect("reads"), expected.timeline(table).expect("reads"));
        compare_children(numbers, sides, &format!("timeline of {table:?} at {bounds:?}"));
    }
    for foreign_key in (0..4).map(ForeignKeyId) {
        for parent in parents(foreign_key) {
            let real = real.children(foreign_key, &parent).expect("reads");
            let expected = expected.children(foreign_key, &parent).expect("reads");
            compare_children(numbers, (real, expected), &format!("{foreign_key:?} {parent} at {bounds:?}"));
        }
    }
}

fn compare_children(numbers: &mut Numbers, sides: (crate::Children, reference::Children), what: &str) {
    let (real, expected) = sides;
    let (window, limit) = (window(numbers), index(numbers.below(12)));
    let read = "reads";
    assert_eq!(real.first().expect(read), expected.first().expect(read), "first of {what}");
    let newest = real.newest(window, limit).expect(read);
    assert_eq!(newest, expected.newest(window, limit).expect(read), "newest of {what} in {window:?}");
    compare_arrivals(&real, &expected, 1 + limit, what);
    let summary = real.summary(window).expect(read);
    assert_eq!(summary, expected.summary(window).expect(read), "summary of {what} in {window:?}");
}

/// Page by page, whatever their size, the arrivals are all the rows and each of them once.
fn compare_arrivals(real: &crate::Children, expected: &reference::Children, limit: usize, what: &str) {
    let (mut found, mut place) = (Vec::new(), u64::MAX);
    while place > 0 {
        let (rows, next) = real.arrivals(place, limit).expect("reads");
        assert!(rows.iter().all(|(at, _)| (next..place).contains(at)), "places of {what}");
        found.extend(rows.into_iter().map(|(_, version)| version));
        place = next;
    }
    let mut all = expected.newest(Window::up_to(EventTime::MAX), usize::MAX).expect("reads");
    let order = |version: &crate::Version| (version.key.clone(), version.sequence);
    found.sort_by_key(order);
    all.sort_by_key(order);
    assert_eq!(found, all, "arrivals of {what}");
}

/// Writes some pages as a commit would, and is killed between two of them.
fn write_some(numbers: &mut Numbers, store: &Store) {
    for _ in 0..numbers.below(20) {
        let group = lock(&store.shared.pool).next_to_write();
        let whole = numbers.below(3) > 0;
        let count = if whole { group.len() } else { index(numbers.below(group.len() as u64 + 1)) };
        for (id, page) in &group[..count] {
            store.shared.disk.write_page(id, page).expect("writes");
            lock(&store.shared.pool).wrote(id);
        }
        if count < group.len() {
            return;
        }
    }
}

fn run(seed: u64, batches: u64, key_count: u64, memory_bytes: u64) {
    println!("seed {seed}");
    let numbers = &mut Numbers::new(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let schema = fixture::schema();
    let mut position = 0;
    let mut committed: Vec<Batch> = Vec::new();
    let mut store = open(directory.path(), &schema, memory_bytes);
    let mut expected = model(&schema);
    for _ in 0..batches {
        let batch = batch(numbers, &mut position, key_count);
        let mut transaction = store.begin();
        let results = put!(&mut transaction, batch);
        let mut model_transaction = expected.begin();
        assert_eq!(results, put!(&mut model_transaction, batch));
        if numbers.one_in(12) {
            compare(numbers, &store, &expected, key_count);
        }
        if numbers.one_in(15) {
            // The batch is lost, and all pages that were not written.
            drop((transaction, model_transaction));
            drop(store);
            store = open(directory.path(), &schema, memory_bytes);
            expected = model(&schema);
            for batch in &committed {
                put!(&mut expected.begin(), batch);
            }
        } else {
            transaction.commit().expect("commits");
            committed.push(batch);
            drop(model_transaction);
        }
        if numbers.one_in(3) {
            compare(numbers, &store, &expected, key_count);
        }
        if numbers.one_in(10) {
            // As if the process had been killed: nothing is written at the end.
            let crash = numbers.one_in(2);
            if crash {
                write_some(numbers, &store);
            }
            lock(&store.shared.live).poisoned = crash;
            drop(store);
            store = open(directory.path(), &schema, memory_bytes);
            assert!(crash || store.statistics().expect("counts").redo_changes == 0);
        }
    }
    compare(numbers, &store, &expected, key_count);
}

#[test]
fn the_store_is_its_model_with_few_rows() {
    for seed in 0..12 {
        run(seed, 60, 6, 1 << 20);
    }
}

#[test]
fn the_store_is_its_model_with_many_rows_and_little_memory() {
    for seed in 100..108 {
        run(seed, 80, 300, 40 << 10);
    }
}

#[test]
fn a_lost_transaction_poisons_the_store() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path(), &fixture::schema(), 1 << 20);
    let numbers = &mut Numbers::new(1);
    drop(store.begin());
    let mut changes = std::iter::repeat_with(|| change(numbers, 0, 9));
    let fits = |change: &Change| change.table == fixture::PEOPLE && matches!(change.op, Op::Upsert(_));
    let change = changes.find(fits).expect("endless");
    store.begin().apply(&change, &mut Vec::new()).expect("applies");
    assert!(matches!(store.begin().apply(&change, &mut Vec::new()), Err(Error::Poisoned)));
    assert!(matches!(store.begin().commit(), Err(Error::Poisoned)));
}

#[test]
fn a_second_opening_says_who_holds_the_store() {
    let directory = tempfile::tempdir().expect("a directory");
    let _store = open(directory.path(), &fixture::schema(), 1 << 20);
    let second = Store::open(directory.path(), fixture::schema(), &Options::default());
    assert!(matches!(second, Err(Error::InUse(_))));
}

#[test]
fn another_schema_is_refused_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(open(directory.path(), &fixture::schema(), 1 << 20));
    let other = Schema::new(fixture::schema().tables().map(|(_, table)| table.clone()).take(2).collect(), vec![]);
    let second = Store::open(directory.path(), Arc::new(other.expect("valid")), &Options::default());
    let message = second.expect_err("refused").to_string();
    assert!(message.contains("table payments"), "{message}");
}
