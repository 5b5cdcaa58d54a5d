//! The products of attention, head by head.

use candle_core::{Result, Tensor};

use super::attention::Panels;
use super::kernels::{Kernel, softmax_row, vectorised};
use super::product::{PANEL, product};
use super::rope::Rope;
use super::rows;

/// Queries that read a head's keys at once.
const QUERY_TILE: usize = 48;

#[expect(clippy::cast_precision_loss, reason = "a head has few channels")]
fn scale(channels: usize) -> f32 {
    1.0 / (channels as f32).sqrt()
}

/// How many keys there are, how many with those of nought that fill the last panel, and a head's channels.
#[derive(Clone, Copy)]
struct Sizes {
    keys: usize,
    places: usize,
    head: usize,
}

/// Space for one head's queries, scores and results.
struct Scratch {
    queries: Vec<f32>,
    scores: Vec<f32>,
    read: Vec<f32>,
}

impl Scratch {
    fn new(queries: usize, sizes: Sizes) -> Self {
        let [queries_and_read, scores] = [queries * sizes.head, queries * sizes.places];
        Self { queries: vec![0.0; queries_and_read], scores: vec![0.0; scores], read: vec![0.0; queries_and_read] }
    }
}

/// Queries `[batch, queries, channels]` read `kept`: the same shape.
pub(super) fn attend(queries: &Tensor, kept: &Panels, heads: usize) -> Result<Tensor> {
    let (batch, count, channels) = queries.dims3()?;
    let mut out = vec![0.0; batch * count * channels];
    if kept.count > 0 {
        rows::read(queries, |queries| vectorised(Attend { queries, kept, batch, heads, channels, out: &mut out }))?;
    }
    Tensor::from_vec(out, (batch, count, channels), queries.device())
}

struct Attend<'a> {
    queries: &'a [f32],
    kept: &'a Panels,
    batch: usize,
    heads: usize,
    channels: usize,
    out: &'a mut [f32],
}

impl Kernel for Attend<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { queries, kept, batch, heads, channels, out } = self;
        let head = channels / heads;
        let count = queries.len() / channels / batch;
        let sizes = Sizes { keys: kept.count, places: kept.count, head };
        let mut scratch = Scratch::new(QUERY_TILE.min(count), sizes);
        for part in 0..batch * heads {
            let (item, channel) = (part / heads, part % heads * head);
            let (keys, values) = kept.head(part);
            for first in (0..count).step_by(QUERY_TILE) {
                let tile = QUERY_TILE.min(count - first);
                let start = (item * count + first) * channels;
                let rows = queries[start..start + tile * channels].chunks_exact(channels);
                for (row, query) in rows.zip(scratch.queries.chunks_exact_mut(head)) {
                    query.copy_from_slice(&row[channel..channel + head]);
                }
                read(&mut scratch, keys, values, tile, sizes);
                let rows = out[start..start + tile * channels].chunks_exact_mut(channels);
                for (row, read) in rows.zip(scratch.read.chunks_exact(head)) {
                    row[channel..channel + head].copy_from_slice(read);
                }
            }
        }
    }
}

/// The first `tile` queries of the scratch read one head.
#[inline(always)]
fn read(scratch: &mut Scratch, keys: &[f32], values: &[f32], tile: usize, sizes: Sizes) {
    let Sizes { keys: count, places, head } = sizes;
    let (queries, scores) = (&scratch.queries[..tile * head], &mut scratch.scores[..tile * places]);
    let read = &mut scratch.read[..tile * head];
    scores.fill(0.0);
    read.fill(0.0);
    product(queries, head, keys, places, scores);
    for row in scores.chunks_exact_mut(places) {
        // Whole vectors: what fills the panel weighs nothing.
        row[count..].fill(f32::NEG_INFINITY);
        softmax_row(row, scale(head));
        row[count..].fill(0.0);
    }
    product(scores, places, values, head, read);
}

/// Within each batch, the first `count` rows read all rows. `all` is `[batch, rows, 3 channels]`: queries, keys, values.
pub(super) fn attend_within(all: &Tensor, count: usize, heads: usize, rope: &Rope) -> Result<Tensor> {
    let (batch, length, width) = all.dims3()?;
    let channels = width / 3;
    let mut out = vec![0.0; batch * count * channels];
    rows::read(all, |all| vectorised(AttendWithin { all, length, count, heads, channels, rope, out: &mut out }))?;
    Tensor::from_vec(out, (batch, count, channels), all.device())
}

struct AttendWithin<'a> {
    all: &'a [f32],
    length: usize,
    count: usize,
    heads: usize,
    channels: usize,
    rope: &'a Rope,
    out: &'a mut [f32],
}

impl Kernel for AttendWithin<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { all, length, count, heads, channels, rope, out } = self;
        let angles = rope.table(length);
        let (head, width) = (channels / heads, 3 * channels);
        // Rows are short: whole panels of scores are quicker than the part that is needed.
        let places = length.div_ceil(PANEL) * PANEL;
        let sizes = Sizes { keys: length, places, head };
        let mut keys = vec![0.0; places * head];
        let mut values = vec![0.0; head.div_ceil(PANEL) * PANEL * places];
        let mut turned = vec![0.0; head];
        let mut scratch = Scratch::new(count, sizes);
        for (rows, out) in all.chunks_exact(length * width).zip(out.chunks_exact_mut(count * channels)) {
            for channel in (0..channels).step_by(head) {
                for (place, row) in rows.chunks_exact(width).enumerate() {
                    turned.copy_from_slice(&row[channels + channel..][..head]);
                    Rope::turn(&mut turned, &angles[place * (head / 2)..][..head / 2]);
                    pack_key(&turned, place, &mut keys);
                    pack_value(&row[2 * channels + channel..][..head], place, places, &mut values);
                }
                for ((place, row), query) in
                    rows.chunks_exact(width).enumerate().zip(scratch.queries.chunks_exact_mut(head))
                {
                    query.copy_from_slice(&row[channel..][..head]);
                    Rope::turn(query, &angles[place * (head / 2)..][..head / 2]);
                }
                read(&mut scratch, &keys, &values, count, sizes);
                for (row, read) in out.chunks_exact_mut(channels).zip(scratch.read.chunks_exact(head)) {
                    row[channel..channel + head].copy_from_slice(read);
                }
            }
        }
    }
}

/// Puts one key into the panels of keys: `[panels, head channels, 16 keys]`.
#[inline(always)]
pub(super) fn pack_key(key: &[f32], place: usize, panels: &mut [f32]) {
    let panel = &mut panels[place / PANEL * PANEL * key.len()..][..PANEL * key.len()];
    panel.chunks_exact_mut(PANEL).zip(key).for_each(|(row, value)| row[place % PANEL] = *value);
}

/// Puts one value into the panels of values: `[panels, keys, 16 head channels]`.
#[inline(always)]
pub(super) fn pack_value(value: &[f32], place: usize, count: usize, panels: &mut [f32]) {
    for (part, panel) in value.chunks(PANEL).zip(panels.chunks_exact_mut(PANEL * count)) {
        panel[place * PANEL..][..part.len()].copy_from_slice(part);
    }
}
