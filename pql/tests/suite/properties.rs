//! What holds for any text: the compiler never panics, its errors point into the text, and what it accepts prints
//! back to the same task.

use proptest::collection::vec;
use proptest::prelude::*;
use relational::{Schema, Task};

use crate::schema;

fn database() -> Schema {
    schema::parse(&schema::read("tests/cases/schema.txt"))
}

/// Every query of the case files, good and bad.
fn written() -> Vec<String> {
    let files = ["accepted", "names", "places", "syntax", "types", "unserved", "windows"];
    let texts = files.map(|file| schema::read(&format!("tests/cases/{file}.txt")));
    let cases = texts.iter().flat_map(|text| text.split("\n====\n"));
    cases.map(|case| case.split("\n----\n").next().unwrap_or_default().to_owned()).collect()
}

fn check(text: &str, schema: &Schema) {
    match pql::compile("task", text, schema) {
        Ok(task) => {
            let printed = pql::print(&task, schema);
            let again = pql::compile("task", &printed, schema).unwrap_or_else(|error| panic!("{text}\n{error}"));
            assert_eq!(Task { query: text.to_owned(), ..again.clone() }, task, "{text}\nprints as\n{printed}");
            assert_eq!(pql::print(&again, schema), printed);
        }
        Err(error) => {
            let span = error.span();
            assert!(text.get(span.start..span.end).is_some(), "{span:?} is no part of {text:?}");
            let rendered = error.render();
            assert!(rendered.lines().count() <= 4, "{rendered}");
            assert!(rendered.contains('^'), "{rendered}");
        }
    }
}

/// Words of the language, names of the schema, and constants, in no order.
fn soup() -> impl Strategy<Value = String> {
    const WORDS: &str = "PREDICT FOR EACH WHERE ASSUMING AND OR NOT ( ) [ ] , . * ; = != < >= IS IN LIKE CONTAINS STARTS \
        ENDS WITH NULL TRUE FALSE RANK CLASSIFY FORECAST TOP TIMEFRAMES COUNT SUM LAST LIST_DISTINCT orders customers \
        orders.* orders.amount orders.status customers.id customers.vip -INF 0 30 -7 1.5 1e9 days months 'a' \"b\" \
        `orders` 2024-01-31 '2024-01-31' # - ' ` é 日 \u{0} \t";
    let words: Vec<&str> = WORDS.split(' ').filter(|word| !word.is_empty()).collect();
    vec(prop::sample::select(words), 0..40).prop_map(|words| words.join(" "))
}

/// A condition over columns of `orders`.
fn filter() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| format!("{number:?}")),
        "-?[0-9]{1,45}\\.[0-9]{1,45}",
        "[0-9]{1,3}e-[0-9]{1,3}|[0-9]{1,3}e(300|[0-9]{1,2})",
    ];
    let text = "[^\u{0}]{0,8}".prop_map(|text| format!("'{}'", text.replace('\'', "''")));
    let time =
        (-9_998i32..9_999, 1u8..13, 1u8..29, 0u8..24, 0u32..1_000_000).prop_map(|(year, month, day, hour, micro)| {
            let year = if year < 0 { format!("-{:06}", -year) } else { format!("{year:04}") };
            format!("'{year}-{month:02}-{day:02}T{hour:02}:00:00.{micro:06}Z'")
        });
    let numbers =
        prop::sample::select(vec!["orders.amount", "orders.discount", "orders.count", "orders.id", "orders.status"]);
    let times = prop::sample::select(vec!["orders.at", "orders.shipped_on", "orders.note"]);
    let relation = prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let comparison = prop_oneof![
        (numbers, relation.clone(), number)
            .prop_map(|(column, relation, number)| format!("{column} {relation} {number}")),
        (times, relation, time).prop_map(|(column, relation, time)| format!("{column} {relation} {time}")),
        (prop::sample::select(vec!["IN", "NOT IN", "IS IN"]), vec(text.clone(), 1..4))
            .prop_map(|(relation, texts)| format!("orders.status {relation} [{}]", texts.join(","))),
        (prop::sample::select(vec!["LIKE", "NOT LIKE", "CONTAINS", "NOT CONTAINS", "STARTS WITH", "ENDS WITH"]), text)
            .prop_map(|(relation, text)| format!("orders.note {relation} {text}")),
        Just("orders.express IS NOT TRUE".to_owned()),
    ];
    comparison.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| format!("NOT ({inner})")),
            (prop::sample::select(vec![" AND ", " OR "]), vec(inner, 2..4))
                .prop_map(|(keyword, parts)| format!("({})", parts.join(keyword))),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_the_compiler_panic(bytes in vec(any::<u8>(), 0..200)) {
        check(&String::from_utf8_lossy(&bytes), &database());
    }

    #[test]
    fn no_text_makes_the_compiler_panic(text in "\\PC{0,60}|(PREDICT|FOR EACH|[a-z(),.*'`\"#\t\n =<>-]|[0-9é日])*") {
        check(&text, &database());
    }

    #[test]
    fn no_order_of_words_makes_the_compiler_panic(text in soup()) {
        check(&text, &database());
    }

    #[test]
    fn no_change_of_a_query_makes_the_compiler_panic(
        text in prop::sample::select(written()),
        changes in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "\\PC|[()'`\", .*=0-9-]"), 1..4),
    ) {
        let mut characters: Vec<char> = text.chars().collect();
        for (from, to, inserted) in changes {
            let (from, to) = (from.index(characters.len() + 1), to.index(characters.len() + 1));
            let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 3));
            characters.splice(from..to, inserted.chars());
            check(&characters.iter().collect::<String>(), &database());
        }
    }

    #[test]
    fn every_condition_prints_back_to_itself(condition in filter()) {
        let database = database();
        let query = format!("PREDICT SUM(orders.amount WHERE {condition}, 0, 3, months) FOR EACH customers.id");
        prop_assert!(pql::compile("task", &query, &database).is_ok(), "{}", pql::compile("task", &query, &database).unwrap_err());
        check(&query, &database);
    }
}

#[test]
fn a_query_that_is_too_long_or_too_deep_is_refused() {
    let database = database();
    for text in ["(".repeat(70_000), "(".repeat(60_000), "NOT ".repeat(15_000), "a".repeat(65_000)] {
        check(&format!("PREDICT {text}"), &database);
    }
}
