//! Controls: what the scores must be where the truth is known by construction, asked of the program as a user asks it.

use std::fmt::Write as _;

use predictor::learn::metrics::auroc;

use crate::folder::{Folder, Numbers};

impl Numbers {
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Holders with some marks each, and a case of each holder some days later.
struct Cases {
    holders: String,
    marks: String,
    /// Without the column that is asked for.
    cases: Vec<String>,
    truths: Vec<bool>,
}

const CONFIG: &str = r#"
[app]
name = "controls"
store = "store"

[source]
kind = "files"

[tables.holders]
files = "holders.csv"
key = "holder_id"

[tables.marks]
files = "marks.csv"
key = "mark_id"
time = "made_at"
foreign_keys = { holder_id = "holders" }

[tables.cases]
files = "cases.csv"
key = "case_id"
time = "opened_at"
foreign_keys = { holder_id = "holders" }
columns.met = { arrives_after = "1d" }

[tasks.met]
query = "PREDICT cases.met = 1 FOR EACH cases.case_id"
context_size = 600
# Cases are days apart: a context for each would be one for each question.
refresh = "200d"
"#;

fn date(day: u64) -> String {
    format!("{}-{:02}-{:02} 12:00:00", 2_000 + day / 336, day / 28 % 12 + 1, day % 28 + 1)
}

/// Whether a red mark is a round one: red and round marks are as frequent either way.
fn meetings(many: u64, seed: u64, noise: usize) -> Cases {
    let mut numbers = Numbers(seed);
    let head: String = (0..noise).fold(String::new(), |head, column| head + &format!(",n{column}"));
    let mut of = Cases {
        holders: format!("holder_id,area{head}\n"),
        marks: format!("mark_id,holder_id,made_at,colour,shape,size{head}\n"),
        cases: Vec::new(),
        truths: Vec::new(),
    };
    let clutter = |numbers: &mut Numbers| {
        (0..noise).fold(String::new(), |cells, column| match column % 3 {
            0 => cells + &format!(",{}", numbers.below(2)),
            1 => cells + [",x", ",y", ",z"][usize::try_from(numbers.below(3)).expect("below 3")],
            _ => cells + &format!(",{}.{:02}", numbers.below(90), numbers.below(100)),
        })
    };
    let mut mark = 0;
    for place in 0..many {
        let met = numbers.chance(40);
        writeln!(
            of.holders,
            "{place},{}{}",
            ["north", "south"][usize::from(numbers.chance(50))],
            clutter(&mut numbers)
        )
        .expect("text");
        let pairs = if met { [("red", "round"), ("blue", "square")] } else { [("red", "square"), ("blue", "round")] };
        let further =
            (0..numbers.below(4)).map(|_| if numbers.chance(50) { ("blue", "square") } else { ("green", "square") });
        for (colour, shape) in pairs.into_iter().chain(further.collect::<Vec<_>>()) {
            let (at, size) = (date(2 * place + numbers.below(3)), numbers.below(50));
            writeln!(of.marks, "{mark},{place},{at},{colour},{shape},{size}{}", clutter(&mut numbers)).expect("text");
            mark += 1;
        }
        of.cases.push(format!("{place},{place},{}", date(2 * place + 4)));
        of.truths.push(met);
    }
    of
}

impl Cases {
    /// A folder with these labels, replayed.
    fn folder(&self, labels: &[bool]) -> Folder {
        let folder = Folder::new();
        let with = |label: (&String, &bool)| format!("{},{}\n", label.0, u8::from(*label.1));
        let cases: String = self.cases.iter().zip(labels).map(with).collect();
        let asked: String = self.cases[self.split()..].iter().map(|case| format!("{case}\n")).collect();
        folder.write("foreshore.toml", CONFIG);
        folder.write("holders.csv", &self.holders);
        folder.write("marks.csv", &self.marks);
        folder.write("cases.csv", &format!("case_id,holder_id,opened_at,met\n{cases}"));
        folder.write("asked.csv", &format!("case_id,holder_id,opened_at\n{asked}"));
        folder.succeeds(&["replay", "--no-score"]);
        folder
    }

    /// The first case that is asked for.
    fn split(&self) -> usize {
        self.cases.len() * 2 / 3
    }

    /// The area under the ROC curve over the last third of the cases.
    fn area(&self, folder: &Folder, model: &str) -> f64 {
        let ask = ["score", "--task", "met", "--at", "asked.csv", "--time-column", "opened_at"];
        folder.succeeds(&[&ask[..], &["--model", model, "--out", "scores.csv"]].concat());
        auroc(&probabilities(&folder.read("scores.csv")), &self.truths[self.split()..]).expect("both are there")
    }
}

fn probabilities(scores: &str) -> Vec<f64> {
    let mut lines = scores.lines();
    let head: Vec<&str> = lines.next().expect("a head").split(',').collect();
    let place = head.iter().position(|name| *name == "prediction").expect("a column of predictions");
    lines.map(|line| line.split(',').nth(place).and_then(|cell| cell.parse().ok()).expect("a number")).collect()
}

#[test]
fn two_values_that_meet_in_one_row_are_seen() {
    let cases = meetings(900, 1, 0);
    let folder = cases.folder(&cases.truths);
    for model in ["baseline", "foreshore-small", "trees", "auto"] {
        let area = cases.area(&folder, model);
        assert!(area > 0.95, "{model}: {area}");

        let ask = ["score", "--task", "met", "--entity", "899", "--model", model, "--explain", "--format", "json"];
        let score: serde_json::Value = serde_json::from_str(&folder.succeeds(&ask)).expect("JSON");
        let columns = score["explanation"]["columns"].as_array().expect("columns");
        let names: Vec<&str> = columns.iter().take(2).filter_map(|column| column["column"].as_str()).collect();
        assert!(["marks.colour", "marks.shape"].iter().all(|name| names.contains(name)), "{model}: {names:?}");
    }
}

#[test]
fn noise_columns_cost_little() {
    let (clean, noisy) = (meetings(900, 2, 0), meetings(900, 2, 6));
    let (of_clean, of_noisy) = (clean.folder(&clean.truths), noisy.folder(&noisy.truths));
    for model in ["baseline", "foreshore-small", "trees", "auto"] {
        let cost = clean.area(&of_clean, model) - noisy.area(&of_noisy, model);
        assert!(cost < 0.01, "{model}: {cost}");
    }
}

#[test]
fn shuffled_labels_teach_nothing() {
    let cases = meetings(1_800, 3, 2);
    let mut numbers = Numbers(9);
    let mut labels = cases.truths.clone();
    (1..labels.len()).for_each(|place| {
        let other = usize::try_from(numbers.below(place as u64 + 1)).expect("a place");
        labels.swap(place, other);
    });
    let folder = cases.folder(&labels);
    for model in ["baseline", "foreshore-small", "trees", "auto"] {
        let area = cases.area(&folder, model);
        // 600 questions: the standard error is .024.
        assert!((0.43..0.57).contains(&area), "{model}: {area}");
    }
}
