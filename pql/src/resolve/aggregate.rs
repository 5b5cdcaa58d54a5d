//! Aggregates: over which rows, of which column, when.

use relational::{
    Aggregate, ColumnId, DataType, EventTime, ForeignKeyId, Function, RelativeWindow, SemanticType, TableId, limits,
};

use super::{Place, Resolver, names, semantic};
use crate::error::Fault;
use crate::parser::function_name;
use crate::syntax;

impl Resolver<'_> {
    pub(super) fn aggregate(&self, place: Place, written: &syntax::Aggregate) -> Result<Aggregate, Fault> {
        if let Place::Filter(_) = place {
            return Err(Fault::new(written.span, "an aggregate cannot stand inside another aggregate"));
        }
        let table = names::table(self.schema, &written.column.table)?;
        let name = written.column.column.as_ref();
        let column = name.map(|name| names::column(self.schema, table, name)).transpose()?;
        let via = self.via(&written.column, table)?;
        self.check_function(written, table, column)?;
        let window = self.window(place, written, table)?;
        let filter = written.filter.as_ref().map(|filter| self.condition(Place::Filter(table), filter)).transpose()?;
        Ok(Aggregate { function: written.function, table, column, filter: filter.map(Box::new), window, via })
    }

    /// The foreign keys by which rows of `child` point at the entity.
    fn via(&self, written: &syntax::Column, child: TableId) -> Result<Vec<ForeignKeyId>, Fault> {
        let direct = |child: TableId, parent: TableId| {
            self.schema.parents_of(child).filter(move |(_, link)| link.parent == parent).map(|(id, _)| id)
        };
        let via: Vec<ForeignKeyId> = direct(child, self.entity).collect();
        if !via.is_empty() {
            return Ok(via);
        }
        let name = |table: TableId| self.schema.table(table).name.as_str();
        let (child_name, entity) = (name(child), name(self.entity));
        let between = self.schema.parents_of(child).find(|(_, link)| direct(link.parent, self.entity).next().is_some());
        let message = if child == self.entity {
            format!("`{entity}` is the entity's own table, and an aggregate needs rows that point at the entity")
        } else if let Some((_, link)) = between {
            let through = name(link.parent);
            format!(
                "`{child_name}` points at `{entity}` only through `{through}`, and an aggregate follows one foreign key"
            )
        } else if direct(self.entity, child).next().is_some() {
            format!("`{entity}` points at `{child_name}`, and an aggregate needs rows that point at the entity")
        } else {
            format!("`{child_name}` has no foreign key to the entity's table `{entity}`")
        };
        let mut pointing: Vec<&str> = self.schema.children_of(self.entity).map(|(_, link)| name(link.child)).collect();
        pointing.dedup();
        let pointing: Vec<String> = pointing.into_iter().map(|table| format!("`{table}`")).collect();
        let fault = Fault::new(written.table.span, message);
        Err(if pointing.is_empty() {
            fault.hint(format!("no table has a foreign key to `{entity}`"))
        } else {
            fault.hint(format!("tables with a foreign key to `{entity}`: {}", pointing.join(", ")))
        })
    }

    /// Whether the function can be computed of this column.
    fn check_function(
        &self,
        written: &syntax::Aggregate,
        table: TableId,
        column: Option<ColumnId>,
    ) -> Result<(), Fault> {
        let (function, span) = (written.function, written.column.span);
        let name = function_name(function);
        let Some(column) = column else {
            return match function {
                Function::Count => Ok(()),
                _ => Err(Fault::new(span, format!("{name} needs a column; only COUNT takes `*`"))),
            };
        };
        let definition = &self.schema.table(table).columns[usize::from(column.0)];
        let is_id = semantic(self.schema, relational::ColumnRef { table, column }) == SemanticType::Id;
        let number = matches!(definition.data_type, DataType::Int | DataType::Decimal | DataType::Float);
        let time = matches!(definition.data_type, DataType::Time | DataType::Date);
        let (fits, wanted) = match function {
            Function::Sum | Function::Avg => {
                ((number && !is_id) || definition.data_type == DataType::Bool, "numbers or booleans")
            }
            Function::Min | Function::Max => (number || time, "numbers or times"),
            Function::First | Function::Last | Function::CountDistinct | Function::ListDistinct => {
                (!matches!(definition.data_type, DataType::Bytes | DataType::List), "single values")
            }
            Function::Count => (true, ""),
        };
        if fits {
            return Ok(());
        }
        let what = if number && is_id { "an id" } else { definition.data_type.name() };
        Err(Fault::new(span, format!("{name} needs {wanted}, and `{}` is {what}", definition.name)))
    }

    /// The window, which must lie on the right side of the anchor.
    fn window(
        &self,
        place: Place,
        written: &syntax::Aggregate,
        table: TableId,
    ) -> Result<Option<RelativeWindow>, Fault> {
        let Some(window) = written.window else {
            return match place {
                Place::Population | Place::Filter(_) => Ok(None),
                Place::Target | Place::Assuming => {
                    let fault = Fault::new(written.span, format!("{} needs a window after the anchor", place.name()));
                    Err(fault.hint("write it before the closing bracket: 0, 30, days"))
                }
            };
        };
        if self.schema.table(table).time.is_none() {
            let message =
                format!("table `{}` has no time column, so its rows lie in no window", written.column.table.text);
            return Err(Fault::new(window.span, message).hint("leave the window out, or give the table a time column"));
        }
        let too_far = |count: i64| window.unit.after(EventTime(0), count).0.abs() > limits::WINDOW_MICROS_MAX;
        if window.start.is_some_and(too_far) || too_far(window.end) {
            return Err(Fault::new(window.span, "the window reaches further than 1,000 years"));
        }
        if window.start.is_some_and(|start| start >= window.end) {
            return Err(Fault::new(window.span, "the window is empty: its end is not after its start")
                .hint("the start is the earlier end: -30, 0 looks back and 0, 30 ahead"));
        }
        place.check_side(window)?;
        Ok(Some(RelativeWindow { start: window.start, end: window.end, unit: window.unit }))
    }
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Target => "the target",
            Self::Assuming => "ASSUMING",
            Self::Population => "WHERE",
            Self::Filter(_) => "a filter",
        }
    }

    fn check_side(self, window: syntax::Window) -> Result<(), Fault> {
        let ahead = window.start.is_some_and(|start| start >= 0);
        let back = window.end <= 0;
        match self {
            Self::Target if !ahead => Err(Fault::new(window.span, "the target's window begins before the anchor")
                .hint("what is already known is not predicted: begin at 0 or later, and put filters into WHERE")),
            Self::Assuming if !ahead => Err(Fault::new(window.span, "the window of ASSUMING begins before the anchor")
                .hint("what is already known belongs into WHERE")),
            Self::Population if !back => Err(Fault::new(window.span, "the window of WHERE ends after the anchor")
                .hint("who is predicted for must be known at the anchor: end at 0 or before, or use ASSUMING")),
            _ => Ok(()),
        }
    }
}
