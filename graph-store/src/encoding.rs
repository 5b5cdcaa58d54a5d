//! Keys as bytes whose order is the keys' order.
//!
//! A key is its values one after the other, so that a key that begins another one comes first. Each value is a tag
//! (its type, in the order in which types compare) and:
//!
//! | type | bytes |
//! |---|---|
//! | null | nothing |
//! | bool | 0 or 1 |
//! | int, time, date | sign and length in one byte, then that many bytes big-endian |
//! | decimal | the digits like an int, then the scale with its sign bit flipped |
//! | float | 8 bytes big-endian, in the total order of floats |
//! | text, bytes | the bytes, with 0 written as `00 ff`, then `00 00` |
//! | list | its values, then 0 |

use relational::{Decimal, EventTime, Key, Value};

const END: u8 = 0;
const NULL: u8 = 1;
const BOOL: u8 = 2;
const INT: u8 = 3;
const DECIMAL: u8 = 4;
const FLOAT: u8 = 5;
const TEXT: u8 = 6;
const TIME: u8 = 7;
const DATE: u8 = 8;
const BYTES: u8 = 9;
const LIST: u8 = 10;

/// The bytes of a key: `a < b` exactly when `encode_key(a) < encode_key(b)`.
#[must_use]
pub fn encode_key(key: &Key) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    put_key(&mut out, key);
    out
}

/// The key of these bytes; `None` when [`encode_key`] wrote no such bytes.
#[must_use]
pub fn decode_key(bytes: &[u8]) -> Option<Key> {
    let mut rest = bytes;
    let mut values = Vec::with_capacity(1);
    while !rest.is_empty() {
        values.push(take_value(&mut rest, 0)?);
    }
    Some(Key::new(values))
}

pub(crate) fn put_key(out: &mut Vec<u8>, key: &Key) {
    for value in key.values() {
        put_value(out, value);
    }
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(value) => out.extend([BOOL, u8::from(*value)]),
        Value::Int(value) => put_int(out, INT, i128::from(*value)),
        Value::Decimal(decimal) => {
            put_int(out, DECIMAL, decimal.unscaled);
            out.push(decimal.scale.cast_unsigned() ^ 0x80);
        }
        Value::Float(value) => {
            out.push(FLOAT);
            let bits = value.to_bits();
            let ordered = if bits >> 63 == 1 { !bits } else { bits ^ (1 << 63) };
            out.extend(ordered.to_be_bytes());
        }
        Value::Text(text) => put_escaped(out, TEXT, text.as_bytes()),
        Value::Time(time) => put_int(out, TIME, i128::from(time.0)),
        Value::Date(days) => put_int(out, DATE, i128::from(*days)),
        Value::Bytes(bytes) => put_escaped(out, BYTES, bytes),
        Value::List(values) => {
            out.push(LIST);
            for value in values.iter() {
                put_value(out, value);
            }
            out.push(END);
        }
    }
}

/// Of two numbers that are not negative the one with more bytes is greater; of two negative ones it is less.
fn put_int(out: &mut Vec<u8>, tag: u8, value: i128) {
    out.push(tag);
    let magnitude = if value < 0 { !value } else { value }.cast_unsigned();
    let length = 16 - magnitude.leading_zeros() / 8;
    let length_byte = length.to_le_bytes()[0];
    out.push(if value < 0 { 0x7f - length_byte } else { 0x80 + length_byte });
    out.extend(&value.to_be_bytes()[16 - length as usize..]);
}

fn put_escaped(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend([0, 0]);
}

/// Lists nest; damaged bytes must not exhaust the stack.
const DEPTH_MAX: u8 = 32;

fn take_value(rest: &mut &[u8], depth: u8) -> Option<Value> {
    Some(match take_byte(rest)? {
        NULL => Value::Null,
        BOOL => Value::Bool(take_byte(rest)? == 1),
        INT => Value::Int(i64::try_from(take_int(rest)?).ok()?),
        DECIMAL => {
            let unscaled = take_int(rest)?;
            Value::Decimal(Decimal { unscaled, scale: (take_byte(rest)? ^ 0x80).cast_signed() })
        }
        FLOAT => {
            let (bytes, after) = rest.split_first_chunk::<8>()?;
            *rest = after;
            let ordered = u64::from_be_bytes(*bytes);
            Value::Float(f64::from_bits(if ordered >> 63 == 1 { ordered ^ (1 << 63) } else { !ordered }))
        }
        TEXT => Value::text(String::from_utf8(take_escaped(rest)?).ok()?),
        TIME => Value::Time(EventTime(i64::try_from(take_int(rest)?).ok()?)),
        DATE => Value::Date(i32::try_from(take_int(rest)?).ok()?),
        BYTES => Value::Bytes(take_escaped(rest)?.into()),
        LIST if depth < DEPTH_MAX => {
            let mut values = Vec::new();
            while *rest.first()? != END {
                values.push(take_value(rest, depth + 1)?);
            }
            take_byte(rest)?;
            Value::List(values.into())
        }
        _ => return None,
    })
}

fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    Some(*first)
}

fn take_int(rest: &mut &[u8]) -> Option<i128> {
    let first = take_byte(rest)?;
    let (negative, length) = if first >= 0x80 { (false, first - 0x80) } else { (true, 0x7f - first) };
    let (bytes, after) = rest.split_at_checked(usize::from(length))?;
    *rest = after;
    let mut whole = [if negative { 0xff } else { 0 }; 16];
    whole.get_mut(16usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(i128::from_be_bytes(whole))
}

fn take_escaped(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        match take_byte(rest)? {
            0 => match take_byte(rest)? {
                0 => return Some(bytes),
                0xff => bytes.push(0),
                _ => return None,
            },
            byte => bytes.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use relational::arbitrary;

    use super::*;

    fn list_key() -> impl Strategy<Value = Key> {
        prop::collection::vec(arbitrary::value(), 0..3).prop_map(Key::new)
    }

    fn near_key() -> impl Strategy<Value = Key> {
        let value = prop_oneof![
            (-300i64..300).prop_map(Value::Int),
            (-300i128..300, -2i8..3)
                .prop_map(|(unscaled, scale)| Value::Decimal(Decimal { unscaled: unscaled * 10 + 1, scale })),
            "[\\x00a]{0,3}".prop_map(Value::text),
            (-2f64..2.0).prop_map(Value::Float),
            (-300i32..300).prop_map(Value::Date),
        ];
        prop::collection::vec(value, 0..3).prop_map(Key::new)
    }

    proptest! {
        #[test]
        fn keys_round_trip(key in prop_oneof![arbitrary::key(), list_key(), near_key()]) {
            prop_assert_eq!(decode_key(&encode_key(&key)), Some(key));
        }

        #[test]
        fn byte_order_is_key_order(a in prop_oneof![list_key(), near_key()], b in prop_oneof![list_key(), near_key()]) {
            prop_assert_eq!(encode_key(&a).cmp(&encode_key(&b)), a.cmp(&b));
        }

        #[test]
        fn near_keys_keep_their_order(a in near_key(), b in near_key()) {
            prop_assert_eq!(encode_key(&a).cmp(&encode_key(&b)), a.cmp(&b));
        }

        #[test]
        fn damaged_bytes_never_panic(bytes in prop::collection::vec(0u8..16, 0..40)) {
            if let Some(key) = decode_key(&bytes) {
                prop_assert_eq!(decode_key(&encode_key(&key)), Some(key));
            }
        }
    }
}
