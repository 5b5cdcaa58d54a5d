//! Whatever the bytes, there is an answer.

use proptest::prelude::*;

use super::*;

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<i128>().prop_map(|value| value.to_string()),
        any::<f64>()
            .prop_filter("JSON has no others", |value| value.is_finite())
            .prop_map(|value| format!("{value:e}")),
        "[ -~\\n\u{e9}\u{1F600}]{0,8}".prop_map(|text| serde_json::Value::from(text).to_string()),
        Just(r#""\ud800""#.to_owned()),
        Just(r#""BNI=""#.to_owned()),
        Just(r#""2024-01-02""#.to_owned()),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let names = prop::sample::select(vec![
            "schema",
            "payload",
            "type",
            "fields",
            "field",
            "name",
            "items",
            "op",
            "before",
            "after",
            "source",
            "ts_ms",
            "id",
            "price",
            "at",
            "scale",
            "value",
            "__op",
            "status",
            "event_count",
            "message",
            "__deleted",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|values| format!("[{}]", values.join(","))),
            prop::collection::vec((names, inner), 0..6).prop_map(|fields| {
                let fields: Vec<String> = fields.iter().map(|(name, json)| format!("\"{name}\":{json}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

fn any_bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    let bytes = prop_oneof![
        4 => any_json().prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (any_json(), any::<prop::sample::Index>()).prop_map(|(json, cut)| {
            let mut bytes = json.into_bytes();
            bytes.truncate(cut.index(bytes.len()));
            bytes
        }),
        2 => any_json().prop_map(|after| format!(r#"{{"op":"u","after":{after},"before":{after}}}"#).into_bytes()),
        2 => (any_json(), any_json()).prop_map(|(id, at)| {
            format!(r#"{{"op":"c","after":{{"id":{id},"price":{at},"at":{at},"name":{id}}}}}"#).into_bytes()
        }),
        1 => (any_json(), any_json()).prop_map(|(schema, payload)| {
            format!(r#"{{"schema":{{"type":"struct","fields":[{schema}]}},"payload":{payload}}}"#).into_bytes()
        }),
    ];
    prop::option::weighted(0.95, bytes)
}

proptest! {
    #[test]
    fn decoding_and_learning_never_panic(
        key in any_bytes(),
        value in any_bytes(),
        topic in prop::sample::select(vec![TOPIC, "other", "__debezium-heartbeat.s", ""]),
        format in prop::sample::select(vec![Format::Debezium, Format::Flattened, Format::Upsert, Format::Append]),
    ) {
        let tables = orders(format);
        let position = Position { topic: topic.into(), partition: 0, offset: 0 };
        let record = Record {
            origin: &position,
            position: &position,
            timestamp: None,
            key: key.as_deref(),
            value: value.as_deref(),
            headers: &[],
        };
        let first = decode(&tables, &record);
        // What the tables remember of a topic never changes an answer.
        prop_assert_eq!(decode(&tables, &record), first.clone());
        prop_assert_eq!(decode(&orders(format), &record), first.clone());
        if let Ok(Decoded::Changes { changes, .. }) = first {
            prop_assert!((1..=2).contains(&changes.len()));
        }
        drop(learn(&[record]));
    }
}
