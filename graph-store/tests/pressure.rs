//! Readers beside a writer, and a row that changes all the time.

#[path = "../src/tests/fixture.rs"]
mod fixture;
#[path = "../src/tests/numbers.rs"]
mod numbers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fixture::{bounds, index, parents, rows, window};
use graph_store::{Options, Snapshot, Store};
use numbers::Numbers;
use relational::{
    AsOf, Cell, Change, EventTime, ForeignKeyId, Key, Op, Position, RowKey, Sequence, TableId, Value, Window,
};

const PAYMENTS: TableId = fixture::PAYMENTS;

fn open(directory: &tempfile::TempDir) -> Store {
    let options = Options { memory_bytes: 1 << 20, sync: false, ..Options::default() };
    Store::open(directory.path(), fixture::schema(), &options).expect("opens")
}

/// How many rows there are, counted in three ways.
fn counts(snapshot: &Snapshot) -> [u64; 3] {
    let everything = Window::up_to(EventTime::MAX);
    let keys = snapshot.keys(PAYMENTS, None, usize::MAX).expect("reads").len() as u64;
    let timeline = snapshot.timeline(PAYMENTS).expect("reads").summary(everything).expect("reads").rows;
    let with_place = parents(ForeignKeyId(2)).into_iter().map(|parent| {
        let children = snapshot.children(ForeignKeyId(2), &parent).expect("reads");
        children.newest(everything, usize::MAX).expect("reads").len() as u64
    });
    let placed = with_place.sum::<u64>();
    let without = timeline - rows_with_place(snapshot);
    [keys, timeline, placed + without]
}

fn rows_with_place(snapshot: &Snapshot) -> u64 {
    let timeline = snapshot.timeline(PAYMENTS).expect("reads");
    let all = timeline.newest(Window::up_to(EventTime::MAX), usize::MAX).expect("reads");
    all.iter().filter(|version| version.row.values()[2..4].iter().all(|value| !value.is_null())).count() as u64
}

fn read_on(store: &Store, seed: u64, done: &AtomicBool) {
    let numbers = &mut Numbers::new(seed);
    while !done.load(Ordering::Acquire) {
        let newest = store.sequence();
        let bounds = AsOf { sequence: newest, ..bounds(numbers, newest) };
        let snapshot = store.as_of(bounds);
        let [keys, timeline, placed] = counts(&snapshot);
        assert_eq!((keys, placed), (timeline, timeline), "at {bounds:?}");
        let key = &rows(400)[index(numbers.below(400))];
        assert_eq!(snapshot.row(key).expect("reads"), snapshot.row(key).expect("reads"));
        let timeline = || snapshot.timeline(PAYMENTS).expect("reads");
        let window = window(numbers);
        assert_eq!(timeline().summary(window).expect("reads"), timeline().summary(window).expect("reads"));
    }
}

#[test]
fn readers_see_one_state_while_the_writer_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(&directory);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (store, done) = (&store, &done);
        let readers = [scope.spawn(|| read_on(store, 1, done)), scope.spawn(|| read_on(store, 2, done))];
        let numbers = &mut Numbers::new(9);
        for batch in 0..60 {
            let mut transaction = store.begin();
            for offset in 100 * batch..100 * batch + 100 {
                let change = fixture::change(numbers, offset, 400);
                if change.op != Op::Truncate {
                    transaction.apply(&change, &mut Vec::new()).ok();
                }
            }
            transaction.commit().expect("commits");
        }
        done.store(true, Ordering::Release);
        readers.into_iter().for_each(|reader| reader.join().expect("no reader fails"));
    });
}

#[test]
fn a_row_may_have_many_versions() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(&directory);
    let last = 20_000;
    for from in (1..=last).step_by(1_000) {
        let mut transaction = store.begin();
        for number in from..from + 1_000 {
            let values = [Value::Int(1), Value::Int(7), Value::text(format!("name {number}"))];
            let op = Op::Upsert(values.map(Cell::Value).into());
            let position = Position { topic: Arc::from("t"), partition: 0, offset: number };
            let known = EventTime(number);
            let change = Change { table: fixture::PEOPLE, key: Key::single(Value::Int(1)), op, known, position };
            transaction.apply(&change, &mut Vec::new()).expect("applies");
        }
        transaction.commit().expect("commits");
    }
    for number in [1, 2, 40, 9_999, last] {
        let arrived = AsOf::live(EventTime::MAX, Sequence(number.cast_unsigned()));
        let happened = AsOf::live(EventTime(number), Sequence::MAX);
        for bounds in [arrived, happened] {
            let snapshot = store.as_of(bounds);
            let key = RowKey { table: fixture::PEOPLE, key: Key::single(Value::Int(1)) };
            let version = snapshot.row(&key).expect("reads").expect("visible");
            assert_eq!(version.row.values()[2], Value::text(format!("name {number}")));
            let children = snapshot.children(ForeignKeyId(0), &Key::single(Value::Int(7))).expect("reads");
            assert_eq!(children.newest(Window::up_to(EventTime::MAX), 9).expect("reads"), [version]);
        }
    }
}
