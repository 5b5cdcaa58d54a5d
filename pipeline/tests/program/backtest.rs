//! `foreshore backtest`: its scores, its figures, and what a kill or the future changes of them: nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pipeline::cli::Common;
use pipeline::world::World;
use relational::EventTime;
use serde_json::Value as Json;

use crate::folder::{Folder, Numbers};

const CONFIG: &str = r#"
[app]
name = "shop"
store = "store"

[source]
kind = "files"

[tables.customers]
files = "customers.csv"
key = "customer_id"

[tables.orders]
files = "orders.csv"
key = "order_id"
time = "ordered_at"
foreign_keys = { customer_id = "customers" }

[tasks.churn]
query = "PREDICT COUNT(orders.*, 0, 7, days) = 0 FOR EACH customers.customer_id"
model = "baseline"
context_size = 300
refresh = "28d"

[tasks.spend]
query = "PREDICT SUM(orders.amount, 0, 7, days) FOR EACH customers.customer_id"
model = "baseline"
context_size = 300
refresh = "28d"
"#;

const CUSTOMERS: u64 = 60;

/// Customers of three speeds. Only orders up to day `last` are there.
pub(crate) fn shop(last: u64) -> Folder {
    let folder = Folder::new();
    let customers = (0..CUSTOMERS).fold(String::from("customer_id,region\n"), |text, customer| {
        text + &format!("{customer},{}\n", ["north", "south", "west"][usize::try_from(customer % 3).expect("below 3")])
    });
    let mut orders = String::from("order_id,customer_id,amount,ordered_at\n");
    let mut numbers = Numbers(11);
    let mut order = 0;
    for day in 0..300u64 {
        for customer in 0..CUSTOMERS {
            let is_due = numbers.below(4 + 14 * (customer % 3)) == 0;
            let amount = 5 + numbers.below(40);
            if is_due && day <= last {
                let date = format!("2024-{:02}-{:02} 10:00:00", 1 + day / 28, 1 + day % 28);
                writeln!(orders, "{order},{customer},{amount},{date}").expect("text");
            }
            order += u64::from(is_due);
        }
    }
    folder.write("customers.csv", &customers);
    folder.write("orders.csv", &orders);
    folder.write("foreshore.toml", CONFIG);
    folder.succeeds(&["replay", "--no-score"]);
    folder
}

pub(crate) fn rows(file: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).expect("scores")).expect("Parquet");
    reader.build().expect("a reader").map(|batch| batch.expect("rows")).collect()
}

pub(crate) fn floats(rows: &[RecordBatch], column: &str) -> Vec<f64> {
    let of = |batch: &RecordBatch| {
        batch.column_by_name(column).expect("a column").as_primitive::<Float64Type>().values().to_vec()
    };
    rows.iter().flat_map(of).collect()
}

pub(crate) fn texts(rows: &[RecordBatch], column: &str) -> Vec<Option<String>> {
    let of = |batch: &RecordBatch| {
        let values = batch.column_by_name(column).expect("a column").as_string::<i32>().iter();
        values.map(|value| value.map(str::to_owned)).collect::<Vec<_>>()
    };
    rows.iter().flat_map(of).collect()
}

/// Micros since 1970.
pub(crate) fn cutoffs(rows: &[RecordBatch]) -> Vec<i64> {
    let of = |batch: &RecordBatch| {
        batch.column_by_name("cutoff").expect("a column").as_primitive::<TimestampMicrosecondType>().values().to_vec()
    };
    rows.iter().flat_map(of).collect()
}

/// `None` where there is no label.
pub(crate) fn labels(rows: &[RecordBatch]) -> Vec<Option<f64>> {
    let of = |batch: &RecordBatch| -> Vec<Option<f64>> {
        let column = batch.column_by_name("label").expect("a column");
        if let Some(whole) = column.as_primitive_opt::<Int32Type>() {
            return whole.iter().map(|label| label.map(f64::from)).collect();
        }
        column.as_primitive::<Float64Type>().iter().collect()
    };
    rows.iter().flat_map(of).collect()
}

pub(crate) fn metrics(folder: &Folder, out: &str) -> Json {
    serde_json::from_str(&folder.read(&format!("{out}/metrics.json"))).expect("metrics.json")
}

/// Pairs of scores and labels, where there is a label.
fn pairs(rows: &[RecordBatch], prefix: &str) -> Vec<(f64, f64)> {
    let scores = floats(rows, &format!("{prefix}prediction"));
    scores.into_iter().zip(labels(rows)).filter_map(|(score, label)| Some((score, label?))).collect()
}

fn is_close(found: &Json, wanted: f64) -> bool {
    found["value"].as_f64().is_some_and(|found| (found - wanted).abs() < 1e-9)
}

#[test]
fn figures_are_those_of_the_rows_and_scores_those_of_score() {
    let shop = shop(300);
    let ask = ["backtest", "--task", "churn", "--from", "2024-06-01", "--to", "2024-09-01", "--every", "5d"];
    let more = ["--segment", "region", "--budget", "7", "--cost-missed", "5", "--cost-false-alarm", "1"];
    let said = shop.succeeds(&[&ask[..], &more, &["--out", "out"]].concat());
    assert!(said.contains("auroc") && said.contains("gain on last-k"), "{said}");
    let rows = rows(&shop.path("out/scores.parquet"));
    let metrics = metrics(&shop, "out");
    let evaluation = &metrics["evaluations"][0];
    for (member, prefix) in [("baseline", ""), ("last-k", "last_k_"), ("constant", "constant_")] {
        let pairs = pairs(&rows, prefix);
        let figures = &evaluation["members"][member];
        let all = f64::from(u32::try_from(pairs.len()).expect("few rows"));
        let (mut won, mut compared) = (0.0, 0.0);
        for (high, _) in pairs.iter().filter(|(_, label)| *label > 0.5) {
            for (low, _) in pairs.iter().filter(|(_, label)| *label < 0.5) {
                compared += 1.0;
                won += if high > low {
                    1.0
                } else if high < low {
                    0.0
                } else {
                    0.5
                };
            }
        }
        assert!(is_close(&figures["auroc"], won / compared), "{member}: {figures}");
        let loss: f64 = pairs.iter().map(|(score, label)| -(1.0 - (score - label).abs()).max(1e-7).ln()).sum();
        assert!(is_close(&figures["log_loss"], loss / all), "{member}: {figures}");
        let brier: f64 = pairs.iter().map(|(score, label)| (score - label).powi(2)).sum();
        assert!(is_close(&figures["brier"], brier / all), "{member}: {figures}");
        let cost: f64 = pairs
            .iter()
            .map(|(score, label)| match (*score >= 1.0 / 6.0, *label > 0.5) {
                (true, false) => 1.0,
                (false, true) => 5.0,
                _ => 0.0,
            })
            .sum();
        assert!(is_close(&figures["cost"], cost / all), "{member}: {figures}");
    }
    let area = |member: &str| evaluation["members"][member]["auroc"]["value"].as_f64().expect("an area");
    assert!(area("baseline") > 0.7 && (area("constant") - 0.5).abs() < 0.05, "{evaluation}");
    let slices = evaluation["slices"]["customers.region"].as_array().expect("slices");
    let whole: u64 = slices.iter().filter_map(|slice| slice["rows"].as_u64()).sum();
    assert!(slices.len() == 3 && Some(whole) == evaluation["rows"].as_u64(), "{slices:?}");

    // The same rows asked of `score`.
    let entities = texts(&rows, "entity");
    let questions =
        entities.iter().zip(cutoffs(&rows)).fold(String::from("customer_id,at\n"), |text, (entity, cutoff)| {
            text + &format!("{},{}\n", entity.as_deref().expect("an entity"), EventTime(cutoff))
        });
    shop.write("asked.csv", &questions);
    shop.succeeds(&["score", "--task", "churn", "--at", "asked.csv", "--time-column", "at", "--out", "scores.csv"]);
    let text = shop.read("scores.csv");
    let scored: Vec<f64> = text
        .lines()
        .skip(1)
        .map(|line| line.rsplit(',').next().and_then(|cell| cell.parse().ok()).expect("a score"))
        .collect();
    let bits = |all: &[f64]| all.iter().map(|score| score.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&scored), bits(&floats(&rows, "prediction")));
}

#[test]
fn the_report_has_everything_in_it() {
    let shop = shop(300);
    let ask = ["backtest", "--task", "churn", "--from", "2024-03-01", "--to", "2024-09-01"];
    shop.succeeds(&[&ask[..], &["--cost-missed", "3", "--cost-false-alarm", "1", "--out", "one"]].concat());
    shop.succeeds(&[&ask[..], &["--model", "last-k", "--out", "other"]].concat());
    let page = shop.read("one/report.html");
    // Eight plots: four curves and costs, what was said and came true, its figure over time, drift.
    assert_eq!(page.matches("<svg role=\"img\" aria-label=\"").count(), 8);
    for wanted in
        ["by more than noise", "Single rows", "mostly because", "foreshore backtest --task churn", "By how many labels"]
    {
        assert!(page.contains(wanted), "{wanted}");
    }
    for foreign in ["<script", "src=\"", "href=\"http", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    shop.succeeds(&["report", "--compare", "one", "other", "--out", "both.html"]);
    let both = shop.read("both.html");
    assert!(both.contains("last-k") && both.contains("ROC curve") && !both.contains("did not ask the same"), "{both}");
    let refused = shop.run(&["report", "--compare", "one", "nothing"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("nothing/metrics.json"), "{said}");
}

#[test]
fn numbers_have_their_own_figures() {
    let shop = shop(300);
    shop.succeeds(&["backtest", "--task", "spend", "--to", "2024-10-01", "--only", "--out", "out"]);
    let rows = rows(&shop.path("out/scores.parquet"));
    let (metrics, pairs) = (metrics(&shop, "out"), pairs(&rows, ""));
    assert!(metrics["beside"].as_array().is_some_and(Vec::is_empty), "{metrics}");
    let figures = &metrics["evaluations"][0]["members"]["baseline"];
    let all = f64::from(u32::try_from(pairs.len()).expect("few rows"));
    let sum = |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|(score, label)| of(*score, *label)).sum::<f64>();
    assert!(is_close(&figures["mae"], sum(&|score, label| (score - label).abs()) / all), "{figures}");
    let squares = sum(&|score, label| (score - label).powi(2));
    assert!(is_close(&figures["rmse"], (squares / all).sqrt()), "{figures}");
    let centre = sum(&|_, label| label) / all;
    assert!(is_close(&figures["r2"], 1.0 - squares / sum(&|_, label| (label - centre).powi(2))), "{figures}");
    // The last ten points.
    assert_eq!(cutoffs(&rows).iter().collect::<std::collections::BTreeSet<_>>().len(), 10);
}

#[test]
fn what_comes_later_changes_no_earlier_score() {
    let ask =
        ["backtest", "--task", "churn", "--from", "2024-05-01", "--to", "2024-07-01", "--every", "7d", "--out", "out"];
    // Day 196 is the first of August.
    let (early, late) = (shop(196), shop(300));
    let scores = |folder: &Folder| {
        folder.succeeds(&ask);
        let rows = rows(&folder.path("out/scores.parquet"));
        let named = texts(&rows, "entity").into_iter().zip(cutoffs(&rows));
        let scores = floats(&rows, "prediction").into_iter().map(f64::to_bits);
        named
            .zip(scores)
            .zip(labels(&rows).into_iter().map(|label| label.map(f64::to_bits)))
            .collect::<BTreeMap<_, _>>()
    };
    let (early, late) = (scores(&early), scores(&late));
    assert!(early.len() > 400);
    assert_eq!(early, late);
}

#[test]
fn a_backtest_that_is_killed_goes_on_and_ends_with_the_same_bytes() {
    let shop = shop(300);
    let ask = |out: &'static str| {
        ["backtest", "--task", "churn", "--from", "2024-03-01", "--to", "2024-10-01", "--every", "1d", "--out", out]
    };
    shop.succeeds(&ask("whole"));
    let mut numbers = Numbers(3);
    for _ in 0..10 {
        let mut child = shop.command(&ask("killed")).stdout(Stdio::null()).spawn().expect("the program starts");
        thread::sleep(Duration::from_millis(30 + numbers.below(400)));
        child.kill().expect("it was started");
        child.wait().expect("it was started");
    }
    shop.succeeds(&ask("killed"));
    let bytes = |out: &str| fs::read(shop.path(&format!("{out}/scores.parquet"))).expect("a file");
    assert!(bytes("whole") == bytes("killed"));
    let figures = |out: &str| {
        let mut metrics = metrics(&shop, out);
        metrics.as_object_mut().expect("an object").remove("latency");
        metrics.to_string()
    };
    assert_eq!(figures("whole"), figures("killed"));
    let latency = &metrics(&shop, "whole")["latency"];
    for stage in ["read", "model", "score", "context"] {
        let of = &latency["stages"][stage];
        let (median, p99) = (of["median_ms"].as_f64(), of["p99_ms"].as_f64());
        assert!(of["count"].as_u64() > Some(0) && median > Some(0.0) && p99 >= median, "{latency}");
    }
    assert!(!shop.path("killed/parts").exists());

    // Another question does not mix with it; another way to evaluate needs no new score.
    let other = shop.run(&["backtest", "--task", "churn", "--every", "7d", "--out", "killed"]);
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(other.status.code() == Some(2) && said.contains("another question"), "{said}");
    shop.succeeds(&[&ask("killed")[..], &["--budget", "5"]].concat());
    assert!(!metrics(&shop, "killed")["evaluations"][0]["members"]["baseline"]["recall_at_budget"].is_null());
}

#[test]
fn an_audit_finds_the_score_that_is_not_what_was_published() {
    let shop = shop(120);
    shop.write("foreshore.toml", &(CONFIG.to_owned() + "\n[sink]\npath = \"scores.jsonl\"\n"));
    fs::remove_dir_all(shop.path("store")).expect("the store");
    shop.succeeds(&["replay"]);
    let text = shop.read("scores.jsonl");
    assert!(text.lines().count() > 200, "{}", text.lines().count());
    let audit = |more: &[&str]| shop.run(&[&["audit", "--format", "json"][..], more].concat());
    let findings = |output: &std::process::Output| -> Json { serde_json::from_slice(&output.stdout).expect("JSON") };
    let whole = audit(&["--sample", "150"]);
    let found = findings(&whole);
    assert!(whole.status.success() && found["equal"] == 150 && found["missing"] == 0, "{found}");

    // While another process has the store, what to do is said; a copy serves.
    let copied = Command::new("cp").args(["-r", "store", "copy"]).current_dir(shop.path("")).status();
    assert!(copied.is_ok_and(|copied| copied.success()));
    // This process reads the files from elsewhere.
    let source = format!("kind = \"files\"\ndirectory = {:?}", shop.path(""));
    shop.write("elsewhere.toml", &CONFIG.replacen("kind = \"files\"", &source, 1));
    let common = Common { config: shop.path("elsewhere.toml"), store: Some(shop.path("store")) };
    let held = World::load(&common).expect("the config is right").open_store(false).expect("the store is free");
    let refused = audit(&[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("audit the copy with --store COPY"), "{said}");
    let beside = audit(&["--sample", "50", "--store", "copy"]);
    assert!(beside.status.success() && findings(&beside)["equal"] == 50, "{beside:?}");
    drop(held);

    // One digit of one score, one score under another key, and one that has seen what never came.
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines[0] = lines[0].replacen("\"probability\":0.", "\"probability\":0.0", 1);
    let entity = "\"entity\":{\"table\":\"customers\",\"key\":";
    lines[1] = lines[1].replace(entity, &format!("{entity}9"));
    lines[2] = lines[2].replace("\"known_as_of\":", "\"known_as_of\":9");
    shop.write("changed.jsonl", &(lines.join("\n") + "\n"));
    let changed = audit(&["--sample", "100000", "--scores", "changed.jsonl"]);
    let found = findings(&changed);
    assert!(changed.status.code() == Some(1) && found["different"] == 2 && found["missing"] == 1, "{found}");
}

#[test]
fn tuning_takes_what_was_better_and_leaves_the_rest_of_the_config_alone() {
    let shop = shop(300);
    let config = CONFIG.replacen("model = \"baseline\"", "model = \"constant\" # to be beaten", 1);
    shop.write("foreshore.toml", &config);
    let tune = ["tune", "--task", "churn", "--until", "2024-09-01", "--questions", "300"];
    let shown = shop.succeeds(&[&tune[..], &["--dry-run"]].concat());
    assert!(shown.contains("chosen") && shop.read("foreshore.toml") == config, "{shown}");
    shop.succeeds(&tune);
    let written = shop.read("foreshore.toml");
    let is_kept = |line: &str| written.lines().any(|other| other == line);
    let changed: Vec<&str> = config.lines().filter(|line| !is_kept(line)).collect();
    assert!(
        changed.len() <= 2 && changed.iter().all(|line| line.contains("constant") || line.contains("300")),
        "{written}"
    );
    assert!(written.contains("# chosen by `foreshore tune` on 300 past rows, labels up to 2024-09-01"), "{written}");
    assert!(written.contains("gain 0."), "{written}");
    shop.succeeds(&["check"]);
    assert!(shown.contains("20 lags") && !shown.contains("fan-out"), "{shown}");
    // Labels of later are not known to the choice.
    let later = shop.succeeds(&[&tune[..], &["--dry-run", "--format", "json"]].concat());
    let early = self::shop(240);
    early.write("foreshore.toml", &written);
    let early = early.succeeds(&[&tune[..], &["--dry-run", "--format", "json"]].concat());
    assert_eq!(later, early);
}

#[test]
fn what_cannot_be_asked_is_refused_with_the_reason() {
    let shop = shop(60);
    let refused = |more: &[&str], what: &str| {
        let output = shop.run(&[&["backtest", "--out", "out"][..], more].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(what), "{said}");
    };
    refused(&[], "--task: which of churn, spend?");
    refused(&["--task", "churn", "--segment", "regon"], "did you mean `region`?");
    refused(&["--task", "churn", "--segment", "orders.amount"], "point at no row of a table `orders`");
    refused(&["--task", "churn", "--every", "soon"], "not a length of time");
    refused(&["--task", "churn", "--cost-missed", "2"], "--cost-false-alarm");
    refused(&["--task", "churn", "--model", "magic"], "there is no `magic`");
}
