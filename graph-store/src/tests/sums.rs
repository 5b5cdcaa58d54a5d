//! Sums keep their last bit whatever comes later.

use relational::{Cell, ForeignKeyId, Op, RowKey, Value, Window};

use super::Numbers;
use super::fixture::{self, bounds, change, parents, window};
use crate::{DroppedLinks, Options, Snapshot, Store, Summary};

/// A change with amounts that round.
fn rough(numbers: &mut Numbers, position: i64) -> relational::Change {
    let mut change = change(numbers, position, 60);
    if let (fixture::PAYMENTS, Op::Upsert(cells) | Op::Snapshot(cells)) = (change.table, &mut change.op) {
        #[expect(clippy::cast_precision_loss, reason = "a rough number is wanted")]
        let amount = (numbers.below(1 << 53) as f64).sqrt() * 1e-3;
        cells[4] = Cell::Value(Value::Float(amount));
    }
    if change.op == Op::Truncate {
        change.op = Op::Delete;
    }
    change
}

fn bits(summary: &Summary) -> Vec<u64> {
    let numbers = summary.columns.iter().flat_map(|column| {
        let floats = [column.sum, column.sum_squares, column.min, column.max];
        std::iter::once(column.count).chain(floats.map(f64::to_bits))
    });
    std::iter::once(summary.rows).chain(numbers).collect()
}

fn answers(snapshot: &Snapshot, windows: &[Window]) -> Vec<Vec<u64>> {
    let mut answers = Vec::new();
    for foreign_key in (0..4).map(ForeignKeyId) {
        for parent in parents(foreign_key) {
            let children = snapshot.children(foreign_key, &parent).expect("reads");
            answers.extend(windows.iter().map(|window| bits(&children.summary(*window).expect("reads"))));
        }
    }
    let payments = snapshot.timeline(fixture::PAYMENTS).expect("reads");
    answers.extend(windows.iter().map(|window| bits(&payments.summary(*window).expect("reads"))));
    answers
}

#[test]
fn later_changes_leave_every_bit_of_earlier_sums() {
    for seed in 0..8 {
        println!("seed {seed}");
        let numbers = &mut Numbers::new(seed);
        let directory = tempfile::tempdir().expect("a directory");
        let options = Options { memory_bytes: 200 << 10, sync: false, ..Options::default() };
        let open = || Store::open(directory.path(), fixture::schema(), &options).expect("opens");
        let mut store = open();
        let mut seen = Vec::new();
        for round in 0..12 {
            let mut transaction = store.begin();
            for position in 0..60 {
                transaction.apply(&rough(numbers, 60 * round + position), &mut Vec::new()).ok();
            }
            transaction.commit().expect("commits");
            let windows = [window(numbers), window(numbers), Window::up_to(relational::EventTime::MAX)];
            let mut bounds = bounds(numbers, store.sequence());
            bounds.sequence = bounds.sequence.min(store.sequence());
            seen.push((bounds, windows, answers(&store.as_of(bounds), &windows)));
            if numbers.one_in(3) {
                drop(store);
                store = open();
            }
            for (bounds, windows, before) in &seen {
                assert_eq!(*before, answers(&store.as_of(*bounds), windows), "at {bounds:?}");
            }
        }
    }
}

#[test]
fn sums_over_rows_are_the_bits_of_sums_over_digests_and_leave_out_dropped_edges() {
    let numbers = &mut Numbers::new(5);
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path(), fixture::schema(), &Options::default()).expect("opens");
    for round in 0..30 {
        let mut transaction = store.begin();
        for position in 0..200 {
            transaction.apply(&rough(numbers, 200 * round + position), &mut Vec::new()).ok();
        }
        transaction.commit().expect("commits");
    }
    let snapshot = store.as_of(relational::AsOf::live(relational::EventTime::MAX, store.sequence()));
    let windows = [window(numbers), window(numbers), Window::up_to(relational::EventTime::MAX)];
    let plain = answers(&snapshot, &windows);
    let dropping = |share| snapshot.without_links(DroppedLinks { seed: 7, share });
    assert_eq!(plain, answers(&dropping(0.0), &windows));
    let half = dropping(0.5);
    let (mut left, mut all) = (0, 0);
    for foreign_key in (0..4).map(ForeignKeyId) {
        let columns = &snapshot.schema().foreign_key(foreign_key).columns;
        for parent in parents(foreign_key) {
            let rows = |snapshot: &Snapshot| {
                let children = snapshot.children(foreign_key, &parent).expect("reads");
                let rows = children.newest(windows[2], usize::MAX).expect("reads");
                assert_eq!(children.summary(windows[2]).expect("reads").rows, rows.len() as u64);
                rows.into_iter().map(|version| version.key).collect::<Vec<_>>()
            };
            let (plain, kept) = (rows(&snapshot), rows(&half));
            assert_eq!(kept, rows(&half), "the same edges each time");
            for key in &plain {
                let row = RowKey { table: snapshot.schema().foreign_key(foreign_key).child, key: key.clone() };
                let shown = half.row(&row).expect("reads").expect("a row stays");
                assert_eq!(relational::Key::of(&shown.row, columns).is_some(), kept.contains(key), "{row:?}");
            }
            (left, all) = (left + kept.len(), all + plain.len());
        }
    }
    assert!(all > 100 && left * 3 > all && left * 3 < 2 * all, "{left} of {all}");
}
