//! Files in, files out, and killed at any moment.

use std::fmt::Write as _;
use std::fs;
use std::ops::Deref;
use std::thread;
use std::time::Duration;

use crate::folder::{Folder, Numbers, WEIGHTS};

/// A small shop in a folder of its own.
struct Shop(Folder);

impl Deref for Shop {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.0
    }
}

const CONFIG: &str = r#"
[app]
name = "shop"
store = "store"

[source]
kind = "files"

[sink]
path = "scores.jsonl"

[tables.customers]
files = "customers.csv"
key = "customer_id"

[tables.payments]
files = "payments.csv"
key = "payment_id"
time = "paid_at"
foreign_keys = { customer_id = "customers" }
columns.is_fraud = { arrives_after = "3d" }

[tasks.churn]
query = "PREDICT COUNT(payments.*, 0, 10, days) = 0 FOR EACH customers.customer_id"
emit = "every"
every = "20d"
refresh = "10d"
context_size = 200

[tasks.fraud]
query = "PREDICT payments.is_fraud = 1 FOR EACH payments.payment_id"
from = "2024-03-01"
refresh = "20d"
context_size = 200
"#;

impl Shop {
    fn new() -> Self {
        let shop = Self(Folder::new());
        let mut numbers = Numbers(7);
        let mut customers = String::from("customer_id,region\n");
        for customer in 0..40 {
            writeln!(customers, "{customer},{}", ["north", "south"][customer % 2]).expect("text");
        }
        let mut payments = String::from("payment_id,customer_id,amount,paid_at,is_fraud\n");
        for payment in 0..3_000u64 {
            let (customer, minute) = (numbers.below(40), payment * 48);
            let fraud = customer.is_multiple_of(8) && numbers.below(4) == 0;
            let amount = 10 + numbers.below(90) + if fraud { 60 } else { 0 };
            let line = row(payment, customer, amount, minute, fraud);
            payments.push_str(&line);
        }
        shop.write("customers.csv", &customers);
        shop.write("payments.csv", &payments);
        shop.write("foreshore.toml", CONFIG);
        let mut questions = String::from("customer_id,at\n");
        (0..40).for_each(|customer| writeln!(questions, "{customer},2024-03-20 00:00:00").expect("text"));
        shop.write("questions.csv", &questions);
        shop
    }

    /// Scores by id, without the store's own number.
    fn scores(&self, name: &str) -> Vec<String> {
        let text = self.read(name);
        let lines = text.lines().map(|line| {
            let mut record: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
            record.as_object_mut().expect("an object").remove("outbox");
            record.to_string()
        });
        let mut scores: Vec<String> = lines.collect();
        scores.sort();
        scores
    }
}

/// Minutes since 2024-01-01.
fn row(payment: u64, customer: u64, amount: u64, minute: u64, fraud: bool) -> String {
    let (day, hour, minute) = (minute / 1_440, minute / 60 % 24, minute % 60);
    let lengths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let (mut month, mut rest) = (0, day);
    while rest >= lengths[month] {
        rest -= lengths[month];
        month += 1;
    }
    let date = format!("2024-{:02}-{:02} {hour:02}:{minute:02}:00", month + 1, rest + 1);
    format!("{payment},{customer},{amount}.50,{date},{}\n", u8::from(fraud))
}

#[test]
fn scores_of_a_cutoff_do_not_change_by_a_byte_when_the_future_is_added() {
    let score = |shop: &Shop, task: &str, questions: &str, time: &str| {
        let arguments = ["score", "--task", task, "--at", questions, "--time-column", time, "--out"];
        shop.succeeds(&[&arguments[..], &["scores.csv"]].concat());
        let relational = ["relational.csv", "--model", "kumo-relational", "--weights", WEIGHTS];
        shop.succeeds(&[&arguments[..], &relational].concat());
        (shop.read("scores.csv"), shop.read("relational.csv"))
    };
    let shop = Shop::new();
    // Payments up to the day before the last questions: the others are the future.
    let whole = shop.read("payments.csv");
    let past: String = whole.lines().take(2_380).map(|line| format!("{line}\n")).collect();
    let asked: String = past.lines().skip(2_300).map(|line| format!("{line}\n")).collect();
    shop.write("asked.csv", &format!("payment_id,customer_id,amount,paid_at,is_fraud\n{asked}"));
    shop.write("payments.csv", &past);
    let churn = score(&shop, "churn", "questions.csv", "at");
    let fraud = score(&shop, "fraud", "asked.csv", "paid_at");
    for (churn, fraud) in [(&churn.0, &fraud.0), (&churn.1, &fraud.1)] {
        assert!(churn.lines().skip(1).all(|line| !line.ends_with(',')), "every customer has a score");
        assert_eq!(fraud.lines().filter(|line| !line.ends_with(',')).count(), 81, "and so has every payment");
    }
    assert_ne!(churn.0, churn.1, "the members differ");

    let mut numbers = Numbers(11);
    let mut future = past;
    for extra in 0..200 {
        let minute = 80 * 1_440 + numbers.below(40 * 1_440);
        // New rows, and later rows of old keys, which are updates of the old rows.
        let payment = if extra % 2 == 0 { 10_000 + extra } else { numbers.below(2_380) };
        future.push_str(&row(payment, numbers.below(40), numbers.below(500), minute, extra % 3 == 0));
    }
    shop.write("payments.csv", &future);
    fs::remove_dir_all(shop.path("store")).expect("the store is there");
    assert_eq!(score(&shop, "churn", "questions.csv", "at"), churn);
    assert_eq!(score(&shop, "fraud", "asked.csv", "paid_at"), fraud);
}

#[test]
fn weights_are_looked_at_checked_and_converted() {
    let shop = Shop::new();
    let info = shop.succeeds(&["model", "info", WEIGHTS, "--format", "json"]);
    let info: serde_json::Value = serde_json::from_str(&info).expect("JSON");
    assert_eq!(info["classifier"]["dimensions"]["channels"], 16);
    assert!(shop.succeeds(&["model", "verify", WEIGHTS]).contains("classifier: whole"));
    shop.succeeds(&["model", "convert", WEIGHTS, "--out", "converted"]);
    assert!(shop.succeeds(&["model", "verify", "converted"]).contains("classifier: whole"));
    let layers = shop.read("converted/config.json").replace("\"num_icl_layers\": 2", "\"num_icl_layers\": 3");
    shop.write("converted/config.json", &layers);
    let output = shop.run(&["model", "verify", "converted"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("classifier: missing: icl_block.layers.2.attn.out_lin.bias"), "{said}");
    assert_eq!(shop.run(&["model", "info", "nowhere"]).status.code(), Some(2));
    let output = shop.run(&["score", "--task", "churn", "--entity", "1", "--model", "kumo-relational"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("download `classifier.pt`"), "{said}");
}

#[test]
fn weights_that_a_model_does_not_take_are_not_ignored_silently() {
    let shop = Shop::new();
    shop.write(
        "foreshore.toml",
        &CONFIG.replace("[tasks.churn]\n", "[tasks.churn]\nmodel = \"baseline\"\nweights = \"w\"\n"),
    );
    let said = shop.succeeds(&["check"]);
    assert!(said.contains("task `churn` names weights, but its model baseline takes none"), "{said}");
    assert!(!said.contains("task `fraud` names weights"), "{said}");
    let output = shop.run(&["score", "--task", "fraud", "--entity", "1", "--model", "baseline", "--weights", WEIGHTS]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("the model baseline takes none"), "{said}");
}

#[test]
fn a_killed_replay_loses_and_repeats_nothing() {
    let shop = Shop::new();
    shop.succeeds(&["replay", "--store", "whole", "--out", "whole.jsonl"]);
    let whole = shop.scores("whole.jsonl");
    assert!(whole.len() > 500, "{} scores", whole.len());
    let mut numbers = Numbers(23);
    let mut killed = 0;
    for _ in 0..40 {
        let mut child =
            shop.command(&["replay", "--store", "killed", "--out", "killed.jsonl"]).spawn().expect("starts");
        thread::sleep(Duration::from_millis(40 + numbers.below(160)));
        if child.try_wait().expect("a child").is_some() {
            break;
        }
        child.kill().expect("a running child");
        child.wait().expect("a killed child");
        killed += 1;
    }
    shop.succeeds(&["replay", "--store", "killed", "--out", "killed.jsonl"]);
    let scores = shop.scores("killed.jsonl");
    let differs = scores.iter().zip(&whole).find(|(one, other)| one != other);
    assert_eq!((scores.len(), differs), (whole.len(), None), "after {killed} kills");
}

#[test]
fn labels_come_back_in_order_and_the_store_can_be_looked_into() {
    let shop = Shop::new();
    shop.succeeds(&[
        "labels",
        "--task",
        "churn",
        "--at",
        "questions.csv",
        "--time-column",
        "at",
        "--out",
        "labels.csv",
    ]);
    let labels = shop.read("labels.csv");
    assert_eq!(labels.lines().next(), Some("customer_id,at,label"));
    assert_eq!(labels.lines().nth(3).map(|line| line.starts_with("2,2024-03-20 00:00:00,")), Some(true), "{labels}");
    let one = shop.succeeds(&["score", "--task", "fraud", "--entity", "2900", "--format", "json"]);
    let score: serde_json::Value = serde_json::from_str(&one).expect("JSON");
    assert!(score["prediction"]["probability"].as_f64().is_some_and(|p| (0.0..=1.0).contains(&p)), "{one}");
    let row = shop.succeeds(&["inspect", "row", "payments", "17", "--format", "json"]);
    assert!(row.contains("\"payment_id\": 17"), "{row}");
    assert!(shop.succeeds(&["inspect", "features", "--task", "churn", "--entity", "3"]).contains("lag0"));
    assert!(shop.succeeds(&["check"]).contains("churn"));
}

#[test]
fn an_explanation_is_of_the_score_that_is_printed_beside_it() {
    let shop = Shop::new();
    let explain = |task: &str, more: &[&str]| -> (String, serde_json::Value) {
        let entity = if task == "churn" { "16" } else { "2900" };
        let arguments = ["score", "--task", task, "--entity", entity, "--explain", "--format", "json"];
        let text = shop.succeeds(&[&arguments[..], more].concat());
        let json = serde_json::from_str(&text).expect("JSON");
        (text, json)
    };
    for model in ["auto", "last-k", "baseline", "trees", "foreshore-small", "kumo-relational"] {
        for task in ["churn", "fraud"] {
            let weights = if model == "kumo-relational" { &["--weights", WEIGHTS][..] } else { &[] };
            let (_, json) = explain(task, &[&["--model", model], weights].concat());
            let explanation = &json["explanation"];
            assert_eq!(json["prediction"]["probability"], explanation["score"], "{model}, {task}");
            let sentence = explanation["sentence"].as_str().expect("a sentence");
            let names = sentence.contains(if task == "churn" { " customers 16 " } else { " payments 2900" });
            assert!(names && sentence.ends_with('.'), "{model}, {task}: {sentence}");
            let columns = explanation["columns"].as_array().expect("columns");
            assert!(
                columns.iter().any(|column| column["column"] == "customers.region"),
                "{model}, {task}: {columns:?}"
            );
            assert!(!explanation["rows"].as_array().expect("rows").is_empty(), "{model}, {task}");
        }
    }
    assert_eq!(explain("churn", &[]).1["explanation"], explain("churn", &[]).1["explanation"]);
    shop.write("one.csv", "customer_id,at\n16,2024-03-20 00:00:00\n");
    let of_file = |file: &str| {
        shop.run(&["score", "--task", "churn", "--at", file, "--time-column", "at", "--out", "out.csv", "--explain"])
    };
    let said = String::from_utf8(of_file("one.csv").stdout).expect("UTF-8");
    assert!(said.contains("that customers 16 has no payments in the next 10 days"), "{said}");
    assert!(said.contains("score without it"), "{said}");
    assert_eq!(of_file("questions.csv").status.code(), Some(2));
}

#[test]
fn wrong_configs_and_wrong_usage_have_their_own_exit_codes() {
    let shop = Shop::new();
    let fails = |arguments: &[&str]| {
        let output = shop.run(arguments);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, message) = fails(&["score", "--task", "chrun", "--entity", "1"]);
    assert_eq!(code, Some(78), "{message}");
    assert!(message.contains("did you mean `churn`?"), "{message}");
    assert_eq!(fails(&["score", "--task", "churn"]).0, Some(2));
    shop.write("foreshore.toml", &CONFIG.replace("customers.customer_id\"", "customers.custmer_id\""));
    let (code, message) = fails(&["check"]);
    assert_eq!(code, Some(78), "{message}");
    assert!(message.contains("did you mean `customer_id`?") && message.contains("foreshore.toml:"), "{message}");
}

#[test]
fn the_demo_repeats_itself_and_says_how_good_it_was() {
    let shop = Shop::new();
    let small = ["demo", "--customers", "30", "--days", "120", "--format", "json"];
    let (first, again) = (shop.succeeds(&small), shop.succeeds(&small));
    let parse = |text: &str| -> serde_json::Value { serde_json::from_str(text).expect("JSON") };
    assert_eq!(parse(&first)["tasks"], parse(&again)["tasks"]);
    assert!(parse(&first)["scores"].as_u64().is_some_and(|scores| scores > 100), "{first}");
}

#[test]
fn a_replayed_dead_letter_is_not_listed_again_unless_it_is_refused_again() {
    let shop = Shop::new();
    let config = |topic: &str| {
        format!(
            "[source]\nkind = \"changes\"\nfiles = \"changes.jsonl\"\nformat = \"upsert\"\n\
             [tables.customers]\n{topic}key = \"id\"\ncolumns.id = {{ type = \"int\" }}\n"
        )
    };
    let line = |topic: &str, value: &str| format!("{{\"topic\":\"{topic}\",\"value\":\"{value}\"}}\n");
    let good = "{\\\"id\\\":2}";
    shop.write("changes.jsonl", &[line("a.customers", "broken"), line("a.clients", good)].concat());
    shop.write("foreshore.toml", &config(""));
    shop.succeeds(&["replay", "--no-score"]);
    let listed = || -> Vec<serde_json::Value> {
        serde_json::from_str(&shop.succeeds(&["dlq", "list", "--format", "json"])).expect("a list")
    };
    assert_eq!(listed().len(), 2);
    shop.write("foreshore.toml", &config("topic = \"^a\\\\..*\"\n"));
    let said = shop.succeeds(&["dlq", "replay"]);
    assert!(said.contains("1 changes applied, 1 records refused again"), "{said}");
    let left = listed();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((left[0]["value"].as_str(), left[0]["attempt"].as_u64()), (Some("broken"), Some(2)));
    assert!(shop.succeeds(&["inspect", "row", "customers", "2", "--format", "json"]).contains("\"id\": 2"));
}
