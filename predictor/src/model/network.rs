//! The whole network: rows to vectors, vectors along the keys, examples to answers.

use candle_core::{DType, Device, Result, Tensor};

use super::compute::Compute;
use super::config::Config;
use super::dice::Dice;
use super::gnn::InvariantGnn;
use super::graph::{Graph, Link, Relationship};
use super::hierarchy::Node;
use super::icl::{ContextSummary, IclBlock};
use super::kept::Keep;
use super::label::Labels;
use super::row_embedding::{RowEmbedding, TableSummary};
use super::weights::{Faults, Weights};

/// Queries that a thread works on at once.
const QUERY_TILE: usize = 16;

/// Queries that a device works on at once.
const DEVICE_QUERIES: usize = 512;

/// The published network.
#[derive(Debug, Clone)]
pub struct Network {
    row_embedding: RowEmbedding,
    gnn: InvariantGnn,
    icl: IclBlock,
    compute: Compute,
}

/// The foreign keys that messages go along, and how often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys<'a> {
    pub(super) relationships: &'a [Relationship],
    pub(super) hops: usize,
}

/// The rows of some examples: one table after another, `[rows, columns]` each, and the keys between them.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) graph: Graph,
    pub(super) tables: Vec<Tensor>,
}

impl Rows {
    /// All of several examples' rows, which keep their neighbours.
    fn together(parts: &[Self], relationships: &[Relationship]) -> Result<Self> {
        let [first, rest @ ..] = parts else { candle_core::bail!("there is no example") };
        let mut graph = first.graph.clone();
        for Self { graph: part, .. } in rest {
            let offsets = graph.counts.clone();
            graph.links.extend(part.links.iter().map(|link| {
                let Relationship { child, parent } = relationships[link.relationship];
                Link { child: offsets[child] + link.child, parent: offsets[parent] + link.parent, ..*link }
            }));
            graph.entities.extend(part.entities.iter().map(|row| offsets[graph.entity_table] + row));
            graph.counts.iter_mut().zip(&part.counts).for_each(|(all, count)| *all += count);
        }
        let table = |index: usize| {
            let filled = parts.iter().map(|part| &part.tables[index]).filter(|table| table.elem_count() > 0);
            let filled: Vec<&Tensor> = filled.collect();
            match filled.as_slice() {
                [] => Tensor::zeros((graph.counts[index], first.tables[index].dim(1)?), DType::F32, &Device::Cpu),
                filled => Tensor::cat(filled, 0),
            }
        };
        let tables = (0..first.tables.len()).map(table).collect::<Result<_>>()?;
        Ok(Self { graph, tables })
    }
}

/// What queries need of a context: summaries of its tables and of its examples.
#[derive(Debug, Clone)]
pub struct NetworkContext {
    tables: Vec<TableSummary>,
    edge_types: Tensor,
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

impl Keep for NetworkContext {
    fn keep(&self, onto: &mut Vec<u8>) -> Option<()> {
        self.tables.keep(onto)?;
        self.edge_types.keep(onto)?;
        match &self.answers {
            Answers::Head { context, outputs } => {
                outputs.keep(onto)?;
                1usize.keep(onto)?;
                context.keep(onto)
            }
            Answers::Hierarchy { root, classes } => {
                classes.keep(onto)?;
                0usize.keep(onto)?;
                root.keep(onto)
            }
        }
    }

    fn restore(from: &mut &[u8]) -> Option<Self> {
        let (tables, edge_types, number) = (Keep::restore(from)?, Tensor::restore(from)?, usize::restore(from)?);
        let context: Option<ContextSummary> = Keep::restore(from)?;
        let answers = match context {
            Some(context) => Answers::Head { context, outputs: number },
            None => Answers::Hierarchy { root: Node::restore(from)?, classes: number },
        };
        Some(Self { tables, edge_types, answers })
    }
}

impl Network {
    /// Takes every tensor that the dimensions ask for.
    pub(super) fn new(config: &Config, weights: Weights) -> Result<std::result::Result<Self, Faults>> {
        let network = Self {
            row_embedding: RowEmbedding::new(config, &weights.at("row_embedding"))?,
            gnn: InvariantGnn::new(config, &weights.at("gnn"))?,
            icl: IclBlock::new(config, &weights.at("icl_block"))?,
            compute: weights.compute().clone(),
        };
        let faults = weights.finish();
        Ok(if faults.is_empty() { Ok(network) } else { Err(faults) })
    }

    /// Encodes a context once.
    pub(super) fn fit(
        &self,
        rows: &Rows,
        Keys { relationships, hops }: Keys<'_>,
        labels: &Labels,
        dice: &mut dyn Dice,
    ) -> Result<NetworkContext> {
        let edges = rows.graph.edges(relationships);
        let owners = rows.graph.owners(&edges, hops);
        let (vectors, tables) = self.rows(rows, &owners, labels, dice)?;
        let edge_types = self.gnn.edge_types(if hops == 0 { 0 } else { 2 * relationships.len() }, dice)?;
        let x = self.gnn.forward(vectors, &edges, &edge_types, &rows.graph.entities(), hops)?;
        let answers = self.learn(&x, labels)?;
        Ok(NetworkContext { tables, edge_types, answers })
    }

    /// The vectors of all rows, table after table, and the tables' summaries.
    fn rows(
        &self,
        rows: &Rows,
        owners: &[Option<u32>],
        labels: &Labels,
        dice: &mut dyn Dice,
    ) -> Result<(Tensor, Vec<TableSummary>)> {
        let starts = rows.graph.starts();
        let mut tables = Vec::new();
        let mut vectors = Vec::new();
        for (table, range) in rows.tables.iter().zip(starts.windows(2)) {
            let (made, summary) = self.row_embedding.fit(table, &owners[range[0]..range[1]], labels, dice)?;
            vectors.push(made);
            tables.push(summary);
        }
        Ok((Tensor::cat(&vectors, 0)?, tables))
    }

    /// What queries need of the examples' vectors.
    fn learn(&self, x: &Tensor, labels: &Labels) -> Result<Answers> {
        Ok(match labels {
            Labels::Classes { count, codes } if *count > self.icl.classes => {
                Answers::Hierarchy { root: Node::fit(&self.icl, x, codes)?, classes: *count }
            }
            Labels::Classes { count, .. } => Answers::Head { context: self.icl.fit(x, labels)?, outputs: *count },
            Labels::Numbers(_) => Answers::Head { context: self.icl.fit(x, labels)?, outputs: usize::MAX },
        })
    }

    /// Context and queries in one pass, in which nothing is kept from one for the other: what fitting and answering must
    /// agree with.
    #[cfg(test)]
    pub(super) fn joint(
        &self,
        context: &Rows,
        queries: &Rows,
        Keys { relationships, hops }: Keys<'_>,
        labels: &Labels,
        dice: &mut dyn Dice,
    ) -> Result<Vec<Vec<f32>>> {
        let all = Rows::together(&[context.clone(), queries.clone()], relationships)?;
        let edges = all.graph.edges(relationships);
        let mut owners = all.graph.owners(&edges, hops);
        let examples = context.graph.entities.len();
        owners.iter_mut().for_each(|owner| *owner = owner.filter(|owner| (*owner as usize) < examples));
        let (vectors, _) = self.rows(&all, &owners, labels, dice)?;
        let edge_types = self.gnn.edge_types(if hops == 0 { 0 } else { 2 * relationships.len() }, dice)?;
        let x = self.gnn.forward(vectors, &edges, &edge_types, &all.graph.entities(), hops)?;
        let answers = self.learn(&x.narrow(0, 0, examples)?.contiguous()?, labels)?;
        self.answer(&answers, &x.narrow(0, examples, queries.graph.entities.len())?.contiguous()?)
    }

    /// For each query, which is one example with its rows, the logits of its classes or its quantiles. Our own loops
    /// compute a query from its own rows only: its bits are the same in every batch.
    pub(super) fn predict(&self, context: &NetworkContext, keys: Keys<'_>, queries: &[Rows]) -> Result<Vec<Vec<f32>>> {
        let size = if self.compute.is_loops() { QUERY_TILE } else { DEVICE_QUERIES };
        let tiles: Vec<&[Rows]> = queries.chunks(size).collect();
        let made = self.compute.each(tiles.len(), |tile| {
            let all = Rows::together(tiles[tile], keys.relationships)?;
            self.answer(&context.answers, &self.embed(context, keys, &all)?)
        })?;
        Ok(made.concat())
    }

    fn embed(&self, context: &NetworkContext, keys: Keys<'_>, query: &Rows) -> Result<Tensor> {
        let mut vectors = Vec::new();
        for (table, summary) in query.tables.iter().zip(&context.tables) {
            if table.dim(0)? > 0 {
                vectors.push(self.row_embedding.predict(table, summary)?);
            }
        }
        let edges = query.graph.edges(keys.relationships);
        let entities = query.graph.entities();
        self.gnn.forward(Tensor::cat(&vectors, 0)?, &edges, &context.edge_types, &entities, keys.hops)
    }

    fn answer(&self, answers: &Answers, x: &Tensor) -> Result<Vec<Vec<f32>>> {
        match answers {
            Answers::Hierarchy { root, classes } => root.predict(&self.icl, x, *classes),
            Answers::Head { context, outputs } => {
                let mut answers: Vec<Vec<f32>> = self.icl.predict(x, context)?.to_vec2()?;
                answers.iter_mut().for_each(|answer| answer.truncate(*outputs));
                Ok(answers)
            }
        }
    }
}
