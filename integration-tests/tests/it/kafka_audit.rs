//! What a live run published is what a question about the past gets, bit for bit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use serde_json::Value as Json;

use crate::broker::shared;
use crate::kafka_shop::{Shop, program_of};

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
