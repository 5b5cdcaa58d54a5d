//! The words that every other crate of Foreshore is written in.
//!
//! A relational database is a [`Schema`] of tables; a row of a table is named by a [`RowKey`] and holds [`Value`]s.
//! The database changes one [`Change`] at a time. Each change has two times: when it happened in the source's world
//! ([`EventTime`]) and when it reached us ([`Sequence`]). A [`Task`] says what to predict for which rows, and a
//! [`Score`] is the answer for one row at one [`Cutoff`](AsOf::cutoff).
//!
//! This crate does no input or output and no serialization: every boundary owns its own format.

mod change;
pub mod limits;
mod row;
mod schema;
mod score;
mod task;
mod time;
mod value;

#[cfg(feature = "arbitrary")]
pub mod arbitrary;

pub use change::{Cell, Change, DeadLetter, Op, Position, Sequence, Stage};
pub use row::{Key, Row, RowKey};
pub use schema::{
    Column, ColumnId, DataType, ForeignKey, ForeignKeyId, Schema, SchemaError, SemanticType, Table, TableId,
};
pub use score::{ContextId, Prediction, Reason, Score};
pub use task::{
    Aggregate, ColumnRef, Condition, Constant, Function, Operand, Problem, Relation, Target, Task, TaskKind,
};
pub use time::{AsOf, EventTime, RelativeWindow, TimeUnit, Window};
pub use value::{Decimal, Value};
