//! Learning in context: examples and queries read the examples, with names `y_emb` or `y_lin`, `layers`, `norm` and
//! `head.{0,2}`.

use candle_core::{Result, Tensor};

use super::attention::KeyValues;
use super::block::{Block, BlockShape};
use super::compute::Compute;
use super::config::Config;
use super::kept::Keep;
use super::label::{LabelEmbedding, Labels};
use super::linear::Linear;
use super::norm::LayerNorm;
use super::weights::Weights;

/// Examples that are worked on at once.
const CONTEXT_TILE: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct IclBlock {
    labels: LabelEmbedding,
    layers: Vec<Block>,
    norm: LayerNorm,
    head: [Linear; 2],
    pub(super) classes: usize,
    compute: Compute,
}

/// What queries read of the examples, layer by layer.
#[derive(Debug, Clone)]
pub(super) struct ContextSummary {
    layers: Vec<KeyValues>,
}

impl ContextSummary {
    pub(super) fn bytes(&self) -> usize {
        self.layers.iter().map(KeyValues::bytes).sum()
    }
}

impl Keep for ContextSummary {
    fn keep(&self, onto: &mut Vec<u8>) -> Option<()> {
        self.layers.keep(onto)
    }

    fn restore(from: &mut &[u8]) -> Option<Self> {
        Some(Self { layers: Keep::restore(from)? })
    }
}

impl IclBlock {
    pub(super) fn new(config: &Config, weights: &Weights) -> Result<Self> {
        let channels = config.wide_channels();
        let shape = BlockShape { channels, heads: config.num_icl_heads, norm_bias: config.norm_bias };
        let outputs = if config.num_classes > 0 { config.num_classes } else { config.num_quantiles };
        let (layers, head) = (weights.at("layers"), weights.at("head"));
        Ok(Self {
            labels: LabelEmbedding::new(config.num_classes, channels, weights)?,
            layers: (0..config.num_icl_layers)
                .map(|layer| Block::new(shape, true, &layers.at(layer)))
                .collect::<Result<_>>()?,
            norm: LayerNorm::new(channels, config.norm_bias, &weights.at("norm"))?,
            head: [Linear::new(channels, 2 * channels, &head.at(0))?, Linear::new(2 * channels, outputs, &head.at(2))?],
            classes: config.num_classes,
            compute: weights.compute().clone(),
        })
    }

    /// What queries need of the examples `x`, `[examples, channels]`.
    pub(super) fn fit(&self, x: &Tensor, labels: &Labels) -> Result<ContextSummary> {
        let mut x = (x + self.labels.forward(labels)?)?;
        let mut layers = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let kept = layer.key_values(&x.unsqueeze(0)?)?;
            if index + 1 < self.layers.len() {
                x = self.compute.tiles(&x, CONTEXT_TILE, |x| layer.forward(&x.unsqueeze(0)?, &kept)?.squeeze(0))?;
            }
            layers.push(kept);
        }
        Ok(ContextSummary { layers })
    }

    /// The logits or quantiles of queries `[queries, channels]`.
    pub(super) fn predict(&self, x: &Tensor, summary: &ContextSummary) -> Result<Tensor> {
        let mut x = x.unsqueeze(0)?;
        for (layer, kept) in self.layers.iter().zip(&summary.layers) {
            x = layer.forward(&x, kept)?;
        }
        self.head[1].forward(&self.head[0].gelu(&self.norm.forward(&x.squeeze(0)?)?)?)
    }
}
