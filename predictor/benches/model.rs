//! `kumo-relational` on the weights and inputs of `scripts/golden/bench.py`, which times the reference package.

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use predictor::model::checkpoint::{Checkpoint, Part};
use predictor::model::{Compute, FitOptions, Graph, Labels, Link, Model, Relationship, Sample, Seeded, TableRows};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

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

fn model(name: &str) -> Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/model-bench").join(name);
    let checkpoint = Checkpoint::read(&folder, Part::Classifier).expect("scripts/golden/bench.py has made the weights");
    checkpoint.load(&Compute::processor()).expect("it is whole")
}

/// Processor time of all threads so far, in milliseconds.
#[expect(clippy::cast_precision_loss, reason = "a time for people")]
fn processor_millis() -> f64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    spent.tv_sec as f64 * 1e3 + spent.tv_nsec as f64 / 1e6
}

/// Prints the medians of some runs after a first one, as the script does.
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn tell(name: &str, runs: usize, work: impl Fn()) {
    work();
    let (mut wall, mut processor): (Vec<f64>, Vec<f64>) = (0..runs)
        .map(|_| {
            let (start, spent) = (Instant::now(), processor_millis());
            work();
            (start.elapsed().as_secs_f64() * 1e3, processor_millis() - spent)
        })
        .unzip();
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let (wall, processor) = (median(&mut wall), median(&mut processor));
    println!("{}", json!({ "name": name, "whole": wall, "processor": processor }));
}

fn main() {
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
        let model = model(name);
        let fit = || model.fit(&context, &labels, &options, &mut Seeded::new(1)).expect("it can be fitted");
        tell(&format!("{name}/fit/{CONTEXT}"), 3, || drop(black_box(fit())));
        let fitted = fit();
        for count in [1, 32, 512] {
            let queries: Vec<Sample> = (CONTEXT..CONTEXT + count).map(|first| sample(first, 1)).collect();
            let predict = || drop(black_box(model.predict(&fitted, &queries).expect("it answers")));
            tell(&format!("{name}/predict/{count}"), 7, predict);
        }
    }
}
