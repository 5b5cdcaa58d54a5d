//! How long a fit and a prediction take. Sizes are those of real tasks: a context of 1,000 or 5,000 examples, and
//! schemas that give some hundred columns of features.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use predictor::learn::{Examples, Matrix, Member, Past, Targets, fit};
use relational::EventTime;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A number from 0 to 1 that depends on row and column alone.
fn noise(row: usize, column: usize) -> f32 {
    let bits = xxh3_64_with_seed(&column.to_le_bytes(), row as u64);
    f32::from_bits(0x3f80_0000 | u32::try_from(bits >> 41).expect("23 bits")) - 1.0
}

fn examples(rows: usize, columns: usize) -> Examples {
    let mut features = Matrix::new(columns);
    let mut past = Vec::new();
    let mut truths = Vec::new();
    for row in 0..rows {
        // Columns of a history repeat each other: each second one is its neighbour with some noise.
        let values: Vec<f32> = (0..columns).map(|column| noise(row, column / 2) + 0.1 * noise(row, column)).collect();
        truths.push(values[0] + values[2] + noise(row, columns) > 1.5);
        features.push_row(&values);
        let atoms: Vec<f64> = (0..40).map(|index| f64::from(u8::from(noise(row, index) > 0.5))).collect();
        past.push(Past { labels: atoms[..10].to_vec(), atoms, rows: Vec::new() });
    }
    Examples {
        features,
        past,
        targets: Targets::Binary(truths),
        prior: None,
        anchors: vec![EventTime(0); rows],
        group: (0..rows as u64).collect(),
    }
}

fn bench(criterion: &mut Criterion) {
    let mut fits = criterion.benchmark_group("fit");
    fits.sample_size(10);
    for (rows, columns) in [(30, 300), (300, 300), (1_000, 100), (1_000, 400), (5_000, 100), (5_000, 600)] {
        let examples = examples(rows, columns);
        fits.bench_function(BenchmarkId::new("baseline", format!("{rows}x{columns}")), |bencher| {
            bencher.iter(|| fit(Member::Baseline, black_box(&examples), 1).expect("consistent"));
        });
    }
    let plain = examples(1_000, 100);
    fits.bench_function("last-k/1000", |bencher| {
        bencher.iter(|| fit(Member::LastK, black_box(&plain), 1).expect("consistent"));
    });
    fits.finish();
    let wide = examples(1_000, 400);
    let fitted = fit(Member::Baseline, &wide, 1).expect("consistent");
    criterion.bench_function("predict/baseline/400", |bencher| {
        bencher.iter(|| fitted.predict(black_box(wide.features.row(7)), &wide.past[7]));
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
