//! What a featuriser reads and computes, as plain data: anchors, the streams of child rows that hang on them, and the
//! flat list of features over both.
//!
//! An *anchor* is a row that the query leads to: the entity, a parent of the entity, or a parent of the newest row of a
//! stream. A *stream* is the rows of one child table that point at an anchor, newest first.

use relational::{ColumnId, EventTime, ForeignKeyId, Schema, TableId};

use super::codes::Coded;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The table whose rows are predicted for.
    pub(crate) entity: TableId,
    /// The first is the entity; parents of the entity follow, then parents of streams' newest rows.
    pub(crate) anchors: Vec<Anchor>,
    /// Streams of the entity and of its parents first, then those of the other anchors.
    pub(crate) streams: Vec<Stream>,
    /// What is computed, in the order of the values.
    pub(crate) features: Vec<Feature>,
    /// One per feature, unique.
    pub(crate) names: Vec<String>,
    /// Rows that are coded beside the features.
    pub(crate) coded: Vec<Coded>,
}

/// A row that the query leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// The row that is predicted for.
    Entity,
    /// The row that the entity points at.
    Parent(ForeignKeyId),
    /// The row that the newest row of a stream points at.
    LastParent {
        /// Place in [`Plan::streams`].
        stream: usize,
        /// A foreign key of the stream's table.
        foreign_key: ForeignKeyId,
    },
}

/// The rows of one child table that point at an anchor.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// Starts the names of its features.
    pub(crate) prefix: String,
    /// Place in [`Plan::anchors`].
    pub(crate) anchor: usize,
    /// The rows' table.
    pub(crate) child: TableId,
    /// The foreign keys by which rows may point at the anchor; a row counts once among the newest.
    pub(crate) via: Vec<ForeignKeyId>,
    /// How much of it is read.
    pub(crate) detail: Detail,
    /// Whether its first number is the label of earlier siblings.
    pub(crate) labels: bool,
    /// Whether any feature needs it.
    pub(crate) read: bool,
    /// Whether any feature needs its roll-ups.
    pub(crate) rolled: bool,
    /// Rows happened up to this long before the query's time, in microseconds: the label delay for a stream of labels,
    /// else 0. All ages and windows count from there.
    pub(crate) shift_micros: i64,
    /// Numbers that each row gives.
    pub(crate) numbers: Vec<Number>,
    /// Sets of columns whose values are compared for equality.
    pub(crate) categories: Vec<Vec<ColumnId>>,
    /// Grandchildren that are rolled up onto the newest rows.
    pub(crate) rollups: Vec<Rollup>,
}

/// How much of a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Every statistic; the whole history is counted.
    Full,
    /// The newest rows and the longest window.
    Brief,
    /// A table without a time column: counts and means.
    Untimed,
}

/// A number that each row of a stream gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    /// As it stands in feature names.
    pub(crate) name: String,
    /// Where it comes from.
    pub(crate) source: NumberSource,
}

/// Where a stream's number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberSource {
    /// A column of the row; the only kind whose sums the store keeps for the whole history.
    Column(ColumnId),
    /// What the row contributes to the target.
    Atom,
    /// The target of a row that is its own example.
    Label,
    /// A time or day of the row, as signed log days after the row's own time.
    Lag(ColumnId),
    /// A value of a roll-up.
    Rolled {
        /// Place in [`Stream::rollups`].
        rollup: usize,
        /// Place among its values.
        value: usize,
    },
}

/// Grandchildren rolled up onto a row: their count, then the sum and mean of each number column, then the sum of the
/// product, then the number of different values of each category; all but the means of bounded numbers on a signed log
/// scale.
#[derive(Debug, Clone)]
pub(crate) struct Rollup {
    /// From the grandchild to the row.
    pub(crate) foreign_key: ForeignKeyId,
    /// Number columns of the grandchild.
    pub(crate) columns: Vec<ColumnId>,
    /// Two number columns whose product is summed.
    pub(crate) product: Option<(ColumnId, ColumnId)>,
    /// Sets of columns of the grandchild whose different values are counted.
    pub(crate) distinct: Vec<Vec<ColumnId>>,
}

impl Rollup {
    /// How many values it gives.
    pub(crate) fn width(&self) -> usize {
        1 + 2 * self.columns.len() + usize::from(self.product.is_some()) + self.distinct.len()
    }
}

/// One number of a feature row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    /// Of the query's time alone.
    Calendar(CalendarStat),
    /// Of one column of an anchor's row.
    Own {
        /// Place in [`Plan::anchors`].
        anchor: usize,
        /// The column.
        column: ColumnId,
        /// What is computed.
        stat: OwnStat,
    },
    /// Of how many rows a stream has and when.
    Count {
        /// Place in [`Plan::streams`].
        stream: usize,
        /// What is computed.
        stat: CountStat,
    },
    /// Of one number of a stream.
    Number {
        /// Place in [`Plan::streams`].
        stream: usize,
        /// Place in [`Stream::numbers`].
        number: usize,
        /// What is computed.
        stat: NumberStat,
    },
    /// Of one category of a stream.
    Category {
        /// Place in [`Plan::streams`].
        stream: usize,
        /// Place in [`Stream::categories`].
        category: usize,
        /// What is computed.
        stat: CategoryStat,
    },
    /// Of the entity's past targets.
    Lag(LagStat),
    /// Of the entity's own number against a stream's.
    Relative {
        /// Place in [`Plan::streams`].
        stream: usize,
        /// Place in [`Stream::numbers`].
        number: usize,
        /// The entity's column.
        column: ColumnId,
        /// What is computed.
        stat: RelativeStat,
    },
}

/// Of the query's time alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CalendarStat {
    /// Sine of the day of the year.
    YearSin,
    /// Its cosine.
    YearCos,
    /// Sine of the time of the day.
    DaySin,
    /// Its cosine.
    DayCos,
    /// 0 for Monday to 6 for Sunday.
    Weekday,
}

/// Of one column of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnStat {
    /// As it is.
    Value,
    /// Years before the query's time.
    Age,
    /// Log of how often the value occurs in the vocabulary.
    Frequency,
    /// Its rank by frequency in the vocabulary.
    Code,
    /// Whether it is the n-th most frequent.
    Is(u8),
    /// Log of the number of characters or list items.
    Length,
}

/// Of how many rows a stream has and when. h is the plan's unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CountStat {
    /// Log of the number of rows in a window.
    Rows(Span),
    /// Log of the time since the n-th newest row.
    Since(u8),
    /// Log of the time since the first row.
    First,
    /// Log of the time since the newest row over the mean time between rows.
    SinceOverGap,
    /// Log of the time since the newest row whose first number is positive.
    SincePositive,
}

/// A window that ends with the stream. h is the plan's unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// Everything.
    All,
    /// h/4.
    Quarter,
    /// h.
    One,
    /// 3 h.
    Three,
    /// 12 h.
    Twelve,
}

impl Span {
    /// Every span, in the order of their places.
    pub(crate) const EVERY: [Self; 5] = [Self::All, Self::Quarter, Self::One, Self::Three, Self::Twelve];

    /// Its place in tables of one entry per span.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::All => 0,
            Self::Quarter => 1,
            Self::One => 2,
            Self::Three => 3,
            Self::Twelve => 4,
        }
    }

    /// Its length; `None` for everything.
    pub(crate) fn micros(self, unit_micros: i64) -> Option<i64> {
        match self {
            Self::All => None,
            Self::Quarter => Some(unit_micros / 4),
            Self::One => Some(unit_micros),
            Self::Three => Some(unit_micros.saturating_mul(3)),
            Self::Twelve => Some(unit_micros.saturating_mul(12)),
        }
    }
}

/// Of one number of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberStat {
    /// Of the newest row.
    Last,
    /// Mean over the newest n rows.
    MeanOf(u8),
    /// Mean over a window.
    MeanIn(Span),
    /// Least of the newest 10.
    Min,
    /// Greatest of the newest 10.
    Max,
    /// Standard deviation of the newest 10.
    Deviation,
    /// Signed log of the sum over a window.
    SumIn(Span),
}

/// Of one category of a stream, among its newest 10 rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CategoryStat {
    /// Share equal to the newest row's value.
    SameAsLast,
    /// Share equal to the n-th most frequent value of the vocabulary.
    Top(u8),
}

/// Of the entity's past targets: the newest defined ones, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LagStat {
    /// The n-th.
    Value(u8),
    /// Log of the number of windows back to the n-th.
    Age(u8),
    /// Mean of the newest n.
    MeanOf(u8),
    /// Mean of all that were looked at.
    Mean,
    /// Standard deviation of the newest.
    Deviation,
    /// Least of the newest.
    Min,
    /// Greatest of the newest.
    Max,
    /// Log of how many are defined.
    Count,
    /// Mean of the newest with weights that fall by .8.
    Fading,
}

/// Of the entity's own number against a stream's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RelativeStat {
    /// Minus the mean of the newest 10.
    Difference,
    /// Signed log minus that of the mean of all: the log of their ratio for positive numbers.
    Ratio,
}

/// Time as features count it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// The query's time.
    pub(crate) now: EventTime,
    /// h in microseconds.
    pub(crate) unit_micros: i64,
}

impl Clock {
    /// How long before `now` this was, in h.
    pub(crate) fn ago(&self, time: EventTime) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
        let ago = self.now.since(time) as f64 / self.unit_micros as f64;
        ago
    }
}

/// `results@driverId`: the child's name and its columns that point at the parent.
pub(crate) fn link_name(schema: &Schema, via: &[ForeignKeyId]) -> String {
    let child = via.first().map_or("", |id| &schema.table(schema.foreign_key(*id).child).name);
    let columns: Vec<String> = via.iter().map(|id| column_names(schema, *id)).collect();
    format!("{child}@{}", columns.join("|"))
}

/// A foreign key's columns, joined by `+`.
pub(crate) fn column_names(schema: &Schema, foreign_key: ForeignKeyId) -> String {
    let link = schema.foreign_key(foreign_key);
    columns_joined(schema, link.child, &link.columns)
}

/// Column names joined by `+`.
pub(crate) fn columns_joined(schema: &Schema, table: TableId, columns: &[ColumnId]) -> String {
    let all = &schema.table(table).columns;
    let names: Vec<&str> = columns.iter().map(|column| all[usize::from(column.0)].name.as_str()).collect();
    names.join("+")
}

impl Plan {
    /// The table of an anchor's row.
    pub(crate) fn table(&self, schema: &Schema, anchor: usize) -> TableId {
        match self.anchors[anchor] {
            Anchor::Entity => self.entity,
            Anchor::Parent(foreign_key) | Anchor::LastParent { foreign_key, .. } => {
                schema.foreign_key(foreign_key).parent
            }
        }
    }
}
