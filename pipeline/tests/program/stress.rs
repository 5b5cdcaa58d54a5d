//! `foreshore backtest --stress`: curves that can be made again from `stress.parquet`, and that leave the backtest alone.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type};
use serde_json::Value as Json;

use crate::backtest::{cutoffs, floats, labels, metrics, rows, shop, texts};
use crate::folder::{Folder, Numbers, WEIGHTS};

const ASK: [&str; 9] = ["backtest", "--task", "churn", "--from", "2024-03-01", "--to", "2024-09-01", "--every", "7d"];
const STRESS: [&str; 3] = ["--stress", "--stress-questions", "500"];

/// Scores and labels of one member at one level, in the order of the file; rows that have both.
fn pairs(rows: &[RecordBatch], prefix: &str, curve: &str, level: &str) -> Vec<(f64, f64)> {
    let column = format!("{prefix}prediction");
    let of = |batch: &RecordBatch| {
        let scores = batch.column_by_name(&column).expect("a column").as_primitive::<Float64Type>();
        scores.iter().collect::<Vec<_>>()
    };
    let (curves, levels) = (texts(rows, "curve"), texts(rows, "level"));
    let all = rows.iter().flat_map(of).zip(labels(rows)).zip(curves.iter().zip(&levels));
    let of_level = all.filter(|(_, (of, at))| of.as_deref() == Some(curve) && at.as_deref() == Some(level));
    of_level.filter_map(|((score, label), _)| Some((score?, label?))).collect()
}

/// The area under the ROC curve, by its meaning.
fn area(pairs: &[(f64, f64)]) -> f64 {
    let (mut won, mut compared) = (0.0, 0.0);
    for (high, _) in pairs.iter().filter(|(_, label)| *label > 0.5) {
        for (low, _) in pairs.iter().filter(|(_, label)| *label < 0.5) {
            compared += 1.0;
            won += match high.total_cmp(low) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    won / compared
}

/// The levels of a curve in `metrics.json`.
fn levels<'a>(metrics: &'a Json, curve: &str) -> &'a Vec<Json> {
    let curves = metrics["stress"]["curves"].as_array().expect("curves");
    let found = curves.iter().find(|of| of["name"] == curve).expect("a curve of that name");
    found["levels"].as_array().expect("levels")
}

fn value(level: &Json, member: &str) -> f64 {
    level["members"][member]["figure"]["value"].as_f64().expect("a figure")
}

/// What a backtest says without a stress test, and where nothing depends on the machine.
fn without_stress(folder: &Folder, out: &str) -> Json {
    let mut metrics = metrics(folder, out);
    metrics.as_object_mut().expect("an object").retain(|name, _| !["stress", "latency"].contains(&name.as_str()));
    metrics
}

#[test]
fn curves_are_those_of_the_rows_and_leave_the_backtest_as_it_is() {
    let shop = shop(300);
    shop.succeeds(&[&ASK[..], &["--out", "plain"]].concat());
    let said = shop.succeeds(&[&ASK[..], &STRESS, &["--out", "out"]].concat());
    assert!(said.contains("stress test: auroc of 500 of") && said.contains("dropped links"), "{said}");
    let bytes = |name: &str| fs::read(shop.path(name)).expect("a file");
    assert!(bytes("plain/scores.parquet") == bytes("out/scores.parquet"));
    assert_eq!(without_stress(&shop, "plain"), without_stress(&shop, "out"));

    let plain = rows(&shop.path("out/scores.parquet"));
    let stressed = rows(&shop.path("out/stress.parquet"));
    let members = [("baseline", ""), ("last-k", "last_k_"), ("constant", "constant_")];
    // Undisturbed: the very scores of the backtest.
    let curves = texts(&stressed, "curve");
    for (_, prefix) in members {
        let of = |rows: &[RecordBatch]| {
            let names = texts(rows, "entity").into_iter().zip(cutoffs(rows));
            let scores = floats(rows, &format!("{prefix}prediction")).into_iter().map(f64::to_bits);
            names.zip(scores).collect::<Vec<_>>()
        };
        let scores: BTreeMap<_, _> = of(&plain).into_iter().collect();
        let again = of(&stressed).into_iter().zip(&curves).filter(|(_, curve)| curve.as_deref() == Some("undisturbed"));
        let again: Vec<_> = again.map(|(row, _)| row).collect();
        assert_eq!(again.len(), 500);
        assert!(again.iter().all(|(name, score)| scores.get(name) == Some(score)), "{prefix}");
    }

    let metrics = metrics(&shop, "out");
    let undisturbed = |prefix: &str| area(&pairs(&stressed, prefix, "undisturbed", "0"));
    for curve in ["cold_start", "noise_columns", "missing_values", "dropped_links", "delayed_labels"] {
        for level in levels(&metrics, curve) {
            let name = level["level"].as_str().expect("a name");
            let is_nothing = ["0", "0 %", "as it is"].contains(&name);
            for (member, prefix) in members {
                let own = if is_nothing { undisturbed(prefix) } else { area(&pairs(&stressed, prefix, curve, name)) };
                assert!((value(level, member) - own).abs() < 1e-9, "{curve} {name} {member}: {level}");
                let change = level["members"][member]["difference"]["value"].as_f64().expect("a change");
                // Late labels leave rows without any: then both are of the other rows alone.
                if level["rows"] == 500 {
                    assert!((change - (own - undisturbed(prefix))).abs() < 1e-9, "{curve} {name} {member}: {level}");
                }
            }
        }
    }
    // What the customers of this shop differ in is how often they come.
    let last = |curve: &str| value(levels(&metrics, curve).last().expect("a level"), "baseline");
    let whole = undisturbed("");
    for curve in ["missing_values", "dropped_links"] {
        assert!(last(curve) < whole, "{curve}: {} of {whole}", last(curve));
    }
    assert!(value(&levels(&metrics, "cold_start")[0], "baseline") < whole, "{metrics}");
    let examples: Vec<i32> = stressed
        .iter()
        .flat_map(|batch| {
            batch.column_by_name("examples").expect("a column").as_primitive::<Int32Type>().values().to_vec()
        })
        .collect();
    let cold = texts(&stressed, "level").into_iter().zip(&examples).filter(|(level, _)| level.as_deref() == Some("10"));
    assert!(cold.map(|(_, examples)| *examples).max() == Some(10));
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_is_killed() {
    let shop = shop(300);
    let ask = |out: &'static str, seed: &'static str| [&ASK[..], &STRESS, &["--seed", seed, "--out", out]].concat();
    shop.succeeds(&ask("whole", "0"));
    let mut numbers = Numbers(3);
    for _ in 0..5 {
        let mut child = shop.command(&ask("killed", "0")).stdout(Stdio::null()).spawn().expect("the program starts");
        thread::sleep(Duration::from_millis(300 + numbers.below(1_500)));
        child.kill().expect("it was started");
        child.wait().expect("it was started");
    }
    shop.succeeds(&ask("killed", "0"));
    let bytes = |out: &str| fs::read(shop.path(&format!("{out}/stress.parquet"))).expect("a file");
    assert!(bytes("whole") == bytes("killed"));
    assert!(!shop.path("killed/stress").exists());
    assert_eq!(metrics(&shop, "whole")["stress"], metrics(&shop, "killed")["stress"]);
    shop.succeeds(&ask("killed", "1"));
    assert!(bytes("whole") != bytes("killed"));
}

#[test]
fn numbers_and_members_that_read_rows_have_their_curves_too() {
    let shop = shop(300);
    let ask = ["backtest", "--from", "2024-08-01", "--to", "2024-09-01", "--every", "7d", "--stress-questions", "60"];
    shop.succeeds(&[&ask[..], &["--task", "spend", "--stress", "--out", "spend"]].concat());
    let metrics = metrics(&shop, "spend");
    assert_eq!(metrics["stress"]["figure"], "mae");
    let stressed = rows(&shop.path("spend/stress.parquet"));
    let pairs = pairs(&stressed, "", "missing_values", "50 %");
    let all = f64::from(u32::try_from(pairs.len()).expect("few"));
    let error = pairs.iter().map(|(score, label)| (score - label).abs()).sum::<f64>() / all;
    let level = &levels(&metrics, "missing_values")[3];
    assert!((value(level, "baseline") - error).abs() < 1e-9 && level["level"] == "50 %", "{level}");

    let relational = ["--task", "churn", "--model", "kumo-relational", "--weights", WEIGHTS, "--context-size", "40"];
    shop.succeeds(&[&ask[..], &relational, &["--stress", "--only", "--out", "rows"]].concat());
    let metrics = self::metrics(&shop, "rows");
    for curve in ["noise_columns", "missing_values", "dropped_links"] {
        let of = levels(&metrics, curve);
        let changes = of.iter().map(|level| level["members"]["kumo-relational"]["difference"]["value"].as_f64());
        let changes: Vec<f64> = changes.map(|change| change.expect("a change")).collect();
        assert!(changes[0].abs() < 1e-12 && changes[1..].iter().any(|change| change.abs() > 1e-12), "{curve}: {of:?}");
    }
}
