//! Types and meanings of columns follow the documented rules.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray, TimestampNanosecondArray};
use ingest::files::{ColumnOverride, TableFile, infer};
use parquet::arrow::ArrowWriter;
use relational::{DataType, Schema, SemanticType};

fn file(directory: &Path, table: &str, text: &str, key: &str) -> TableFile {
    let path = directory.join(format!("{table}.csv"));
    std::fs::write(&path, text).expect("written");
    TableFile { table: table.into(), paths: vec![path], key: vec![key.into()], ..TableFile::default() }
}

fn described(schema: &Schema, table: &str) -> Vec<String> {
    let id = schema.table_named(table).expect("a table");
    let columns = schema.table(id).columns.iter();
    columns.map(|column| format!("{} {} {:?}", column.name, column.data_type.name(), column.semantic)).collect()
}

#[test]
fn keys_that_are_written_differently_get_one_type() {
    let directory = tempfile::tempdir().expect("a folder");
    let customers = file(directory.path(), "customers", "CustomerID,Country\n12346.0,UK\n12347.0,UK\n", "CustomerID");
    let mut invoices = file(directory.path(), "invoices", "No,CustomerID\n536365,12346\nC536366,\n", "No");
    invoices.foreign_keys = vec![(vec!["CustomerID".into()], "customers".into())];
    let schema = infer(&[customers, invoices]).expect("a schema");
    assert_eq!(described(&schema, "customers"), ["CustomerID int Id", "Country text Category"]);
    assert_eq!(described(&schema, "invoices"), ["No text Id", "CustomerID int Id"]);
}

#[test]
fn meanings_follow_names_and_repetition() {
    let directory = tempfile::tempdir().expect("a folder");
    let text = "id,statusId,orig_id,paid,name,dob,flag,empty,rating\n\
        1,5,100,1,Ann,19850107,true,,7\n2,5,101,0,Bob,19850207,false,,8\n3,6,102,1,Cid,19850307,true,\\N,7\n\
        4,6,103,1,Dan,19850407,true,,7\n";
    let schema = infer(&[file(directory.path(), "t", text, "id")]).expect("a schema");
    let expected = [
        "id int Id",
        "statusId int Category",
        "orig_id int Id",
        "paid int Number",
        "name text Text",
        "dob date Time",
        "flag bool Category",
        "empty text Ignore",
        "rating int Number",
    ];
    assert_eq!(described(&schema, "t"), expected);
}

#[test]
fn what_the_config_says_wins() {
    let directory = tempfile::tempdir().expect("a folder");
    let mut table = file(directory.path(), "t", "id;a;b;c\n1;x;5;?\n2;y;6;7\n", "id");
    let said = |said: ColumnOverride| said;
    table.columns = BTreeMap::from([
        ("a".into(), said(ColumnOverride { hidden: true, ..Default::default() })),
        (
            "b".into(),
            said(ColumnOverride {
                data_type: Some(DataType::Float),
                semantic: Some(SemanticType::Category),
                ..Default::default()
            }),
        ),
        ("c".into(), said(ColumnOverride { null_values: vec!["?".into()], ..Default::default() })),
    ]);
    let schema = infer(&[table]).expect("a schema");
    assert_eq!(described(&schema, "t"), ["id int Id", "b float Category", "c int Number"]);
}

#[test]
fn a_parent_without_files_is_implied_by_its_children() {
    let directory = tempfile::tempdir().expect("a folder");
    let mut payments = file(directory.path(), "payments", "id,customer\n1,12346.0\n", "id");
    payments.foreign_keys = vec![(vec!["customer".into()], "customers".into())];
    let customers = TableFile { table: "customers".into(), key: vec!["customer_id".into()], ..TableFile::default() };
    let schema = infer(&[payments, customers]).expect("a schema");
    assert_eq!(described(&schema, "customers"), ["customer_id int Id"]);
    assert_eq!(schema.foreign_keys().count(), 1);
}

#[test]
fn wrong_names_are_shown_with_the_right_ones() {
    let directory = tempfile::tempdir().expect("a folder");
    let mut table = file(directory.path(), "t", "id,created\n1,2020-01-01\n", "id");
    table.time = Some("creatd".into());
    let error = infer(&[table]).expect_err("refused").to_string();
    assert_eq!(error, "table `t`: there is no column `creatd`; did you mean `created`?");
}

#[test]
fn a_time_column_must_hold_times() {
    let directory = tempfile::tempdir().expect("a folder");
    let mut table = file(directory.path(), "t", "id,at\n1,1600000000\n", "id");
    table.time = Some("at".into());
    let error = infer(std::slice::from_ref(&table)).expect_err("refused").to_string();
    assert!(error.contains("set columns.at.type = \"time\""), "{error}");
    table.columns.insert("at".into(), ColumnOverride { data_type: Some(DataType::Time), ..Default::default() });
    assert_eq!(described(&infer(&[table]).expect("a schema"), "t"), ["id int Id", "at time Time"]);
}

#[test]
fn parquet_types_are_kept() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("t.parquet");
    let columns: [(&str, ArrayRef); 4] = [
        ("id", Arc::new(Int32Array::from(vec![1, 2]))),
        ("at", Arc::new(TimestampNanosecondArray::from(vec![1_000, 2_000]))),
        ("day", Arc::new(StringArray::from(vec!["2020-01-01", "2020-01-02"]))),
        ("amount", Arc::new(Float64Array::from(vec![1.5, f64::NAN]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let written = std::fs::File::create(&path).expect("created");
    let mut writer = ArrowWriter::try_new(written, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    let table = TableFile { table: "t".into(), paths: vec![path], key: vec!["id".into()], ..TableFile::default() };
    let schema = infer(&[table]).expect("a schema");
    assert_eq!(described(&schema, "t"), ["id int Id", "at time Time", "day date Time", "amount float Number"]);
}
