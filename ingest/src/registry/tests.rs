//! Schemas and bodies, without a registry.

use apache_avro::types::Value;
use serde_json::{Value as Json, json};

use super::schema::Registered;

fn avro(schema: &Json) -> Registered {
    Registered::parse("AVRO", &schema.to_string(), &[]).expect("an Avro schema")
}

fn body(schema: &Json, value: Value) -> Vec<u8> {
    let schema = apache_avro::Schema::parse(schema).expect("an Avro schema");
    apache_avro::to_avro_datum(&schema, value).expect("the value fits")
}

/// Schema and payload of what a body becomes.
fn rewritten(registered: &Registered, body: &[u8]) -> Result<(Json, Json), String> {
    let text = registered.rewrite(body)?;
    let mut record: Json = serde_json::from_slice(&text).expect("JSON");
    Ok((record["schema"].take(), record["payload"].take()))
}

fn field(name: &str, kind: Json) -> Json {
    json!({ "name": name, "type": kind })
}

fn record(fields: &[Json]) -> Json {
    json!({ "type": "record", "name": "Row", "namespace": "shop", "fields": fields })
}

/// A row of one field, and what field and value become.
fn one(kind: Json, value: Value) -> (Json, Json) {
    let schema = record(&[field("a", kind)]);
    let bytes = body(&schema, Value::Record(vec![("a".into(), value)]));
    let (mut schema, mut payload) = rewritten(&avro(&schema), &bytes).expect("readable");
    (schema["fields"][0].take(), payload["a"].take())
}

#[test]
fn connects_own_types_keep_their_names() {
    let named = |kind: &str, name: &str| json!({ "type": kind, "connect.version": 1, "connect.name": name });
    let (node, value) = one(named("long", "io.debezium.time.MicroTimestamp"), Value::Long(7));
    assert_eq!(
        (&node["type"], &node["name"], value),
        (&json!("int64"), &json!("io.debezium.time.MicroTimestamp"), json!(7))
    );
    let decimal = json!({
        "type": "bytes", "scale": 2, "precision": 10, "connect.version": 1, "logicalType": "decimal",
        "connect.parameters": { "scale": "2", "connect.decimal.precision": "10" },
        "connect.name": "org.apache.kafka.connect.data.Decimal"
    });
    let (node, value) = one(json!(["null", decimal]), Value::Union(1, Box::new(Value::Decimal(vec![4, 0xd2].into()))));
    assert_eq!((&node["parameters"]["scale"], &node["optional"]), (&json!("2"), &json!(true)));
    assert_eq!(value, json!("BNI="));
    let default = json!([{ "type": "string", "connect.default": "d" }, "null"]);
    let (node, value) = one(default, Value::Union(1, Box::new(Value::Null)));
    assert_eq!((&node["default"], &node["optional"], value), (&json!("d"), &json!(true), json!(null)));
}

#[test]
fn avros_logical_types_become_connects() {
    let logical = |kind: &str, logical: &str| json!({ "type": kind, "logicalType": logical });
    for (kind, name) in [
        (logical("int", "date"), "io.debezium.time.Date"),
        (logical("long", "timestamp-millis"), "io.debezium.time.Timestamp"),
        (logical("long", "timestamp-micros"), "io.debezium.time.MicroTimestamp"),
        (logical("long", "timestamp-nanos"), "io.debezium.time.NanoTimestamp"),
        (logical("long", "local-timestamp-millis"), "io.debezium.time.Timestamp"),
        (logical("long", "local-timestamp-micros"), "io.debezium.time.MicroTimestamp"),
        (logical("long", "local-timestamp-nanos"), "io.debezium.time.NanoTimestamp"),
    ] {
        // 5 in Avro's zigzag.
        let (schema, payload) = rewritten(&avro(&record(&[field("a", kind)])), &[10]).expect("readable");
        assert_eq!((&schema["fields"][0]["name"], &payload["a"]), (&json!(name), &json!(5)));
    }
    let decimal = json!({ "type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 3 });
    let (node, value) = one(decimal, Value::Decimal(vec![0xff].into()));
    assert_eq!((&node["parameters"], value), (&json!({ "scale": "3" }), json!("/w==")));
    let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    let (_, value) = one(logical("string", "uuid"), Value::Uuid(uuid.parse().expect("an id")));
    assert_eq!(value, json!(uuid));
}

#[test]
fn other_values_are_written_as_the_json_converter_does() {
    assert_eq!(one(json!("double"), Value::Double(f64::NAN)).1, json!("NaN"));
    assert_eq!(one(json!("double"), Value::Double(f64::NEG_INFINITY)).1, json!("-Infinity"));
    assert_eq!(one(json!("float"), Value::Float(0.1)).1.to_string(), "0.1");
    assert_eq!(one(json!("double"), Value::Double(1e300)).1.as_f64(), Some(1e300));
    assert_eq!(one(json!("bytes"), Value::Bytes(vec![0xde, 0xad])).1, json!("3q0="));
    let colour = json!({ "type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"] });
    assert_eq!(one(colour, Value::Enum(1, "BLUE".into())).1, json!("BLUE"));
    let items = Value::Array(vec![Value::Union(1, Box::new(Value::Int(1))), Value::Union(0, Box::new(Value::Null))]);
    let (node, value) = one(json!({ "type": "array", "items": ["null", "int"] }), items);
    assert_eq!((&node["items"]["type"], value), (&json!("int32"), json!([1, null])));
    let map = ["b", "a", "c"].map(|name| (name.to_owned(), Value::Int(1)));
    let (_, value) = one(json!({ "type": "map", "values": "int" }), Value::Map(map.into()));
    assert_eq!(value.to_string(), r#"{"a":1,"b":1,"c":1}"#, "in an order that repeats");
    let (node, value) = one(json!(["null", "int", "string"]), Value::Union(2, Box::new(Value::String("x".into()))));
    assert_eq!((&node["type"], value), (&json!("union"), json!("x")));
}

#[test]
fn names_are_found_in_their_namespaces_and_in_other_schemas() {
    let inner = json!({ "type": "record", "name": "Value", "fields": [field("id", json!("int"))] });
    let envelope = record(&[field("before", json!(["null", inner])), field("after", json!(["null", "Value"]))]);
    let some = Value::Union(1, Box::new(Value::Record(vec![("id".into(), Value::Int(7))])));
    let none = Value::Union(0, Box::new(Value::Null));
    let bytes = body(&envelope, Value::Record(vec![("before".into(), none), ("after".into(), some)]));
    let (schema, payload) = rewritten(&avro(&envelope), &bytes).expect("readable");
    assert_eq!(schema["fields"][1]["fields"][0]["field"], json!("id"));
    assert_eq!(payload, json!({ "before": null, "after": { "id": 7 } }));

    let money =
        json!({ "type": "record", "name": "Money", "namespace": "lib", "fields": [field("cents", json!("long"))] });
    let row = record(&[field("price", json!("lib.Money"))]).to_string();
    let referring =
        Registered::parse("AVRO", &row, &[("lib.Money".into(), money.to_string())]).expect("both are there");
    assert_eq!(rewritten(&referring, &[14]).expect("readable").1, json!({ "price": { "cents": 7 } }));
    let missing = Registered::parse("AVRO", &row, &[]).expect_err("nothing defines it");
    assert!(missing.contains("Money"), "{missing}");
}

#[test]
fn schemas_that_cannot_be_used_say_why() {
    let list = record(&[field("next", json!(["null", "shop.Row"]))]).to_string();
    assert!(Registered::parse("AVRO", &list, &[]).expect_err("endless").contains("contains itself"));
    assert!(Registered::parse("AVRO", "{\"type\":\"rekord\"}", &[]).expect_err("no type").contains("not Avro"));
    assert!(Registered::parse("PROTOBUF", "", &[]).expect_err("not read").contains("PROTOBUF"));
}

#[test]
fn a_body_of_another_length_is_refused() {
    let schema =
        record(&[field("a", json!("string")), field("b", json!("boolean")), field("c", json!(["null", "long"]))]);
    let some = Value::Union(1, Box::new(Value::Long(300)));
    let bytes = body(
        &schema,
        Value::Record(vec![
            ("a".into(), Value::String("text".into())),
            ("b".into(), Value::Boolean(true)),
            ("c".into(), some),
        ]),
    );
    let registered = avro(&schema);
    for length in 0..bytes.len() {
        let refused = registered.rewrite(&bytes[..length]).expect_err("cut off");
        assert!(refused.contains("body"), "{refused}");
    }
    assert!(registered.rewrite(&bytes).is_ok());
    let longer = [bytes.as_slice(), &[0, 0]].concat();
    assert!(registered.rewrite(&longer).expect_err("more").contains("2 bytes more"));
}

#[test]
fn json_schema_says_how_values_are_written() {
    let schema = json!({
        "type": "object", "title": "shop.Envelope",
        "properties": {
            "after": { "connect.index": 1, "oneOf": [{ "type": "null" }, { "$ref": "#/definitions/Row" }] },
            "op": { "type": "string", "connect.index": 0 }
        },
        "definitions": { "Row": { "type": "object", "properties": {
            "at": { "type": "integer", "title": "io.debezium.time.MicroTimestamp", "connect.type": "int64" },
            "price": { "oneOf": [{ "type": "null" }, { "type": "number", "title": "org.apache.kafka.connect.data.Decimal",
                "connect.type": "bytes", "connect.parameters": { "scale": "2" } }] },
            "day": { "type": ["string", "null"], "format": "date" },
            "tags": { "type": "array", "items": { "type": "string" } },
            "anything": {},
            "shared": { "$ref": "money.json" }
        } } }
    });
    let money = (
        "money.json".to_owned(),
        json!({ "type": "object", "properties": { "cents": { "type": "integer" } } }).to_string(),
    );
    let registered = Registered::parse("JSON", &schema.to_string(), &[money]).expect("a schema");
    let (schema, payload) = rewritten(&registered, br#" {"op":"c","after":{"at":5}} "#).expect("readable");
    assert_eq!(payload, json!({ "op": "c", "after": { "at": 5 } }));
    assert_eq!((&schema["fields"][0]["field"], &schema["fields"][1]["field"]), (&json!("op"), &json!("after")));
    let row = &schema["fields"][1]["fields"];
    assert_eq!(row[0]["name"], json!("io.debezium.time.MicroTimestamp"));
    assert_eq!(
        (&row[1]["type"], &row[1]["parameters"]["scale"], &row[1]["optional"]),
        (&json!("bytes"), &json!("2"), &json!(true))
    );
    assert_eq!(row[2]["name"], json!("io.debezium.time.IsoDate"));
    assert_eq!(
        (&row[3]["type"], &row[4]["type"], &row[5]["type"]),
        (&json!("array"), &json!("union"), &json!("struct"))
    );
    assert!(registered.rewrite(b"{").expect_err("cut off").contains("not JSON"));
}
