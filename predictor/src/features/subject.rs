//! What a task means for its features.

use graph_store::Version;
use relational::{ColumnId, DataType, EventTime, Schema, SemanticType, TableId, Target, Task};

use crate::executor::Executor;

/// What a task means for its features.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// The table whose rows are predicted for.
    pub(crate) entity: TableId,
    /// Whether the label is a column of the row itself: then the query's time is the row's own, and history is that of
    /// its parents.
    pub(crate) is_static: bool,
    /// h, the unit of time of all windows, in microseconds: the longer of horizon and label delay; a week when both
    /// are zero.
    pub(crate) unit_micros: i64,
    /// How far the windows of past targets are apart, in microseconds: the horizon.
    pub(crate) step_micros: i64,
    /// How long after its window a label is known, in microseconds.
    pub(crate) delay_micros: i64,
    /// The entity's columns that the target is made of.
    pub(crate) masked: Vec<ColumnId>,
    /// The entity's columns that may not be read of the row that is predicted for: the masked ones, and for row-level
    /// tasks those that arrive after the row.
    pub(crate) hidden: Vec<ColumnId>,
    /// The child table whose rows have an atom of the target.
    pub(crate) atom_table: Option<TableId>,
    /// How the labels of earlier siblings are read; row-level tasks only.
    pub(crate) label: Label,
}

/// How the label of an earlier row is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Label {
    /// A column that is a number.
    Number(ColumnId),
    /// A column that names a class.
    Category(ColumnId),
    /// The executor says.
    Target,
}

impl Subject {
    /// Of an executor's task.
    pub(crate) fn of(executor: &Executor) -> Self {
        let (task, schema): (&Task, &Schema) = (executor.task(), executor.schema());
        let is_static = task.is_static();
        let delay_micros = task.label_delay(schema);
        let unit = task.horizon().max(delay_micros);
        let columns = &schema.table(task.entity).columns;
        let masked = task.own_target_columns();
        let mut hidden = masked.clone();
        if is_static {
            let late = schema.table(task.entity).columns().filter(|(_, column)| column.arrives_after > 0);
            hidden.extend(late.map(|(id, _)| id));
        }
        let label = match &task.target {
            Target::Column(column) => {
                let of = &columns[usize::from(column.column.0)];
                let number = matches!(of.semantic, SemanticType::Number | SemanticType::Time);
                if number || of.data_type == DataType::Bool {
                    Label::Number(column.column)
                } else {
                    Label::Category(column.column)
                }
            }
            Target::Condition(_) | Target::Aggregate(_) => Label::Target,
        };
        Self {
            entity: task.entity,
            is_static,
            step_micros: task.horizon().max(1),
            unit_micros: if unit > 0 { unit } else { 7 * EventTime::DAY },
            delay_micros,
            masked,
            hidden,
            atom_table: atom_table(executor),
            label,
        }
    }
}

impl Subject {
    /// The time that everything is counted back from: a row-level target is asked at the row's own time, where it has
    /// one.
    pub(crate) fn now(&self, cutoff: EventTime, entity: Option<&Version>) -> EventTime {
        let own = entity.map(|version| version.time).filter(|time| *time > EventTime::MIN);
        own.filter(|_| self.is_static).unwrap_or(cutoff)
    }

    /// Whether rows of the query's very time are left out: those of a row-level target with a time.
    pub(crate) fn strict(&self, entity: &Version) -> bool {
        self.is_static && entity.time > EventTime::MIN
    }

    /// The last time at which rows are seen.
    pub(crate) fn end(&self, cutoff: EventTime, entity: &Version) -> EventTime {
        let now = self.now(cutoff, Some(entity));
        if self.strict(entity) { now.plus(-1) } else { now }
    }
}

/// Not where the atom is a plain column: that is a number of its stream already.
fn atom_table(executor: &Executor) -> Option<TableId> {
    let plain = match &executor.task().target {
        Target::Aggregate(aggregate) => aggregate.column.is_some() && aggregate.filter.is_none(),
        Target::Condition(_) | Target::Column(_) => false,
    };
    executor.atom_table().map(|(table, _)| table).filter(|_| !plain)
}
