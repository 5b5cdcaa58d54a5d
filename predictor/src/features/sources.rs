//! Where features come from: all features of one column, whatever their windows and statistics, are of one source.

use relational::{Aggregate, ColumnId, Condition, Schema, TableId};

use crate::executor::Executor;

use super::plan::{Feature, Number, NumberSource, Plan, Rollup, Stream, columns_joined};
use super::subject::Subject;

/// What features tell something of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Season, weekday and time of the day of the query.
    Calendar,
    /// The entity's own past targets.
    Past,
    /// How many rows of a table without time there are.
    Rows(TableId),
    /// Columns of a table; its time column also stands for how many rows there are and when.
    Columns(TableId, Vec<ColumnId>),
}

/// A source, and everything of a query that it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) source: Source,
    /// Places of features.
    pub(crate) features: Vec<usize>,
    /// Whether the labels of [`crate::learn::Past`] are of this source.
    pub(crate) labels: bool,
    /// Whether its atoms are.
    pub(crate) atoms: bool,
    /// Coded tables and places of columns in them.
    pub(crate) coded: Vec<(usize, usize)>,
}

impl Source {
    /// How many rows of a table there are, and when.
    pub(crate) fn rows(schema: &Schema, table: TableId) -> Self {
        schema.table(table).time.map_or(Self::Rows(table), |time| Self::Columns(table, vec![time]))
    }

    /// `table.column`; columns that go together are joined by `+`.
    pub(crate) fn name(&self, schema: &Schema) -> String {
        match self {
            Self::Calendar => "calendar".into(),
            Self::Past => "past targets".into(),
            Self::Rows(table) => format!("{}.*", schema.table(*table).name),
            Self::Columns(table, columns) => {
                format!("{}.{}", schema.table(*table).name, columns_joined(schema, *table, columns))
            }
        }
    }
}

/// Every source of a plan, in the order of the features.
pub(super) fn sources(plan: &Plan, subject: &Subject, executor: &Executor) -> Vec<Told> {
    let schema = executor.schema();
    let mut all = Vec::new();
    for (place, feature) in plan.features.iter().enumerate() {
        told(&mut all, source(plan, subject, executor, feature)).features.push(place);
    }
    if !subject.is_static {
        told(&mut all, Source::Past).labels = true;
    } else if plan.streams.iter().any(|stream| stream.labels) {
        told(&mut all, label(subject)).labels = true;
    }
    if let Some((table, _)) = executor.atom_table() {
        told(&mut all, atom(schema, executor, table)).atoms = true;
    }
    for (place, of) in plan.coded.iter().enumerate() {
        for (column, id) in of.columns.iter().enumerate() {
            told(&mut all, Source::Columns(of.table, vec![*id])).coded.push((place, column));
        }
    }
    all
}

fn told(all: &mut Vec<Told>, source: Source) -> &mut Told {
    let place = all.iter().position(|told| told.source == source).unwrap_or_else(|| {
        all.push(Told { source, features: Vec::new(), labels: false, atoms: false, coded: Vec::new() });
        all.len() - 1
    });
    &mut all[place]
}

fn source(plan: &Plan, subject: &Subject, executor: &Executor, feature: &Feature) -> Source {
    let schema = executor.schema();
    let of_stream = |stream: usize, source: &dyn Fn(&Stream) -> Source| {
        let stream = &plan.streams[stream];
        if stream.labels { label(subject) } else { source(stream) }
    };
    match *feature {
        Feature::Calendar(_) => Source::Calendar,
        Feature::Lag(_) => Source::Past,
        Feature::Own { anchor, column, .. } => Source::Columns(plan.table(schema, anchor), vec![column]),
        Feature::Relative { column, .. } => Source::Columns(plan.entity, vec![column]),
        Feature::Count { stream, .. } => of_stream(stream, &|stream| Source::rows(schema, stream.child)),
        Feature::Category { stream, category, .. } => {
            of_stream(stream, &|stream| Source::Columns(stream.child, stream.categories[category].clone()))
        }
        Feature::Number { stream, number, .. } => {
            of_stream(stream, &|stream| of_number(executor, stream, &stream.numbers[number]))
        }
    }
}

fn of_number(executor: &Executor, stream: &Stream, number: &Number) -> Source {
    let schema = executor.schema();
    match number.source {
        NumberSource::Column(column) | NumberSource::Lag(column) => Source::Columns(stream.child, vec![column]),
        NumberSource::Atom => atom(schema, executor, stream.child),
        NumberSource::Label => Source::rows(schema, stream.child),
        NumberSource::Rolled { rollup, value } => rolled(schema, &stream.rollups[rollup], value),
    }
}

/// In the order of a [`Rollup`]'s values.
fn rolled(schema: &Schema, rollup: &Rollup, value: usize) -> Source {
    let table = schema.foreign_key(rollup.foreign_key).child;
    let Some(value) = value.checked_sub(1) else { return Source::rows(schema, table) };
    if let Some(column) = rollup.columns.get(value / 2) {
        return Source::Columns(table, vec![*column]);
    }
    let value = value - 2 * rollup.columns.len();
    match rollup.product {
        Some((a, b)) if value == 0 => Source::Columns(table, vec![a, b]),
        product => Source::Columns(table, rollup.distinct[value - usize::from(product.is_some())].clone()),
    }
}

/// The labels of earlier rows.
fn label(subject: &Subject) -> Source {
    Source::Columns(subject.entity, subject.masked.clone())
}

/// The columns that the target reads of its rows; without any, that there are rows.
fn atom(schema: &Schema, executor: &Executor, table: TableId) -> Source {
    let mut read = Vec::new();
    let of_table = |aggregate: &&Aggregate| aggregate.table == table;
    for aggregate in executor.task().target_aggregates().into_iter().filter(of_table) {
        aggregate.columns(&mut read);
    }
    if let relational::Target::Condition(condition) = &executor.task().target {
        Condition::columns(condition, &mut read);
    }
    let mut columns: Vec<ColumnId> = read.iter().filter(|column| column.table == table).map(|of| of.column).collect();
    columns.sort_unstable();
    columns.dedup();
    if columns.is_empty() { Source::rows(schema, table) } else { Source::Columns(table, columns) }
}
