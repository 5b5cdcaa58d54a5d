//! Queries and what becomes of them, as text. `UPDATE=1 cargo test -p pql cases` writes what the compiler says now;
//! review it with `git diff`.

use std::fs;

use relational::{Schema, Task};

use crate::schema;

const BETWEEN: &str = "\n====\n";
const OUTCOME: &str = "\n----\n";

#[test]
fn every_case_has_the_outcome_written_down() {
    let schema = schema::parse(&schema::read("tests/cases/schema.txt"));
    let mut wrong = Vec::new();
    for file in ["accepted", "names", "places", "syntax", "types", "unserved", "windows"] {
        let relative = format!("tests/cases/{file}.txt");
        let before = schema::read(&relative);
        let cases: Vec<String> = before
            .trim_end_matches('\n')
            .split(BETWEEN)
            .map(|case| {
                let query = case.split_once(OUTCOME).map_or(case, |(query, _)| query);
                format!("{query}{OUTCOME}{}", outcome(query, &schema))
            })
            .collect();
        let after = cases.join(BETWEEN) + "\n";
        if after != before && update() {
            fs::write(schema::path(&relative), &after).expect("the case file can be written");
        } else if after != before {
            let changed = after.split(BETWEEN).zip(before.split(BETWEEN)).find(|(after, before)| after != before);
            wrong.push(format!("{relative}: {changed:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[expect(clippy::disallowed_methods, reason = "the usual way to ask a golden test for an update")]
fn update() -> bool {
    std::env::var("UPDATE").is_ok()
}

/// The rendered error; or the kind, the canonical query, and why it is not served if so.
fn outcome(query: &str, schema: &Schema) -> String {
    let task = match pql::compile("case", query, schema) {
        Ok(task) => task,
        Err(error) => return error.render(),
    };
    let printed = pql::print(&task, schema);
    let again = pql::compile("case", &printed, schema).unwrap_or_else(|error| panic!("{query}\nprints as\n{error}"));
    assert_eq!(Task { query: query.to_owned(), ..again }, task, "{query}\nprints as\n{printed}");
    let refused = pql::unsupported(&task, schema).map(|reason| format!("\nnot served: {reason}"));
    format!("{}\n{printed}{}", task.kind.name(), refused.unwrap_or_default())
}
