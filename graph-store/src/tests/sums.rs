//! Sums keep their last bit whatever comes later.

use relational::{Cell, ForeignKeyId, Op, Value, Window};

use super::Numbers;
use super::fixture::{self, bounds, change, parents, window};
use crate::{Options, Snapshot, Store, Summary};

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
        let options = Options { memory_bytes: 200 << 10, sync: false };
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
