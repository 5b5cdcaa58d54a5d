//! The whole network: rows to vectors, vectors along the keys, examples to answers.

use candle_core::{Result, Tensor};

use super::config::Config;
use super::dice::Dice;
use super::gnn::InvariantGnn;
use super::graph::{Graph, Relationship};
use super::hierarchy::Node;
use super::icl::{ContextSummary, IclBlock};
use super::label::Labels;
use super::row_embedding::{RowEmbedding, TableSummary};
use super::rows;
use super::weights::{Faults, Weights};

/// Queries that the in-context block works on at once.
const QUERY_TILE: usize = 24;

/// The published network.
#[derive(Debug, Clone)]
pub struct Network {
    row_embedding: RowEmbedding,
    gnn: InvariantGnn,
    icl: IclBlock,
}

/// The rows of some examples: one table after another, `[rows, columns]` each, and the keys between them.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) graph: Graph,
    pub(super) tables: Vec<Tensor>,
}

/// What queries need of a context: summaries of its tables and of its examples.
#[derive(Debug, Clone)]
pub struct NetworkContext {
    tables: Vec<TableSummary>,
    edge_types: Tensor,
    relationships: Vec<Relationship>,
    hops: usize,
    answers: Answers,
}

#[derive(Debug, Clone)]
enum Answers {
    Head { context: ContextSummary, outputs: usize },
    Hierarchy { root: Node, classes: usize },
}

impl NetworkContext {
    /// Its size in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let answers = match &self.answers {
            Answers::Head { context, .. } => context.bytes(),
            Answers::Hierarchy { root, .. } => root.bytes(),
        };
        self.tables.iter().map(TableSummary::bytes).sum::<usize>() + 4 * self.edge_types.elem_count() + answers
    }
}

impl Network {
    /// Takes every tensor that the dimensions ask for.
    pub(super) fn new(config: &Config, weights: Weights) -> Result<std::result::Result<Self, Faults>> {
        let network = Self {
            row_embedding: RowEmbedding::new(config, &weights.at("row_embedding"))?,
            gnn: InvariantGnn::new(config, &weights.at("gnn"))?,
            icl: IclBlock::new(config, &weights.at("icl_block"))?,
        };
        let faults = weights.finish();
        Ok(if faults.is_empty() { Ok(network) } else { Err(faults) })
    }

    /// Encodes a context once.
    pub(super) fn fit(
        &self,
        rows: &Rows,
        relationships: &[Relationship],
        labels: &Labels,
        hops: usize,
        dice: &mut dyn Dice,
    ) -> Result<NetworkContext> {
        let edges = rows.graph.edges(relationships);
        let owners = rows.graph.owners(&edges, hops);
        let starts = rows.graph.starts();
        let mut tables = Vec::new();
        let mut vectors = Vec::new();
        for (table, range) in rows.tables.iter().zip(starts.windows(2)) {
            let (made, summary) = self.row_embedding.fit(table, &owners[range[0]..range[1]], labels, dice)?;
            vectors.push(made);
            tables.push(summary);
        }
        let edge_types = self.gnn.edge_types(if hops == 0 { 0 } else { 2 * relationships.len() }, dice)?;
        let x = self.gnn.forward(Tensor::cat(&vectors, 0)?, &edges, &edge_types, &rows.graph.entities(), hops)?;
        let answers = match labels {
            Labels::Classes { count, codes } if *count > self.icl.classes => {
                Answers::Hierarchy { root: Node::fit(&self.icl, &x, codes)?, classes: *count }
            }
            Labels::Classes { count, .. } => Answers::Head { context: self.icl.fit(&x, labels)?, outputs: *count },
            Labels::Numbers(_) => Answers::Head { context: self.icl.fit(&x, labels)?, outputs: usize::MAX },
        };
        Ok(NetworkContext { tables, edge_types, relationships: relationships.to_vec(), hops, answers })
    }

    /// For each query, which is one example with its rows, the logits of its classes or its quantiles. A query is
    /// computed from its own rows only: its bits are the same in every batch.
    pub(super) fn predict(&self, context: &NetworkContext, queries: &[Rows]) -> Result<Vec<Vec<f32>>> {
        let vectors = rows::each(queries.len(), |query| self.embed(context, &queries[query]))?;
        let tiles: Vec<&[Tensor]> = vectors.chunks(QUERY_TILE).collect();
        let made = rows::each(tiles.len(), |tile| self.answer(context, tiles[tile]))?;
        Ok(made.into_iter().flatten().collect())
    }

    fn embed(&self, context: &NetworkContext, query: &Rows) -> Result<Tensor> {
        let mut vectors = Vec::new();
        for (table, summary) in query.tables.iter().zip(&context.tables) {
            if table.dim(0)? > 0 {
                vectors.push(self.row_embedding.predict(table, summary)?);
            }
        }
        let edges = query.graph.edges(&context.relationships);
        let entities = query.graph.entities();
        self.gnn.forward(Tensor::cat(&vectors, 0)?, &edges, &context.edge_types, &entities, context.hops)
    }

    fn answer(&self, context: &NetworkContext, vectors: &[Tensor]) -> Result<Vec<Vec<f32>>> {
        let x = Tensor::cat(vectors, 0)?;
        match &context.answers {
            Answers::Hierarchy { root, classes } => root.predict(&self.icl, &x, *classes),
            Answers::Head { context, outputs } => {
                let mut answers: Vec<Vec<f32>> = self.icl.predict(&x, context)?.to_vec2()?;
                answers.iter_mut().for_each(|answer| answer.truncate(*outputs));
                Ok(answers)
            }
        }
    }
}
