//! A syntax tree to a task: every name looked up, every type checked.

mod aggregate;
mod condition;
mod constant;
mod kind;
mod names;

use relational::{ColumnRef, DataType, Key, Operand, Problem, Relation, Schema, SemanticType, TableId, Target, Task};

use crate::error::Fault;
use crate::resolve::constant::Comparand;
use crate::syntax;

pub(crate) use constant::result_type;
pub(crate) use kind::is_free_text;
pub(crate) use names::nearest;

/// The task that the query says.
pub(crate) fn task(name: &str, text: &str, query: &syntax::Query, schema: &Schema) -> Result<Task, Fault> {
    let resolver = Resolver { schema, entity: entity(schema, &query.entity)? };
    let only = query.only.as_ref().map(|constant| resolver.only(&query.entity, constant)).transpose()?;
    let target = resolver.target(&query.target)?;
    let problem = query.problem.as_ref().map_or(Problem::Plain, |problem| problem.asked);
    let kind = kind::of(schema, &target, &query.target, query.problem.as_ref())?;
    let population = query.population.as_ref();
    let assuming = query.assuming.as_ref();
    Ok(Task {
        name: name.to_owned(),
        query: text.to_owned(),
        entity: resolver.entity,
        only,
        target,
        problem,
        kind,
        population: population.map(|condition| resolver.condition(Place::Population, condition)).transpose()?,
        assuming: assuming.map(|condition| resolver.condition(Place::Assuming, condition)).transpose()?,
    })
}

/// Where a condition stands, which decides what it may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// What is predicted: columns of the entity, or windows after the anchor.
    Target,
    /// Who is predicted for: columns of the entity, and windows before the anchor.
    Population,
    /// What is assumed: windows after the anchor.
    Assuming,
    /// Inside an aggregate over this table: its columns only.
    Filter(TableId),
}

struct Resolver<'a> {
    schema: &'a Schema,
    entity: TableId,
}

/// The table whose rows are predicted for, named by a column of its key.
fn entity(schema: &Schema, column: &syntax::Column) -> Result<TableId, Fault> {
    let id = names::table(schema, &column.table)?;
    let table = schema.table(id);
    let keys: Vec<String> = table.key.iter().map(|key| names::written(schema, id, *key)).collect();
    if keys.is_empty() {
        let message = format!("table `{}` has no primary key, so its rows cannot be predicted for", table.name);
        return Err(Fault::new(column.span, message).hint("give the table a key in its schema"));
    }
    let Some(name) = &column.column else {
        return Ok(id);
    };
    let found = names::column(schema, id, name)?;
    if !table.key.contains(&found) {
        let message = format!("column `{}` is not the key of table `{}`", name.text, table.name);
        return Err(Fault::new(name.span, message).hint(format!("rows are named by their key: {}", keys.join(" or "))));
    }
    Ok(id)
}

impl Resolver<'_> {
    /// The entities that the query names one by one.
    fn only(&self, column: &syntax::Column, constant: &syntax::Constant) -> Result<Vec<Key>, Fault> {
        let table = self.schema.table(self.entity);
        let [key] = table.key[..] else {
            let message = format!("the key of table `{}` has {} columns", table.name, table.key.len());
            let fault = Fault::new(constant.span(), format!("{message}, so one value does not name a row"));
            return Err(fault.hint("leave the list out, or filter with WHERE"));
        };
        let comparand = Comparand::column(self.schema, ColumnRef { table: self.entity, column: key });
        let literals = match constant {
            syntax::Constant::One(literal) => std::slice::from_ref(literal),
            syntax::Constant::Many(literals, _) => literals,
        };
        let mut keys = Vec::new();
        for literal in literals {
            let value = comparand.value(literal)?;
            if value.is_null() {
                return Err(Fault::new(literal.span, format!("the key {} is never null", comparand.name())));
            }
            if comparand.data_type() == DataType::Date && !matches!(value, relational::Value::Date(_)) {
                return Err(Fault::new(column.span.to(literal.span), "a key of type date is a day without a time"));
            }
            let key = Key::single(value);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    fn target(&self, condition: &syntax::Condition) -> Result<Target, Fault> {
        match condition {
            syntax::Condition::Bare(operand) => match self.operand(Place::Target, operand)? {
                (Operand::Column(column), _) => Ok(Target::Column(column)),
                (Operand::Aggregate(aggregate), _) => Ok(Target::Aggregate(aggregate)),
            },
            condition => self.condition(Place::Target, condition).map(Target::Condition),
        }
    }

    fn operand(&self, place: Place, operand: &syntax::Operand) -> Result<(Operand, Comparand), Fault> {
        match operand {
            syntax::Operand::Column(column) => {
                let found = self.column(place, column)?;
                Ok((Operand::Column(found), Comparand::column(self.schema, found)))
            }
            syntax::Operand::Aggregate(aggregate) => {
                let found = self.aggregate(place, aggregate)?;
                let comparand = Comparand::aggregate(self.schema, &found);
                Ok((Operand::Aggregate(found), comparand))
            }
        }
    }

    /// A column that stands by itself, not in an aggregate's head.
    fn column(&self, place: Place, column: &syntax::Column) -> Result<ColumnRef, Fault> {
        let table = names::table(self.schema, &column.table)?;
        let Some(name) = &column.column else {
            let fault = Fault::new(column.span, "`*` stands for rows, which only COUNT can take");
            return Err(fault.hint(format!("name a column, or write COUNT({}.*)", column.table.text)));
        };
        let found = ColumnRef { table, column: names::column(self.schema, table, name)? };
        let written = format!("`{}.{}`", column.table.text, name.text);
        let entity = &self.schema.table(self.entity).name;
        match place {
            Place::Filter(wanted) if table != wanted => {
                let wanted = &self.schema.table(wanted).name;
                let message = format!("a filter inside an aggregate over `{wanted}` reads columns of `{wanted}` only");
                return Err(Fault::new(column.span, message));
            }
            Place::Assuming => {
                let message = format!("ASSUMING speaks of what happens after the anchor, and {written} is no window");
                return Err(Fault::new(column.span, message).hint("a column of the entity belongs into WHERE"));
            }
            Place::Target | Place::Population if table != self.entity => {
                let message = format!("{written} is not a column of the entity's table `{entity}`");
                let fault = Fault::new(column.span, message);
                let is_child = self.schema.children_of(self.entity).any(|(_, link)| link.child == table);
                return Err(if is_child {
                    fault.hint(format!("aggregate it, as in {}", self.aggregated(place, table, &name.text)))
                } else {
                    fault.hint("columns of other tables are read by aggregates, over tables that point at the entity")
                });
            }
            Place::Target => self.check_target_column(column, found)?,
            Place::Population | Place::Filter(_) => {}
        }
        Ok(found)
    }

    fn aggregated(&self, place: Place, table: TableId, column: &str) -> String {
        let table = self.schema.table(table);
        let window = match (place, table.time) {
            (Place::Target, _) => ", 0, 30, days",
            (_, Some(_)) => ", -INF, 0",
            (_, None) => "",
        };
        format!("LAST({}.{column}{window})", table.name)
    }

    fn check_target_column(&self, written: &syntax::Column, column: ColumnRef) -> Result<(), Fault> {
        let table = self.schema.table(column.table);
        let definition = &table.columns[usize::from(column.column.0)];
        let refused = if table.key.contains(&column.column) {
            "the key of its table: it names the row and cannot be predicted"
        } else if table.time == Some(column.column) {
            "the time of its row: it is known as soon as the row is"
        } else if definition.data_type == DataType::Bytes {
            "bytes, which cannot be predicted"
        } else {
            return Ok(());
        };
        Err(Fault::new(written.span, format!("`{}.{}` is {refused}", table.name, definition.name)))
    }
}

/// How a column is meant when it is predicted. A column that is ignored as a feature can still be a target: it then
/// means what its type usually means.
pub(crate) fn semantic(schema: &Schema, column: ColumnRef) -> SemanticType {
    let definition = &schema.table(column.table).columns[usize::from(column.column.0)];
    match definition.semantic {
        SemanticType::Ignore => SemanticType::of(definition.data_type),
        semantic => semantic,
    }
}

/// Whether the relation compares order.
fn is_ordering(relation: Relation) -> bool {
    matches!(relation, Relation::Less | Relation::LessOrEqual | Relation::Greater | Relation::GreaterOrEqual)
}
