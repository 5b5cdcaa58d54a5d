//! An explanation in one sentence.

use relational::{
    Aggregate, Condition, Constant, Function, Operand, Relation, RelativeWindow, Schema, Target, Task, Value,
};

use super::{ColumnEffect, Explanation, Measure, Subject, table_name};

/// `0.81 that customers 17 has no orders in the next 30 days: mostly because the newest of 12 rows of orders is 63 days
/// old (+0.22).`
pub(super) fn sentence(explanation: &Explanation, of: &Subject<'_>) -> String {
    let opening = opening(explanation, of);
    let Some(first) = explanation.columns.first().filter(|column| column.adds != 0.0) else {
        return format!("{opening}: nothing that was read of it moves the score.");
    };
    let up = first.adds > 0.0;
    let same = explanation.columns.iter().filter(|column| column.adds != 0.0 && (column.adds > 0.0) == up);
    let reasons: Vec<String> = same.take(2).map(clause).collect();
    let mut text = format!("{opening}: mostly because {}", reasons.join(" and "));
    if let Some(against) = explanation.columns.iter().find(|column| column.adds != 0.0 && (column.adds > 0.0) != up) {
        text += &format!(", although {}", clause(against));
    }
    if let Some(row) = explanation.rows.first().filter(|row| row.adds != 0.0) {
        text += &format!("; of single rows {} matters most ({})", row.name(of.schema), signed(row.adds));
    }
    text + "."
}

fn opening(explanation: &Explanation, Subject { task, schema, entity }: &Subject<'_>) -> String {
    let who = format!("{} {entity}", table_name(schema, task.entity));
    let score = number(explanation.score);
    match &explanation.measure {
        Measure::Probability => match &task.target {
            Target::Condition(condition) => match counted(condition, schema) {
                Some(has) => format!("{score} that {who} {has}"),
                None => format!("{score} that {} for {who}", pql::print_target(task, schema)),
            },
            _ => format!("{score} that {} for {who}", target(task, schema)),
        },
        Measure::Class(class) => format!("{score} that {} is {class} for {who}", target(task, schema)),
        Measure::Median => format!("{score} is the median of {} for {who}", target(task, schema)),
    }
}

fn target(task: &Task, schema: &Schema) -> String {
    pql::print_target(task, schema)
}

/// Words for whether there will be rows; `None` for every other condition.
fn counted(condition: &Condition, schema: &Schema) -> Option<String> {
    let Condition::Compare { operand: Operand::Aggregate(aggregate), relation, constant } = condition else {
        return None;
    };
    let Aggregate { function: Function::Count, table, column: None, filter, window: Some(window), .. } = aggregate
    else {
        return None;
    };
    let none = match (relation, constant) {
        (Relation::Equal, Constant::Value(Value::Int(0))) => true,
        (Relation::Greater, Constant::Value(Value::Int(0))) => false,
        _ => return None,
    };
    let filter =
        filter.as_ref().map_or_else(String::new, |filter| format!(" with {}", pql::print_condition(filter, schema)));
    let has = if none { "has no" } else { "has" };
    Some(format!("{has} {}{filter} {}", table_name(schema, *table), ahead(window)))
}

fn ahead(window: &RelativeWindow) -> String {
    let (end, unit) = (window.end, pql::unit_name(window.unit));
    match window.start {
        Some(0) => format!("in the next {end} {unit}"),
        Some(start) => format!("between {start} and {end} {unit} ahead"),
        None => format!("up to {end} {unit} ahead"),
    }
}

fn clause(column: &ColumnEffect) -> String {
    let says = if column.says.is_empty() { format!("of {}", column.column) } else { column.says.clone() };
    format!("{says} ({})", signed(column.adds))
}

fn signed(adds: f64) -> String {
    let text = number(adds.abs());
    let sign = if adds < 0.0 { '-' } else { '+' };
    format!("{sign}{text}")
}

/// Two digits behind the point; more for small numbers.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 0.1 => format!("{value:.2}"),
        size if size >= 1e-4 => format!("{value:.4}"),
        _ => format!("{value:.1e}"),
    }
}
