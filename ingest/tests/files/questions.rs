//! Files of questions come back in their order, with the answers behind.

use std::path::Path;

use ingest::files::{AnswerColumn, Questions, TableFile, infer, write_answers};
use relational::{EventTime, Key, Schema, TableId, Value};

fn schema(directory: &Path) -> Schema {
    let path = directory.join("customers.csv");
    std::fs::write(&path, "id,city\n1,Rome\n").expect("written");
    let table =
        TableFile { table: "customers".into(), paths: vec![path], key: vec!["id".into()], ..TableFile::default() };
    infer(&[table]).expect("a schema")
}

const TEXT: &str = "at,id,note,label\n2020-01-02,7.0,\"a, b\",0\nsoon,8,,1\n2020-01-03 10:00:00,,c,1\n";

fn read(directory: &Path, name: &str) -> Questions {
    let path = directory.join(name);
    Questions::read(&path, &schema(directory), TableId(0), "at").expect("read")
}

#[test]
fn keys_and_times_are_read_row_by_row() {
    let directory = tempfile::tempdir().expect("a folder");
    std::fs::write(directory.path().join("at.csv"), TEXT).expect("written");
    let questions = read(directory.path(), "at.csv");
    let [good, no_time, no_key] = questions.rows() else { panic!("three questions") };
    assert_eq!(good.key, Some(Key::single(Value::Int(7))));
    assert_eq!(good.time, EventTime::parse("2020-01-02"));
    assert_eq!(good.error, None);
    assert_eq!(no_time.error.as_deref(), Some("column `at`: `soon` is not a time (for example 2010-12-01 08:26:00)"));
    assert_eq!((no_key.key.clone(), no_key.error.as_deref()), (None, Some("column `id` is empty")));
}

#[test]
fn a_missing_column_is_named() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("at.csv");
    std::fs::write(&path, TEXT).expect("written");
    let error = Questions::read(&path, &schema(directory.path()), TableId(0), "att").expect_err("refused").to_string();
    assert!(error.contains("there is no column `att`; did you mean `at`?"), "{error}");
}

fn answers() -> Vec<(String, AnswerColumn)> {
    vec![
        ("label".into(), AnswerColumn::Int(vec![Some(1), None, Some(0)])),
        ("prediction".into(), AnswerColumn::Float(vec![Some(0.1 + 0.2), Some(4.0), None])),
    ]
}

#[test]
fn answers_stand_behind_the_original_columns() {
    let directory = tempfile::tempdir().expect("a folder");
    std::fs::write(directory.path().join("at.csv"), TEXT).expect("written");
    let out = directory.path().join("out.csv");
    write_answers(&out, &read(directory.path(), "at.csv"), &answers()).expect("written");
    let text = std::fs::read_to_string(out).expect("read");
    let expected = "at,id,note,label,prediction\n2020-01-02,7.0,\"a, b\",1,0.30000000000000004\nsoon,8,,,4.0\n\
        2020-01-03 10:00:00,,c,0,\n";
    assert_eq!(text, expected);
}

#[test]
fn answers_go_through_every_format() {
    let directory = tempfile::tempdir().expect("a folder");
    std::fs::write(directory.path().join("at.csv"), TEXT).expect("written");
    let mut questions = read(directory.path(), "at.csv");
    let expected = questions.rows().to_vec();
    for name in ["out.csv.gz", "out.csv.zst", "out.tsv", "out.parquet"] {
        write_answers(&directory.path().join(name), &questions, &answers()).expect("written");
        questions = read(directory.path(), name);
        assert_eq!(questions.rows(), expected, "{name}");
    }
}
