//! A training run at reduced size: it learns, repeats itself to the byte, and goes on as if it had not been stopped.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use pretrain::{Data, Folder, Network, Recipe, Regime, Watch, train};
use serde_json::Value;

fn recipe(steps: u64) -> Recipe {
    let data = Data {
        databases: 3,
        steps: 5,
        tasks: 1,
        queries: 24,
        rows: 400,
        episodes: 6,
        contexts: vec![(10, 0.5), (40, 0.5)],
        examples: vec![(120, 1.0)],
    };
    let network = Network {
        columns: 8,
        cell: 8,
        inducing: 4,
        cell_heads: 2,
        read_outs: 2,
        row: 16,
        row_heads: 2,
        blocks: 1,
        context: 100,
    };
    let schedule = Regime { warm_up: 10, average: 0.95, ..Regime::default() };
    Recipe { seed: 5, steps, data, schedule, network }
}

fn watch(threads: usize, stop_after: Option<u64>, development: usize) -> Watch {
    let scratch = std::env::temp_dir();
    Watch { threads, scratch, log_every: 1, save_every: 10, score_every: 1_000, development, stop_after }
}

/// Trains in `path`; the weights and the state.
fn run(path: &Path, recipe: &Recipe, watch: &Watch) -> (Vec<u8>, Vec<u8>) {
    let folder = Folder::open(path).expect("a folder");
    train(recipe, &folder, watch, &AtomicBool::new(false), &mut |_| {}).expect("a run");
    let read = |path: std::path::PathBuf| fs::read(path).expect("a file of the run");
    (read(folder.weights()), read(folder.state()))
}

#[test]
fn threads_and_interruptions_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(22);
    let whole = run(&folder.path().join("whole"), &recipe, &watch(1, None, 0));
    assert_eq!(whole, run(&folder.path().join("again"), &recipe, &watch(3, None, 0)), "the same seed, other threads");
    // Stopped within a chunk, then at the end of one.
    let parts = folder.path().join("parts");
    let stopped = run(&parts, &recipe, &watch(1, Some(7), 0));
    assert_ne!(whole, stopped);
    run(&parts, &recipe, &watch(2, Some(8), 0));
    assert_eq!(whole, run(&parts, &recipe, &watch(1, None, 0)), "interrupted after 7 and 15 steps");
}

#[test]
fn a_killed_process_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("recipe.toml"), recipe(60).to_toml()).unwrap();
    let train = |run: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foreshore-pretrain"));
        command.args(["train", "--save-every", "2", "--development", "0", "--out"]).arg(path(run)).args(more);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let config = path("recipe.toml").display().to_string();
    assert!(train("whole", &["--config", &config]).status().unwrap().success());
    let mut killed = train("killed", &["--config", &config]).spawn().unwrap();
    while !path("killed/state").exists() && killed.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(train("killed", &["--resume"]).status().unwrap().success());
    let weights = |run: &str| fs::read(path(run).join("weights.safetensors")).unwrap();
    assert!(weights("killed") == weights("whole"));
}

#[test]
fn the_network_learns_what_its_anchor_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &recipe(150), &watch(2, None, 3));
    let log = fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
    let entries: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let losses: Vec<f64> = entries.iter().filter_map(|entry| entry["loss"].as_f64()).collect();
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / f64::from(u32::try_from(losses.len()).unwrap());
    let (first, last) = (mean(&losses[..30]), mean(&losses[losses.len() - 30..]));
    assert!(last < first, "the training loss was {first} and is {last}");
    let all = entries.iter().find(|entry| entry["family"] == "all" && entry["context"].is_null()).expect("a score");
    let loss = |kind: &str, of: &str| all[kind]["loss"][of].as_f64().expect("a loss");
    for kind in ["binary", "numbers"] {
        let (network, anchor) = (loss(kind, "network"), loss(kind, "anchor"));
        assert!(network < anchor, "{kind}: {network} where the anchor has {anchor}");
    }
}
