//! One field's JSON becomes a value of its column's type.
//!
//! First the JSON is read as the source meant it ([`Encoding`]: from the record's schema, else by its looks), then it is
//! made the column's type by [`crate::coerce`], which keeps what every source has in common.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use relational::{DataType, Decimal, EventTime, Value};

use super::json::{Json, Row, clip};
use super::tables::ColumnHint;
use crate::coerce::{self, EpochUnit};

/// How a field is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Encoding {
    /// No schema: by its looks, the column's type and the config's hints.
    Bare,
    /// A boolean, number or text that needs no interpretation.
    Plain(DataType),
    /// Base64 of the bytes.
    Bytes,
    /// Base64 of a big-endian two's complement number, or the number itself.
    Decimal(i8),
    /// `{"scale":2,"value":"BNI="}`.
    VariableDecimal,
    /// Days since 1970-01-01.
    Days,
    /// A number since 1970-01-01T00:00:00Z.
    Epoch(EpochUnit),
    /// ISO 8601 text.
    IsoTime,
    /// ISO 8601 text of a day, with or without `Z`.
    IsoDate,
    /// An array.
    List(Box<Encoding>),
    /// An object or map, kept as its text.
    Object,
}

impl Encoding {
    /// The type that a column takes from this encoding.
    pub(super) fn data_type(&self) -> DataType {
        match self {
            Self::Bare | Self::Object => DataType::Text,
            Self::Plain(data_type) => *data_type,
            Self::Bytes => DataType::Bytes,
            Self::Decimal(_) | Self::VariableDecimal => DataType::Decimal,
            Self::Days | Self::IsoDate => DataType::Date,
            Self::Epoch(_) | Self::IsoTime => DataType::Time,
            Self::List(_) => DataType::List,
        }
    }
}

/// Reads a field. The error says what the JSON is not, and what to do where there is something to do.
pub(super) fn read(json: &str, encoding: &Encoding, data_type: DataType, hint: ColumnHint) -> Result<Value, String> {
    let parsed = Json::of(json);
    if parsed == Json::Null {
        return Ok(Value::Null);
    }
    // A float is read from its text at once: the way through a decimal would round twice.
    if let (DataType::Float, Json::Number(text)) = (data_type, &parsed)
        && matches!(encoding, Encoding::Bare | Encoding::Plain(_))
    {
        return text.parse().map(Value::Float).map_err(|_| misfit(json, data_type, ""));
    }
    let value = match encoding {
        Encoding::Bare => return bare(json, parsed, data_type, hint),
        Encoding::Plain(_) => natural(parsed),
        Encoding::Bytes => {
            parsed.into_text().and_then(|text| decode_base64(&text)).map(|bytes| Value::Bytes(bytes.into()))
        }
        Encoding::Decimal(scale) => decimal(parsed, *scale),
        Encoding::VariableDecimal => variable_decimal(json),
        Encoding::Days => days(&parsed),
        Encoding::Epoch(unit) => epoch(&parsed, *unit),
        Encoding::IsoTime => parsed.into_text().and_then(|text| instant(&text)).map(Value::Time),
        Encoding::IsoDate => parsed.into_text().and_then(|text| day(&text)),
        Encoding::List(element) => return list(json, element),
        Encoding::Object => Some(Value::text(json)),
    };
    let value = value.ok_or_else(|| misfit(json, encoding.data_type(), ""))?;
    match (&value, hint.unit) {
        (Value::Int(number), Some(unit)) if data_type == DataType::Time => configured_time(*number, unit, json),
        _ => to_type(value, data_type, json),
    }
}

/// Reads a field of a record without a schema.
fn bare(json: &str, parsed: Json<'_>, data_type: DataType, hint: ColumnHint) -> Result<Value, String> {
    let value = match (data_type, &parsed) {
        (DataType::Text, Json::Array(_) | Json::Object(_)) => return Ok(Value::text(json)),
        (DataType::Decimal, Json::Object(_)) => variable_decimal(json),
        (DataType::Decimal, Json::Text(text)) => return bare_decimal(text, hint.scale, json),
        (DataType::Bytes, Json::Text(text)) => decode_base64(text).map(|bytes| Value::Bytes(bytes.into())),
        (DataType::Date, Json::Text(text)) => day(text),
        (DataType::Date, Json::Number(text)) => return bare_date(text, hint.unit, json),
        (DataType::Time, Json::Text(text)) => instant(text).map(Value::Time),
        (DataType::Time, Json::Number(text)) if hint.unit.is_some() => {
            let number = text.parse().ok().zip(hint.unit);
            let (number, unit) = number.ok_or_else(|| misfit(json, data_type, "; write it as a whole number"))?;
            return configured_time(number, unit, json);
        }
        (DataType::List, Json::Array(_)) => return list(json, &Encoding::Bare),
        _ => natural(parsed),
    };
    to_type(value.ok_or_else(|| misfit(json, data_type, ""))?, data_type, json)
}

/// By its looks alone: arrays and objects have none.
fn natural(parsed: Json<'_>) -> Option<Value> {
    Some(match parsed {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(value),
        Json::Text(text) => Value::text(text),
        Json::Number(text) => match text.parse() {
            Ok(number) => Value::Int(number),
            Err(_) => Decimal::parse(text).map(Value::Decimal).or_else(|| text.parse().ok().map(Value::Float))?,
        },
        Json::Array(_) | Json::Object(_) => return None,
    })
}

fn to_type(value: Value, data_type: DataType, json: &str) -> Result<Value, String> {
    coerce::to_type(value, data_type).map_err(|_| misfit(json, data_type, advice(data_type)))
}

fn advice(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Int => "; declare the column as `decimal`, `float` or `text`",
        DataType::Bool | DataType::Float | DataType::List => "; declare the column as `text`",
        DataType::Decimal => "; declare the column as `float` or `text`",
        DataType::Bytes => " in base64; declare the column as `text`",
        DataType::Time | DataType::Date | DataType::Text => "",
    }
}

fn misfit(json: &str, data_type: DataType, advice: &str) -> String {
    format!("`{}` is not a value of type {}{advice}", clip(json), data_type.name())
}

/// A unit from the config is held against the calendar: milliseconds read as microseconds would pass for 1970, but
/// microseconds read as milliseconds land tens of thousands of years away.
fn configured_time(number: i64, unit: EpochUnit, json: &str) -> Result<Value, String> {
    if let Some(sentinel) = infinity(number) {
        return Ok(Value::Time(sentinel));
    }
    let time = unit.instant(number);
    match time.civil() {
        Some(civil) if civil.year() > 0 => Ok(Value::Time(time)),
        _ => Err(format!(
            "`{}` lies outside the years 1 to 9999; set the column's `unit` to another of s, ms, us, ns",
            clip(json)
        )),
    }
}

fn epoch(parsed: &Json<'_>, unit: EpochUnit) -> Option<Value> {
    let Json::Number(text) = parsed else { return None };
    let number = text.parse().ok()?;
    Some(Value::Time(infinity(number).unwrap_or_else(|| unit.instant(number))))
}

/// PostgreSQL's `infinity` and `-infinity` as its driver writes them into a number.
fn infinity(number: i64) -> Option<EventTime> {
    match number {
        9_223_372_036_825_200_000 | i64::MAX => Some(EventTime::MAX),
        -9_223_372_036_832_400_000 | i64::MIN => Some(EventTime::MIN),
        _ => None,
    }
}

fn instant(text: &str) -> Option<EventTime> {
    match text {
        "infinity" => Some(EventTime::MAX),
        "-infinity" => Some(EventTime::MIN),
        _ => coerce::time(text),
    }
}

fn days(parsed: &Json<'_>) -> Option<Value> {
    let Json::Number(text) = parsed else { return None };
    text.parse().ok().map(Value::Date)
}

/// `2024-01-02`, also with the `Z` that Debezium's `isostring` mode puts behind it, and instants, whose day counts.
fn day(text: &str) -> Option<Value> {
    let time = coerce::time(text.strip_suffix('Z').filter(|day| day.len() == 10).unwrap_or(text))?;
    i32::try_from(time.0.div_euclid(EventTime::DAY)).ok().map(Value::Date)
}

/// Days, unless the config names a unit.
fn bare_date(text: &str, unit: Option<EpochUnit>, json: &str) -> Result<Value, String> {
    let number: i64 = text.parse().map_err(|_| misfit(json, DataType::Date, ""))?;
    if let Some(unit) = unit {
        return to_type(configured_time(number, unit, json)?, DataType::Date, json);
    }
    // Year 9999 is day 2,932,896.
    match i32::try_from(number) {
        Ok(days) if days.unsigned_abs() < 3_000_000 => Ok(Value::Date(days)),
        _ => Err(format!("`{}` is no day since 1970; set the column's `unit` to s, ms, us or ns", clip(json))),
    }
}

fn decimal(parsed: Json<'_>, scale: i8) -> Option<Value> {
    match parsed {
        Json::Text(text) => from_base64(&text, scale).map(Value::Decimal),
        Json::Number(text) => Decimal::parse(text).map(Value::Decimal),
        _ => None,
    }
}

fn bare_decimal(text: &str, scale: Option<i8>, json: &str) -> Result<Value, String> {
    let decimal = match scale {
        // A point never stands in base64, so a source that was switched to texts is still read right.
        Some(scale) if !text.contains('.') => from_base64(text, scale),
        _ => Decimal::parse(text),
    };
    let advice = match scale {
        Some(_) => ": not base64 of at most 16 bytes; remove the column's `scale` if the source writes digits",
        None => "; if the source writes base64 (`decimal.handling.mode=precise`), set the column's `scale`",
    };
    decimal.map(Value::Decimal).ok_or_else(|| misfit(json, DataType::Decimal, advice))
}

fn variable_decimal(json: &str) -> Option<Value> {
    let row: Row<'_> = serde_json::from_str(json).ok()?;
    let scale = row.get("scale")?.parse().ok()?;
    let text = Json::of(row.get("value")?).into_text()?;
    from_base64(&text, scale).map(Value::Decimal)
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Reads the big-endian two's complement number that Connect's `Decimal` is written as.
fn from_base64(text: &str, scale: i8) -> Option<Decimal> {
    let bytes = decode_base64(text)?;
    let negative = bytes.first()? & 0x80 != 0;
    let fill = if negative { 0xff } else { 0 };
    let first = bytes.len().saturating_sub(16);
    let (extra, digits) = bytes.split_at(first);
    if extra.iter().any(|byte| *byte != fill) {
        return None;
    }
    let mut number = [fill; 16];
    number[16 - digits.len()..].copy_from_slice(digits);
    let unscaled = i128::from_be_bytes(number);
    ((unscaled < 0) == negative).then_some(Decimal { unscaled, scale })
}

fn list(json: &str, element: &Encoding) -> Result<Value, String> {
    let elements: Vec<&serde_json::value::RawValue> =
        serde_json::from_str(json).map_err(|_| misfit(json, DataType::List, ""))?;
    let read_one = |element_json: &&serde_json::value::RawValue| {
        let json = element_json.get();
        match (element, Json::of(json)) {
            (Encoding::Bare, Json::Array(_)) => list(json, element),
            (Encoding::Bare, Json::Object(_)) => Ok(Value::text(json)),
            (Encoding::Bare, parsed) => natural(parsed).ok_or_else(|| misfit(json, DataType::List, "")),
            _ => read(json, element, element.data_type(), ColumnHint::default()),
        }
    };
    elements.iter().map(read_one).collect::<Result<Vec<_>, _>>().map(|values| Value::List(values.into()))
}
