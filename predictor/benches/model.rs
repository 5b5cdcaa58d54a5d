//! `kumo-relational` on the weights and inputs of `scripts/golden/bench.py`, which times the reference package.

use std::hint::black_box;
use std::path::Path;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use predictor::model::checkpoint::{Checkpoint, Part};
use predictor::model::{FitOptions, Graph, Labels, Link, Model, Relationship, Sample, Seeded, TableRows};

const CONTEXT: usize = 1_000;
const ORDERS: usize = 4;
const HOUR: i64 = 3_600_000_000;

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "as the script computes it")]
fn value(row: usize, column: usize) -> f32 {
    let (row, column) = (row as f64, column as f64);
    (0.37 * row + 1.3 * column * column + 0.01 * row * column).sin() as f32
}

fn numbers(first: usize, count: usize, columns: usize) -> Vec<Vec<f32>> {
    (0..columns).map(|column| (first..first + count).map(|row| value(row, column)).collect()).collect()
}

fn sample(first: usize, count: usize) -> Sample {
    let start = first * ORDERS;
    let time = |row: usize| Some((400_000 + i64::try_from(row % 5_000).expect("it is small")) * HOUR);
    let users = TableRows { count, numbers: numbers(first, count, 4), ..TableRows::default() };
    let orders = TableRows {
        count: count * ORDERS,
        numbers: numbers(start, count * ORDERS, 3),
        times: vec![(start..start + count * ORDERS).map(time).collect()],
        ..TableRows::default()
    };
    let link = |child| Link { relationship: 0, child, parent: child / ORDERS };
    let graph = Graph {
        counts: vec![count, count * ORDERS],
        links: (0..count * ORDERS).map(link).collect(),
        entity_table: 0,
        entities: (0..count).collect(),
    };
    let task = TableRows { count, ..TableRows::default() };
    Sample { graph, tables: vec![users, orders], anchors: vec![Some(410_000 * HOUR); count], task }
}

fn model(name: &str) -> Option<Model> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/model-bench").join(name);
    Checkpoint::read(&folder, Part::Classifier).ok().map(|checkpoint| checkpoint.load().expect("it is whole"))
}

fn bench(criterion: &mut Criterion) {
    let options = FitOptions {
        relationships: vec![Relationship { child: 1, parent: 0 }],
        hops: 1,
        estimators: 1,
        bytes_max: usize::MAX,
    };
    let codes = (0..CONTEXT).map(|row| u32::from(row * 7 % 3 == 0)).collect();
    let labels = Labels::Classes { count: 2, codes };
    let context = sample(0, CONTEXT);
    for name in ["released", "small"] {
        let Some(model) = model(name) else {
            eprintln!("no weights: run scripts/golden/bench.py first");
            return;
        };
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        let fit = || model.fit(&context, &labels, &options, &mut Seeded::new(1)).expect("it can be fitted");
        group.bench_function(BenchmarkId::new("fit", CONTEXT), |bench| bench.iter(|| black_box(fit())));
        let fitted = fit();
        for count in [1, 32, 512] {
            let queries: Vec<Sample> = (CONTEXT..CONTEXT + count).map(|first| sample(first, 1)).collect();
            let predict = || model.predict(&fitted, &queries).expect("it answers");
            group.bench_function(BenchmarkId::new("predict", count), |bench| bench.iter(|| black_box(predict())));
        }
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
