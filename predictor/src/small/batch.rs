//! What goes into the network, and the tensors of episodes that are computed together.

use candle_core::{DType, Device, Tensor};

use super::Error;
use super::prepare::{Prepared, Start};
use super::screen::{STATISTICS, VALUES};
use super::sight::FACTS;

/// Numbers that say what is known of a row's target: the target, then which of known, asked, whether and how much.
const MARKS: usize = 5;
/// Numbers that describe a cell.
pub(super) const CELL_INPUTS: usize = VALUES + STATISTICS + MARKS;
/// Numbers that describe a row, beside its values.
pub(super) const ROW_INPUTS: usize = FACTS + MARKS;
/// What a query's answer starts from: log-odds, point, floor, quantiles.
const STARTS: usize = 12;

/// Whether a row's target is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mark {
    Known(f32),
    Asked,
}

impl Mark {
    fn inputs(self, number: bool) -> [f32; MARKS] {
        match (self, number) {
            (Self::Known(label), false) => [label, 1.0, 0.0, 0.0, 0.0],
            (Self::Known(label), true) => [label, 0.0, 1.0, 0.0, 0.0],
            (Self::Asked, false) => [0.0, 0.0, 0.0, 1.0, 0.0],
            (Self::Asked, true) => [0.0, 0.0, 0.0, 0.0, 1.0],
        }
    }
}

/// What describes a cell.
pub(super) fn cell_inputs(
    values: &[f32; VALUES],
    statistics: &[f32; STATISTICS],
    mark: Mark,
    number: bool,
) -> [f32; CELL_INPUTS] {
    let mut inputs = [0.0; CELL_INPUTS];
    inputs[..VALUES].copy_from_slice(values);
    inputs[VALUES..VALUES + STATISTICS].copy_from_slice(statistics);
    inputs[VALUES + STATISTICS..].copy_from_slice(&mark.inputs(number));
    inputs
}

/// What describes a row, its values included.
pub(super) fn row_inputs(
    facts: &[f32; FACTS],
    values: &[[f32; VALUES]],
    mark: Mark,
    number: bool,
    onto: &mut Vec<f32>,
) {
    onto.extend(facts);
    onto.extend(mark.inputs(number));
    onto.extend(values.iter().flat_map(|values| [values[0], values[1]]));
}

/// Episodes of equal size as tensors.
#[derive(Debug)]
pub(super) struct Batch {
    /// Episode × column × row × inputs.
    pub(super) cells: Tensor,
    /// Episode × row × inputs.
    pub(super) rows: Tensor,
    /// Rows of context; the queries follow.
    pub(super) context: usize,
    /// Episode × query × start.
    pub(super) starts: Tensor,
    /// Episode × 1 × 1.
    pub(super) sigma: Tensor,
    /// Episode × query.
    pub(super) truths: Tensor,
    /// 1 for numbers, by episode × 1.
    pub(super) number: Tensor,
}

impl Batch {
    /// Of at least one episode; all have the size of the first.
    pub(super) fn new(episodes: &[&Prepared], dtype: DType, device: &Device) -> Result<Self, Error> {
        let (context, queries) = episodes[0].size();
        let (columns, rows, many) = (episodes[0].statistics.len(), context + queries, episodes.len());
        let mut cells = Vec::with_capacity(many * columns * rows * CELL_INPUTS);
        let mut row_parts = Vec::with_capacity(many * rows * (ROW_INPUTS + 2 * columns));
        for episode in episodes {
            debug_assert_eq!(episode.size(), (context, queries), "episodes of a batch have one size");
            for (column, statistics) in episode.statistics.iter().enumerate() {
                for row in 0..rows {
                    let values = &episode.values[row * columns + column];
                    cells.extend(cell_inputs(values, statistics, episode.mark(row), episode.number));
                }
            }
            for (row, values) in episode.values.chunks_exact(columns).enumerate() {
                row_inputs(&episode.facts[row], values, episode.mark(row), episode.number, &mut row_parts);
            }
        }
        let tensor = |values: Vec<f32>, shape: &[usize]| Tensor::from_vec(values, shape, device)?.to_dtype(dtype);
        let starts = episodes.iter().flat_map(|episode| &episode.starts).flat_map(Start::inputs).collect();
        let truths = episodes.iter().flat_map(|episode| &episode.truths).copied().collect();
        let sigma = episodes.iter().map(|episode| episode.sigma).collect();
        let number = episodes.iter().map(|episode| f32::from(u8::from(episode.number))).collect();
        Ok(Self {
            cells: tensor(cells, &[many, columns, rows, CELL_INPUTS])?,
            rows: tensor(row_parts, &[many, rows, ROW_INPUTS + 2 * columns])?,
            context,
            starts: tensor(starts, &[many, queries, STARTS])?,
            sigma: tensor(sigma, &[many, 1, 1])?,
            truths: tensor(truths, &[many, queries])?,
            number: tensor(number, &[many, 1])?,
        })
    }
}

impl Prepared {
    fn mark(&self, row: usize) -> Mark {
        self.labels.get(row).map_or(Mark::Asked, |label| Mark::Known(*label))
    }
}

impl Start {
    fn inputs(&self) -> [f32; STARTS] {
        let mut inputs = [0.0; STARTS];
        inputs[..3].copy_from_slice(&[self.log_odds, self.point, self.floor]);
        inputs[3..].copy_from_slice(&self.quantiles);
        inputs
    }
}
