//! Text and numbers as values of a column's type.
//!
//! | to | from text | from other values |
//! |---|---|---|
//! | `bool` | `true`, `false`, `t`, `f`, `1`, `0` in any case | the numbers 1 and 0 |
//! | `int` | digits with an optional sign; a float that is whole (`12346.0`) | whole numbers, booleans |
//! | `decimal` | digits with an optional sign and point, the scale kept | numbers |
//! | `float` | any decimal or scientific notation | numbers, booleans |
//! | `text` | as it is | as it prints |
//! | `time` | RFC 3339, `2010-12-01 08:26:00[.ffffff]`, `2010-12-01`; UTC without an offset | dates; numbers since 1970 ([`EpochUnit`]) |
//! | `date` | the same, the time of day dropped; `yyyymmdd`; `yyyy` (its first day) | times; whole numbers `yyyymmdd` or `yyyy` |
//! | `bytes` | `\x` and hexadecimal digits | |
//! | `list` | a JSON array | |
//!
//! Null fits every type.

use jiff::civil;
use relational::{DataType, Decimal, EventTime, Value};
use thiserror::Error;

/// A value that does not fit a type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{value}` is not {}", described(*.wanted))]
pub struct Misfit {
    /// The value, cut to 80 characters.
    pub value: String,
    /// The type that it should have had.
    pub wanted: DataType,
}

fn described(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Bool => "a bool (true or false)",
        DataType::Int => "an int (a whole number of at most 64 bits)",
        DataType::Decimal => "a decimal (digits with an optional point, at most 38)",
        DataType::Float => "a float",
        DataType::Text => "text",
        DataType::Time => "a time (for example 2010-12-01 08:26:00)",
        DataType::Date => "a date (for example 2010-12-01)",
        DataType::Bytes => r"bytes (\x and hexadecimal digits)",
        DataType::List => "a list (a JSON array)",
    }
}

/// What whole numbers count since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EpochUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

impl EpochUnit {
    /// Every unit, the coarsest first.
    pub const ALL: [Self; 4] = [Self::Seconds, Self::Millis, Self::Micros, Self::Nanos];

    /// The name used in config files: `s`, `ms`, `us` or `ns`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Millis => "ms",
            Self::Micros => "us",
            Self::Nanos => "ns",
        }
    }

    /// The unit of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// The unit that puts a number into the years up to 5138: below 10^11 seconds, below 10^14 milliseconds, below
    /// 10^17 microseconds, else nanoseconds.
    #[must_use]
    pub fn by_magnitude(number: i64) -> Self {
        match number.unsigned_abs() {
            0..100_000_000_000 => Self::Seconds,
            100_000_000_000..100_000_000_000_000 => Self::Millis,
            100_000_000_000_000..100_000_000_000_000_000 => Self::Micros,
            _ => Self::Nanos,
        }
    }

    /// The instant that lies `number` units after 1970, held at the ends of the axis.
    #[must_use]
    pub fn instant(self, number: i64) -> EventTime {
        EventTime(match self {
            Self::Seconds => number.saturating_mul(1_000_000),
            Self::Millis => number.saturating_mul(1_000),
            Self::Micros => number,
            Self::Nanos => number.div_euclid(1_000),
        })
    }
}

/// Reads `text` as a value of `data_type`.
///
/// # Errors
///
/// When the text is not one of that type's forms; empty text fits no type but `text`.
pub fn from_text(text: &str, data_type: DataType) -> Result<Value, Misfit> {
    let value = match data_type {
        DataType::Text => Some(Value::text(text)),
        DataType::Bool => boolean(text.trim()).map(Value::Bool),
        DataType::Int => integer(text.trim()).map(Value::Int),
        DataType::Decimal => Decimal::parse(text.trim()).map(Value::Decimal),
        DataType::Float => text.trim().parse().ok().map(Value::Float),
        DataType::Time => time(text.trim()).map(Value::Time),
        DataType::Date => date(text.trim()).map(Value::Date),
        DataType::Bytes => text.strip_prefix("\\x").and_then(hexadecimal).map(|bytes| Value::Bytes(bytes.into())),
        DataType::List => list(text),
    };
    value.ok_or_else(|| misfit(text, data_type))
}

/// Makes `value` one of `data_type`; values that already are one, and null, stay as they are.
///
/// # Errors
///
/// When the value has no equal of that type.
pub fn to_type(value: Value, data_type: DataType) -> Result<Value, Misfit> {
    if type_of(&value).is_none_or(|own| own == data_type) {
        return Ok(value);
    }
    if let Value::Text(text) = &value {
        return from_text(text, data_type);
    }
    let converted = match data_type {
        DataType::Text => Some(Value::text(value.to_string())),
        DataType::Bool => match whole(&value) {
            Some(number @ 0..=1) => Some(Value::Bool(number == 1)),
            _ => None,
        },
        DataType::Int => whole(&value).map(Value::Int),
        DataType::Decimal => Decimal::parse(&value.to_string()).map(Value::Decimal),
        DataType::Float => is_number(&value).then(|| value.as_f64()).flatten().map(Value::Float),
        DataType::Time => value.as_time().or_else(|| since_epoch(&value)).map(Value::Time),
        DataType::Date => match &value {
            Value::Time(time) => i32::try_from(time.0.div_euclid(EventTime::DAY)).ok(),
            other => whole(other).and_then(calendar_number),
        }
        .map(Value::Date),
        DataType::Bytes | DataType::List => None,
    };
    converted.ok_or_else(|| misfit(&value.to_string(), data_type))
}

/// The type of a value; `None` for null.
#[must_use]
pub fn type_of(value: &Value) -> Option<DataType> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) => DataType::Bool,
        Value::Int(_) => DataType::Int,
        Value::Decimal(_) => DataType::Decimal,
        Value::Float(_) => DataType::Float,
        Value::Text(_) => DataType::Text,
        Value::Time(_) => DataType::Time,
        Value::Date(_) => DataType::Date,
        Value::Bytes(_) => DataType::Bytes,
        Value::List(_) => DataType::List,
    })
}

/// Reads an instant in one of the forms above.
#[must_use]
pub fn time(text: &str) -> Option<EventTime> {
    usual_time(text.as_bytes()).or_else(|| EventTime::parse(text))
}

/// The day that `yyyymmdd` or `yyyy` names, as days since 1970; `None` outside the years 1000 to 2999.
#[must_use]
pub fn calendar_number(number: i64) -> Option<i32> {
    let (year, month, day) = match number {
        1_000..=2_999 => (number, 1, 1),
        10_000_101..=29_991_231 => (number / 10_000, number / 100 % 100, number % 100),
        _ => return None,
    };
    let date = civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    days(date)
}

/// The forms that files are full of, `2010-12-01` and `2010-12-01 08:26:00` (or with `T`), without the general parser.
fn usual_time(text: &[u8]) -> Option<EventTime> {
    let number = |from: usize, to: usize| {
        text[from..to]
            .iter()
            .try_fold(0i64, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
    };
    let seconds = match text.len() {
        10 => 0,
        19 if matches!(text[10], b' ' | b'T') && text[13] == b':' && text[16] == b':' => {
            let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
            if hour > 23 || minute > 59 || second > 59 {
                return None;
            }
            hour * 3_600 + minute * 60 + second
        }
        _ => return None,
    };
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let [year, month, day] = [number(0, 4)?, number(5, 7)?, number(8, 10)?];
    let date = civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    Some(EventTime(i64::from(days(date)?) * EventTime::DAY + seconds * EventTime::SECOND))
}

/// Days since 1970-01-01, by counting whole 400-year cycles of 146,097 days from 0000-03-01 (Howard Hinnant,
/// "chrono-compatible low-level date algorithms", `days_from_civil`).
fn days(date: civil::Date) -> Option<i32> {
    let (year, month, day) = (i32::from(date.year()), i32::from(date.month()), i32::from(date.day()));
    let year = if month <= 2 { year - 1 } else { year };
    let cycle = year.div_euclid(400);
    let year_of_cycle = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    Some(cycle * 146_097 + day_of_cycle - 719_468)
}

fn date(text: &str) -> Option<i32> {
    let digits = || integer(text).and_then(calendar_number);
    digits().or_else(|| i32::try_from(time(text)?.0.div_euclid(EventTime::DAY)).ok())
}

fn boolean(text: &str) -> Option<bool> {
    let is = |names: [&str; 3]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
    if is(["true", "t", "1"]) { Some(true) } else { is(["false", "f", "0"]).then_some(false) }
}

fn integer(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| text.contains(['.', 'e', 'E']).then(|| whole(&Value::Float(text.parse().ok()?)))?)
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?);
    text.as_bytes().chunks(2).map(pair).collect()
}

fn list(text: &str) -> Option<Value> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    json.as_array()?;
    Some(from_json(&json))
}

/// JSON as a value: whole numbers as ints, other numbers as floats, objects as their text.
fn from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => {
            number.as_i64().map(Value::Int).or_else(|| number.as_f64().map(Value::Float)).unwrap_or(Value::Null)
        }
        serde_json::Value::String(text) => Value::text(text),
        serde_json::Value::Array(values) => Value::List(values.iter().map(from_json).collect()),
        object @ serde_json::Value::Object(_) => Value::text(object.to_string()),
    }
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Int(_) | Value::Decimal(_) | Value::Float(_))
}

/// The whole number that a boolean, int, decimal or float equals.
fn whole(value: &Value) -> Option<i64> {
    if let Value::Bool(value) = value {
        return Some(i64::from(*value));
    }
    // A key's canonical form is the whole number where there is one.
    match relational::Key::single(value.clone()).values().first() {
        Some(Value::Int(number)) => Some(*number),
        _ => None,
    }
}

/// Numbers since 1970: whole ones by magnitude, others as seconds.
fn since_epoch(value: &Value) -> Option<EventTime> {
    if let Some(number) = matches!(value, Value::Int(_) | Value::Decimal(_) | Value::Float(_)).then(|| whole(value))? {
        return Some(EpochUnit::by_magnitude(number).instant(number));
    }
    let micros = is_number(value).then(|| value.as_f64())?? * 1e6;
    #[expect(clippy::cast_possible_truncation, reason = "a float beyond the axis is held at its end")]
    Some(EventTime(micros.round() as i64))
}

fn misfit(text: &str, wanted: DataType) -> Misfit {
    Misfit { value: text.chars().take(80).collect(), wanted }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, data_type: DataType) -> Option<Value> {
        from_text(text, data_type).ok()
    }

    #[test]
    fn text_is_read_in_the_documented_forms() {
        assert_eq!(read("12346.0", DataType::Int), Some(Value::Int(12_346)));
        assert_eq!(read("12346.5", DataType::Int), None);
        assert_eq!(read("TRUE", DataType::Bool), Some(Value::Bool(true)));
        assert_eq!(read("yes", DataType::Bool), None);
        assert_eq!(read("1.50", DataType::Decimal), Some(Value::Decimal(Decimal { unscaled: 150, scale: 2 })));
        assert_eq!(read("\\x0aFF", DataType::Bytes), Some(Value::Bytes(vec![10, 255].into())));
        assert_eq!(read("\\x0", DataType::Bytes), None);
        assert_eq!(read("[0, \"a\"]", DataType::List), Some(Value::List(vec![Value::Int(0), Value::text("a")].into())));
        assert_eq!(read("19850107", DataType::Date), read("1985-01-07 13:00:00", DataType::Date));
        assert_eq!(read("1970", DataType::Date), Some(Value::Date(0)));
        assert_eq!(read("19851307", DataType::Date), None);
        assert_eq!(read("", DataType::Float), None);
    }

    #[test]
    fn numbers_since_1970_become_times() {
        let second = Value::Time(EventTime(1_600_000_000_000_000));
        for number in [1_600_000_000, 1_600_000_000_000, 1_600_000_000_000_000, 1_600_000_000_000_000_000] {
            assert_eq!(to_type(Value::Int(number), DataType::Time), Ok(second.clone()));
        }
        assert_eq!(to_type(Value::Float(1.5), DataType::Time), Ok(Value::Time(EventTime(1_500_000))));
    }

    proptest! {
        #[test]
        fn what_prints_reads_back(value in relational::arbitrary::scalar()) {
            let text = value.to_string();
            let Some(data_type) = type_of(&value) else { return Ok(()) };
            let readable = match &value {
                Value::Decimal(decimal) => decimal.scale >= 0 && decimal.unscaled != i128::MIN,
                Value::Time(time) => time.civil().is_some_and(|civil| civil.year() >= 0),
                Value::Date(days) => (-700_000..2_900_000).contains(days),
                Value::Bytes(_) => false,
                Value::Float(float) => !float.is_nan(),
                _ => true,
            };
            prop_assume!(readable);
            prop_assert_eq!(from_text(&text, data_type), Ok(value));
        }

        #[test]
        fn coerced_values_have_the_type(value in relational::arbitrary::value(), index in 0usize..9) {
            let types = [DataType::Bool, DataType::Int, DataType::Decimal, DataType::Float, DataType::Text,
                DataType::Time, DataType::Date, DataType::Bytes, DataType::List];
            if let Ok(coerced) = to_type(value.clone(), types[index]) {
                prop_assert_eq!(type_of(&coerced), type_of(&value).map(|_| types[index]));
            }
        }

        #[test]
        fn the_short_way_reads_times_as_the_long_one(micros in -60_000_000_000_000_000i64..200_000_000_000_000_000) {
            let time = EventTime(micros);
            let whole = EventTime(time.0.div_euclid(EventTime::SECOND) * EventTime::SECOND);
            let text = whole.to_string();
            let plain = text.trim_end_matches('Z').replace('T', " ");
            prop_assert_eq!(usual_time(plain.as_bytes()), Some(whole));
            prop_assert_eq!(EventTime::parse(&plain), Some(whole));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}", index in 0usize..9) {
            let types = [DataType::Bool, DataType::Int, DataType::Decimal, DataType::Float, DataType::Text,
                DataType::Time, DataType::Date, DataType::Bytes, DataType::List];
            if let Ok(value) = from_text(&text, types[index]) {
                prop_assert_eq!(type_of(&value), Some(types[index]));
            }
        }
    }
}
