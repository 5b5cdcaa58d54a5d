//! Strategies for property tests.

use proptest::prelude::*;

use crate::{Decimal, EventTime, Key, Value};

/// Any value, lists included.
pub fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(2, 16, 4, |inner| {
        prop::collection::vec(inner, 0..4).prop_map(|values| Value::List(values.into()))
    })
}

/// Any value but a list.
pub fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (any::<i128>(), any::<i8>()).prop_map(|(unscaled, scale)| Value::Decimal(Decimal { unscaled, scale })),
        any::<f64>().prop_map(Value::Float),
        ".{0,12}".prop_map(Value::text),
        any::<i64>().prop_map(|micros| Value::Time(EventTime(micros))),
        any::<i32>().prop_map(Value::Date),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(|bytes| Value::Bytes(bytes.into())),
    ]
}

/// Any key of one to three values.
pub fn key() -> impl Strategy<Value = Key> {
    prop::collection::vec(scalar(), 1..4).prop_map(Key::new)
}
