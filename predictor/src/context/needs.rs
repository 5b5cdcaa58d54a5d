//! Rows without which an entity cannot be an example, so that only entities with such rows need to be looked at.

use relational::{Aggregate, Condition, Constant, Function, Operand, Relation, Target, Task, Value};

use crate::executor::compare;

/// An aggregate of the target or the assumption that must see at least one row for the label to be defined.
pub(super) fn of_label(task: &Task) -> Option<&Aggregate> {
    let of_target = match &task.target {
        Target::Aggregate(aggregate) => unknown_of_nothing(aggregate).then_some(aggregate),
        Target::Condition(condition) => to_be_known(condition),
        Target::Column(_) => None,
    };
    let found = of_target.or_else(|| task.assuming.as_ref().and_then(to_hold));
    found.filter(|aggregate| aggregate.window.is_some())
}

/// An aggregate of the population that must see at least one row for the entity to be in it.
pub(super) fn of_population(task: &Task) -> Option<&Aggregate> {
    task.population.as_ref().and_then(to_hold).filter(|aggregate| aggregate.window.is_some())
}

fn unknown_of_nothing(aggregate: &Aggregate) -> bool {
    match aggregate.function {
        Function::Avg | Function::Min | Function::Max | Function::First | Function::Last => true,
        Function::Sum | Function::Count | Function::CountDistinct | Function::ListDistinct => false,
    }
}

fn is_test(relation: Relation) -> bool {
    matches!(relation, Relation::Is | Relation::IsNot)
}

fn to_be_known(condition: &Condition) -> Option<&Aggregate> {
    match condition {
        Condition::Compare { operand: Operand::Aggregate(aggregate), relation, .. } => {
            (unknown_of_nothing(aggregate) && !is_test(*relation)).then_some(aggregate)
        }
        Condition::Not(inner) => to_be_known(inner),
        // An unknown part of AND or OR does not always make the whole unknown.
        Condition::Compare { .. } | Condition::And(_) | Condition::Or(_) => None,
    }
}

fn to_hold(condition: &Condition) -> Option<&Aggregate> {
    match condition {
        Condition::Compare { operand: Operand::Aggregate(aggregate), relation, constant } => {
            (!holds_of_nothing(aggregate, *relation, constant)).then_some(aggregate)
        }
        Condition::And(parts) => parts.iter().find_map(to_hold),
        Condition::Compare { .. } | Condition::Not(_) | Condition::Or(_) => None,
    }
}

fn holds_of_nothing(aggregate: &Aggregate, relation: Relation, constant: &Constant) -> bool {
    let value = match aggregate.function {
        Function::Sum | Function::Count | Function::CountDistinct => Value::Int(0),
        Function::ListDistinct => Value::List(Vec::new().into()),
        Function::Avg | Function::Min | Function::Max | Function::First | Function::Last => Value::Null,
    };
    compare(&value, relation, constant) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use relational::TableId;

    fn leaf(function: Function, relation: Relation, constant: i64) -> Condition {
        let aggregate =
            Aggregate { function, table: TableId(1), column: None, filter: None, window: None, via: Vec::new() };
        let constant = Constant::Value(Value::Int(constant));
        Condition::Compare { operand: Operand::Aggregate(aggregate), relation, constant }
    }

    #[test]
    fn a_positive_count_needs_rows_and_a_zero_count_does_not() {
        assert!(to_hold(&leaf(Function::Count, Relation::Greater, 0)).is_some());
        assert!(to_hold(&leaf(Function::Count, Relation::Equal, 0)).is_none());
        assert!(to_hold(&leaf(Function::Count, Relation::Less, 3)).is_none());
        assert!(to_hold(&leaf(Function::Avg, Relation::Less, 3)).is_some());
        let both = vec![leaf(Function::Count, Relation::Equal, 0), leaf(Function::Sum, Relation::Greater, 5)];
        assert!(to_hold(&Condition::And(both.clone())).is_some());
        assert!(to_hold(&Condition::Or(both)).is_none());
    }

    #[test]
    fn only_functions_that_are_unknown_of_nothing_need_rows_to_be_known() {
        assert!(to_be_known(&leaf(Function::Min, Relation::LessOrEqual, 3)).is_some());
        assert!(to_be_known(&leaf(Function::Min, Relation::Is, 3)).is_none());
        assert!(to_be_known(&leaf(Function::Count, Relation::Greater, 0)).is_none());
    }
}
