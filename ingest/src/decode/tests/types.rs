//! One field at a time.

use relational::Decimal;

use super::*;
use crate::coerce::EpochUnit;
use crate::decode::value::{Encoding, read};

fn bare(json: &str, data_type: DataType) -> Result<Value, String> {
    read(json, &Encoding::Bare, data_type, ColumnHint::default())
}

fn hinted(json: &str, data_type: DataType, scale: Option<i8>, unit: Option<EpochUnit>) -> Result<Value, String> {
    read(json, &Encoding::Bare, data_type, ColumnHint { scale, unit })
}

/// Reads a field whose schema is `{"type":..,"name":..}`, into the type that the schema suggests.
fn schemed(json: &str, schema: &str) -> Result<Value, String> {
    let node: connect::Node = serde_json::from_str(schema).expect("a schema");
    let encoding = node.encoding();
    read(json, &encoding, encoding.data_type(), ColumnHint::default())
}

fn decimal(unscaled: i128, scale: i8) -> Result<Value, String> {
    Ok(Value::Decimal(Decimal { unscaled, scale }))
}

#[test]
fn precise_decimals_take_their_scale_from_schema_or_config() {
    let schema = r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}}"#;
    for (json, unscaled) in [("\"BNI=\"", 1234), ("\"/w==\"", -1), ("\"AlQL4/8=\"", 9_999_999_999), ("\"AA==\"", 0)] {
        assert_eq!(schemed(json, schema), decimal(unscaled, 2));
        assert_eq!(hinted(json, DataType::Decimal, Some(2), None), decimal(unscaled, 2));
    }
    assert_eq!(schemed("12.340", schema), decimal(12_340, 3), "decimal.format=NUMERIC");
}

#[test]
fn precise_decimals_without_a_scale_are_refused_with_advice() {
    let refused = bare("\"BNI=\"", DataType::Decimal).expect_err("no scale");
    assert!(refused.contains("set the column's `scale`"), "{refused}");
    let refused = hinted("\"12\"", DataType::Decimal, Some(2), None).expect_err("not base64");
    assert!(refused.contains("remove the column's `scale`"), "{refused}");
}

#[test]
fn decimals_of_any_scale_carry_it_with_them() {
    let schema = r#"{"type":"struct","name":"io.debezium.data.VariableScaleDecimal"}"#;
    let json = r#"{"scale":9,"value":"ESIQ9H3pgRU="}"#;
    assert_eq!(schemed(json, schema), decimal(1_234_567_890_123_456_789, 9));
    assert_eq!(bare(json, DataType::Decimal), decimal(1_234_567_890_123_456_789, 9));
}

#[test]
fn written_decimals_keep_their_scale() {
    assert_eq!(bare("12.340", DataType::Decimal), decimal(12_340, 3));
    assert_eq!(bare("\"12.340\"", DataType::Decimal), decimal(12_340, 3));
    assert_eq!(hinted("\"-0.5\"", DataType::Decimal, Some(2), None), decimal(-5, 1));
    assert_eq!(bare("7", DataType::Decimal), decimal(7, 0));
}

#[test]
fn numbers_wider_than_sixteen_bytes_are_refused() {
    let widest = "\"gAAAAAAAAAAAAAAAAAAAAA==\"";
    assert_eq!(hinted(widest, DataType::Decimal, Some(0), None), decimal(i128::MIN, 0));
    let padded = "\"/4AAAAAAAAAAAAAAAAAAAAA=\"";
    assert_eq!(hinted(padded, DataType::Decimal, Some(0), None), decimal(i128::MIN, 0));
    assert!(hinted("\"AQAAAAAAAAAAAAAAAAAAAAA=\"", DataType::Decimal, Some(0), None).is_err());
    assert!(hinted("\"AIAAAAAAAAAAAAAAAAAAAAA=\"", DataType::Decimal, Some(0), None).is_err());
}

#[test]
fn times_by_schema() {
    let time = |micros| Ok(Value::Time(EventTime(micros)));
    let named = |kind: &str, name: &str| format!(r#"{{"type":"{kind}","name":"{name}"}}"#);
    assert_eq!(schemed("5", &named("int64", "io.debezium.time.Timestamp")), time(5_000));
    assert_eq!(schemed("5", &named("int64", "org.apache.kafka.connect.data.Timestamp")), time(5_000));
    assert_eq!(schemed("5", &named("int64", "io.debezium.time.MicroTimestamp")), time(5));
    assert_eq!(schemed("5999", &named("int64", "io.debezium.time.NanoTimestamp")), time(5));
    assert_eq!(schemed("-5999", &named("int64", "io.debezium.time.NanoTimestamp")), time(-6));
    let zoned = named("string", "io.debezium.time.ZonedTimestamp");
    assert_eq!(schemed("\"1970-01-01T00:00:01.5Z\"", &zoned), time(1_500_000));
    assert_eq!(schemed("\"infinity\"", &zoned), Ok(Value::Time(EventTime::MAX)));
    let micro = named("int64", "io.debezium.time.MicroTimestamp");
    assert_eq!(schemed("9223372036825200000", &micro), Ok(Value::Time(EventTime::MAX)));
    assert_eq!(schemed("19724", &named("int32", "io.debezium.time.Date")), Ok(Value::Date(19_724)));
    assert_eq!(schemed("19724", &named("int32", "org.apache.kafka.connect.data.Date")), Ok(Value::Date(19_724)));
    assert_eq!(schemed("\"2024-01-02Z\"", &named("string", "io.debezium.time.IsoDate")), Ok(Value::Date(19_724)));
    assert_eq!(schemed("11045678901", &named("int64", "io.debezium.time.MicroTime")), Ok(Value::Int(11_045_678_901)));
}

#[test]
fn times_without_a_schema_follow_the_config_or_their_size() {
    let second = Ok(Value::Time(EventTime(1_700_000_000_000_000)));
    for json in
        ["1700000000", "1700000000000", "1700000000000000", "\"2023-11-14T22:13:20Z\"", "\"2023-11-14 22:13:20\""]
    {
        assert_eq!(bare(json, DataType::Time), second);
    }
    assert_eq!(hinted("1700000000000", DataType::Time, None, Some(EpochUnit::Millis)), second);
    assert_eq!(hinted("5", DataType::Time, None, Some(EpochUnit::Millis)), Ok(Value::Time(EventTime(5_000))));
}

#[test]
fn a_configured_unit_that_leaves_the_calendar_is_refused() {
    let refused = hinted("1700000000000000", DataType::Time, None, Some(EpochUnit::Millis)).expect_err("far future");
    assert!(refused.contains("set the column's `unit`"), "{refused}");
    let refused = bare("1700000000000", DataType::Date).expect_err("no day");
    assert!(refused.contains("set the column's `unit`"), "{refused}");
    let millis = hinted("86400000", DataType::Date, None, Some(EpochUnit::Millis));
    assert_eq!(millis, Ok(Value::Date(1)));
}

#[test]
fn dates_without_a_schema_are_days_or_texts() {
    assert_eq!(bare("19724", DataType::Date), Ok(Value::Date(19_724)));
    assert_eq!(bare("\"2024-01-02\"", DataType::Date), Ok(Value::Date(19_724)));
    assert_eq!(bare("\"2024-01-02Z\"", DataType::Date), Ok(Value::Date(19_724)));
}

#[test]
fn floats_include_what_json_cannot_write() {
    assert_eq!(bare("1.5", DataType::Float), Ok(Value::Float(1.5)));
    assert_eq!(bare("0.1", DataType::Float), Ok(Value::Float(0.1)));
    assert_eq!(bare("7", DataType::Float), Ok(Value::Float(7.0)));
    assert!(matches!(bare("\"NaN\"", DataType::Float), Ok(Value::Float(float)) if float.is_nan()));
    assert_eq!(bare("\"-Infinity\"", DataType::Float), Ok(Value::Float(f64::NEG_INFINITY)));
}

#[test]
fn integers_are_exact() {
    assert_eq!(bare("9007199254740993", DataType::Int), Ok(Value::Int(9_007_199_254_740_993)));
    assert_eq!(bare("5.0", DataType::Int), Ok(Value::Int(5)));
    assert!(bare("5.5", DataType::Int).is_err());
    let refused = bare("18446744073709551615", DataType::Int).expect_err("too large");
    assert!(refused.contains("declare the column as `decimal`"), "{refused}");
}

#[test]
fn other_types() {
    assert_eq!(bare("1", DataType::Bool), Ok(Value::Bool(true)));
    assert_eq!(bare("\"3q2+7w==\"", DataType::Bytes), Ok(Value::Bytes(vec![0xde, 0xad, 0xbe, 0xef].into())));
    assert_eq!(bare(r#"{"a":[1, 2]}"#, DataType::Text), Ok(Value::text(r#"{"a":[1, 2]}"#)));
    assert_eq!(bare(r#""a\nb\u00e9""#, DataType::Text), Ok(Value::text("a\nb\u{e9}")));
    assert_eq!(bare("12", DataType::Text), Ok(Value::text("12")));
    let list = Value::List(vec![Value::Int(1), Value::Null, Value::text("a"), Value::List(vec![].into())].into());
    assert_eq!(bare(r#"[1,null,"a",[]]"#, DataType::List), Ok(list));
    let dates = r#"{"type":"array","items":{"type":"int32","name":"io.debezium.time.Date"}}"#;
    assert_eq!(schemed("[1,null]", dates), Ok(Value::List(vec![Value::Date(1), Value::Null].into())));
    for data_type in [DataType::Bool, DataType::Int, DataType::Decimal, DataType::Float, DataType::Time, DataType::Date]
    {
        assert!(bare("\"x\"", data_type).is_err() && bare("[1]", data_type).is_err() && bare("{}", data_type).is_err());
        assert_eq!(bare("null", data_type), Ok(Value::Null));
    }
}

#[test]
fn a_schema_meets_a_column_of_another_type() {
    let int64 = Encoding::Plain(DataType::Int);
    let unit = ColumnHint { scale: None, unit: Some(EpochUnit::Millis) };
    assert_eq!(read("5", &int64, DataType::Time, unit), Ok(Value::Time(EventTime(5_000))));
    assert_eq!(read("5", &int64, DataType::Text, unit), Ok(Value::text("5")));
    assert_eq!(read("5", &int64, DataType::Float, unit), Ok(Value::Float(5.0)));
    assert!(read("\"x\"", &int64, DataType::Int, unit).is_err());
}
