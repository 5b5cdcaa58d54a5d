//! Aggregate functions over the values of some rows.

use std::collections::BTreeSet;

use graph_store::Summary;
use relational::{Aggregate, ColumnId, DataType, Decimal, Function, Row, Schema, Value};

use super::condition::keeps;

/// What an aggregate makes of these rows, which come oldest first by (time, born). Null is unknown.
pub(super) fn over<'a>(aggregate: &Aggregate, schema: &Schema, rows: impl Iterator<Item = &'a Row>) -> Value {
    let kept = rows.filter(|row| keeps(aggregate.filter.as_deref(), row));
    let Some(column) = aggregate.column else {
        return match aggregate.function {
            Function::Count | Function::CountDistinct => count(kept.count()),
            _ => Value::Null,
        };
    };
    let values: Vec<&Value> = kept.map(|row| row.value(column)).collect();
    of_values(aggregate.function, data_type(aggregate, column, schema), &values)
}

/// What a function makes of the values of a column, oldest first.
pub(super) fn of_values(function: Function, data_type: DataType, values: &[&Value]) -> Value {
    let present = || values.iter().copied().filter(|value| !value.is_null());
    match function {
        Function::Count => count(present().count()),
        Function::CountDistinct => count(present().collect::<BTreeSet<_>>().len()),
        Function::ListDistinct => {
            Value::List(present().collect::<BTreeSet<_>>().into_iter().cloned().collect::<Vec<_>>().into())
        }
        Function::First => values.first().map_or(Value::Null, |value| (*value).clone()),
        Function::Last => values.last().map_or(Value::Null, |value| (*value).clone()),
        Function::Min => extreme(present(), std::cmp::Ordering::is_lt),
        Function::Max => extreme(present(), std::cmp::Ordering::is_gt),
        Function::Sum => sum(present()).map_or_else(|| zero(data_type), |(sum, _)| sum),
        Function::Avg => sum(present()).map_or(Value::Null, |(sum, rows)| mean(&sum, rows)),
    }
}

/// What an aggregate makes of a summary, where that is exact: counts, and sums and extremes of floats and of whole
/// numbers too small to be rounded. `None` where the rows themselves must be read.
pub(super) fn of_summary(aggregate: &Aggregate, schema: &Schema, summary: &Summary) -> Option<Value> {
    if aggregate.filter.is_some() {
        return None;
    }
    let Some(column) = aggregate.column else {
        return (aggregate.function == Function::Count).then(|| whole(summary.rows));
    };
    let values = summary.columns.get(usize::from(column.0))?;
    let number: fn(f64) -> Value = match data_type(aggregate, column, schema) {
        DataType::Float => Value::Float,
        // Every partial sum is below the greatest magnitude times the count: below 2^53 none was rounded.
        DataType::Int if values.min.abs().max(values.max.abs()) * as_f64(values.count.max(1)) < 9.0e15 => integer,
        DataType::Int if values.count == 0 => integer,
        _ => return None,
    };
    match aggregate.function {
        Function::Count if data_type(aggregate, column, schema) == DataType::Int => Some(whole(values.count)),
        Function::Sum => Some(number(values.sum)),
        Function::Avg if values.count > 0 => Some(Value::Float(values.sum / as_f64(values.count))),
        Function::Min if values.count > 0 => Some(number(values.min)),
        Function::Max if values.count > 0 => Some(number(values.max)),
        Function::Avg | Function::Min | Function::Max => Some(Value::Null),
        _ => None,
    }
}

fn data_type(aggregate: &Aggregate, column: ColumnId, schema: &Schema) -> DataType {
    schema.table(aggregate.table).columns[usize::from(column.0)].data_type
}

#[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53, checked by the caller")]
fn integer(number: f64) -> Value {
    Value::Int(number as i64)
}

fn whole(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn count(rows: usize) -> Value {
    whole(rows as u64)
}

#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn as_f64(rows: u64) -> f64 {
    rows as f64
}

fn zero(data_type: DataType) -> Value {
    if data_type == DataType::Float { Value::Float(0.0) } else { Value::Int(0) }
}

fn extreme<'a>(values: impl Iterator<Item = &'a Value>, better: fn(std::cmp::Ordering) -> bool) -> Value {
    let best = values.reduce(|best, value| if value.compare(best).is_some_and(better) { value } else { best });
    best.cloned().unwrap_or(Value::Null)
}

fn mean(sum: &Value, rows: u64) -> Value {
    sum.as_f64().map_or(Value::Null, |sum| Value::Float(sum / as_f64(rows)))
}

/// The sum of numbers and how many there were: exact while all are whole or decimal and fit, else in floating point
/// from the oldest on, as the store's summaries add. `None` of no numbers.
fn sum<'a>(values: impl Iterator<Item = &'a Value> + Clone) -> Option<(Value, u64)> {
    let numbers = || values.clone().filter(|value| value.as_f64().is_some());
    let rows = numbers().count() as u64;
    if rows == 0 {
        return None;
    }
    let exact = numbers().try_fold(Decimal { unscaled: 0, scale: 0 }, |sum, value| add(sum, decimal(value)?));
    let sum = match exact {
        Some(Decimal { unscaled, scale: 0 }) if i64::try_from(unscaled).is_ok() => {
            Value::Int(i64::try_from(unscaled).expect("checked just before"))
        }
        Some(decimal) => Value::Decimal(decimal),
        None => Value::Float(numbers().filter_map(Value::as_f64).fold(0.0, |sum, number| sum + number)),
    };
    Some((sum, rows))
}

fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Bool(value) => Some(Decimal { unscaled: i128::from(*value), scale: 0 }),
        Value::Int(value) => Some(Decimal { unscaled: i128::from(*value), scale: 0 }),
        Value::Decimal(value) => Some(*value),
        _ => None,
    }
}

fn add(a: Decimal, b: Decimal) -> Option<Decimal> {
    let scale = a.scale.max(b.scale);
    let raise = |number: Decimal| {
        let power = u32::try_from(i16::from(scale) - i16::from(number.scale)).ok()?;
        number.unscaled.checked_mul(10i128.checked_pow(power)?)
    };
    Some(Decimal { unscaled: raise(a)?.checked_add(raise(b)?)?, scale })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(function: Function, data_type: DataType, values: &[Value]) -> Value {
        of_values(function, data_type, &values.iter().collect::<Vec<_>>())
    }

    fn amount(text: &str) -> Value {
        Value::Decimal(Decimal::parse(text).expect("decimal"))
    }

    #[test]
    fn no_rows_sum_to_zero_and_have_no_mean() {
        for (function, expected) in [
            (Function::Count, Value::Int(0)),
            (Function::CountDistinct, Value::Int(0)),
            (Function::Sum, Value::Int(0)),
            (Function::Avg, Value::Null),
            (Function::Min, Value::Null),
            (Function::Max, Value::Null),
            (Function::First, Value::Null),
            (Function::Last, Value::Null),
            (Function::ListDistinct, Value::List(Vec::new().into())),
        ] {
            assert_eq!(of(function, DataType::Int, &[]), expected, "{function:?}");
        }
    }

    #[test]
    fn nulls_are_passed_over_but_for_first_and_last() {
        let values = [Value::Null, Value::Int(4), Value::Int(2), Value::Int(4), Value::Null];
        for (function, expected) in [
            (Function::Count, Value::Int(3)),
            (Function::CountDistinct, Value::Int(2)),
            (Function::Sum, Value::Int(10)),
            (Function::Avg, Value::Float(10.0 / 3.0)),
            (Function::Min, Value::Int(2)),
            (Function::Max, Value::Int(4)),
            (Function::First, Value::Null),
            (Function::Last, Value::Null),
            (Function::ListDistinct, Value::List(vec![Value::Int(2), Value::Int(4)].into())),
        ] {
            assert_eq!(of(function, DataType::Int, &values), expected, "{function:?}");
        }
    }

    #[test]
    fn decimals_add_up_exactly() {
        let values = [amount("0.10"), amount("0.2"), Value::Int(3)];
        assert_eq!(of(Function::Sum, DataType::Decimal, &values), amount("3.30"));
        let many = vec![amount("0.1"); 10];
        assert_eq!(of(Function::Avg, DataType::Decimal, &many), Value::Float(0.1));
    }

    #[test]
    fn sums_beyond_every_type_are_floats() {
        let wide = [Value::Int(i64::MAX), Value::Int(1)];
        let expected = Decimal { unscaled: i128::from(i64::MAX) + 1, scale: 0 };
        assert_eq!(of(Function::Sum, DataType::Int, &wide), Value::Decimal(expected));
        let huge = Value::Decimal(Decimal { unscaled: i128::MAX, scale: 0 });
        assert_eq!(of(Function::Sum, DataType::Decimal, &[huge.clone(), huge]), Value::Float(i128::MAX as f64 * 2.0));
    }

    #[test]
    fn floats_that_are_no_numbers_are_left_out_of_sums() {
        let values = [Value::Float(1.5), Value::Float(f64::NAN), Value::Float(2.0)];
        assert_eq!(of(Function::Sum, DataType::Float, &values), Value::Float(3.5));
        assert_eq!(of(Function::Avg, DataType::Float, &values), Value::Float(1.75));
    }
}
