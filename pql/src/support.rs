//! What this release's predictor cannot serve.

use relational::{Condition, DataType, Function, Operand, Problem, Schema, Target, Task, TaskKind, limits};

use crate::parser::function_name;
use crate::resolve::{is_free_text, result_type};

/// Why the predictor of this release cannot serve the task, in words that name what is missing; `None` when it can.
/// Everything that [`crate::compile`] accepts is typed; some of it has no model yet.
#[must_use]
pub fn unsupported(task: &Task, schema: &Schema) -> Option<String> {
    let reason = match task.problem {
        Problem::Rank { .. } if matches!(task.target, Target::Column(_)) => {
            "RANK of a column of the row itself: this release ranks what rows in a window will point at; leave RANK out for a probability of each class"
        }
        Problem::Rank { top: Some(top) } if top > limits::RANK_TOP_MAX => {
            return Some(format!("RANK TOP {top}: this release ranks at most {} rows", limits::RANK_TOP_MAX));
        }
        Problem::Forecast { steps } if steps > limits::FORECAST_STEPS_MAX => {
            let most = limits::FORECAST_STEPS_MAX;
            return Some(format!(
                "FORECAST with {steps} timeframes: each is fitted by itself, at most {most}; ask for fewer, longer ones"
            ));
        }
        Problem::Classify { top: Some(_) } if !is_list(&task.target, schema) => {
            "CLASSIFY with TOP: a score of this release holds the probability of every class; leave TOP out"
        }
        _ if task.kind != TaskKind::Ranking && is_list(&task.target, schema) => {
            "a list as target (multilabel classification): this release predicts one class per entity"
        }
        _ if is_free_text(schema, &task.target) => {
            "free text as target: this release predicts classes and numbers; declare the column a category if it has few values"
        }
        _ if is_mixed(&task.target) => {
            "a target that mixes columns of the entity with windows: move the columns into WHERE"
        }
        _ => return compares_lists(task),
    };
    Some(reason.to_owned())
}

fn is_list(target: &Target, schema: &Schema) -> bool {
    match target {
        Target::Condition(_) => false,
        Target::Aggregate(aggregate) => result_type(schema, aggregate) == DataType::List,
        Target::Column(column) => {
            schema.table(column.table).columns[usize::from(column.column.0)].data_type == DataType::List
        }
    }
}

/// Whether one condition reads both a column of the entity and a window: the two are known at different times.
fn is_mixed(target: &Target) -> bool {
    let Target::Condition(condition) = target else {
        return false;
    };
    !condition.aggregates().is_empty() && has_column(condition)
}

fn has_column(condition: &Condition) -> bool {
    match condition {
        Condition::Compare { operand, .. } => matches!(operand, Operand::Column(_)),
        Condition::Not(inner) => has_column(inner),
        Condition::And(parts) | Condition::Or(parts) => parts.iter().any(has_column),
    }
}

fn compares_lists(task: &Task) -> Option<String> {
    let target = match &task.target {
        Target::Condition(condition) => Some(condition),
        Target::Aggregate(_) | Target::Column(_) => None,
    };
    let conditions = target.into_iter().chain(&task.population).chain(&task.assuming);
    let list = conditions.flat_map(Condition::aggregates).find(|read| read.function == Function::ListDistinct)?;
    Some(format!("{} in a condition: this release compares single values", function_name(list.function)))
}
