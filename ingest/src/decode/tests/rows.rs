//! Flattened, upsert and append.

use super::*;

#[test]
fn flattened_rows_carry_their_operation_in_fields() {
    let tables = orders(Format::Flattened);
    let row = r#"{"id":1,"name":"a","__op":"u","__source_ts_ms":1000,"__table":"orders","__deleted":"false"}"#;
    let decoded = on(&tables, TOPIC, None, Some(row));
    let Ok(Decoded::Changes { changes, unknown_columns: 0 }) = decoded else { panic!("{decoded:?}") };
    assert_eq!((changes[0].known, &changes[0].key), (EventTime(1_000_000), &int_key(1)));
    assert_eq!(cells(&changes[0])[2], Cell::Unchanged);
    let created = change(&tables, None, Some(r#"{"id":1,"__op":"c"}"#));
    assert_eq!((created.known, &cells(&created)[2]), (STAMP, &NULL));
    let read = change(&tables, None, Some(r#"{"id":1,"at":"1970-01-01 00:00:01","__op":"r"}"#));
    assert_eq!(read.known, EventTime(1_000_000));
    assert!(matches!(read.op, Op::Snapshot(_)));
}

#[test]
fn flattened_rows_carry_their_operation_in_headers() {
    let tables = orders(Format::Flattened);
    for quoted in ["u", "\"u\""] {
        let headers = [("__op", quoted), ("__source_ts_us", "1000200"), ("__deleted", "false")];
        let decoded = with_headers(&tables, TOPIC, None, Some(r#"{"id":1}"#), &headers);
        let Ok(Decoded::Changes { changes, .. }) = decoded else { panic!("{decoded:?}") };
        assert_eq!(changes[0].known, EventTime(1_000_200));
    }
    let decoded = with_headers(&tables, TOPIC, None, Some(r#"{"id":1}"#), &[("__op", "d")]);
    assert!(matches!(decoded, Ok(Decoded::Changes { changes, .. }) if changes[0].op == Op::Delete));
}

#[test]
fn flattened_deletes_are_marked_rows_or_null_values() {
    let tables = orders(Format::Flattened);
    assert_eq!(change(&tables, None, Some(r#"{"id":1,"__deleted":"true"}"#)).op, Op::Delete);
    assert_eq!(change(&tables, Some(r#"{"id":1}"#), None).op, Op::Delete);
    assert_eq!(kind(on(&tables, TOPIC, None, None)), "tombstone");
    let truncated = with_headers(&tables, TOPIC, None, None, &[("__op", "t")]);
    assert!(matches!(truncated, Ok(Decoded::Changes { changes, .. }) if changes[0].op == Op::Truncate));
}

#[test]
fn an_upsert_is_the_whole_row() {
    let tables = orders(Format::Upsert);
    let change = change(&tables, Some(r#"{"id":1}"#), Some(r#"{"name":"a"}"#));
    assert_eq!((&change.key, change.known), (&int_key(1), STAMP));
    assert_eq!(cells(&change), [Cell::Value(Value::Int(1)), text("a"), NULL, NULL]);
}

#[test]
fn a_null_upsert_deletes() {
    let tables = orders(Format::Upsert);
    for key in ["1", r#"{"id":1}"#, r#"{"schema":{"type":"int32"},"payload":1}"#, "\"1\""] {
        let change = change(&tables, Some(key), None);
        assert_eq!((change.key, change.op), (int_key(1), Op::Delete), "{key}");
    }
    assert!(reason(&tables, None, None).contains("neither the record's key"));
}

#[test]
fn a_text_key_need_not_be_json() {
    let columns = vec![Column::new("id", DataType::Text)];
    let tables = tables(columns, &[0], None, Format::Upsert);
    for (key, expected) in
        [("abc", "abc"), ("a\"b", "a\"b"), ("\"abc\"", "abc"), ("{\"id\":\"abc\"}", "abc"), ("{x", "{x")]
    {
        assert_eq!(change(&tables, Some(key), None).key, Key::single(Value::text(expected)));
    }
}

#[test]
fn an_upsert_names_itself_when_its_key_does_not() {
    let tables = orders(Format::Upsert);
    assert_eq!(change(&tables, None, Some(r#"{"id":5}"#)).key, int_key(5));
    assert_eq!(change(&tables, Some("partitioned-by-text"), Some(r#"{"id":5}"#)).key, int_key(5));
    let refused = reason(&tables, Some("4"), Some(r#"{"id":5}"#));
    assert!(refused.contains("the record's key says 4, its value 5"), "{refused}");
}

#[test]
fn keys_of_several_columns_come_in_the_tables_order() {
    let columns = vec![Column::new("a", DataType::Int), Column::new("b", DataType::Text)];
    let tables = tables(columns, &[1, 0], None, Format::Upsert);
    let expected = Key::new([Value::text("x"), Value::Int(1)]);
    assert_eq!(change(&tables, Some(r#"{"a":1,"b":"x"}"#), None).key, expected);
    assert_eq!(change(&tables, Some("1/x"), Some(r#"{"a":1,"b":"x"}"#)).key, expected);
}

#[test]
fn every_appended_record_is_a_new_row() {
    let tables = tables(vec![Column::new("name", DataType::Text)], &[], None, Format::Append);
    let change = change(&tables, Some("ignored"), Some(r#"{"name":"a"}"#));
    assert_eq!(change.key, Key::single(Value::text("shop.public.orders-3-7")));
    assert_eq!(kind(on(&tables, TOPIC, None, None)), "tombstone");
}

#[test]
fn columns_called_schema_and_payload_are_just_columns() {
    let columns = vec![Column::new("payload", DataType::Text), Column::new("schema", DataType::Text)];
    let tables = tables(columns, &[], None, Format::Append);
    let change = change(&tables, None, Some(r#"{"schema":"public","payload":"x"}"#));
    assert_eq!(cells(&change), [text("x"), text("public")]);
}

#[test]
fn topics_are_found_by_name_then_pattern_then_last_part() {
    let table = |name: &str| Table {
        name: name.into(),
        columns: vec![Column::new("id", DataType::Int)],
        key: vec![ColumnId(0)],
        time: None,
    };
    let schema = Arc::new(Schema::new(vec![table("a"), table("b"), table("c")], Vec::new()).expect("valid"));
    let mapping = |table: u16, topic: Option<&str>| Mapping {
        table: TableId(table),
        topic: topic.map(str::to_owned),
        format: Format::Upsert,
        hints: Vec::new(),
    };
    let mappings = vec![mapping(0, None), mapping(1, Some(r"^shard\d+\.a$")), mapping(2, Some("shard9.a"))];
    let tables = Tables::new(schema, mappings).expect("valid");
    let found = ["x.y.a", "shard1.a", "shard9.a", "a", "x.b"].map(|topic| tables.table_of(topic).map(|table| table.0));
    assert_eq!(found, [Some(0), Some(1), Some(2), Some(0), None]);
}

#[test]
fn formats_that_need_a_key_say_so() {
    let table = Table { name: "a".into(), columns: Vec::new(), key: Vec::new(), time: None };
    let schema = Arc::new(Schema::new(vec![table], Vec::new()).expect("valid"));
    let mapping = Mapping { table: TableId(0), topic: None, format: Format::Upsert, hints: Vec::new() };
    let refused = Tables::new(schema, vec![mapping]).expect_err("no key").to_string();
    assert_eq!(refused, "table `a`: format `upsert` needs a key; set `key`, or use format `append`");
}
