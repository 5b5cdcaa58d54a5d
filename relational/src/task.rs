//! What to predict: a predictive query after its names are resolved and its types are checked.

use crate::{ColumnId, DataType, ForeignKeyId, Key, RelativeWindow, Schema, TableId, Value};

/// One predictive query, resolved against a schema.
///
/// Comparisons follow three-valued logic: with a null on either side they are unknown. A filter keeps what is true; a
/// target that is unknown is no label.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The task's name in the config.
    pub name: String,
    /// The query as written.
    pub query: String,
    /// The table whose rows are predicted for.
    pub entity: TableId,
    /// The entities named in the query (`FOR x.id IN (..)`); `None` for every entity.
    pub only: Option<Vec<Key>>,
    /// What is predicted.
    pub target: Target,
    /// How the target is asked for.
    pub problem: Problem,
    /// What kind of prediction follows from target and problem.
    pub kind: TaskKind,
    /// Who is predicted for: looks back from the anchor only.
    pub population: Option<Condition>,
    /// What is assumed of the future: an example counts only where it came true. Cannot be known for a live query,
    /// which is scored as if it were true.
    pub assuming: Option<Condition>,
}

/// What is predicted.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Whether a condition holds.
    Condition(Condition),
    /// The value of an aggregate.
    Aggregate(Aggregate),
    /// A column of the entity itself.
    Column(ColumnRef),
}

/// How the target is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// As it is.
    Plain,
    /// `CLASSIFY [TOP n]`.
    Classify {
        /// How many classes to return.
        top: Option<u32>,
    },
    /// `RANK [TOP n]`.
    Rank {
        /// How many items to return.
        top: Option<u32>,
    },
    /// `FORECAST n TIMEFRAMES`.
    Forecast {
        /// How many consecutive windows.
        steps: u32,
    },
}

/// The kind of prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskKind {
    /// The probability that the target is true.
    Binary,
    /// A probability for each class.
    Multiclass,
    /// A median and quantiles.
    Regression,
    /// Which rows of another table will be linked.
    Ranking,
    /// One prediction per consecutive window.
    Forecast,
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ColumnRef {
    /// The table.
    pub table: TableId,
    /// Its column.
    pub column: ColumnId,
}

/// A condition, nested as written.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// `operand relation constant`.
    Compare {
        /// The left side.
        operand: Operand,
        /// The comparison.
        relation: Relation,
        /// The right side.
        constant: Constant,
    },
    /// Not.
    Not(Box<Condition>),
    /// All of them; at least two.
    And(Vec<Condition>),
    /// Any of them; at least two.
    Or(Vec<Condition>),
}

/// The left side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A column: of the entity in a target or population; of the aggregated table in an aggregate's filter.
    Column(ColumnRef),
    /// An aggregate over child rows of the entity.
    Aggregate(Aggregate),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `IS`, with null or a boolean: true or false, never unknown.
    Is,
    /// `IS NOT`: the opposite of `IS`.
    IsNot,
    /// `IN`, with a list; `NOT IN` is [`Condition::Not`] around it.
    In,
    /// `LIKE`, with `%` and `_`.
    Like,
    /// `NOT LIKE`.
    NotLike,
    /// `CONTAINS`: text that contains the text, or a list that contains the value.
    Contains,
    /// `NOT CONTAINS`.
    NotContains,
    /// `STARTS WITH`.
    StartsWith,
    /// `ENDS WITH`.
    EndsWith,
}

/// The right side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// One value, null included.
    Value(Value),
    /// Several values.
    List(Vec<Value>),
}

/// `FUNCTION(table.column [WHERE filter], start, end, unit)` over the rows that point at the entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// What is computed.
    pub function: Function,
    /// The rows' table.
    pub table: TableId,
    /// The rows' column; `None` for `table.*`.
    pub column: Option<ColumnId>,
    /// Which rows count. Compares columns of `table` only; no aggregates.
    pub filter: Option<Box<Condition>>,
    /// When the rows happened, relative to the anchor; `None` for all that are visible.
    pub window: Option<RelativeWindow>,
    /// The foreign keys by which the rows may point at the entity: one, or several when a child has more than one
    /// foreign key to the entity's table (a match has a home and an away team); a row counts once.
    pub via: Vec<ForeignKeyId>,
}

/// An aggregate function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// Sum; 0 of no rows.
    Sum,
    /// Mean; unknown of no rows.
    Avg,
    /// Least; unknown of no rows.
    Min,
    /// Greatest; unknown of no rows.
    Max,
    /// Number of rows (of rows with a value, for a column).
    Count,
    /// Number of different values.
    CountDistinct,
    /// Value of the earliest row; unknown of no rows.
    First,
    /// Value of the latest row; unknown of no rows.
    Last,
    /// The different values.
    ListDistinct,
}

impl Task {
    /// Every aggregate of the target, in the order written.
    #[must_use]
    pub fn target_aggregates(&self) -> Vec<&Aggregate> {
        match &self.target {
            Target::Condition(condition) => condition.aggregates(),
            Target::Aggregate(aggregate) => vec![aggregate],
            Target::Column(_) => Vec::new(),
        }
    }

    /// How long after the anchor the label is complete, taken at a fixed reference anchor for calendar months: the
    /// latest end of the target's and the assumption's windows, in microseconds. 0 for a column of the entity.
    #[must_use]
    pub fn horizon(&self) -> i64 {
        let assumed = self.assuming.iter().flat_map(Condition::aggregates);
        let windows = self.target_aggregates().into_iter().chain(assumed).filter_map(|aggregate| aggregate.window);
        let reference = crate::EventTime(0);
        windows.map(|window| window.at(reference).end.since(reference)).max().unwrap_or(0).max(0)
    }

    /// How much longer than the window it takes until the values that the label is made of are known: the longest
    /// [`crate::Column::arrives_after`] of the columns that the target reads, in microseconds.
    #[must_use]
    pub fn label_delay(&self, schema: &Schema) -> i64 {
        let mut columns = Vec::new();
        match &self.target {
            Target::Condition(condition) => condition.columns(&mut columns),
            Target::Aggregate(aggregate) => aggregate.columns(&mut columns),
            Target::Column(column) => columns.push(*column),
        }
        let delay = |column: &ColumnRef| schema.table(column.table).columns[usize::from(column.column.0)].arrives_after;
        columns.iter().map(delay).max().unwrap_or(0)
    }

    /// How long after its anchor the label of an example is known, in microseconds.
    #[must_use]
    pub fn matures_after(&self, schema: &Schema) -> i64 {
        self.horizon().saturating_add(self.label_delay(schema))
    }

    /// How many rows a ranking names.
    #[must_use]
    pub fn rank_top(&self) -> usize {
        let top = match self.problem {
            Problem::Rank { top } => top,
            _ => None,
        };
        top.unwrap_or(crate::limits::RANK_TOP_DEFAULT) as usize
    }

    /// The plain tasks that answer this one: of a forecast one per timeframe, whose target's windows lie one more length
    /// later each; otherwise the task itself. What is assumed stays as it is written.
    #[must_use]
    pub fn timeframes(&self) -> Vec<Self> {
        let Problem::Forecast { steps: steps @ 2.. } = self.problem else { return vec![self.clone()] };
        let kind = if matches!(self.target, Target::Condition(_)) { TaskKind::Binary } else { TaskKind::Regression };
        let step = |step: u32| {
            let mut target = self.target.clone();
            target.aggregates_mut().into_iter().filter_map(|aggregate| aggregate.window.as_mut()).for_each(|window| {
                *window = window.later(step);
            });
            Self { target, problem: Problem::Plain, kind, ..self.clone() }
        };
        (0..steps).map(step).collect()
    }

    /// The columns of the entity's own row that the target is made of: they must not be read as features of the row
    /// that is scored.
    #[must_use]
    pub fn own_target_columns(&self) -> Vec<ColumnId> {
        let mut columns = Vec::new();
        match &self.target {
            Target::Column(column) => columns.push(*column),
            Target::Condition(condition) => condition.columns(&mut columns),
            Target::Aggregate(_) => {}
        }
        columns.into_iter().filter(|column| column.table == self.entity).map(|column| column.column).collect()
    }

    /// Whether the label is a column of the entity's own row (and arrives as an update of it), rather than something
    /// that happens in a window after the anchor.
    #[must_use]
    pub fn is_static(&self) -> bool {
        self.target_aggregates().iter().all(|aggregate| aggregate.window.is_none_or(|window| window.end <= 0))
    }
}

impl Target {
    fn aggregates_mut(&mut self) -> Vec<&mut Aggregate> {
        match self {
            Self::Condition(condition) => condition.aggregates_mut(),
            Self::Aggregate(aggregate) => vec![aggregate],
            Self::Column(_) => Vec::new(),
        }
    }
}

impl Condition {
    fn aggregates_mut(&mut self) -> Vec<&mut Aggregate> {
        match self {
            Self::Compare { operand: Operand::Aggregate(aggregate), .. } => vec![aggregate],
            Self::Compare { .. } => Vec::new(),
            Self::Not(inner) => inner.aggregates_mut(),
            Self::And(parts) | Self::Or(parts) => parts.iter_mut().flat_map(Self::aggregates_mut).collect(),
        }
    }

    /// Every aggregate, in the order written.
    #[must_use]
    pub fn aggregates(&self) -> Vec<&Aggregate> {
        match self {
            Self::Compare { operand: Operand::Aggregate(aggregate), .. } => vec![aggregate],
            Self::Compare { .. } => Vec::new(),
            Self::Not(inner) => inner.aggregates(),
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::aggregates).collect(),
        }
    }

    /// Adds every column read, those inside aggregates included.
    pub fn columns(&self, into: &mut Vec<ColumnRef>) {
        match self {
            Self::Compare { operand: Operand::Column(column), .. } => into.push(*column),
            Self::Compare { operand: Operand::Aggregate(aggregate), .. } => aggregate.columns(into),
            Self::Not(inner) => inner.columns(into),
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.columns(into)),
        }
    }
}

impl Aggregate {
    /// Adds the aggregated column and those of the filter.
    pub fn columns(&self, into: &mut Vec<ColumnRef>) {
        into.extend(self.column.map(|column| ColumnRef { table: self.table, column }));
        if let Some(filter) = &self.filter {
            filter.columns(into);
        }
    }
}

impl TaskKind {
    /// The name used in messages and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary classification",
            Self::Multiclass => "multiclass classification",
            Self::Regression => "regression",
            Self::Ranking => "ranking",
            Self::Forecast => "forecast",
        }
    }

    /// The kind that a plain column target has.
    #[must_use]
    pub fn of_column(data_type: DataType, semantic: crate::SemanticType) -> Self {
        match (data_type, semantic) {
            (DataType::Bool, _) => Self::Binary,
            (_, crate::SemanticType::Number | crate::SemanticType::Time) => Self::Regression,
            _ => Self::Multiclass,
        }
    }
}
