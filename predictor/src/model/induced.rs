//! Induced attention (arXiv 1810.00825): a few learned points read all rows, and all rows read the points; with names
//! `inducing_points`, `inducing_block` and `output_block`.

use candle_core::{Result, Tensor};

use super::attention::KeyValues;
use super::block::{Block, BlockShape};
use super::weights::Weights;

#[derive(Debug, Clone)]
pub(super) struct InducedBlock {
    points: Tensor,
    inducing: Block,
    output: Block,
}

impl InducedBlock {
    pub(super) fn new(shape: BlockShape, points: usize, weights: &Weights) -> Result<Self> {
        Ok(Self {
            points: weights.get("inducing_points", &[points, shape.channels])?.unsqueeze(0)?,
            inducing: Block::new(shape, true, &weights.at("inducing_block"))?,
            output: Block::new(shape, false, &weights.at("output_block"))?,
        })
    }

    /// What is to be known of the rows `[batch, keys, channels]`, however many they are; our loops take a batch of one.
    pub(super) fn summarise(&self, rows: &Tensor) -> Result<KeyValues> {
        let points = self.inducing.forward(&self.points, &self.inducing.key_values(rows)?)?;
        self.output.key_values(&points)
    }

    /// Rows `[batch, rows, channels]` after reading a summary each.
    pub(super) fn forward(&self, rows: &Tensor, summary: &KeyValues) -> Result<Tensor> {
        self.output.forward(rows, summary)
    }
}
