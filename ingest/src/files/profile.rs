//! What the values of a column tell of its type and meaning.

use std::hash::{Hash, Hasher};

use relational::{DataType, Value};
use rustc_hash::{FxHashSet, FxHasher};

use crate::coerce;

/// Distinct values that are told apart; beyond, a column has many.
const DISTINCT_MAX: usize = 100_000;

/// Distinct values that an int named like an id may have to be a category.
const DISTINCT_INTS_MAX: usize = 1_000;

/// Whole floats are exact below this.
const WHOLE_MAX: f64 = 9.0e15;

/// What was seen of a column's values.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    /// The type that the file declares; `None` for CSV.
    declared: Option<DataType>,
    /// How many values are not null.
    values: u64,
    distinct: FxHashSet<u64>,
    bools: bool,
    ints: bool,
    floats: bool,
    whole: bool,
    calendar: bool,
    dates: bool,
    times: bool,
}

impl Profile {
    /// Of no values.
    pub(crate) fn new(declared: Option<DataType>) -> Self {
        Self {
            declared,
            values: 0,
            distinct: FxHashSet::default(),
            bools: true,
            ints: true,
            floats: true,
            whole: true,
            calendar: true,
            dates: true,
            times: true,
        }
    }

    /// Looks at a field of a CSV file.
    pub(super) fn see_text(&mut self, text: &str) {
        let trimmed = text.trim();
        if trimmed.eq_ignore_ascii_case("nan") {
            // Null among numbers, a value among anything else.
            (self.bools, self.calendar, self.dates, self.times) = (false, false, false, false);
            return;
        }
        self.count(text);
        self.bools = self.bools && (trimmed.eq_ignore_ascii_case("true") || trimmed.eq_ignore_ascii_case("false"));
        if self.floats {
            let int = plain_int(trimmed);
            self.ints = self.ints && int.is_some();
            if let Some(number) = int {
                self.calendar = self.calendar && is_calendar(number);
            } else {
                let float = plain_float(trimmed);
                self.floats = float.is_some();
                self.see_float(float);
            }
        }
        self.see_time(trimmed);
    }

    /// Looks at a value of a file that declares its types.
    pub(crate) fn see_value(&mut self, value: &Value) {
        match value {
            Value::Text(text) => {
                self.count(text.as_ref());
                self.see_time(text);
            }
            Value::Int(number) => {
                self.count(number);
                self.calendar = self.calendar && is_calendar(*number);
            }
            Value::Float(number) => {
                self.values += 1;
                self.see_float(Some(*number));
            }
            Value::Decimal(number) => {
                self.values += 1;
                self.see_float(Some(number.to_f64()));
            }
            _ => self.values += 1,
        }
    }

    fn count(&mut self, value: impl Hash) {
        self.values += 1;
        if self.distinct.len() <= DISTINCT_MAX {
            let mut hasher = FxHasher::default();
            value.hash(&mut hasher);
            self.distinct.insert(hasher.finish());
        }
    }

    fn see_float(&mut self, float: Option<f64>) {
        let whole = float.filter(|float| float.fract() == 0.0 && float.abs() < WHOLE_MAX);
        self.whole = self.whole && whole.is_some();
        #[expect(clippy::cast_possible_truncation, reason = "whole and small, checked just before")]
        let number = whole.map(|float| float as i64);
        self.calendar = self.calendar && number.is_some_and(is_calendar);
    }

    fn see_time(&mut self, text: &str) {
        if !self.times {
            return;
        }
        // Plain digits are numbers, whatever the general parser can make of them.
        self.times = text.contains('-') && coerce::time(text).is_some();
        self.dates = self.dates && self.times && text.len() == 10;
    }

    /// The type by the values alone; `None` when there are none and the file declares nothing.
    pub(super) fn data_type(&self) -> Option<DataType> {
        if self.values == 0 {
            return self.declared.filter(|declared| *declared != DataType::Text);
        }
        Some(match self.declared {
            Some(DataType::Text) | None if self.dates => DataType::Date,
            Some(DataType::Text) | None if self.times => DataType::Time,
            Some(declared) => declared,
            None if self.bools => DataType::Bool,
            None if self.floats && self.ints => DataType::Int,
            None if self.floats => DataType::Float,
            None => DataType::Text,
        })
    }

    /// Whether all numbers are whole.
    pub(super) fn is_whole(&self) -> bool {
        match self.data_type() {
            Some(DataType::Int) => true,
            Some(DataType::Float | DataType::Decimal) => self.whole,
            _ => false,
        }
    }

    /// Whether all numbers are days written `yyyymmdd`.
    pub(super) fn is_calendar(&self) -> bool {
        self.values > 0
            && self.calendar
            && matches!(self.data_type(), Some(DataType::Int | DataType::Float | DataType::Decimal))
    }

    /// Whether there is no value at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.values == 0
    }

    /// Whether each value stands at least twice on average; for ints there must also be few of them.
    pub(super) fn repeats(&self, data_type: DataType) -> bool {
        let most = if data_type == DataType::Int { DISTINCT_INTS_MAX } else { DISTINCT_MAX };
        self.distinct.len() <= most && self.values >= 2 * self.distinct.len() as u64
    }
}

/// Days of the years 1900 to 2099, written `yyyymmdd`.
fn is_calendar(number: i64) -> bool {
    (19_000_101..=20_991_231).contains(&number) && coerce::calendar_number(number).is_some()
}

/// Digits with an optional minus and no leading zero, within 64 bits.
fn plain_int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// A number with a point or an exponent; digits alone are an int or no number.
fn plain_float(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let padded = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    let begins = digits.bytes().next().is_some_and(|byte| byte.is_ascii_digit() || byte == b'.');
    let written = digits.contains(['.', 'e', 'E']);
    if begins && written && !padded { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_of(texts: &[&str]) -> Option<DataType> {
        let mut profile = Profile::new(None);
        texts.iter().for_each(|text| profile.see_text(text));
        profile.data_type()
    }

    #[test]
    fn the_first_type_that_all_values_have() {
        assert_eq!(type_of(&[]), None);
        assert_eq!(type_of(&["true", "False"]), Some(DataType::Bool));
        assert_eq!(type_of(&["1", "-20", "0"]), Some(DataType::Int));
        assert_eq!(type_of(&["1", "2.5", "1e-3"]), Some(DataType::Float));
        assert_eq!(type_of(&["2.5", "1"]), Some(DataType::Float));
        assert_eq!(type_of(&["2010-12-01", "2011-01-31"]), Some(DataType::Date));
        assert_eq!(type_of(&["2010-12-01", "2010-12-01 08:26:00"]), Some(DataType::Time));
        assert_eq!(type_of(&["2010-12-01T08:26:00+01:00"]), Some(DataType::Time));
    }

    #[test]
    fn what_only_looks_like_a_number_is_text() {
        for text in ["007", "00.5", "99999999999999999999", "+49", "08:26:00", "inf", "1_000", "12E"] {
            assert_eq!(type_of(&["1", text]), Some(DataType::Text), "{text}");
        }
    }

    #[test]
    fn days_written_as_numbers_are_recognised() {
        let calendar = |texts: &[&str]| {
            let mut profile = Profile::new(None);
            texts.iter().for_each(|text| profile.see_text(text));
            profile.is_calendar()
        };
        assert!(calendar(&["19850107", "20240229"]));
        assert!(calendar(&["19850107.0", "20240229"]));
        assert!(!calendar(&["19850107", "20230229"]));
        assert!(!calendar(&["19850107", "2010-01-01"]));
        assert!(!calendar(&[]));
    }
}
