//! Rows and what names them.

use std::fmt;
use std::sync::Arc;

use crate::{ColumnId, EventTime, TableId, Value};

/// The values of a key, primary or foreign, in the order of its columns.
///
/// Key values are canonical, so that a foreign key meets its parent whatever the type it was written in: a float or
/// decimal without a fraction becomes [`Value::Int`]. Build keys with [`Key::new`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<[Value]>);

impl Key {
    /// A key of these values, made canonical.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = Value>) -> Self {
        Self(values.into_iter().map(canonical).collect())
    }

    /// A key of one value.
    #[must_use]
    pub fn single(value: Value) -> Self {
        Self::new([value])
    }

    /// The key that these columns of a row hold; `None` when any of them is null (a null foreign key names nothing).
    #[must_use]
    pub fn of(row: &Row, columns: &[ColumnId]) -> Option<Self> {
        let values: Vec<Value> = columns.iter().map(|column| row.value(*column).clone()).collect();
        (!values.iter().any(Value::is_null)).then(|| Self::new(values))
    }

    /// The canonical values.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.0
    }
}

fn canonical(value: Value) -> Value {
    match value {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within i64, checked just before")]
        Value::Float(float) if float.fract() == 0.0 && float.abs() < 9.0e15 => Value::Int(float as i64),
        Value::Decimal(decimal) => whole(decimal.unscaled, decimal.scale).map_or(Value::Decimal(decimal), Value::Int),
        other => other,
    }
}

fn whole(unscaled: i128, scale: i8) -> Option<i64> {
    let power = 10i128.checked_pow(u32::from(scale.unsigned_abs()))?;
    let number = if scale < 0 {
        unscaled.checked_mul(power)?
    } else if unscaled % power == 0 {
        unscaled / power
    } else {
        return None;
    };
    i64::try_from(number).ok()
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, value) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            value.fmt(f)?;
        }
        Ok(())
    }
}

/// A row's name: its table and primary key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The table.
    pub table: TableId,
    /// The primary key.
    pub key: Key,
}

/// The values of one row, one per column of its table, in the schema's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(Arc<[Value]>);

impl Row {
    /// A row of these values.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = Value>) -> Self {
        Self(values.into_iter().collect())
    }

    /// The value of a column; null for a column that the row does not have (added after the row was written).
    #[must_use]
    pub fn value(&self, column: ColumnId) -> &Value {
        self.0.get(usize::from(column.0)).unwrap_or(&Value::Null)
    }

    /// All values, in the schema's order.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.0
    }

    /// The row's own time: that of `column`, or [`EventTime::MIN`] for a table without a time column.
    #[must_use]
    pub fn time(&self, column: Option<ColumnId>) -> Option<EventTime> {
        column.map_or(Some(EventTime::MIN), |column| self.value(column).as_time())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decimal;

    #[test]
    fn keys_meet_across_number_types() {
        let whole = Key::single(Value::Int(12_346));
        assert_eq!(Key::single(Value::Float(12_346.0)), whole);
        assert_eq!(Key::single(Value::Decimal(Decimal { unscaled: 1_234_600, scale: 2 })), whole);
        assert_ne!(Key::single(Value::text("12346")), whole);
        assert_ne!(Key::single(Value::Float(0.5)), Key::single(Value::Int(0)));
    }
}
