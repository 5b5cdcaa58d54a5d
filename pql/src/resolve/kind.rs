//! The kind of prediction, which follows from the target and how it is asked for.

use relational::{
    Aggregate, ColumnRef, Condition, DataType, Function, Problem, Schema, SemanticType, TableId, Target, TaskKind,
};

use super::constant::result_type;
use super::semantic;
use crate::error::Fault;
use crate::parser::function_name;
use crate::syntax;

/// Consecutive windows of one forecast at most.
const STEPS_MAX: u32 = 10_000;

/// The kind of the task, or why the problem does not fit the target.
pub(crate) fn of(
    schema: &Schema,
    target: &Target,
    written: &syntax::Condition,
    problem: Option<&syntax::Problem>,
) -> Result<TaskKind, Fault> {
    let asked = problem.map_or(Problem::Plain, |problem| problem.asked);
    let kind = match target {
        Target::Condition(condition) => of_condition(condition, asked),
        Target::Aggregate(aggregate) => of_aggregate(schema, aggregate, asked),
        Target::Column(column) => of_column(schema, *column, asked),
    };
    kind.map_err(|message| Fault::new(problem.map_or(written.span(), |problem| problem.span), message))
}

fn of_condition(condition: &Condition, asked: Problem) -> Result<TaskKind, String> {
    match asked {
        Problem::Plain | Problem::Classify { top: None } => Ok(TaskKind::Binary),
        Problem::Classify { top: Some(_) } => Err("a condition has two classes, so TOP means nothing".to_owned()),
        Problem::Rank { .. } => {
            Err("RANK needs LIST_DISTINCT or a foreign key as its target, not a condition".to_owned())
        }
        Problem::Forecast { steps } => {
            let windows: Vec<_> = condition.aggregates().iter().map(|aggregate| aggregate.window).collect();
            match windows.as_slice() {
                [] => Err("FORECAST needs a window, and the target has none".to_owned()),
                [first, others @ ..] if others.iter().any(|other| other != first) => {
                    Err("FORECAST moves one window on, and the target has several".to_owned())
                }
                _ => forecast(steps, TaskKind::Binary),
            }
        }
    }
}

/// The kind of a forecast of so many timeframes of this kind.
fn forecast(steps: u32, of_one: TaskKind) -> Result<TaskKind, String> {
    match steps {
        1 => Ok(of_one),
        2..=STEPS_MAX => Ok(TaskKind::Forecast),
        _ => Err(format!("FORECAST takes at most {STEPS_MAX} timeframes")),
    }
}

fn of_aggregate(schema: &Schema, aggregate: &Aggregate, asked: Problem) -> Result<TaskKind, String> {
    let name = function_name(aggregate.function);
    let data_type = result_type(schema, aggregate);
    let plain = match (aggregate.function, aggregate.column) {
        (Function::First | Function::Last, Some(column)) => {
            TaskKind::of_column(data_type, semantic(schema, ColumnRef { table: aggregate.table, column }))
        }
        _ => TaskKind::Regression,
    };
    if aggregate.function == Function::ListDistinct {
        return of_list(schema, aggregate, asked);
    }
    match asked {
        Problem::Plain => Ok(plain),
        Problem::Classify { top } => {
            classes(data_type, top).ok_or_else(|| format!("the values of {name} are no classes"))
        }
        Problem::Rank { .. } => Err(format!("RANK needs LIST_DISTINCT as its target, not {name}")),
        Problem::Forecast { .. } if plain != TaskKind::Regression => {
            Err("FORECAST needs an aggregate whose value is a number".to_owned())
        }
        Problem::Forecast { steps } => forecast(steps, TaskKind::Regression),
    }
}

fn of_list(schema: &Schema, aggregate: &Aggregate, asked: Problem) -> Result<TaskKind, String> {
    let links = aggregate.column.is_some_and(|column| is_link(schema, ColumnRef { table: aggregate.table, column }));
    match asked {
        Problem::Classify { .. } => Ok(TaskKind::Multiclass),
        Problem::Forecast { .. } => Err("FORECAST needs an aggregate whose value is a number".to_owned()),
        Problem::Plain | Problem::Rank { .. } if links => Ok(TaskKind::Ranking),
        Problem::Plain | Problem::Rank { .. } => {
            Err("LIST_DISTINCT predicts links, so it needs a foreign key".to_owned())
        }
    }
}

fn of_column(schema: &Schema, column: ColumnRef, asked: Problem) -> Result<TaskKind, String> {
    let data_type = schema.table(column.table).columns[usize::from(column.column.0)].data_type;
    match asked {
        Problem::Plain => Ok(TaskKind::of_column(data_type, semantic(schema, column))),
        Problem::Classify { top } => {
            classes(data_type, top).ok_or_else(|| format!("values of type {} are no classes", data_type.name()))
        }
        Problem::Rank { .. } if is_link(schema, column) => Ok(TaskKind::Ranking),
        Problem::Rank { .. } => Err("RANK needs LIST_DISTINCT or a foreign key as its target".to_owned()),
        Problem::Forecast { .. } => Err("FORECAST needs an aggregate as its target, not a column".to_owned()),
    }
}

/// What `CLASSIFY` makes of values of this type; `None` when they cannot be classes.
fn classes(data_type: DataType, top: Option<u32>) -> Option<TaskKind> {
    match data_type {
        DataType::Bool if top.is_none() => Some(TaskKind::Binary),
        DataType::Bool | DataType::Int | DataType::Decimal | DataType::Text | DataType::List => {
            Some(TaskKind::Multiclass)
        }
        DataType::Float | DataType::Time | DataType::Date | DataType::Bytes => None,
    }
}

fn is_link(schema: &Schema, column: ColumnRef) -> bool {
    let of_table = |table: TableId| schema.parents_of(table);
    of_table(column.table).any(|(_, link)| link.columns == [column.column])
}

/// Whether the target is free text, which no kind fits.
pub(crate) fn is_free_text(schema: &Schema, target: &Target) -> bool {
    let column = match target {
        Target::Column(column) => *column,
        Target::Aggregate(Aggregate {
            function: Function::First | Function::Last,
            table,
            column: Some(column),
            ..
        }) => ColumnRef { table: *table, column: *column },
        _ => return false,
    };
    semantic(schema, column) == SemanticType::Text
}
