//! Explanations of the member that reads rows.

use std::collections::BTreeMap;

use graph_store::Snapshot;
use relational::{EventTime, Key, Prediction, Row, RowKey, TableId};

use crate::Error;
use crate::executor::Executor;
use crate::features::column_of_rows;
use crate::in_context;
use crate::model::Sample;
use crate::neighbourhood::Neighbourhoods;
use crate::sampler::Subgraph;

use super::{Comparison, EXPLAINED_COLUMNS_MAX, EXPLAINED_ROWS_MAX, Explanation, Subject, limited};

/// Answers samples of one example each.
type Predict<'a> = dyn Fn(&[Sample]) -> Result<Vec<Prediction>, Error> + 'a;

/// Explains the answer for an entity; all questions are answered by `predict` at once.
///
/// # Errors
///
/// When the store cannot be read, or the model fails.
pub fn of_rows(
    executor: &Executor,
    neighbourhoods: &Neighbourhoods,
    snapshot: &Snapshot,
    entity: &Key,
    predict: &Predict<'_>,
) -> Result<Explanation, Error> {
    let schema = executor.schema();
    let subgraph = neighbourhoods.sampler().sample_in(snapshot, entity)?;
    let whole = neighbourhoods.read_in(snapshot, entity)?.sample;
    let newest = newest(&subgraph);
    let seen = |table: &TableId| newest.contains_key(table);
    let columns = neighbourhoods.columns().into_iter().filter(|(table, _)| seen(table)).collect();
    let (columns, columns_left_out) = limited(columns, EXPLAINED_COLUMNS_MAX);
    let (rows, rows_left_out) = limited(near(&subgraph), EXPLAINED_ROWS_MAX);

    let mut samples = vec![whole];
    for (table, column) in &columns {
        samples.push(neighbourhoods.blind(&samples[0], *table, *column));
    }
    for (row, _) in &rows {
        samples.push(neighbourhoods.read_in(&snapshot.without(row)?, entity)?.sample);
    }
    let answers = predict(&samples)?;
    let comparison = Comparison::new(&answers[0]);
    let (of_columns, of_rows) = answers[1..].split_at(columns.len());
    let columns = columns.into_iter().zip(of_columns).map(|((table, column), answer)| {
        let own = table == executor.task().entity;
        let name = crate::features::Source::Columns(table, vec![column]).name(schema);
        comparison.column((name, column_of_rows(schema, own, newest[&table].1, table, column)), answer)
    });
    let columns = columns.collect();
    let rows = rows.into_iter().zip(of_rows).map(|(row, answer)| comparison.row(row, answer)).collect();
    let parts = vec![comparison.share(in_context::NAME.to_owned(), 1.0, &answers[0])];
    let subject = Subject { task: executor.task(), schema, entity };
    Ok(comparison.explanation(&subject, parts, (columns, columns_left_out), (rows, rows_left_out)))
}

/// Of each table the entity's own row, or the newest.
fn newest(subgraph: &Subgraph) -> BTreeMap<TableId, ((bool, EventTime), &Row)> {
    let mut newest: BTreeMap<TableId, ((bool, EventTime), &Row)> = BTreeMap::new();
    for node in &subgraph.nodes {
        let rank = (node.hop == 0, node.time);
        let found = newest.entry(node.key.table).or_insert((rank, &node.row));
        if found.0 < rank {
            *found = (rank, &node.row);
        }
    }
    newest
}

/// All rows but the entity's, the nearest first; among those of one distance the newest of each table first.
fn near(subgraph: &Subgraph) -> Vec<(RowKey, EventTime)> {
    let mut places: BTreeMap<(u8, TableId), usize> = BTreeMap::new();
    let mut order: Vec<(u8, usize, &RowKey, EventTime)> = Vec::new();
    for node in subgraph.nodes.iter().skip(1) {
        let place = places.entry((node.hop, node.key.table)).or_default();
        order.push((node.hop, *place, &node.key, node.time));
        *place += 1;
    }
    order.sort();
    order.into_iter().map(|(_, _, key, time)| (key.clone(), time)).collect()
}
