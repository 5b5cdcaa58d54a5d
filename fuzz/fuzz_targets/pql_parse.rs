//! Any bytes as a predictive query: no panic, an error that points into the text, and what is accepted prints back to
//! the same task. `cargo +nightly fuzz run pql_parse`, with `pql/tests/cases` as a first corpus.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use relational::{Column, ColumnId, DataType, ForeignKey, Schema, Table, TableId, Task};

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let types = [
        ("id", DataType::Int),
        ("parent", DataType::Int),
        ("at", DataType::Time),
        ("amount", DataType::Decimal),
        ("status", DataType::Text),
        ("flag", DataType::Bool),
        ("tags", DataType::List),
        ("day", DataType::Date),
        ("rate", DataType::Float),
    ];
    let table = |name: &str| Table {
        name: name.to_owned(),
        columns: types.map(|(name, data_type)| Column::new(name, data_type)).to_vec(),
        key: vec![ColumnId(0)],
        time: Some(ColumnId(2)),
    };
    let link = ForeignKey { child: TableId(1), columns: vec![ColumnId(1)], parent: TableId(0) };
    Schema::new(vec![table("customers"), table("orders")], vec![link]).expect("the schema is consistent")
});

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    match pql::compile("task", &text, &SCHEMA) {
        Ok(task) => {
            let printed = pql::print(&task, &SCHEMA);
            if printed.len() > relational::limits::QUERY_BYTES_MAX {
                return;
            }
            let again = pql::compile("task", &printed, &SCHEMA).expect("what was printed compiles");
            assert_eq!(Task { query: text.into_owned(), ..again }, task);
        }
        Err(error) => {
            let span = error.span();
            assert!(text.get(span.start..span.end).is_some());
            assert!(error.render().contains('^'));
        }
    }
});
