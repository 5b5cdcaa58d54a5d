//! `foreshore fine-tune`, and scores with the weights that it writes.

use std::fmt::Write as _;
use std::fs;
use std::process::Output;

use pipeline::tuned::{self, GainRecord, Record, digest_text};
use predictor::small::Weights;

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
query = "PREDICT COUNT(orders.*, 0, 5, days) = 0 FOR EACH customers.customer_id"
context_size = 200
"#;

/// The query in canonical form.
const QUERY: &str = "PREDICT COUNT(orders.*, 0, 5, days) = 0 FOR EACH customers.customer_id";

/// Customers who order at random: nothing tells who will.
fn shop() -> Folder {
    let folder = Folder::new();
    let customers: String =
        (0..40).fold(String::from("customer_id\n"), |text, customer| text + &format!("{customer}\n"));
    let mut orders = String::from("order_id,customer_id,amount,ordered_at\n");
    let mut numbers = Numbers(5);
    for order in 0..700u64 {
        let (customer, amount, day) = (numbers.below(40), (numbers.0 >> 43) % 90, order / 7);
        let date = format!("2024-{:02}-{:02}", 1 + day / 28, 1 + day % 28);
        writeln!(orders, "{order},{customer},{amount},{date} 12:00:{:02}", order % 60).expect("text");
    }
    folder.write("customers.csv", &customers);
    folder.write("orders.csv", &orders);
    folder.write("foreshore.toml", CONFIG);
    folder
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn what_does_not_help_is_declined_and_leaves_no_file() {
    let shop = shop();
    let base = ["fine-tune", "--task", "churn", "--out", "tuned", "--format", "json"];
    let more = ["--examples", "500", "--steps", "15", "--until", "2024-03-20"];
    let outcome = json(&shop.run(&[&base[..], &more].concat()));
    assert_eq!(outcome["outcome"], "declined", "{outcome}");
    let folds = outcome["folds"].as_array().expect("folds");
    assert!(!folds.is_empty() && outcome["reason"].as_str().is_some_and(|reason| reason.contains("standard error")));
    for fold in folds {
        // The last window that had closed by then began five days before.
        assert!(fold["to"].as_str().is_some_and(|to| to <= "2024-03-15T00:00:00Z"), "{fold}");
        assert!(fold["shipped"].as_f64().is_some_and(f64::is_finite), "{fold}");
    }
    assert!(!shop.path("tuned").exists());
}

#[test]
fn weights_of_a_folder_answer_for_their_query_alone() {
    let shop = shop();
    let folder = shop.path("own");
    let weights = Weights::shipped();
    let gain = GainRecord { mean: 0.1, standard_error: 0.01 };
    let digest = digest_text(weights.digest());
    let record = Record {
        version: Record::VERSION,
        task: "churn".into(),
        query: QUERY.into(),
        base: digest.clone(),
        weights: digest,
        seed: 0,
        until: "2024-03-20T00:00:00Z".into(),
        examples: 500,
        steps: 15,
        folds: Vec::new(),
        gain,
        gain_over_baseline: gain,
    };
    tuned::write(&folder, &weights, &record).expect("it can be written");
    let score = |more: &[&str]| {
        let model: &[&str] = if more.contains(&"--model") { &[] } else { &["--model", "foreshore-small"] };
        let base = ["score", "--task", "churn", "--entity", "3", "--format", "json"];
        shop.run(&[&base[..], model, more].concat())
    };
    let (shipped, own) = (json(&score(&[])), json(&score(&["--weights", "own"])));
    // The very same numbers, under a name and a context of their own.
    assert_eq!(shipped["prediction"], own["prediction"]);
    assert_ne!(shipped["context"], own["context"]);
    if shipped["model"] == "foreshore-small" {
        assert_eq!(own["model"], "foreshore-small (fine-tuned)");
        let auto = json(&score(&["--model", "auto", "--weights", "own"]));
        assert!(auto["model"].as_str().is_some_and(|name| name.contains("foreshore-small (fine-tuned)")), "{auto}");
    }
    let refused = |what: &str| {
        let output = score(&["--weights", "own"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(78) && said.contains(what), "{said}");
    };
    tuned::write(&folder, &weights, &Record { query: "PREDICT another".into(), ..record.clone() }).expect("written");
    refused("were fine-tuned for `PREDICT another`");
    tuned::write(&folder, &weights, &Record { weights: digest_text(1), ..record }).expect("written");
    refused("is not the file that fine-tuned.json was written with");
    fs::remove_dir_all(&folder).expect("it is there");
    refused("`foreshore fine-tune` writes such a folder");
}
