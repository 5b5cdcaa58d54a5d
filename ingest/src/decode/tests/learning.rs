//! Tables from records.

use super::*;

fn learnt(key: Option<&str>, values: &[&str]) -> Option<Learned> {
    let position = Position { topic: "s.inv.cust".into(), partition: 0, offset: 0 };
    let record = |value: &&str| OwnedRecord {
        origin: position.clone(),
        position: position.clone(),
        timestamp: None,
        key: key.map(|key| key.as_bytes().to_vec()),
        value: Some(value.as_bytes().to_vec()),
        headers: Vec::new(),
    };
    let records: Vec<OwnedRecord> = values.iter().map(record).collect();
    learn(&records.iter().map(OwnedRecord::as_record).collect::<Vec<_>>())
}

#[test]
fn a_schema_tells_columns_key_and_table() {
    let fields = r#"{"type":"int32","field":"id"},{"type":"string","optional":true,"default":"x","field":"name"},
        {"type":"int64","name":"io.debezium.time.MicroTimestamp","field":"at"}"#;
    let schema = format!(
        r#"{{"type":"struct","fields":[{{"type":"struct","field":"after","fields":[{fields}]}},{{"type":"string","field":"op"}}]}}"#
    );
    let value = format!(
        r#"{{"schema":{schema},"payload":{{"after":null,"before":{{"id":1}},"source":{{"table":"customers"}},"op":"d"}}}}"#
    );
    let key = r#"{"schema":{"type":"struct","fields":[{"type":"int32","field":"id"}]},"payload":{"id":1}}"#;
    let learned = learnt(Some(key), &[&value]).expect("a table");
    assert_eq!((learned.table.as_str(), learned.from_schema), ("customers", true));
    assert_eq!(learned.key, ["id"]);
    let types: Vec<DataType> = learned.columns.iter().map(|column| column.data_type).collect();
    assert_eq!(types, [DataType::Int, DataType::Text, DataType::Time]);
    assert_eq!(learned.defaults, ["name"]);
}

#[test]
fn values_tell_types_as_far_as_they_go() {
    let values = [
        r#"{"id":1,"a":1,"b":"2024-01-02","c":"2024-01-02T00:00:00Z","d":null,"e":true,"f":[1],"g":{"scale":1,"value":"AA=="},"h":1,"__op":"c"}"#,
        r#"{"id":2,"a":1.5,"b":"2024-01-03","c":null,"d":null,"e":false,"f":[],"g":null,"h":"x","i":"BNI="}"#,
    ];
    let learned = learnt(Some("1"), &values).expect("a table");
    let found: Vec<(&str, DataType)> =
        learned.columns.iter().map(|column| (column.name.as_str(), column.data_type)).collect();
    let expected = [
        ("id", DataType::Int),
        ("a", DataType::Float),
        ("b", DataType::Date),
        ("c", DataType::Time),
        ("d", DataType::Text),
        ("e", DataType::Bool),
        ("f", DataType::List),
        ("g", DataType::Decimal),
        ("h", DataType::Text),
        ("i", DataType::Text),
    ];
    assert_eq!(found, expected);
    assert_eq!((learned.table.as_str(), learned.from_schema), ("cust", false));
    assert_eq!(learned.unsure, ["d"]);
    assert!(learned.key.is_empty());
}

#[test]
fn records_without_a_row_teach_nothing() {
    assert_eq!(learnt(None, &["null", "[]", "7", "{", r#"{"op":"d","before":{"id":1},"after":null}"#]), None);
    assert_eq!(learnt(None, &[]), None);
}
