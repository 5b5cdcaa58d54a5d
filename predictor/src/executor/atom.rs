//! The expression inside a target for one child row.

use relational::{
    Aggregate, ColumnId, Condition, Constant, ForeignKeyId, Function, Operand, Relation, Row, TableId, Target, Task,
};

use super::condition::{compare, keeps};

/// See [`super::Executor::atom_of`].
#[derive(Debug, Clone)]
pub(super) struct Atom {
    pub(super) table: TableId,
    pub(super) via: Vec<ForeignKeyId>,
    filter: Option<Condition>,
    reading: Reading,
}

/// What one row says.
#[derive(Debug, Clone)]
enum Reading {
    /// Whether it counts (has a value in the column, if one is counted).
    Counts(Option<ColumnId>),
    /// Whether its value passes the target's own comparison: any row that does decides a least or greatest value.
    Passes(ColumnId, Relation, Constant),
    /// Its value. A row that the filter leaves out adds nothing to a sum, and says nothing of a mean.
    Amount(ColumnId, Option<f64>),
}

impl Atom {
    /// The atom of the target's first aggregate that has one. `None` when the target reads several tables.
    pub(super) fn of(task: &Task) -> Option<Self> {
        let aggregates = task.target_aggregates();
        let first = *aggregates.first()?;
        if aggregates.iter().any(|aggregate| aggregate.table != first.table || aggregate.via != first.via) {
            return None;
        }
        let mut comparisons = Vec::new();
        match &task.target {
            Target::Condition(condition) => leaves(condition, &mut comparisons),
            Target::Aggregate(aggregate) => comparisons.push((aggregate, None)),
            Target::Column(_) => {}
        }
        comparisons.into_iter().find_map(|(aggregate, comparison)| {
            let reading = reading(aggregate, comparison)?;
            let filter = aggregate.filter.as_deref().cloned();
            Some(Self { table: aggregate.table, via: aggregate.via.clone(), filter, reading })
        })
    }

    pub(super) fn value(&self, row: &Row) -> Option<f64> {
        let kept = keeps(self.filter.as_ref(), row);
        let indicator = |holds: bool| f64::from(u8::from(holds));
        match &self.reading {
            Reading::Counts(column) => {
                Some(indicator(kept && column.is_none_or(|column| !row.value(column).is_null())))
            }
            Reading::Passes(..) if !kept => None,
            Reading::Passes(column, relation, constant) => {
                compare(row.value(*column), *relation, constant).map(indicator)
            }
            Reading::Amount(_, outside) if !kept => *outside,
            Reading::Amount(column, _) => row.value(*column).as_f64(),
        }
    }
}

type Comparison<'a> = (Relation, &'a Constant);

fn leaves<'a>(condition: &'a Condition, into: &mut Vec<(&'a Aggregate, Option<Comparison<'a>>)>) {
    match condition {
        Condition::Compare { operand: Operand::Aggregate(aggregate), relation, constant } => {
            into.push((aggregate, Some((*relation, constant))));
        }
        Condition::Compare { .. } => {}
        Condition::Not(inner) => leaves(inner, into),
        Condition::And(parts) | Condition::Or(parts) => parts.iter().for_each(|part| leaves(part, into)),
    }
}

fn reading(aggregate: &Aggregate, comparison: Option<Comparison<'_>>) -> Option<Reading> {
    match aggregate.function {
        Function::Count if aggregate.column.is_none() && aggregate.filter.is_none() => None,
        Function::Count => Some(Reading::Counts(aggregate.column)),
        Function::CountDistinct | Function::ListDistinct => aggregate.filter.as_ref().map(|_| Reading::Counts(None)),
        Function::Sum => Some(Reading::Amount(aggregate.column?, Some(0.0))),
        Function::Avg => Some(Reading::Amount(aggregate.column?, None)),
        Function::Min | Function::Max | Function::First | Function::Last => {
            let column = aggregate.column?;
            Some(match comparison {
                Some((relation, constant)) => Reading::Passes(column, relation, constant.clone()),
                None => Reading::Amount(column, None),
            })
        }
    }
}
