//! Reading a parent's history costs the same whether it has a hundred children or a million.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use graph_store::{Options, Store};
use relational::{
    AsOf, Cell, Change, Column, ColumnId, DataType, EventTime, ForeignKey, ForeignKeyId, Key, Op, Position, Schema,
    Table, TableId, Value, Window,
};

const CHILDREN: [i64; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];
const STEP: i64 = 60 * EventTime::SECOND;

fn schema() -> Arc<Schema> {
    let table = |name: &str, columns: &[(&str, DataType)], time: Option<u16>| Table {
        name: name.into(),
        columns: columns.iter().map(|(name, data_type)| Column::new(*name, *data_type)).collect(),
        key: vec![ColumnId(0)],
        time: time.map(ColumnId),
    };
    use DataType::{Float, Int, Time};
    let payments = [("id", Int), ("shop", Int), ("amount", Float), ("at", Time)];
    let tables = vec![table("shops", &[("id", Int)], None), table("payments", &payments, Some(3))];
    let link = ForeignKey { child: TableId(1), columns: vec![ColumnId(1)], parent: TableId(0) };
    Arc::new(Schema::new(tables, vec![link]).expect("valid"))
}

fn change(id: i64, shop: i64, number: i64) -> Change {
    let at = EventTime(number * STEP);
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let amount = (id % 1_000) as f64 / 7.0;
    let values = [Value::Int(id), Value::Int(shop), Value::Float(amount), Value::Time(at)];
    let op = Op::Upsert(values.map(Cell::Value).into());
    let position = Position { topic: Arc::from("t"), partition: 0, offset: id };
    Change { table: TableId(1), key: Key::single(Value::Int(id)), op, known: at, position }
}

/// A store with one parent for each length of history; the parent's key is its number of children.
fn filled(directory: &std::path::Path) -> Store {
    let store = Store::open(directory, schema(), &Options::default()).expect("opens");
    let mut id = 0;
    for children in CHILDREN {
        for from in (0..children).step_by(1_000) {
            let mut transaction = store.begin();
            let mut applied = Vec::new();
            for number in from..children.min(from + 1_000) {
                transaction.apply(&change(id, children, number), &mut applied).expect("applies");
                id += 1;
            }
            transaction.commit().expect("commits");
        }
    }
    store
}

fn reads(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    // Opened again, so that nothing is in memory but what reading brings there.
    drop(filled(directory.path()));
    let store = Store::open(directory.path(), schema(), &Options::default()).expect("opens");
    let snapshot = store.as_of(AsOf::live(EventTime::MAX, store.sequence()));
    let mut group = criterion.benchmark_group("children");
    for count in CHILDREN {
        let parent = Key::single(Value::Int(count));
        let children = || snapshot.children(ForeignKeyId(0), &parent).expect("reads");
        let window = Window { start: EventTime(count / 5 * STEP), end: EventTime(count / 10 * 9 * STEP) };
        assert_eq!(children().summary(window).expect("reads").rows, (count / 10 * 9 - count / 5).cast_unsigned());
        group.bench_function(BenchmarkId::new("newest 16", count), |bencher| {
            bencher.iter(|| black_box(children().newest(window, 16).expect("reads").len()));
        });
        group.bench_function(BenchmarkId::new("summary", count), |bencher| {
            bencher.iter(|| black_box(children().summary(window).expect("reads").rows));
        });
        group.bench_function(BenchmarkId::new("first", count), |bencher| {
            bencher.iter(|| black_box(children().first().expect("reads")));
        });
    }
    group.finish();
}

criterion_group!(benches, reads);
criterion_main!(benches);
