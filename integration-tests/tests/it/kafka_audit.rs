//! What a live run published is what a question about the past gets, bit for bit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use serde_json::Value as Json;

use crate::broker::shared;
use crate::kafka_shop::{Shop, program_of, program_of_files};

#[test]
fn what_was_published_live_is_made_again_bit_for_bit() {
    let broker = shared();
    let mut shop = Shop::named(broker, "audited");
    let app = program_of(broker, "audited", "audited");
    app.succeeds(&["topics", "create", "--partitions", "3"]);
    // Two runs: contexts of the second are drawn by a process that has not seen the first half come in.
    for _ in 0..2 {
        (0..4).for_each(|_| shop.chunk());
        app.succeeds(&["run", "--until-caught-up"]);
    }

    let found: Json = serde_json::from_str(&app.succeeds(&["audit", "--format", "json"])).expect("JSON");
    assert!(found["equal"].as_u64() > Some(100) && found["different"] == 0 && found["missing"] == 0, "{found}");

    let values = broker.kcat("audited.fraud", "%s\\n");
    let mut questions = String::from("id,asked\n");
    let mut published = BTreeMap::new();
    for value in values.lines() {
        let score: Json = serde_json::from_str(value).expect("JSON");
        let (id, cutoff) = (&score["entity"]["key"], score["cutoff"].as_str().expect("a time"));
        writeln!(questions, "{id},{cutoff}").expect("text");
        published.insert(id.to_string(), score["prediction"]["probability"].as_f64().expect("a number").to_bits());
    }
    assert!(published.len() > 100, "{} scores", published.len());
    fs::write(app.folder().join("questions.csv"), questions).expect("a file");
    let asked = ["score", "--task", "fraud", "--at", "questions.csv", "--time-column", "asked", "--out", "again.csv"];
    app.succeeds(&asked);
    let again = fs::read_to_string(app.folder().join("again.csv")).expect("answers");
    let answers: BTreeMap<String, u64> = again
        .lines()
        .skip(1)
        .map(|line| {
            let [id, _, probability] = line.split(',').collect::<Vec<_>>()[..] else { panic!("no answer: {line}") };
            (id.to_owned(), probability.parse::<f64>().expect("a number").to_bits())
        })
        .collect();
    assert_eq!(answers, published);
}

/// What a score says, by its task, entity, cutoff and what had arrived; numbers by their text, which has every bit.
fn said(task: &str, value: &Json) -> ((String, String, String, u64), String) {
    let seen = value["known_as_of"].as_u64().expect("a position");
    let name = (task.to_owned(), value["entity"]["key"].to_string(), value["cutoff"].to_string(), seen);
    let parts = ["prediction", "model", "fallback", "context", "examples", "truncated"].map(|part| &value[part]);
    (name, format!("{parts:?}"))
}

#[test]
fn a_replay_of_the_same_log_from_files_gives_the_bits_of_the_live_run() {
    let broker = shared();
    // Customers first, then payments, each in one partition: the order of arrival is that of the files.
    let mut shop = Shop::in_partitions(broker, "filed", 1);
    let app = program_of(broker, "filed", "filed");
    app.succeeds(&["topics", "create", "--partitions", "3"]);
    app.succeeds(&["run", "--until-caught-up"]);
    for _ in 0..2 {
        (0..4).for_each(|_| shop.chunk());
        app.succeeds(&["run", "--until-caught-up"]);
    }
    let mut live = BTreeMap::new();
    for task in ["fraud", "churn"] {
        for value in broker.kcat(&format!("filed.{task}"), "%s\\n").lines().filter(|value| !value.is_empty()) {
            live.extend([said(task, &serde_json::from_str(value).expect("JSON"))]);
        }
    }

    let replay = program_of_files("filed", "filed", &["customers.jsonl", "payments.jsonl"]);
    for table in ["customers", "payments"] {
        let file = replay.folder().join(format!("{table}.jsonl"));
        fs::write(file, broker.log(&format!("filed.public.{table}"))).expect("a file");
    }
    replay.succeeds(&["replay"]);
    let text = fs::read_to_string(replay.folder().join("scores.jsonl")).expect("scores");
    let line = |line: &str| {
        let line: Json = serde_json::from_str(line).expect("JSON");
        said(line["task"].as_str().expect("a task"), &line["value"])
    };
    let replayed: BTreeMap<_, _> = text.lines().map(line).collect();

    let of = |task: &'static str| live.iter().filter(move |(name, _)| name.0 == task);
    assert!(of("fraud").count() > 100, "{} live scores", of("fraud").count());
    let differ = |pair: &(&_, &String)| replayed.get(pair.0) != Some(pair.1);
    // Every payment is scored when it comes.
    let different: Vec<_> = of("fraud").filter(differ).take(3).collect();
    assert!(different.is_empty(), "{different:?}");
    assert_eq!(of("fraud").count(), replayed.keys().filter(|name| name.0 == "fraud").count());
    // When churn is scored depends on when a run is quiet; what it says does not.
    let both: Vec<_> = of("churn").filter(|(name, _)| replayed.contains_key(*name)).collect();
    assert!(!both.is_empty() && !both.iter().any(differ), "{} of both", both.len());
}
