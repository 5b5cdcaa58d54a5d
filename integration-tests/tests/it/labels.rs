//! Labels from the command line equal published label tables, row for row. Needs `FORESHORE_DATA`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use clap::Parser;
use flate2::read::GzDecoder;
use pipeline::cli::Cli;
use pipeline::commands;

use crate::files::root;

/// A database, its tasks, and the name of the column that holds each row's time.
struct Database {
    name: &'static str,
    /// Each task with the label's column in its tables.
    tasks: &'static [(&'static str, &'static str)],
    time_column: &'static str,
}

const DATABASES: [Database; 2] = [
    Database {
        name: "rel-f1",
        tasks: &[("driver-dnf", "did_not_finish"), ("driver-top3", "qualifying"), ("driver-position", "position")],
        time_column: "date",
    },
    Database {
        name: "online-retail",
        tasks: &[("customer-churn-30d", "churn"), ("customer-return-30d", "returned")],
        time_column: "timestamp",
    },
];

#[test]
fn labels_equal_the_published_tables() {
    let Some(data) = std::env::var_os("FORESHORE_DATA") else {
        println!("skipped: FORESHORE_DATA names no folder of data sets");
        return;
    };
    let work = tempfile::tempdir().expect("a temporary folder");
    for database in DATABASES {
        let store = work.path().join(database.name);
        for (task, label) in database.tasks {
            for split in ["train", "val", "test"] {
                let table = Path::new(&data).join(database.name).join("tasks").join(task);
                let table = table.join(format!("{split}.csv.gz"));
                let out = work.path().join("labels.csv");
                label_rows(&database, task, &store, &table, &out);
                compare(&table, &out, label);
            }
        }
    }
}

fn label_rows(database: &Database, task: &str, store: &Path, table: &Path, out: &Path) {
    let config = root().join("configs").join(format!("{}.toml", database.name));
    let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    let (config, store, table, out) = (text(&config), text(store), text(table), text(out));
    let words = ["foreshore", "labels", "--config", &config, "--store", &store, "--task", task, "--at", &table];
    let line = words.into_iter().chain(["--time-column", database.time_column, "--out", &out]);
    let cli = Cli::try_parse_from(line).expect("a valid command line");
    commands::dispatch(cli.command).expect("labels are written");
}

/// Every row comes back as it was, in the same order, with the label it has there.
fn compare(table: &Path, out: &Path, label: &str) {
    let mut packed = Vec::new();
    GzDecoder::new(File::open(table).expect("a label table")).read_to_end(&mut packed).expect("gzip");
    let mut wanted = csv::Reader::from_reader(packed.as_slice());
    let mut found = csv::Reader::from_path(out).expect("what was written");
    let place = wanted.headers().expect("a header").iter().position(|name| name == label).expect("the label's column");
    assert_eq!(found.headers().expect("a header").iter().next_back(), Some("label"));
    let mut rows = 0;
    for (wanted, found) in wanted.records().zip(found.records()) {
        let (wanted, found) = (wanted.expect("a row"), found.expect("a row"));
        assert!(wanted.iter().eq(found.iter().take(wanted.len())), "{wanted:?} came back as {found:?}");
        let number = |text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("`{text}` in {found:?}"));
        let (there, here) = (number(&wanted[place]), number(&found[wanted.len()]));
        assert!((there - here).abs() <= 1e-9, "{}: {wanted:?} has the label {here}", table.display());
        rows += 1;
    }
    let lines = packed.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(rows + 1, lines, "{}: every row is there", table.display());
}
