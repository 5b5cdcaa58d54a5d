//! Conditions in three-valued logic: `None` is unknown.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::convert::Infallible;

use relational::{Condition, Constant, Operand, Relation, Row, Value};

/// Whether `condition` holds when each operand has the value that `operand` gives it (null: unknown). Operands that
/// cannot change the outcome any more are not asked for.
pub(super) fn evaluate<'a, F, E>(condition: &Condition, operand: &mut F) -> Result<Option<bool>, E>
where
    F: FnMut(&Operand) -> Result<Cow<'a, Value>, E>,
{
    match condition {
        Condition::Compare { operand: left, relation, constant } => Ok(compare(&*operand(left)?, *relation, constant)),
        Condition::Not(inner) => Ok(evaluate(inner, operand)?.map(|holds| !holds)),
        Condition::And(parts) => fold(parts, operand, false),
        Condition::Or(parts) => fold(parts, operand, true),
    }
}

/// AND is decided by the first false part, OR by the first true one; else an unknown part makes the whole unknown.
fn fold<'a, F, E>(parts: &[Condition], operand: &mut F, decisive: bool) -> Result<Option<bool>, E>
where
    F: FnMut(&Operand) -> Result<Cow<'a, Value>, E>,
{
    let mut outcome = Some(!decisive);
    for part in parts {
        match evaluate(part, operand)? {
            Some(holds) if holds == decisive => return Ok(Some(decisive)),
            Some(_) => {}
            None => outcome = None,
        }
    }
    Ok(outcome)
}

/// Whether a filter keeps a row: what is unknown is not kept.
pub(crate) fn keeps(filter: Option<&Condition>, row: &Row) -> bool {
    let Some(filter) = filter else { return true };
    let mut column = |operand: &Operand| -> Result<Cow<'_, Value>, Infallible> {
        Ok(match operand {
            Operand::Column(reference) => Cow::Borrowed(row.value(reference.column)),
            // A filter has no aggregates (see `Aggregate::filter`); were there one, it would be unknown.
            Operand::Aggregate(_) => Cow::Owned(Value::Null),
        })
    };
    match evaluate(filter, &mut column) {
        Ok(holds) => holds == Some(true),
        Err(never) => match never {},
    }
}

/// `value relation constant`.
pub(crate) fn compare(value: &Value, relation: Relation, constant: &Constant) -> Option<bool> {
    match relation {
        Relation::Is => Some(is(value, constant)),
        Relation::IsNot => Some(!is(value, constant)),
        Relation::Equal => order(value, constant).map(Ordering::is_eq),
        Relation::NotEqual => order(value, constant).map(Ordering::is_ne),
        Relation::Less => order(value, constant).map(Ordering::is_lt),
        Relation::LessOrEqual => order(value, constant).map(Ordering::is_le),
        Relation::Greater => order(value, constant).map(Ordering::is_gt),
        Relation::GreaterOrEqual => order(value, constant).map(Ordering::is_ge),
        Relation::In => any(constant, |item| value.compare(item).map(Ordering::is_eq)),
        Relation::Like => any(constant, |item| texts(value, item, like)),
        Relation::NotLike => any(constant, |item| texts(value, item, like)).map(|holds| !holds),
        Relation::Contains => any(constant, |item| contains(value, item)),
        Relation::NotContains => any(constant, |item| contains(value, item)).map(|holds| !holds),
        Relation::StartsWith => any(constant, |item| texts(value, item, |text, part| text.starts_with(part))),
        Relation::EndsWith => any(constant, |item| texts(value, item, |text, part| text.ends_with(part))),
    }
}

fn order(value: &Value, constant: &Constant) -> Option<Ordering> {
    match constant {
        Constant::Value(constant) => value.compare(constant),
        Constant::List(items) => value.compare(&Value::List(items.as_slice().into())),
    }
}

fn is(value: &Value, constant: &Constant) -> bool {
    match constant {
        Constant::Value(Value::Null) => value.is_null(),
        Constant::Value(constant) => value.compare(constant) == Some(Ordering::Equal),
        Constant::List(_) => false,
    }
}

/// Whether `test` holds for any of the constant's values; unknown when none is true and one is unknown.
fn any(constant: &Constant, test: impl Fn(&Value) -> Option<bool>) -> Option<bool> {
    let items = match constant {
        Constant::Value(value) => std::slice::from_ref(value),
        Constant::List(values) => values.as_slice(),
    };
    let mut outcome = Some(false);
    for item in items {
        match test(item) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => outcome = None,
        }
    }
    outcome
}

fn texts(value: &Value, item: &Value, test: impl Fn(&str, &str) -> bool) -> Option<bool> {
    match (value, item) {
        (Value::Text(text), Value::Text(part)) => Some(test(text, part)),
        _ => None,
    }
}

fn contains(value: &Value, item: &Value) -> Option<bool> {
    match value {
        Value::List(values) if !item.is_null() => {
            Some(values.iter().any(|value| value.compare(item) == Some(Ordering::Equal)))
        }
        _ => texts(value, item, |text, part| text.contains(part)),
    }
}

/// `%` stands for any text, `_` for any one character. Greedy with one point to return to, so that no pattern takes
/// more than length times length steps.
fn like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut next) = (0, 0);
    let mut retry = None;
    while at < text.len() {
        match pattern.get(next) {
            Some('%') => {
                retry = Some((at, next));
                next += 1;
            }
            Some(wanted) if *wanted == '_' || *wanted == text[at] => {
                at += 1;
                next += 1;
            }
            _ => {
                let Some((from, percent)) = retry else { return false };
                retry = Some((from + 1, percent));
                at = from + 1;
                next = percent + 1;
            }
        }
    }
    pattern[next..].iter().all(|wanted| *wanted == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constant(value: impl Into<Option<i64>>) -> Constant {
        Constant::Value(value.into().map_or(Value::Null, Value::Int))
    }

    fn text(text: &str) -> Constant {
        Constant::Value(Value::text(text))
    }

    #[test]
    fn comparisons_with_null_are_unknown() {
        let two = Value::Int(2);
        let table = [
            (&two, Relation::Equal, constant(2), Some(true)),
            (&two, Relation::NotEqual, constant(2), Some(false)),
            (&two, Relation::Equal, constant(None), None),
            (&Value::Null, Relation::NotEqual, constant(2), None),
            (&Value::Null, Relation::Is, constant(None), Some(true)),
            (&Value::Null, Relation::IsNot, constant(None), Some(false)),
            (&two, Relation::Is, constant(None), Some(false)),
            (&Value::Null, Relation::Is, Constant::Value(Value::Bool(true)), Some(false)),
            (&Value::Int(1), Relation::Is, Constant::Value(Value::Bool(true)), Some(true)),
            (&two, Relation::LessOrEqual, Constant::Value(Value::Float(2.0)), Some(true)),
            (&two, Relation::Less, text("3"), None),
            (&two, Relation::In, Constant::List(vec![Value::Int(1), Value::Int(2)]), Some(true)),
            (&two, Relation::In, Constant::List(vec![Value::Int(1), Value::Null]), None),
            (&two, Relation::In, Constant::List(vec![Value::Int(1), Value::Int(3)]), Some(false)),
            (&Value::Null, Relation::In, Constant::List(vec![Value::Int(1)]), None),
        ];
        for (value, relation, constant, expected) in table {
            assert_eq!(compare(value, relation, &constant), expected, "{value} {relation:?} {constant:?}");
        }
    }

    #[test]
    fn texts_and_lists_are_searched() {
        let name = Value::text("C536379");
        let list = Value::List(vec![Value::Int(1), Value::text("a")].into());
        let table = [
            (&name, Relation::Like, text("C%"), Some(true)),
            (&name, Relation::Like, text("_536__9"), Some(true)),
            (&name, Relation::Like, text("%53%79"), Some(true)),
            (&name, Relation::Like, text("C"), Some(false)),
            (&name, Relation::Like, text("%%"), Some(true)),
            (&name, Relation::NotLike, text("C%"), Some(false)),
            (&Value::Null, Relation::NotLike, text("C%"), None),
            (&name, Relation::Contains, text("637"), Some(true)),
            (&name, Relation::NotContains, text("637"), Some(false)),
            (&name, Relation::StartsWith, text("C5"), Some(true)),
            (&name, Relation::EndsWith, text("C5"), Some(false)),
            (&list, Relation::Contains, text("a"), Some(true)),
            (&list, Relation::Contains, constant(2), Some(false)),
        ];
        for (value, relation, constant, expected) in table {
            assert_eq!(compare(value, relation, &constant), expected, "{value} {relation:?} {constant:?}");
        }
    }

    #[test]
    fn connectives_follow_kleene() {
        let leaf = |holds: Option<bool>| {
            let value = holds.map_or(Value::Null, Value::Bool);
            let constant = Constant::Value(Value::Bool(true));
            let operand = Operand::Column(relational::ColumnRef {
                table: relational::TableId(0),
                column: relational::ColumnId(match value {
                    Value::Bool(true) => 1,
                    Value::Bool(false) => 0,
                    _ => 2,
                }),
            });
            Condition::Compare { operand, relation: Relation::Equal, constant }
        };
        let row = Row::new([Value::Bool(false), Value::Bool(true), Value::Null]);
        let outcome = |condition: &Condition| {
            let mut column = |operand: &Operand| -> Result<Cow<'_, Value>, Infallible> {
                let Operand::Column(reference) = operand else { unreachable!("only columns") };
                Ok(Cow::Borrowed(row.value(reference.column)))
            };
            evaluate(condition, &mut column).unwrap_or_else(|never| match never {})
        };
        let (yes, no, unknown) = (Some(true), Some(false), None);
        for (a, b, and, or) in [
            (yes, yes, yes, yes),
            (yes, no, no, yes),
            (yes, unknown, unknown, yes),
            (no, unknown, no, unknown),
            (unknown, no, no, unknown),
            (unknown, yes, unknown, yes),
            (unknown, unknown, unknown, unknown),
            (no, no, no, no),
        ] {
            assert_eq!(outcome(&Condition::And(vec![leaf(a), leaf(b)])), and, "{a:?} and {b:?}");
            assert_eq!(outcome(&Condition::Or(vec![leaf(a), leaf(b)])), or, "{a:?} or {b:?}");
            assert_eq!(outcome(&Condition::Not(Box::new(leaf(a)))), a.map(|holds| !holds), "not {a:?}");
        }
    }
}
