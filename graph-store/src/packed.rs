//! Rows as bytes. Pages and the log keep rows packed and share them; a row is unpacked when it is read.
//!
//! A packed row is the number of its columns and then its values: a tag and the payload, whole numbers as varints.

use std::sync::Arc;

use relational::{Decimal, EventTime, Row, Value};

use crate::bytes::{Reader, put, put_bytes, put_signed, put_wide};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const DECIMAL: u8 = 4;
const FLOAT: u8 = 5;
const TEXT: u8 = 6;
const TIME: u8 = 7;
const DATE: u8 = 8;
const BYTES: u8 = 9;
const LIST: u8 = 10;

/// Packs a row. Every value comes back with the same bits: decimals with their scale, floats with their payload.
pub(crate) fn pack(row: &Row) -> Box<[u8]> {
    let mut out = Vec::with_capacity(8 * row.values().len());
    put(&mut out, row.values().len() as u64);
    for value in row.values() {
        put_value(&mut out, value);
    }
    out.into_boxed_slice()
}

/// Unpacks a row; `None` for bytes that are not one.
pub(crate) fn unpack(bytes: &[u8]) -> Option<Row> {
    let mut reader = Reader::new(bytes);
    let count = reader.length()?;
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        values.push(take_value(&mut reader, 0)?);
    }
    reader.is_empty().then(|| Row::new(values))
}

/// Calls `each` with the column and number of every value that is a number ([`Value::as_f64`]), without building the
/// row. `None` for bytes that are not a row.
pub(crate) fn numbers(bytes: &[u8], mut each: impl FnMut(usize, f64)) -> Option<()> {
    let mut reader = Reader::new(bytes);
    for column in 0..reader.length()? {
        let mut after = reader;
        if matches!(after.byte()?, TEXT | BYTES) {
            after.bytes()?;
            reader = after;
            continue;
        }
        if let Some(number) = take_value(&mut reader, 0)?.as_f64() {
            each(column, number);
        }
    }
    Some(())
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(value) => out.push(if *value { TRUE } else { FALSE }),
        Value::Int(value) => {
            out.push(INT);
            put_signed(out, *value);
        }
        Value::Decimal(decimal) => {
            out.extend([DECIMAL, decimal.scale.cast_unsigned()]);
            put_wide(out, decimal.unscaled);
        }
        Value::Float(value) => {
            out.push(FLOAT);
            out.extend(value.to_bits().to_le_bytes());
        }
        Value::Text(text) => {
            out.push(TEXT);
            put_bytes(out, text.as_bytes());
        }
        Value::Time(time) => {
            out.push(TIME);
            put_signed(out, time.0);
        }
        Value::Date(days) => {
            out.push(DATE);
            put_signed(out, i64::from(*days));
        }
        Value::Bytes(bytes) => {
            out.push(BYTES);
            put_bytes(out, bytes);
        }
        Value::List(values) => {
            out.push(LIST);
            put(out, values.len() as u64);
            for value in values.iter() {
                put_value(out, value);
            }
        }
    }
}

/// Lists nest; damaged bytes must not exhaust the stack.
const DEPTH_MAX: u8 = 32;

fn take_value(reader: &mut Reader<'_>, depth: u8) -> Option<Value> {
    Some(match reader.byte()? {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        INT => Value::Int(reader.signed()?),
        DECIMAL => {
            let scale = reader.byte()?.cast_signed();
            Value::Decimal(Decimal { unscaled: reader.wide()?, scale })
        }
        FLOAT => Value::Float(f64::from_bits(u64::from_le_bytes(reader.array()?))),
        TEXT => Value::Text(Arc::from(str::from_utf8(reader.bytes()?).ok()?)),
        TIME => Value::Time(EventTime(reader.signed()?)),
        DATE => Value::Date(i32::try_from(reader.signed()?).ok()?),
        BYTES => Value::Bytes(Arc::from(reader.bytes()?)),
        LIST if depth < DEPTH_MAX => {
            let count = reader.length()?;
            let mut values = Vec::with_capacity(count.min(1_024));
            for _ in 0..count {
                values.push(take_value(reader, depth + 1)?);
            }
            Value::List(values.into())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use relational::arbitrary;

    use super::*;

    proptest! {
        #[test]
        fn rows_round_trip(values in prop::collection::vec(arbitrary::value(), 0..9)) {
            let row = Row::new(values);
            prop_assert_eq!(unpack(&pack(&row)), Some(row));
        }

        #[test]
        fn floats_keep_their_bits(bits in any::<u64>()) {
            let row = Row::new([Value::Float(f64::from_bits(bits))]);
            let Some(back) = unpack(&pack(&row)) else { panic!("unpacks") };
            prop_assert!(matches!(back.values(), [Value::Float(value)] if value.to_bits() == bits));
        }

        #[test]
        fn numbers_are_those_of_the_row(values in prop::collection::vec(arbitrary::value(), 0..9)) {
            let mut found = Vec::new();
            numbers(&pack(&Row::new(values.clone())), |column, number| found.push((column, number.to_bits())));
            let expected: Vec<_> = values.iter().enumerate()
                .filter_map(|(column, value)| Some((column, value.as_f64()?.to_bits()))).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn damaged_bytes_never_panic(bytes in prop::collection::vec(0u8..16, 0..60)) {
            let row = unpack(&bytes);
            prop_assert_eq!(row.is_some() && numbers(&bytes, |_, _| ()).is_none(), false);
        }
    }
}
