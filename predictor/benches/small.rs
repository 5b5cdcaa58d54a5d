//! What training and answering with `foreshore-small` cost.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use predictor::learn::{Examples, Matrix, Member, Past, Targets, fit};
use predictor::small::{Config, Episode, Prepared, Schedule, Trainer, prepare};
use relational::EventTime;

const QUERIES: usize = 48;
const COLUMNS: usize = 150;

/// Numbers that look random, from -1 to 1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f32::from(u16::try_from(self.0 >> 48).expect("16 bits")) / 32_768.0 - 1.0
    }
}

fn examples(rows: usize, noise: &mut Noise) -> Examples {
    let mut features = Matrix::new(COLUMNS);
    let mut truths = Vec::new();
    for _ in 0..rows {
        let row: Vec<f32> = (0..COLUMNS).map(|_| noise.next()).collect();
        truths.push(row[0] + row[1] * row[2] + noise.next() > 0.0);
        features.push_row(&row);
    }
    Examples {
        features,
        past: vec![Past::default(); rows],
        targets: Targets::Binary(truths),
        prior: None,
        anchors: vec![EventTime(0); rows],
        group: (0..rows as u64).collect(),
    }
}

fn episode(context: usize, seed: u64) -> Episode {
    let mut noise = Noise(seed);
    Episode { context: examples(context, &mut noise), queries: examples(QUERIES, &mut noise) }
}

fn training(criterion: &mut Criterion) {
    let config = Config::default();
    let mut group = criterion.benchmark_group("small/train");
    group.sample_size(10);
    for context in [16, 64, 256, 1_000] {
        let batch: Vec<Prepared> =
            (0..8).map(|seed| prepare(&episode(context, seed), &config, seed).expect("can be asked")).collect();
        let mut trainer = Trainer::new(&config, &Schedule::default(), 1).expect("the default can be built");
        group.bench_function(format!("step of 8 episodes of {context}"), |bencher| {
            bencher.iter(|| trainer.step(black_box(&batch)).expect("a step"));
        });
        group.bench_function(format!("prepare {context}"), |bencher| {
            bencher.iter_batched(
                || episode(context, 1),
                |episode| prepare(&episode, &config, 1),
                BatchSize::LargeInput,
            );
        });
    }
}

fn answering(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("small/answer");
    group.sample_size(10);
    for context in [100, 1_000] {
        let Episode { context: examples, queries } = episode(context, 1);
        group.bench_function(format!("fit {context}"), |bencher| {
            bencher.iter(|| fit(Member::Small, black_box(&examples), 1).expect("consistent"));
        });
        let fitted = fit(Member::Small, &examples, 1).expect("consistent");
        assert_eq!(fitted.member(), Member::Small, "{:?}", fitted.fallback());
        group.bench_function(format!("predict one at {context}"), |bencher| {
            bencher.iter(|| fitted.predict(black_box(queries.features.row(7)), &queries.past[7]));
        });
    }
}

criterion_group!(benches, training, answering);
criterion_main!(benches);
