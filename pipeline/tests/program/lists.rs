//! Rankings and forecasts, whose scores are lists, as a user runs them: replayed, asked for one by one and from a file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::ops::Deref;

use serde_json::Value as Json;

use crate::folder::{Folder, Numbers};

const CONFIG: &str = r#"
[app]
name = "town"
store = "store"

[source]
kind = "files"

[sink]
path = "scores.jsonl"

[tables.people]
files = "people.csv"
key = "person"

[tables.shops]
files = "shops.csv"
key = "shop"

[tables.visits]
files = "visits.csv"
key = "visit"
time = "at"
foreign_keys = { person = "people", shop = "shops" }

[tasks.next]
query = "PREDICT LIST_DISTINCT(visits.shop, 0, 7, days) RANK TOP 3 FOR EACH people.person"
emit = "every"
every = "20d"
refresh = "10d"
context_size = 200

[tasks.weeks]
query = "PREDICT COUNT(visits.*, 0, 7, days) FORECAST 3 TIMEFRAMES FOR EACH people.person"
emit = "every"
every = "20d"
refresh = "10d"
context_size = 200

[tasks.silence]
query = "PREDICT COUNT(visits.*, 0, 7, days) = 0 FORECAST 2 TIMEFRAMES FOR EACH people.person"
emit = "every"
every = "20d"
refresh = "10d"
context_size = 200
"#;

const DAYS: u64 = 120;

/// Everybody has two favourite shops, and sometimes goes elsewhere.
struct Town(Folder);

impl Deref for Town {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.0
    }
}

impl Town {
    fn new() -> Self {
        let town = Self(Folder::new());
        let people =
            (0..30).fold("person,age\n".to_owned(), |text, person| format!("{text}{person},{}\n", 20 + person));
        let shops = (0..25).fold("shop,trade\n".to_owned(), |text, shop| format!("{text}s{shop},{}\n", shop % 3));
        town.write("people.csv", &people);
        town.write("shops.csv", &shops);
        town.write("visits.csv", &visits(7, DAYS * 24));
        town.write("foreshore.toml", CONFIG);
        town
    }

    fn asked(&self, command: &str, task: &str) -> Vec<BTreeMap<String, String>> {
        let mut questions = String::from("person,at\n");
        (0..30).for_each(|person| writeln!(questions, "{person},2024-03-21 00:00:00").expect("text"));
        self.write("questions.csv", &questions);
        let arguments = ["--task", task, "--at", "questions.csv", "--time-column", "at", "--out", "answers.csv"];
        self.succeeds(&[&[command], &arguments[..]].concat());
        let text = self.read("answers.csv");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        reader.deserialize().map(|row| row.expect("a row")).collect()
    }
}

/// A visit every hour up to this one.
fn visits(seed: u64, hours: u64) -> String {
    let mut numbers = Numbers(seed);
    let mut text = String::from("visit,person,shop,at\n");
    for hour in 0..hours {
        let person = numbers.below(30);
        let favourite = (person * 7 + numbers.below(2) * 3) % 25;
        let shop = if numbers.below(4) == 0 { numbers.below(25) } else { favourite };
        let (day, clock) = (hour / 24, hour % 24);
        let month = [31, 60, 91, 121, 152].iter().position(|end| day < *end).expect("before June");
        let day = day - [0, 31, 60, 91, 121][month] + 1;
        writeln!(text, "{hour},{person},s{shop},2024-{:02}-{day:02} {clock:02}:00:00", month + 1).expect("text");
    }
    text
}

fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column} of {row:?} is no number"))
}

/// What was replayed, by entity, at one cutoff.
fn replayed(town: &Town, task: &str, cutoff: &str) -> BTreeMap<String, Json> {
    let text = town.read("scores.jsonl");
    let records = text.lines().map(|line| serde_json::from_str::<Json>(line).expect("a line is JSON"));
    let values = records.map(|record| record["value"].clone());
    let wanted = values.filter(|value| value["task"] == task && value["cutoff"] == cutoff);
    wanted.map(|value| (value["entity"]["key"].to_string(), value)).collect()
}

#[test]
fn a_replay_and_a_question_give_the_same_lists_bit_for_bit() {
    let town = Town::new();
    town.succeeds(&["replay"]);
    for task in ["next", "weeks", "silence"] {
        let scores = replayed(&town, task, "2024-03-18T00:00:00.000000Z");
        assert_eq!(scores.len(), 30, "{task}");
        for (entity, replayed) in scores.iter().step_by(7) {
            let at = ["--at", "2024-03-18T00:00:00Z", "--format", "json"];
            let said = town.succeeds(&[&["score", "--task", task, "--entity", entity], &at[..]].concat());
            let asked: Json = serde_json::from_str(&said).expect("JSON");
            for part in ["prediction", "context", "model", "fallback", "examples", "truncated"] {
                assert_eq!(asked[part], replayed[part], "{part} of {task} for {entity}");
            }
        }
    }
}

#[test]
fn a_ranking_names_the_favourites_with_falling_probabilities() {
    let town = Town::new();
    let rows = town.asked("score", "next");
    let labels = town.asked("labels", "next");
    let (mut found, mut happened) = (0, 0);
    for (row, label) in rows.iter().zip(&labels) {
        let shares = [number(row, "p_rank1"), number(row, "p_rank2"), number(row, "p_rank3")];
        assert!(shares.is_sorted_by(|left, right| left >= right) && shares[0] <= 1.0 && shares[2] > 0.0, "{row:?}");
        assert_eq!(row["prediction"], row["rank1"]);
        let label: Vec<String> = serde_json::from_str(&label["label"]).expect("a list");
        happened += label.len().min(3);
        found += ["rank1", "rank2", "rank3"].iter().filter(|rank| label.contains(&row[**rank])).count();
    }
    // Chance finds about a sixth of them.
    assert!(found * 2 > happened, "{found} of {happened}");
}

#[test]
fn a_forecast_has_an_answer_for_each_window() {
    let town = Town::new();
    let rows = town.asked("score", "weeks");
    let labels = town.asked("labels", "weeks");
    for (row, label) in rows.iter().zip(&labels) {
        for week in 1..=3 {
            let [low, median, high] = ["q05", "prediction", "q95"].map(|name| number(row, &format!("{name}_{week}")));
            assert!(low <= median && median <= high, "{row:?}");
            assert!(number(label, &format!("label_{week}")) >= 0.0);
        }
    }
    let chances = town.asked("score", "silence");
    assert!(chances.iter().all(|row| (0.0..=1.0).contains(&number(row, "prediction_2"))));
    let at = ["--at", "2024-04-20T00:00:00Z", "--format", "json"];
    let said = town.succeeds(&[&["score", "--task", "silence", "--entity", "3"], &at[..]].concat());
    let score: Json = serde_json::from_str(&said).expect("JSON");
    let windows = score["prediction"]["forecast"].as_array().expect("a list");
    let ends = windows.iter().map(|window| (window["after"].as_str(), window["until"].as_str()));
    let expected = [
        (Some("2024-04-20T00:00:00.000000Z"), Some("2024-04-27T00:00:00.000000Z")),
        (Some("2024-04-27T00:00:00.000000Z"), Some("2024-05-04T00:00:00.000000Z")),
    ];
    assert_eq!(ends.collect::<Vec<_>>(), expected);
}

#[test]
fn lists_of_a_cutoff_do_not_change_by_a_bit_when_the_future_is_added() {
    let town = Town::new();
    let whole = town.read("visits.csv");
    // Up to March 21.
    let past: String = whole.lines().take(1 + 80 * 24).map(|line| format!("{line}\n")).collect();
    town.write("visits.csv", &past);
    let ask = |town: &Town| ["next", "weeks", "silence"].map(|task| town.asked("score", task));
    let before = ask(&town);
    assert!(before[0].iter().all(|row| !row["rank3"].is_empty()));
    let other = visits(11, DAYS * 24);
    let future: String = other.lines().skip(1 + 80 * 24 + 1).map(|line| format!("{line}\n")).collect();
    town.write("visits.csv", &(past + &future));
    fs::remove_dir_all(town.path("store")).expect("the store is there");
    assert_eq!(ask(&town), before);
}

#[test]
fn the_relational_model_says_that_it_answers_no_lists_before_it_asks_for_weights() {
    let town = Town::new();
    for (task, kind) in [("next", "ranking"), ("weeks", "forecast")] {
        let output = town.run(&["score", "--task", task, "--entity", "3", "--model", "kumo-relational"]);
        let said = String::from_utf8_lossy(&output.stderr);
        let refused = format!("task `{task}` is a {kind}, which kumo-relational does not answer");
        assert!(output.status.code() == Some(78) && said.contains(&refused), "{said}");
    }
}
