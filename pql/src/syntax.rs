//! A query as written: names not yet looked up, every part with its place.

use relational::{Function, Relation, TimeUnit};

use crate::error::Span;

/// A whole query.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) target: Condition,
    pub(crate) problem: Option<Problem>,
    pub(crate) entity: Column,
    pub(crate) only: Option<Constant>,
    pub(crate) population: Option<Condition>,
    pub(crate) assuming: Option<Condition>,
}

/// How the target is asked for.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) asked: relational::Problem,
    pub(crate) span: Span,
}

/// A condition, or an operand that stands alone where a condition could stand.
#[derive(Debug)]
pub(crate) enum Condition {
    Bare(Operand),
    Compare(Comparison),
    Not(Box<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
}

/// `operand relation constant`.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) operand: Operand,
    pub(crate) relation: Relation,
    pub(crate) relation_span: Span,
    /// Whether the relation was written with a NOT that [`Relation`] has no variant for.
    pub(crate) negated: bool,
    pub(crate) constant: Constant,
}

/// The left side of a comparison.
#[derive(Debug)]
pub(crate) enum Operand {
    Column(Column),
    Aggregate(Aggregate),
}

/// `table.column` or `table.*`.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) table: Name,
    /// `None` for `*`.
    pub(crate) column: Option<Name>,
    pub(crate) span: Span,
}

/// A name as written, without back-quotes.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// `FUNCTION(column [WHERE filter] [, start, end [, unit]])`.
#[derive(Debug)]
pub(crate) struct Aggregate {
    pub(crate) function: Function,
    pub(crate) column: Column,
    pub(crate) filter: Option<Box<Condition>>,
    pub(crate) window: Option<Window>,
    pub(crate) span: Span,
}

/// `start, end [, unit]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// `None` for `-INF`.
    pub(crate) start: Option<i64>,
    pub(crate) end: i64,
    pub(crate) unit: TimeUnit,
    pub(crate) span: Span,
}

/// The right side of a comparison.
#[derive(Debug)]
pub(crate) enum Constant {
    One(Literal),
    Many(Vec<Literal>, Span),
}

/// One value as written.
#[derive(Debug)]
pub(crate) struct Literal {
    pub(crate) kind: LiteralKind,
    pub(crate) span: Span,
}

/// What a literal looks like; its type follows from what it is compared with.
#[derive(Debug)]
pub(crate) enum LiteralKind {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Moment(String),
}

impl Operand {
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Column(column) => column.span,
            Self::Aggregate(aggregate) => aggregate.span,
        }
    }
}

impl Constant {
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::One(literal) => literal.span,
            Self::Many(_, span) => *span,
        }
    }
}

impl Condition {
    /// From the first operand to the last constant.
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Bare(operand) => operand.span(),
            Self::Compare(comparison) => comparison.operand.span().to(comparison.constant.span()),
            Self::Not(inner) => inner.span(),
            Self::And(parts) | Self::Or(parts) => {
                let (first, last) = (&parts[0], &parts[parts.len() - 1]);
                first.span().to(last.span())
            }
        }
    }
}
