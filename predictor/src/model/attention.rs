//! Multi-head attention: `softmax(q kᵀ / √d) v` per head, with names `qkv_lin`, `out_lin` and, where queries are scaled,
//! `sdpa.query_scaling`.
//!
//! Keys and values are projected once and kept ([`KeyValues`]); queries only read them.

use candle_core::{Result, Tensor};

use super::heads;
use super::kept::Keep;
use super::linear::Linear;
use super::operations;
use super::product::PANEL;
use super::rope::Rope;
use super::scaling::QassMax;
use super::weights::Weights;

/// What queries read of the rows they attend to: keys and values of each batch and head.
#[derive(Debug, Clone)]
pub(super) struct KeyValues {
    pub(super) held: Held,
    /// QASSMax's scale for this number of keys, `[1, channels]`.
    pub(super) scale: Option<Tensor>,
}

#[derive(Debug, Clone)]
pub(super) enum Held {
    /// For our own loops.
    Panels(Panels),
    /// For candle's operations: `[batch, heads, keys, head channels]`.
    Tensors { keys: Tensor, values: Tensor },
}

/// Keys and values of each batch and head, in panels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Panels {
    /// `[batch, heads, panels of 16 keys, head channels, 16]`.
    pub(super) keys: Vec<f32>,
    /// `[batch, heads, panels of 16 head channels, keys, 16]`.
    pub(super) values: Vec<f32>,
    /// How many keys there are.
    pub(super) count: usize,
    /// Numbers in one head's keys, and in its values.
    sizes: [usize; 2],
}

impl Panels {
    /// Packs `[batch, keys, 2 channels]`.
    fn pack(rows: &[f32], count: usize, heads: usize, channels: usize) -> Self {
        let head = channels / heads;
        let sizes = Self::sizes(count, head);
        let parts = rows.len() / (2 * channels * count).max(1) * heads;
        let mut packed = Self { keys: vec![0.0; parts * sizes[0]], values: vec![0.0; parts * sizes[1]], count, sizes };
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

    fn sizes(count: usize, head: usize) -> [usize; 2] {
        [count.div_ceil(PANEL) * PANEL * head, head.div_ceil(PANEL) * PANEL * count]
    }

    /// The panels of keys and values of one batch's head, counted through.
    pub(super) fn head(&self, part: usize) -> (&[f32], &[f32]) {
        let [keys, values] = self.sizes;
        (&self.keys[part * keys..][..keys], &self.values[part * values..][..values])
    }
}

impl KeyValues {
    /// Their size in bytes.
    pub(super) fn bytes(&self) -> usize {
        4 * match &self.held {
            Held::Panels(panels) => panels.keys.len() + panels.values.len(),
            Held::Tensors { keys, values } => keys.elem_count() + values.elem_count(),
        }
    }

    /// Those of several columns, side by side along the batch: for our own loops, which take columns one by one.
    pub(super) fn stack(parts: &[Self]) -> Option<Self> {
        let (first, rest) = parts.split_first()?;
        let mut all = first.clone();
        for part in rest {
            let (Held::Panels(all), Held::Panels(part)) = (&mut all.held, &part.held) else { return None };
            all.keys.extend_from_slice(&part.keys);
            all.values.extend_from_slice(&part.values);
        }
        Some(all)
    }
}

impl Keep for KeyValues {
    fn keep(&self, onto: &mut Vec<u8>) -> Option<()> {
        let Held::Panels(Panels { keys, values, count, sizes }) = &self.held else { return None };
        keys.keep(onto)?;
        values.keep(onto)?;
        [*count, sizes[0], sizes[1]].iter().try_for_each(|number| number.keep(onto))?;
        self.scale.keep(onto)
    }

    fn restore(from: &mut &[u8]) -> Option<Self> {
        let (keys, values) = (Keep::restore(from)?, Keep::restore(from)?);
        let (count, sizes) = (usize::restore(from)?, [usize::restore(from)?, usize::restore(from)?]);
        Some(Self { held: Held::Panels(Panels { keys, values, count, sizes }), scale: Keep::restore(from)? })
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
        let held = match &self.key_value {
            Linear::Panels(map) => {
                let rows = if count > 0 { map.map(x)? } else { Vec::new() };
                Held::Panels(Panels::pack(&rows, count, self.heads, channels))
            }
            map @ Linear::Tensors { .. } => {
                let both = map.forward(x)?;
                let part = |start| operations::split_heads(&both.narrow(2, start, channels)?.contiguous()?, self.heads);
                Held::Tensors { keys: part(0)?, values: part(channels)? }
            }
        };
        Ok(KeyValues { held, scale })
    }

    /// Queries `[batch, queries, channels]`, already normalised, read `kept`.
    pub(super) fn forward(&self, x: &Tensor, kept: &KeyValues) -> Result<Tensor> {
        let mut query = self.query.forward(x)?;
        if let (Some(scaling), Some(scale)) = (&self.scaling, &kept.scale) {
            query = scaling.forward(&query, scale)?;
        }
        self.out.forward(&match &kept.held {
            Held::Panels(panels) => heads::attend(&query, panels, self.heads)?,
            Held::Tensors { keys, values } => operations::attend(&query, keys, values)?,
        })
    }

    /// The first `queries` of each batch's rows read all of its rows, whose places turn them.
    pub(super) fn within(&self, x: &Tensor, queries: usize, rope: &Rope) -> Result<Tensor> {
        let all = self.all.forward(x)?;
        self.out.forward(&match &self.all {
            Linear::Panels(_) => heads::attend_within(&all, queries, self.heads, rope)?,
            Linear::Tensors { .. } => operations::attend_within(&all, queries, self.heads, rope)?,
        })
    }
}
