//! Values of the database as JSON.

use relational::{EventTime, Key, Value};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

/// A value as JSON: numbers and booleans as they are; text, times (RFC 3339, microseconds), days, decimals (which keep
/// their scale) and bytes (hex digits) as text; null for null.
pub(crate) struct JsonValue<'a>(pub(crate) &'a Value);

impl Serialize for JsonValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            Value::Text(value) => serializer.serialize_str(value),
            Value::Time(value) => serializer.serialize_str(&rfc3339(*value).unwrap_or_else(|| value.to_string())),
            Value::List(values) => {
                let mut sequence = serializer.serialize_seq(Some(values.len()))?;
                for value in values.iter() {
                    sequence.serialize_element(&JsonValue(value))?;
                }
                sequence.end()
            }
            other @ (Value::Float(_) | Value::Decimal(_) | Value::Date(_) | Value::Bytes(_)) => {
                serializer.collect_str(other)
            }
        }
    }
}

/// A key as JSON text: the value of a one-column key, else an array. Equal keys give equal bytes.
///
/// # Panics
///
/// Never: values have no maps, the only JSON that can fail.
#[must_use]
pub fn key_text(key: &Key) -> String {
    let text = match key.values() {
        [value] => serde_json::to_string(&JsonValue(value)),
        values => serde_json::to_string(&values.iter().map(JsonValue).collect::<Vec<_>>()),
    };
    text.expect("values have no maps, the only JSON that can fail")
}

/// The instant in RFC 3339 with six digits of a second, so that equal lengths sort as text. `None` for times outside
/// the calendar's years, [`EventTime::MIN`] among them.
pub(crate) fn rfc3339(time: EventTime) -> Option<String> {
    time.civil().map(|_| format!("{time:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use relational::Decimal;

    #[test]
    fn one_column_keys_are_scalars_and_longer_ones_arrays() {
        assert_eq!(key_text(&Key::single(Value::Int(12_346))), "12346");
        assert_eq!(key_text(&Key::single(Value::text("a\"b"))), r#""a\"b""#);
        let parts = [Value::Int(1), Value::Date(1), Value::Time(EventTime(1_500_000)), Value::Bytes([1, 255].into())];
        assert_eq!(key_text(&Key::new(parts)), r#"[1,"1970-01-02","1970-01-01T00:00:01.500000Z","01ff"]"#);
    }

    #[test]
    fn decimals_keep_their_scale_and_floats_stay_finite() {
        assert_eq!(key_text(&Key::single(Value::Decimal(Decimal { unscaled: 150, scale: 2 }))), "\"1.50\"");
        assert_eq!(key_text(&Key::single(Value::Float(f64::NAN))), "\"NaN\"");
    }

    proptest! {
        #[test]
        fn every_key_is_valid_json(key in relational::arbitrary::key()) {
            serde_json::from_str::<serde_json::Value>(&key_text(&key)).expect("valid JSON");
        }
    }
}
