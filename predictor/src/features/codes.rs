//! Rows as small numbers, one per cell, so that a fit can look for two values that meet in one row: statistics of one
//! column at a time cannot tell whether they do.

use std::collections::BTreeMap;

use graph_store::Version;
use relational::{ColumnId, Row, Schema, SemanticType, TableId, Value};
use rustc_hash::FxHashMap;

use super::plan::{Anchor, Plan};
use crate::learn::CodedRows;

/// Newest rows of a stream that are coded.
const ROWS: usize = 24;
/// Columns of a table that are coded, at most; references to other rows come last.
const COLUMNS: usize = 10;
/// Values that have a code of their own, the most frequent.
const VALUES: u8 = 15;
/// Codes of a number that takes more values than that: as many numbers have each.
const BINS: usize = 6;

/// Rows that are coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Coded {
    /// Whose rows.
    pub(crate) source: CodedSource,
    /// Their table.
    pub(crate) table: TableId,
    /// At least two.
    pub(crate) columns: Vec<ColumnId>,
}

/// Where coded rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodedSource {
    /// The entity's own row.
    Entity,
    /// The newest rows of a stream, by its place in [`Plan::streams`].
    Stream(usize),
}

/// How the values of one column are coded: 0 for a missing one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Coder {
    /// From 1, the most frequent first; any other value is [`CodedRows::OTHER`].
    Values(FxHashMap<Value, u8>),
    /// By the place among these numbers, from 1.
    Edges(Vec<f64>),
}

/// What is coded: the entity's row, and the streams that are read anyway of the entity and its parents. `hidden` are the
/// entity's columns that may not be read of its own row, `masked` those not of its siblings either.
pub(crate) fn coded(schema: &Schema, plan: &Plan, hidden: &[ColumnId], masked: &[ColumnId]) -> Vec<Coded> {
    let own = Coded { source: CodedSource::Entity, table: plan.entity, columns: columns(schema, plan.entity, hidden) };
    let near = |anchor: usize| matches!(plan.anchors[anchor], Anchor::Entity | Anchor::Parent(_));
    let streams = plan.streams.iter().enumerate();
    let streams = streams.filter(|(_, of)| of.read && !of.labels && of.via.len() == 1 && near(of.anchor));
    let of_streams = streams.map(|(place, of)| {
        let kept: &[ColumnId] = if of.child == plan.entity { masked } else { &[] };
        let mut columns = columns(schema, of.child, kept);
        let link = &schema.foreign_key(of.via[0]).columns;
        columns.retain(|column| !link.contains(column));
        Coded { source: CodedSource::Stream(place), table: of.child, columns }
    });
    let mut all: Vec<Coded> = std::iter::once(own).chain(of_streams).collect();
    all.iter_mut().for_each(|of| of.columns.truncate(COLUMNS));
    all.retain(|of| of.columns.len() > 1);
    all
}

/// Columns that can be coded, those that lead to other rows last.
fn columns(schema: &Schema, table: TableId, hidden: &[ColumnId]) -> Vec<ColumnId> {
    let of = schema.table(table);
    let can = of.columns().filter(|(id, column)| {
        let known = matches!(column.semantic, SemanticType::Category | SemanticType::Number | SemanticType::Id);
        known && !of.key.contains(id) && of.time != Some(*id) && !hidden.contains(id)
    });
    let mut found: Vec<(bool, ColumnId)> = can.map(|(id, column)| (column.semantic == SemanticType::Id, id)).collect();
    found.sort();
    found.into_iter().map(|(_, id)| id).collect()
}

impl Coder {
    /// By what these rows hold.
    pub(crate) fn of(rows: &[Row], column: ColumnId) -> Self {
        let mut counts: BTreeMap<&Value, u32> = BTreeMap::new();
        for value in rows.iter().map(|row| row.value(column)).filter(|value| !value.is_null()) {
            *counts.entry(value).or_default() += 1;
        }
        if counts.len() > usize::from(VALUES) {
            let mut numbers: Vec<f64> = rows.iter().filter_map(|row| row.value(column).as_f64()).collect();
            numbers.sort_by(f64::total_cmp);
            let mut edges: Vec<f64> =
                (1..BINS).filter_map(|bin| numbers.get(bin * numbers.len() / BINS)).copied().collect();
            edges.dedup();
            if !edges.is_empty() {
                return Self::Edges(edges);
            }
        }
        let mut order: Vec<(&Value, u32)> = counts.into_iter().collect();
        order.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        Self::Values((1..=VALUES).zip(order).map(|(code, (value, _))| (value.clone(), code)).collect())
    }

    fn code(&self, value: &Value) -> u8 {
        if value.is_null() {
            return CodedRows::MISSING;
        }
        match self {
            Self::Values(codes) => codes.get(value).copied().unwrap_or(CodedRows::OTHER),
            Self::Edges(edges) => value.as_f64().map_or(CodedRows::OTHER, |number| {
                let place = edges.partition_point(|edge| *edge <= number);
                u8::try_from(place + 1).unwrap_or(CodedRows::OTHER)
            }),
        }
    }
}

/// The newest of these rows, coded.
pub(crate) fn code<'a>(
    rows: impl Iterator<Item = &'a Version>,
    columns: &[ColumnId],
    coders: &[Option<&Coder>],
) -> CodedRows {
    let mut cells = Vec::new();
    for version in rows.take(ROWS) {
        cells.extend(
            columns
                .iter()
                .zip(coders)
                .map(|(column, coder)| coder.map_or(CodedRows::OTHER, |coder| coder.code(version.row.value(*column)))),
        );
    }
    CodedRows { width: columns.len(), cells }
}
