//! A task back to text.

use std::fmt::{self, Display, Formatter, Write as _};

use relational::{
    Aggregate, ColumnId, ColumnRef, Condition, Constant, EventTime, Operand, Problem, Relation, Schema, TableId,
    Target, Task, Value,
};

use crate::parser::{function_name, relation_name, unit_name};

/// The task's query in its canonical form: one line, keywords in capitals, every unit written, no bracket that means
/// nothing. Compiling it against the same schema gives the same task (except for [`Task::query`]), as long as it is
/// not longer than [`relational::limits::QUERY_BYTES_MAX`].
///
/// # Panics
///
/// When the task is not of this schema.
#[must_use]
pub fn print(task: &Task, schema: &Schema) -> String {
    let shown = |condition| Shown { schema, condition, inside: Inside::Nothing };
    let target = print_target(task, schema);
    let mut text = format!("PREDICT {target}{} FOR EACH {}", problem_text(task.problem), entity_text(task, schema));
    for (keyword, condition) in [("WHERE", &task.population), ("ASSUMING", &task.assuming)] {
        if let Some(condition) = condition {
            write!(text, " {keyword} {}", shown(condition)).expect("writing to a string cannot fail");
        }
    }
    text
}

/// The target alone, in its canonical form.
///
/// # Panics
///
/// When the task is not of this schema.
#[must_use]
pub fn print_target(task: &Task, schema: &Schema) -> String {
    match &task.target {
        Target::Condition(condition) => print_condition(condition, schema),
        Target::Aggregate(aggregate) => aggregate_text(schema, aggregate),
        Target::Column(column) => column_text(schema, column.table, Some(column.column)),
    }
}

/// A condition in its canonical form.
///
/// # Panics
///
/// When the condition is not of this schema.
#[must_use]
pub fn print_condition(condition: &Condition, schema: &Schema) -> String {
    Shown { schema, condition, inside: Inside::Nothing }.to_string()
}

fn problem_text(problem: Problem) -> String {
    let top = |top: Option<u32>| top.map_or_else(String::new, |top| format!(" TOP {top}"));
    match problem {
        Problem::Plain => String::new(),
        Problem::Classify { top: count } => format!(" CLASSIFY{}", top(count)),
        Problem::Rank { top: count } => format!(" RANK{}", top(count)),
        Problem::Forecast { steps } => format!(" FORECAST {steps} TIMEFRAMES"),
    }
}

fn entity_text(task: &Task, schema: &Schema) -> String {
    let column = match schema.table(task.entity).key[..] {
        [column] => Some(column),
        _ => None,
    };
    let entity = column_text(schema, task.entity, column);
    let values =
        |keys: &[relational::Key]| -> Vec<Value> { keys.iter().flat_map(|key| key.values().to_vec()).collect() };
    match task.only.as_deref().map(values).as_deref() {
        None => entity,
        Some([value]) => format!("{entity} = {}", Literal(value)),
        Some(values) => format!("{entity} IN {}", list_text(values)),
    }
}

fn aggregate_text(schema: &Schema, aggregate: &Aggregate) -> String {
    let column = column_text(schema, aggregate.table, aggregate.column);
    let mut text = format!("{}({column}", function_name(aggregate.function));
    if let Some(condition) = &aggregate.filter {
        text += &format!(" WHERE {}", Shown { schema, condition, inside: Inside::Nothing });
    }
    if let Some(window) = &aggregate.window {
        let start = window.start.map_or_else(|| "-INF".to_owned(), |start| start.to_string());
        text += &format!(", {start}, {}, {}", window.end, unit_name(window.unit));
    }
    text + ")"
}

/// `table.column`, or `table.*`.
fn column_text(schema: &Schema, table: TableId, column: Option<ColumnId>) -> String {
    let table = schema.table(table);
    let name = column.map_or_else(|| "*".to_owned(), |id| quoted(&table.columns[usize::from(id.0)].name));
    format!("{}.{name}", quoted(&table.name))
}

/// A name, back-quoted unless it reads as one word.
fn quoted(name: &str) -> String {
    let starts = name.starts_with(|first: char| first.is_alphabetic() || first == '_');
    if starts && name.chars().all(|character| character.is_alphanumeric() || character == '_') {
        name.to_owned()
    } else {
        format!("`{}`", name.replace('`', "``"))
    }
}

fn list_text(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(|value| Literal(value).to_string()).collect();
    format!("({})", values.join(", "))
}

/// What a condition stands in: a condition of another kind needs brackets there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    Or,
    And,
    Not,
}

struct Shown<'a> {
    schema: &'a Schema,
    condition: &'a Condition,
    inside: Inside,
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let within = |condition, inside| Shown { schema: self.schema, condition, inside };
        let (parts, joined, keyword) = match self.condition {
            Condition::Compare { operand, relation, constant } => {
                return self.comparison(f, operand, relation_name(*relation), constant);
            }
            Condition::Not(inner) => {
                return match &**inner {
                    Condition::Compare { operand, relation: Relation::In, constant } => {
                        self.comparison(f, operand, "NOT IN", constant)
                    }
                    inner => write!(f, "NOT {}", within(inner, Inside::Not)),
                };
            }
            Condition::And(parts) => (parts, Inside::And, " AND "),
            Condition::Or(parts) => (parts, Inside::Or, " OR "),
        };
        // AND binds closer than OR, so only an AND inside an OR stands without brackets.
        let bare = self.inside == Inside::Nothing || (self.inside == Inside::Or && joined == Inside::And);
        f.write_str(if bare { "" } else { "(" })?;
        for (index, part) in parts.iter().enumerate() {
            f.write_str(if index > 0 { keyword } else { "" })?;
            within(part, joined).fmt(f)?;
        }
        f.write_str(if bare { "" } else { ")" })
    }
}

impl Shown<'_> {
    fn comparison(&self, f: &mut Formatter<'_>, left: &Operand, relation: &str, constant: &Constant) -> fmt::Result {
        let left = match left {
            Operand::Column(ColumnRef { table, column }) => column_text(self.schema, *table, Some(*column)),
            Operand::Aggregate(aggregate) => aggregate_text(self.schema, aggregate),
        };
        match constant {
            Constant::Value(value) => write!(f, "{left} {relation} {}", Literal(value)),
            Constant::List(values) => write!(f, "{left} {relation} {}", list_text(values)),
        }
    }
}

/// A value as a literal that reads back as the same value.
struct Literal<'a>(&'a Value);

impl Display for Literal<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("NULL"),
            Value::Bool(true) => f.write_str("TRUE"),
            Value::Bool(false) => f.write_str("FALSE"),
            // The shortest text that reads back as the same float, with a point or an exponent.
            Value::Float(float) => write!(f, "{float:?}"),
            Value::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Value::Time(EventTime(_)) | Value::Date(_) => {
                let text = self.0.to_string();
                // Only years of four digits can stand without quotes.
                if text.starts_with('-') { write!(f, "'{text}'") } else { f.write_str(&text) }
            }
            Value::Int(_) | Value::Decimal(_) | Value::Bytes(_) | Value::List(_) => self.0.fmt(f),
        }
    }
}
