//! Message passing that knows no schema: one set of weights for every round and every foreign key, whose kinds are told
//! apart by random unit vectors; with names `edge_type_lin`, `skip_lin`, `src_lin`, `aggregation_lin`, `norm`, `out_lin`,
//! `out_norm`.
//!
//! A row's message is the sum, mean, standard deviation, least and greatest of its neighbours' vectors, each with the
//! vector of its edge's type added; a round is `GELU(norm(skip(x) + aggregation(message)))`.

use candle_core::{DType, Result, Tensor};

use super::compute::Compute;
use super::config::Config;
use super::dice::Dice;
use super::graph::Edges;
use super::kernels;
use super::linear::Linear;
use super::norm::LayerNorm;
use super::operations;
use super::rows;
use super::weights::Weights;

/// Rows that are worked on at once.
const TILE: usize = 128;

#[derive(Debug, Clone)]
pub(super) struct InvariantGnn {
    edge_type: Linear,
    skip: Linear,
    source: Linear,
    aggregation: Linear,
    norm: LayerNorm,
    out: Linear,
    out_norm: LayerNorm,
    channels: usize,
    compute: Compute,
}

impl InvariantGnn {
    pub(super) fn new(config: &Config, weights: &Weights) -> Result<Self> {
        let channels = config.wide_channels();
        let square = |name: &str| Linear::new(channels, channels, &weights.at(name));
        Ok(Self {
            edge_type: square("edge_type_lin")?,
            skip: square("skip_lin")?,
            source: square("src_lin")?,
            aggregation: Linear::without_bias(5 * channels, channels, &weights.at("aggregation_lin"))?,
            norm: LayerNorm::new(channels, true, &weights.at("norm"))?,
            out: square("out_lin")?,
            out_norm: LayerNorm::new(channels, true, &weights.at("out_norm"))?,
            channels,
            compute: weights.compute().clone(),
        })
    }

    /// A vector for each of `kinds` edge types, `[kinds, channels]`, drawn at random.
    pub(super) fn edge_types(&self, kinds: usize, dice: &mut dyn Dice) -> Result<Tensor> {
        let mut draws = dice.normals(kinds * self.channels);
        for row in draws.chunks_exact_mut(self.channels) {
            let length = row.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-12);
            row.iter_mut().for_each(|value| *value /= length);
        }
        if kinds == 0 {
            return Tensor::zeros((0, self.channels), DType::F32, self.compute.device());
        }
        self.edge_type.forward(&Tensor::from_vec(draws, (kinds, self.channels), self.compute.device())?)
    }

    /// The vectors of the rows `readout` after `hops` rounds among all rows `x`, `[rows, channels]`.
    pub(super) fn forward(
        &self,
        x: Tensor,
        edges: &Edges,
        types: &Tensor,
        readout: &[usize],
        hops: usize,
    ) -> Result<Tensor> {
        let mut x = x;
        let everything: Vec<usize> = (0..x.dim(0)?).collect();
        for hop in 1..=hops {
            let targets = if hop == hops { readout } else { &everything };
            x = self.round(&x, edges, types, targets)?;
        }
        if hops == 0 {
            return select(&x, readout);
        }
        self.compute.tiles(&x, TILE, |x| self.out_norm.forward(&self.out.forward(x)?))
    }

    fn round(&self, x: &Tensor, edges: &Edges, types: &Tensor, targets: &[usize]) -> Result<Tensor> {
        let sources = self.compute.tiles(x, TILE, |x| self.source.forward(x))?;
        if !self.compute.is_loops() {
            let message = operations::messages(&sources, types, edges, targets)?;
            return self.updated(&select(x, targets)?, &message)?.gelu_erf();
        }
        let tiles: Vec<&[usize]> = targets.chunks(TILE).collect();
        let made = rows::each(tiles.len(), |tile| {
            let message = self.messages(&sources, edges, types, tiles[tile])?;
            rows::change(&self.updated(&select(x, tiles[tile])?, &message)?, kernels::gelu)
        })?;
        Tensor::cat(&made, 0)
    }

    /// What a round makes of rows and the messages that reach them, before GELU.
    fn updated(&self, x: &Tensor, message: &Tensor) -> Result<Tensor> {
        self.norm.forward(&(self.skip.forward(x)? + self.aggregation.forward(message)?)?)
    }

    /// `[targets, 5 channels]`.
    fn messages(&self, sources: &Tensor, edges: &Edges, types: &Tensor, targets: &[usize]) -> Result<Tensor> {
        let mut out = vec![0.0; targets.len() * 5 * self.channels];
        rows::read(sources, |sources| {
            rows::read(types, |types| {
                for (target, out) in targets.iter().zip(out.chunks_exact_mut(5 * self.channels)) {
                    kernels::vectorised(Summarise { sources, types, edges, target: *target, out });
                }
            })
        })??;
        Tensor::from_vec(out, (targets.len(), 5 * self.channels), self.compute.device())
    }
}

fn select(x: &Tensor, rows: &[usize]) -> Result<Tensor> {
    let index: Vec<u32> = rows.iter().map(|row| u32::try_from(*row).expect("a graph has fewer rows")).collect();
    x.index_select(&Tensor::new(index, x.device())?, 0)
}

/// The five summaries of one row's neighbours, one after another; zeros where there are none.
struct Summarise<'a> {
    sources: &'a [f32],
    types: &'a [f32],
    edges: &'a Edges,
    target: usize,
    out: &'a mut [f32],
}

impl kernels::Kernel for Summarise<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { sources, types, edges, target, out } = self;
        /// Below this variance the spread counts as none.
        const VARIANCE_MIN: f32 = 1e-5;
        let channels = out.len() / 5;
        let from = edges.offsets[target]..edges.offsets[target + 1];
        if from.is_empty() {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a row has fewer neighbours than 2^24")]
        let count = from.len() as f32;
        let (total, rest) = out.split_at_mut(channels);
        let (mean, rest) = rest.split_at_mut(channels);
        let (spread, rest) = rest.split_at_mut(channels);
        let (least, most) = rest.split_at_mut(channels);
        least.fill(f32::INFINITY);
        most.fill(f32::NEG_INFINITY);
        for edge in from {
            let source = &sources[edges.sources[edge] * channels..][..channels];
            let kind = &types[edges.kinds[edge] * channels..][..channels];
            let sums = total.iter_mut().zip(spread.iter_mut()).zip(least.iter_mut().zip(most.iter_mut()));
            for ((source, kind), ((total, square), (least, most))) in source.iter().zip(kind).zip(sums) {
                let value = source + kind;
                *total += value;
                *square += value * value;
                *least = least.min(value);
                *most = most.max(value);
            }
        }
        for ((total, mean), spread) in total.iter().zip(mean).zip(spread) {
            *mean = total / count;
            let variance = *spread / count - *mean * *mean;
            *spread = if variance <= VARIANCE_MIN { 0.0 } else { variance.sqrt() };
        }
    }
}
