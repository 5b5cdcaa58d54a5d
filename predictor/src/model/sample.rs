//! Rows as they are in the database, before the recipe makes numbers of them.

use relational::Value;

use super::graph::Graph;

/// Rows of one table, column by column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableRows {
    /// How many rows there are.
    pub count: usize,
    /// Columns of numbers; what is missing is NaN.
    pub numbers: Vec<Vec<f32>>,
    /// Columns of categories; what is missing is null.
    pub categories: Vec<Vec<Value>>,
    /// Columns of times, in microseconds since 1970.
    pub times: Vec<Vec<Option<i64>>>,
}

/// Some examples with their rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// The keys between the rows.
    pub graph: Graph,
    /// The rows of each table.
    pub tables: Vec<TableRows>,
    /// For each example when it was taken.
    pub anchors: Vec<Option<i64>>,
    /// What is known of the examples themselves, such as earlier targets: numbers only.
    pub task: TableRows,
}
