//! One scalar (or a list of them) as a database column holds it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::EventTime;

/// An exact decimal number, `unscaled * 10^-scale`, that keeps the scale it was written with: `1.50` is not `1.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal {
    /// The digits, as a whole number.
    pub unscaled: i128,
    /// How many of the digits stand behind the decimal point; negative scales count trailing zeros.
    pub scale: i8,
}

impl Decimal {
    /// The nearest float.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        // Powers of ten up to 10^22 are exact in f64, so the common scales lose nothing but the final rounding.
        #[expect(clippy::cast_precision_loss, reason = "the nearest float is what is asked for")]
        let unscaled = self.unscaled as f64;
        if self.scale >= 0 {
            unscaled / 10f64.powi(i32::from(self.scale))
        } else {
            unscaled * 10f64.powi(-i32::from(self.scale))
        }
    }

    /// Reads digits with an optional sign and decimal point, without exponent. Returns `None` for anything else, and
    /// for more digits than 38.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut unscaled: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
            unscaled = unscaled.checked_mul(10)?.checked_add(digit)?;
        }
        let scale = i8::try_from(fraction.len()).ok()?;
        Some(Self { unscaled: if negative { -unscaled } else { unscaled }, scale })
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.unscaled < 0 { "-" } else { "" };
        let digits = self.unscaled.unsigned_abs().to_string();
        if self.scale <= 0 {
            let zeros = usize::from(self.scale.unsigned_abs());
            return write!(f, "{sign}{digits}{}", "0".repeat(zeros));
        }
        let scale = usize::from(self.scale.unsigned_abs());
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

/// One value of a column.
///
/// Equality, order and hash are total: floats compare by [`f64::total_cmp`], and values of different types compare by
/// the order of the variants below. For arithmetic comparison across number types use [`Value::compare`].
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// An exact decimal that keeps its scale.
    Decimal(Decimal),
    /// A binary floating-point number.
    Float(f64),
    /// Text in UTF-8.
    Text(Arc<str>),
    /// An instant, in microseconds UTC.
    Time(EventTime),
    /// A calendar day, as days since 1970-01-01.
    Date(i32),
    /// Raw bytes.
    Bytes(Arc<[u8]>),
    /// Several values.
    List(Arc<[Value]>),
}

impl Value {
    /// A text value.
    #[must_use]
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Text(Arc::from(text.as_ref()))
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(items) => items.iter().map(Self::bytes).sum(),
            _ => 8,
        }
    }

    /// Whether this is [`Value::Null`].
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The value as a number: numbers as they are, booleans as 0 and 1, instants and days as seconds since 1970.
    /// `None` for null, text, bytes and lists, and for floats that are not finite.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "numbers beyond 2^53 are rounded to the nearest float")]
        let number = match self {
            Self::Bool(value) => f64::from(u8::from(*value)),
            Self::Int(value) => *value as f64,
            Self::Decimal(value) => value.to_f64(),
            Self::Float(value) => *value,
            Self::Time(value) => value.0 as f64 / 1e6,
            Self::Date(days) => f64::from(*days) * 86_400.0,
            Self::Null | Self::Text(_) | Self::Bytes(_) | Self::List(_) => return None,
        };
        number.is_finite().then_some(number)
    }

    /// The value as an instant: instants as they are, days at their midnight UTC.
    #[must_use]
    pub fn as_time(&self) -> Option<EventTime> {
        match self {
            Self::Time(time) => Some(*time),
            Self::Date(days) => Some(EventTime(i64::from(*days).saturating_mul(EventTime::DAY))),
            _ => None,
        }
    }

    /// Compares as a query does: numbers of any type by value, instants with days, text with text. `None` when either
    /// side is null or the two cannot be compared.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, _) | (_, Self::Null) => None,
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Bytes(a), Self::Bytes(b)) => Some(a.cmp(b)),
            (Self::List(a), Self::List(b)) => Some(a.cmp(b)),
            (Self::Time(_) | Self::Date(_), Self::Time(_) | Self::Date(_)) => {
                Some(self.as_time()?.cmp(&other.as_time()?))
            }
            (Self::Time(_) | Self::Date(_), _) | (_, Self::Time(_) | Self::Date(_)) => None,
            _ => self.as_f64()?.partial_cmp(&other.as_f64()?),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Decimal(_) => 3,
            Self::Float(_) => 4,
            Self::Text(_) => 5,
            Self::Time(_) => 6,
            Self::Date(_) => 7,
            Self::Bytes(_) => 8,
            Self::List(_) => 9,
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Decimal(a), Self::Decimal(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::List(a), Self::List(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Self::Null => {}
            Self::Bool(value) => value.hash(state),
            Self::Int(value) => value.hash(state),
            Self::Decimal(value) => value.hash(state),
            Self::Float(value) => value.to_bits().hash(state),
            Self::Text(value) => value.hash(state),
            Self::Time(value) => value.hash(state),
            Self::Date(value) => value.hash(state),
            Self::Bytes(value) => value.hash(state),
            Self::List(value) => value.hash(state),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Decimal(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
            Self::Time(value) => value.fmt(f),
            Self::Date(days) => match i64::from(*days).checked_mul(EventTime::DAY) {
                Some(midnight) => EventTime(midnight).fmt_date(f),
                None => write!(f, "{days}d"),
            },
            Self::Bytes(value) => value.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::List(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    value.fmt(f)?;
                }
                f.write_str("]")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_scale() {
        for text in ["12.34", "-0.01", "0", "99999999.99", "1.50", "-7"] {
            assert_eq!(Decimal::parse(text).map(|decimal| decimal.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Decimal { unscaled: 12, scale: -2 }.to_string(), "1200");
        assert_eq!(Decimal::parse("1e5"), None);
        assert_eq!(Decimal::parse("."), None);
    }

    #[test]
    fn comparison_crosses_number_types() {
        assert_eq!(Value::Int(3).compare(&Value::Float(3.0)), Some(Ordering::Equal));
        assert_eq!(Value::Int(3).compare(&Value::Null), None);
        assert_eq!(Value::Int(3).compare(&Value::text("3")), None);
        assert_eq!(Value::Date(1).compare(&Value::Time(EventTime(EventTime::DAY))), Some(Ordering::Equal));
    }
}
