//! Multi-head attention: `softmax(q kᵀ / √d) v` per head, with names `qkv_lin`, `out_lin` and, where queries are scaled,
//! `sdpa.query_scaling`.
//!
//! Keys and values are projected once and kept ([`KeyValues`]); queries only read them.

use candle_core::{Result, Tensor};

use super::heads;
use super::linear::Linear;
use super::product::PANEL;
use super::rope::Rope;
use super::scaling::QassMax;
use super::weights::Weights;

/// What queries read of the rows they attend to: keys and values of each batch and head, in panels.
#[derive(Debug, Clone)]
pub(super) struct KeyValues {
    /// `[batch, heads, panels of 16 keys, head channels, 16]`.
    keys: Vec<f32>,
    /// `[batch, heads, panels of 16 head channels, keys, 16]`.
    values: Vec<f32>,
    /// How many keys there are.
    pub(super) count: usize,
    /// Numbers in one head's keys, and in its values.
    sizes: [usize; 2],
    /// QASSMax's scale for this number of keys, `[1, channels]`.
    scale: Option<Tensor>,
}

impl KeyValues {
    /// Packs `[batch, keys, 2 channels]`.
    fn pack(rows: &[f32], count: usize, heads: usize, channels: usize, scale: Option<Tensor>) -> Self {
        let head = channels / heads;
        let sizes = [count.div_ceil(PANEL) * PANEL * head, head.div_ceil(PANEL) * PANEL * count];
        let parts = rows.len() / (2 * channels * count).max(1) * heads;
        let mut packed =
            Self { keys: vec![0.0; parts * sizes[0]], values: vec![0.0; parts * sizes[1]], count, sizes, scale };
        for (item, rows) in rows.chunks_exact((2 * channels * count).max(1)).enumerate() {
            for (place, row) in rows.chunks_exact(2 * channels).enumerate() {
                for part in 0..heads {
                    let index = item * heads + part;
                    let key = &row[part * head..][..head];
                    heads::pack_key(key, place, &mut packed.keys[index * sizes[0]..][..sizes[0]]);
                    let value = &row[channels + part * head..][..head];
                    heads::pack_value(value, place, count, &mut packed.values[index * sizes[1]..][..sizes[1]]);
                }
            }
        }
        packed
    }

    /// The panels of keys and values of one batch's head, counted through.
    pub(super) fn head(&self, part: usize) -> (&[f32], &[f32]) {
        let [keys, values] = self.sizes;
        (&self.keys[part * keys..][..keys], &self.values[part * values..][..values])
    }

    /// Their size in bytes.
    pub(super) fn bytes(&self) -> usize {
        4 * (self.keys.len() + self.values.len())
    }

    /// Those of several columns, side by side along the batch.
    pub(super) fn stack(parts: &[Self]) -> Option<Self> {
        let (first, rest) = parts.split_first()?;
        let mut all = first.clone();
        for part in rest {
            all.keys.extend_from_slice(&part.keys);
            all.values.extend_from_slice(&part.values);
        }
        Some(all)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Attention {
    query: Linear,
    key_value: Linear,
    all: Linear,
    out: Linear,
    scaling: Option<QassMax>,
    heads: usize,
}

impl Attention {
    pub(super) fn new(channels: usize, heads: usize, scaled: bool, weights: &Weights) -> Result<Self> {
        let joint = weights.at("qkv_lin");
        let [query, key_value] = Linear::parts(channels, [channels, 2 * channels], &joint)?;
        let [all] = Linear::parts(channels, [3 * channels], &joint)?;
        let scaling = weights.at("sdpa").at("query_scaling");
        Ok(Self {
            query,
            key_value,
            all,
            out: Linear::new(channels, channels, &weights.at("out_lin"))?,
            scaling: if scaled { Some(QassMax::new(channels, heads, &scaling)?) } else { None },
            heads,
        })
    }

    /// Keys and values of `[batch, keys, channels]`, already normalised.
    pub(super) fn key_values(&self, x: &Tensor) -> Result<KeyValues> {
        let (_, count, channels) = x.dims3()?;
        let scale = self.scaling.as_ref().map(|scaling| scaling.scale(count)).transpose()?;
        let rows = if count > 0 { self.key_value.map(x)? } else { Vec::new() };
        Ok(KeyValues::pack(&rows, count, self.heads, channels, scale))
    }

    /// Queries `[batch, queries, channels]`, already normalised, read `kept`.
    pub(super) fn forward(&self, x: &Tensor, kept: &KeyValues) -> Result<Tensor> {
        let mut query = self.query.forward(x)?;
        if let (Some(scaling), Some(scale)) = (&self.scaling, &kept.scale) {
            query = scaling.forward(&query, scale)?;
        }
        self.out.forward(&heads::attend(&query, kept, self.heads)?)
    }

    /// The first `queries` of each batch's rows read all of its rows, whose places turn them.
    pub(super) fn within(&self, x: &Tensor, queries: usize, rope: &Rope) -> Result<Tensor> {
        self.out.forward(&heads::attend_within(&self.all.forward(x)?, queries, self.heads, rope)?)
    }
}
