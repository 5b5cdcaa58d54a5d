//! The envelope's rules.

use super::*;

fn event(op: &str, before: &str, after: &str, source: &str) -> String {
    format!(r#"{{"before":{before},"after":{after},"source":{source},"op":"{op}","ts_ms":9000}}"#)
}

const ROW: &str = r#"{"id":1,"name":"ann","price":"BNI=","at":1704164645123456}"#;
const SOURCE: &str = r#"{"ts_ms":1000,"ts_us":1000200,"ts_ns":1000200300,"snapshot":"false"}"#;

#[test]
fn a_created_row_is_known_when_the_source_committed_it() {
    let change = change(&orders(Format::Debezium), Some(r#"{"id":1}"#), Some(&event("c", "null", ROW, SOURCE)));
    assert_eq!(change.key, int_key(1));
    assert_eq!(change.known, EventTime(1_000_200));
    let time = Value::Time(EventTime(1_704_164_645_123_456));
    let price = Value::Decimal(relational::Decimal { unscaled: 1234, scale: 2 });
    let expected = [Cell::Value(Value::Int(1)), text("ann"), Cell::Value(price), Cell::Value(time)];
    assert!(matches!(&change.op, Op::Upsert(cells) if **cells == expected), "{:?}", change.op);
}

#[test]
fn the_source_time_is_the_finest_that_it_gives_then_the_records_then_the_connectors() {
    let tables = orders(Format::Debezium);
    let known = |source: &str| change(&tables, None, Some(&event("u", "null", ROW, source))).known;
    assert_eq!(known(r#"{"ts_ms":1000,"ts_us":1000200}"#), EventTime(1_000_200));
    assert_eq!(known(r#"{"ts_ms":1000}"#), EventTime(1_000_000));
    assert_eq!(known(r#"{"ts_ms":0}"#), STAMP);
    assert_eq!(known("null"), STAMP);
}

#[test]
fn the_connectors_clock_counts_only_when_there_is_no_other() {
    let tables = orders(Format::Debezium);
    let position = Position { topic: TOPIC.into(), partition: 0, offset: 0 };
    let value = event("u", "null", ROW, "null");
    let value = Some(value.as_bytes());
    let record = Record { origin: &position, position: &position, timestamp: None, key: None, value, headers: &[] };
    let Ok(Decoded::Changes { changes, .. }) = decode(&tables, &record) else { panic!("refused") };
    assert_eq!(changes[0].known, EventTime(9_000_000));
}

#[test]
fn snapshot_rows_are_known_since_their_own_time() {
    let tables = orders(Format::Debezium);
    for (op, mark) in
        [("r", "\"first\""), ("r", "\"incremental\""), ("r", "\"false\""), ("c", "\"last\""), ("c", "true")]
    {
        let change =
            change(&tables, None, Some(&event(op, "null", ROW, &format!(r#"{{"ts_ms":1,"snapshot":{mark}}}"#))));
        assert!(matches!(change.op, Op::Snapshot(_)), "{op} {mark}");
        assert_eq!(change.known, EventTime(1_704_164_645_123_456));
    }
    for (op, mark) in [("c", "\"incremental\""), ("c", "false"), ("u", "\"last\"")] {
        let change =
            change(&tables, None, Some(&event(op, "null", ROW, &format!(r#"{{"ts_ms":1,"snapshot":{mark}}}"#))));
        assert!(matches!(change.op, Op::Upsert(_)), "{op} {mark}");
    }
}

#[test]
fn snapshot_rows_without_a_time_are_known_since_the_beginning() {
    let columns = vec![Column::new("id", DataType::Int)];
    let tables = tables(columns, &[0], None, Format::Debezium);
    assert_eq!(change(&tables, None, Some(&event("r", "null", r#"{"id":1}"#, SOURCE))).known, EventTime::MIN);
}

#[test]
fn a_delete_needs_the_key_only() {
    let tables = orders(Format::Debezium);
    let keyed = change(&tables, Some(r#"{"id":1}"#), Some(&event("d", "null", "null", SOURCE)));
    assert_eq!((keyed.key, keyed.op), (int_key(1), Op::Delete));
    let key_only = r#"{"id":2,"name":null,"price":null,"at":null}"#;
    assert_eq!(change(&tables, None, Some(&event("d", key_only, "null", SOURCE))).key, int_key(2));
    let refused = reason(&tables, None, Some(&event("d", "null", "null", SOURCE)));
    assert!(refused.contains("neither the record's key nor `before` holds the key `id`"), "{refused}");
}

#[test]
fn the_tombstone_behind_a_delete_is_set_aside() {
    let tables = orders(Format::Debezium);
    assert_eq!(kind(on(&tables, TOPIC, Some(r#"{"id":1}"#), None)), "tombstone");
    assert_eq!(kind(on(&tables, TOPIC, Some(r#"{"id":1}"#), Some(r#"{"schema":null,"payload":null}"#))), "tombstone");
}

#[test]
fn an_update_keeps_what_it_does_not_speak_of() {
    let after = r#"{"id":1,"name":"__debezium_unavailable_value","at":5}"#;
    let change = change(&orders(Format::Debezium), None, Some(&event("u", "null", after, SOURCE)));
    assert_eq!(cells(&change)[1..3], [Cell::Unchanged, Cell::Unchanged]);
}

#[test]
fn the_placeholder_is_known_in_every_form() {
    let tables = orders(Format::Debezium).with_placeholder("?!");
    for form in [r#""?!""#, r#""PyE=""#, r#""3f21""#, "[63,33]", r#"["?!"]"#, r#"{"?!":"?!"}"#] {
        let after = format!(r#"{{"id":1,"name":{form}}}"#);
        let change = change(&tables, None, Some(&event("u", "null", &after, SOURCE)));
        assert_eq!(cells(&change)[1], Cell::Unchanged, "{form}");
    }
}

#[test]
fn a_created_row_is_null_where_it_says_nothing() {
    let change = change(&orders(Format::Debezium), None, Some(&event("c", "null", r#"{"id":1}"#, SOURCE)));
    assert_eq!(cells(&change)[1..], [NULL, NULL, NULL]);
}

#[test]
fn key_and_value_are_wrapped_independently() {
    let tables = orders(Format::Debezium);
    let wrapped_key = r#"{"schema":{"type":"struct","fields":[{"type":"int32","field":"id"}]},"payload":{"id":1}}"#;
    let bare = event("u", "null", ROW, SOURCE);
    let field = r#"{"type":"int64","name":"io.debezium.time.Timestamp","field":"at"}"#;
    let schema = format!(
        r#"{{"type":"struct","fields":[{{"type":"struct","field":"after","fields":[{{"type":"int32","field":"id"}},{field}]}},{{"type":"string","field":"op"}}]}}"#
    );
    let wrapped = format!(r#"{{"schema":{schema},"payload":{}}}"#, event("u", "null", r#"{"id":1,"at":5}"#, SOURCE));
    for key in [Some(r#"{"id":1}"#), Some(wrapped_key), None] {
        assert_eq!(change(&tables, key, Some(&bare)).key, int_key(1));
        // Twice: the second time the schema is known.
        for _ in 0..2 {
            let change = change(&tables, key, Some(&wrapped));
            assert_eq!(change.key, int_key(1));
            assert_eq!(cells(&change)[3], Cell::Value(Value::Time(EventTime(5_000))), "milliseconds by the schema");
        }
    }
}

#[test]
fn a_schema_that_changes_is_read_anew() {
    let tables = orders(Format::Debezium);
    let at = |class: &str| {
        let field = format!(r#"{{"type":"int64","name":"io.debezium.time.{class}","field":"at"}}"#);
        let after =
            format!(r#"{{"type":"struct","field":"after","fields":[{{"type":"int32","field":"id"}},{field}]}}"#);
        let schema = format!(r#"{{"type":"struct","fields":[{after},{{"type":"string","field":"op"}}]}}"#);
        let payload = event("c", "null", r#"{"id":1,"at":5000}"#, SOURCE);
        let change = change(&tables, None, Some(&format!(r#"{{"schema":{schema},"payload":{payload}}}"#)));
        cells(&change)[3].clone()
    };
    for _ in 0..2 {
        assert_eq!(at("Timestamp"), Cell::Value(Value::Time(EventTime(5_000_000))));
        assert_eq!(at("MicroTimestamp"), Cell::Value(Value::Time(EventTime(5_000))));
        assert_eq!(at("NanoTimestamp"), Cell::Value(Value::Time(EventTime(5))));
    }
}

#[test]
fn a_changed_key_in_one_record_is_a_delete_and_an_insert() {
    let tables = orders(Format::Debezium);
    let value = event("u", r#"{"id":1,"name":"a"}"#, r#"{"id":2,"name":"a"}"#, SOURCE);
    let Ok(Decoded::Changes { changes, .. }) = on(&tables, TOPIC, None, Some(&value)) else { panic!("refused") };
    assert_eq!((&changes[0].key, &changes[0].op), (&int_key(1), &Op::Delete));
    assert_eq!(changes[1].key, int_key(2));
}

#[test]
fn unknown_columns_are_counted_and_ignored() {
    let value = event("u", "null", r#"{"id":1,"extra":{"a":[1]},"more":2}"#, SOURCE);
    let decoded = on(&orders(Format::Debezium), TOPIC, None, Some(&value));
    assert!(matches!(decoded, Ok(Decoded::Changes { unknown_columns: 2, .. })), "{decoded:?}");
}

#[test]
fn a_truncation_concerns_the_whole_table() {
    let change = change(&orders(Format::Debezium), None, Some(&event("t", "null", "null", SOURCE)));
    assert_eq!((change.op, change.key), (Op::Truncate, Key::new([])));
}

#[test]
fn a_table_without_a_key_takes_new_rows_and_refuses_the_rest() {
    let tables = tables(vec![Column::new("name", DataType::Text)], &[], None, Format::Debezium);
    let created = change(&tables, None, Some(&event("c", "null", r#"{"name":"a"}"#, SOURCE)));
    assert_eq!(created.key, Key::single(Value::text("shop.public.orders-3-7")));
    for op in ["u", "d"] {
        let refused = reason(&tables, None, Some(&event(op, r#"{"name":"a"}"#, r#"{"name":"a"}"#, SOURCE)));
        assert!(refused.contains("which has no key"), "{refused}");
    }
}

#[test]
fn topics_beside_the_tables_are_recognised() {
    let tables = orders(Format::Debezium);
    let heartbeat = on(&tables, "__debezium-heartbeat.shop", None, Some(r#"{"ts_ms":1000}"#));
    assert_eq!(heartbeat, Ok(Decoded::SetAside { kind: "heartbeat", reached: Some(EventTime(1_000_000)) }));
    let transaction = r#"{"status":"END","id":"8:2","event_count":1,"data_collections":[],"ts_ms":1}"#;
    assert_eq!(kind(on(&tables, "shop.transaction", None, Some(transaction))), "transaction");
    let message = r#"{"op":"m","ts_ms":1,"message":{"prefix":"p","content":"aGVsbG8="}}"#;
    assert_eq!(kind(on(&tables, "shop.message", None, Some(message))), "message");
    assert_eq!(kind(on(&tables, TOPIC, None, Some(message))), "message");
    assert_eq!(kind(on(&tables, "shop", None, Some(r#"{"databaseName":"shop","ddl":"CREATE"}"#))), "schema_change");
}

#[test]
fn a_refusal_says_what_and_why() {
    let tables = orders(Format::Debezium);
    let unknown = on(&tables, "shop.public.other", None, Some("{}")).expect_err("refused");
    assert!(
        unknown.reason.contains("no table takes topic `shop.public.other`; known: `*.orders`"),
        "{}",
        unknown.reason
    );
    let flat = reason(&tables, None, Some(r#"{"id":1}"#));
    assert!(flat.contains("it has no `op`") && flat.contains("`flattened`"), "{flat}");
    let broken = on(&tables, TOPIC, None, Some("{\"op\":")).expect_err("refused");
    assert_eq!(broken.stage, Stage::Decode);
    let misfit = event("c", "null", r#"{"id":"one"}"#, SOURCE);
    let misfit = on(&tables, TOPIC, None, Some(&misfit)).expect_err("refused");
    assert_eq!(misfit.stage, Stage::Fit);
    assert!(
        misfit.reason.starts_with("field `id` of table `orders`: `\"one\"` is not a value of type int"),
        "{}",
        misfit.reason
    );
    let avro = on(&tables, TOPIC, None, Some("\0\0\0\0\u{6}")).expect_err("refused");
    assert_eq!(avro.stage, Stage::Decode);
}
