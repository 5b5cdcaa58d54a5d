//! Rows as bytes. Pages and the log keep rows packed; a row is unpacked when it is read.
//!
//! A packed row is the number of its columns and then its values: a tag and the payload, whole numbers as varints,
//! instants as the difference from the row's own time. A version that follows one with the same own time may be kept as
//! the difference from it: for each column that differs, how many columns lie between it and the one before, and the
//! value.
//!
//! Of a value that takes more than [`LARGE_BYTES`] the row has the digest only; the value itself stands elsewhere
//! ([`crate::keys::large`]), packed without regard to the row's time. So pages stay small whatever rows hold.

use std::sync::Arc;

use relational::{Decimal, EventTime, Row, Value};

use xxhash_rust::xxh3::xxh3_128;

use crate::bytes::{Reader, put, put_bytes, put_delta, put_signed, put_wide};

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
/// A float that is exactly a whole number of hundredths: prices are.
const HUNDREDTHS: u8 = 11;
/// A float that is exactly a whole number of millionths: coordinates are.
const MILLIONTHS: u8 = 12;
/// The digest of a value that stands elsewhere.
const LARGE: u8 = 13;

/// Bytes of a packed value that are kept in its row.
const LARGE_BYTES: usize = if cfg!(test) { 20 } else { 1 << 10 };

/// A packed row where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packed<'a> {
    /// A whole row.
    pub full: &'a [u8],
    /// What differs from it; empty when nothing does.
    pub diff: &'a [u8],
    /// The row's own time.
    pub time: i64,
}

/// A value that stands elsewhere than its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Large {
    pub digest: u128,
    pub bytes: Vec<u8>,
}

/// Packs a row with this own time. Every value comes back with the same bits: decimals with their scale, floats with
/// their payload.
pub(crate) fn pack(row: &Row, time: EventTime) -> (Box<[u8]>, Vec<Large>) {
    let (mut out, mut all_large) = (Vec::with_capacity(8 * row.values().len()), Vec::new());
    put(&mut out, row.values().len() as u64);
    for value in row.values() {
        let start = out.len();
        put_value(&mut out, value, time.0);
        let can_be = matches!(value, Value::Text(_) | Value::Bytes(_) | Value::List(_));
        if can_be && out.len() - start > LARGE_BYTES {
            out.truncate(start);
            let mut bytes = Vec::new();
            put_value(&mut bytes, value, 0);
            let large = Large { digest: xxh3_128(&bytes), bytes };
            out.push(LARGE);
            out.extend(large.digest.to_be_bytes());
            all_large.push(large);
        }
    }
    (out.into_boxed_slice(), all_large)
}

/// The value that stands elsewhere; `None` for bytes that are none.
pub(crate) fn unpack_large(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader::new(bytes);
    let value = take_value(&mut reader, 0, 0)?;
    reader.is_empty().then_some(value)
}

/// What differs between two packed rows of the same own time; `None` when that would not be much shorter.
pub(crate) fn difference(full: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let (mut old_reader, mut new_reader) = (Reader::new(full), Reader::new(new));
    let columns = old_reader.length()?;
    if new_reader.length()? != columns {
        return None;
    }
    let (mut out, mut gap) = (Vec::new(), 0);
    for _ in 0..columns {
        let (old_value, new_value) = (take_raw(&mut old_reader)?, take_raw(&mut new_reader)?);
        if old_value == new_value {
            gap += 1;
            continue;
        }
        put(&mut out, gap);
        out.extend_from_slice(new_value);
        gap = 0;
    }
    (!out.is_empty() && 2 * out.len() < new.len()).then_some(out)
}

impl<'a> Packed<'a> {
    /// Unpacks the row, with values that stand elsewhere by their columns and digests; `None` for bytes that are not one, and where
    /// such a value is not to be had.
    pub(crate) fn unpack(self, mut large: impl FnMut(usize, u128) -> Option<Value>) -> Option<Row> {
        let mut values = Vec::new();
        self.each(|column, reader| {
            values.push(match take_large(reader) {
                Some(digest) => large(column, digest)?,
                None => take_value(reader, self.time, 0)?,
            });
            Some(())
        })?;
        Some(Row::new(values))
    }

    /// The row by itself.
    pub(crate) fn whole(self) -> Option<Box<[u8]>> {
        let mut out = Vec::with_capacity(self.full.len());
        put(&mut out, Reader::new(self.full).length()? as u64);
        self.each(|_, reader| {
            out.extend_from_slice(take_raw(reader)?);
            Some(())
        })?;
        Some(out.into_boxed_slice())
    }

    /// Calls `each` with the column and number of every value that is a number ([`Value::as_f64`]), without building
    /// the row. `None` for bytes that are not a row.
    pub(crate) fn numbers(self, mut each: impl FnMut(usize, f64)) -> Option<()> {
        self.each(|column, reader| {
            let mut after = *reader;
            if take_large(reader).is_some() {
                // Numbers are small.
            } else if matches!(after.byte()?, TEXT | BYTES) {
                after.bytes()?;
                *reader = after;
            } else if let Some(number) = take_value(reader, self.time, 0)?.as_f64() {
                each(column, number);
            }
            Some(())
        })
    }

    /// Lets `take` read the value of every column from a reader that stands before it.
    fn each(self, mut take: impl FnMut(usize, &mut Reader<'a>) -> Option<()>) -> Option<()> {
        let (mut full, mut diff) = (Reader::new(self.full), Reader::new(self.diff));
        let mut next = if diff.is_empty() { None } else { Some(diff.number()?) };
        for column in 0..full.length()? {
            if next != Some(column as u64) {
                take(column, &mut full)?;
                continue;
            }
            take_raw(&mut full)?;
            take(column, &mut diff)?;
            next = if diff.is_empty() { None } else { Some(column as u64 + 1 + diff.number()?) };
        }
        (full.is_empty() && diff.is_empty()).then_some(())
    }
}

fn put_value(out: &mut Vec<u8>, value: &Value, time: i64) {
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
        Value::Float(value) => put_float(out, *value),
        Value::Text(text) => {
            out.push(TEXT);
            put_bytes(out, text.as_bytes());
        }
        Value::Time(value) => {
            out.push(TIME);
            put_delta(out, value.0, time);
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
                put_value(out, value, time);
            }
        }
    }
}

fn put_float(out: &mut Vec<u8>, value: f64) {
    for (tag, scale) in [(HUNDREDTHS, 1e2), (MILLIONTHS, 1e6)] {
        #[expect(clippy::cast_possible_truncation, reason = "used only when it comes back with the same bits")]
        let scaled = (value * scale).round() as i64;
        if (whole(scaled) / scale).to_bits() == value.to_bits() {
            out.push(tag);
            return put_signed(out, scaled);
        }
    }
    out.push(FLOAT);
    out.extend(value.to_bits().to_le_bytes());
}

/// Lists nest; damaged bytes must not exhaust the stack.
const DEPTH_MAX: u8 = 32;

fn take_value(reader: &mut Reader<'_>, time: i64, depth: u8) -> Option<Value> {
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
        HUNDREDTHS => Value::Float(whole(reader.signed()?) / 1e2),
        MILLIONTHS => Value::Float(whole(reader.signed()?) / 1e6),
        TEXT => Value::Text(Arc::from(str::from_utf8(reader.bytes()?).ok()?)),
        TIME => Value::Time(EventTime(reader.delta(time)?)),
        DATE => Value::Date(i32::try_from(reader.signed()?).ok()?),
        BYTES => Value::Bytes(Arc::from(reader.bytes()?)),
        LIST if depth < DEPTH_MAX => {
            let count = reader.length()?;
            let mut values = Vec::with_capacity(count.min(1_024));
            for _ in 0..count {
                values.push(take_value(reader, time, depth + 1)?);
            }
            Value::List(values.into())
        }
        _ => return None,
    })
}

/// The digest of a value that stands elsewhere, if such a one is next.
fn take_large(reader: &mut Reader<'_>) -> Option<u128> {
    let mut after = *reader;
    if after.byte()? != LARGE {
        return None;
    }
    let digest = u128::from_be_bytes(after.array()?);
    *reader = after;
    Some(digest)
}

#[expect(clippy::cast_precision_loss, reason = "written only when nothing is lost")]
fn whole(number: i64) -> f64 {
    number as f64
}

/// The bytes of the next value.
fn take_raw<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let before = *reader;
    skip(reader, 0)?;
    let mut whole = before;
    whole.take(before.remaining() - reader.remaining())
}

fn skip(reader: &mut Reader<'_>, depth: u8) -> Option<()> {
    match reader.byte()? {
        NULL | FALSE | TRUE => {}
        INT | TIME | DATE | HUNDREDTHS | MILLIONTHS => drop(reader.number()?),
        DECIMAL => {
            reader.byte()?;
            reader.wide()?;
        }
        FLOAT => drop(reader.take(8)?),
        LARGE => drop(reader.take(16)?),
        TEXT | BYTES => drop(reader.bytes()?),
        LIST if depth < DEPTH_MAX => {
            for _ in 0..reader.length()? {
                skip(reader, depth + 1)?;
            }
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use relational::arbitrary;

    use super::*;

    fn packed(full: &[u8], time: i64) -> Packed<'_> {
        Packed { full, diff: &[], time }
    }

    /// The row, when these are the values that stand elsewhere.
    fn unpacked(packed: Packed<'_>, all_large: &[Large]) -> Option<Row> {
        let of = |digest: u128| all_large.iter().find(|large| large.digest == digest);
        packed.unpack(|_, digest| unpack_large(&of(digest)?.bytes))
    }

    fn float() -> impl Strategy<Value = f64> {
        let hundredths = any::<i32>().prop_map(|number| f64::from(number) / 100.0);
        let millionths = any::<i32>().prop_map(|number| f64::from(number) / 1e6);
        prop_oneof![any::<u64>().prop_map(f64::from_bits), hundredths, millionths, Just(-0.0), Just(f64::INFINITY)]
    }

    proptest! {
        #[test]
        fn rows_round_trip(values in prop::collection::vec(arbitrary::value(), 0..9), time in any::<i64>()) {
            let row = Row::new(values);
            let (full, large) = pack(&row, EventTime(time));
            prop_assert!(full.len() <= 10 + (LARGE_BYTES + 1) * row.values().len());
            prop_assert_eq!(unpacked(packed(&full, time), &large), Some(row));
        }

        #[test]
        fn differences_round_trip(
            values in prop::collection::vec((arbitrary::value(), arbitrary::value(), 0u8..4), 0..30),
            time in any::<i64>(),
        ) {
            let old = Row::new(values.iter().map(|(old, ..)| old.clone()));
            let new = Row::new(values.iter().map(|(old, new, pick)| if *pick == 0 { new } else { old }.clone()));
            let ((full, mut large), (whole, more)) = (pack(&old, EventTime(time)), pack(&new, EventTime(time)));
            large.extend(more);
            if let Some(diff) = difference(&full, &whole) {
                prop_assert!(2 * diff.len() < whole.len());
                let packed = Packed { full: &full, diff: &diff, time };
                prop_assert_eq!(packed.whole(), Some(whole));
                prop_assert_eq!(unpacked(packed, &large), Some(new));
            }
        }

        #[test]
        fn floats_keep_their_bits(float in float()) {
            let row = Row::new([Value::Float(float)]);
            let Some(back) = unpacked(packed(&pack(&row, EventTime(0)).0, 0), &[]) else { panic!("unpacks") };
            prop_assert!(matches!(back.values(), [Value::Float(value)] if value.to_bits() == float.to_bits()));
        }

        #[test]
        fn numbers_are_those_of_the_row(values in prop::collection::vec(arbitrary::value(), 0..9)) {
            let mut found = Vec::new();
            let (bytes, _) = pack(&Row::new(values.clone()), EventTime(7));
            packed(&bytes, 7).numbers(|column, number| found.push((column, number.to_bits()))).expect("a row");
            let expected: Vec<_> = values.iter().enumerate()
                .filter_map(|(column, value)| Some((column, value.as_f64()?.to_bits()))).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn damaged_bytes_never_panic(
            full in prop::collection::vec(0u8..16, 0..60),
            diff in prop::collection::vec(0u8..16, 0..9),
        ) {
            let packed = Packed { full: &full, diff: &diff, time: 0 };
            prop_assert_eq!(unpacked(packed, &[]).is_some() && packed.numbers(|_, _| ()).is_none(), false);
            prop_assert!(difference(&full, &diff).is_none_or(|difference| difference.len() < diff.len()));
        }
    }
}
