//! One vector per row of one table, with names `lin`, `y_emb` or `y_lin`, `col_layers`, `readout_token`, `row_layers`,
//! `norm`.
//!
//! Cell `j` of a row is a linear map of the values in columns `j + 1`, `j + 2` and `j + 4` (circularly), plus the label
//! where the row belongs to a labelled example. Column layers mix the rows of one column through a summary of the
//! labelled rows; row layers mix the cells of one row, read-out tokens among them; the tokens are the row's vector.

use candle_core::{Result, Tensor};

use super::attention::KeyValues;
use super::block::{Block, BlockShape};
use super::compute::Compute;
use super::config::Config;
use super::dice::Dice;
use super::induced::InducedBlock;
use super::kept::Keep;
use super::label::{LabelEmbedding, Labels};
use super::linear::Linear;
use super::norm::LayerNorm;
use super::operations;
use super::radix;
use super::rope::Rope;
use super::rows;
use super::weights::Weights;

/// Rows of one column, or of one table, that are worked on at once.
const COLUMN_TILE: usize = 512;
const ROW_TILE: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct RowEmbedding {
    map: Linear,
    labels: LabelEmbedding,
    columns: Vec<InducedBlock>,
    tokens: Tensor,
    rows: Vec<Block>,
    ropes: Vec<Rope>,
    norm: LayerNorm,
    group: usize,
    classes: usize,
    keys_max: usize,
    compute: Compute,
}

/// What queries need to know of a context's rows of one table: per digit of the classes and per layer the summaries of
/// all columns. Empty where a table has no columns.
#[derive(Debug, Clone)]
pub(super) struct TableSummary {
    digits: Vec<Vec<KeyValues>>,
}

impl TableSummary {
    pub(super) fn bytes(&self) -> usize {
        self.digits.iter().flatten().map(KeyValues::bytes).sum()
    }
}

impl Keep for TableSummary {
    fn keep(&self, onto: &mut Vec<u8>) -> Option<()> {
        self.digits.keep(onto)
    }

    fn restore(from: &mut &[u8]) -> Option<Self> {
        Some(Self { digits: Keep::restore(from)? })
    }
}

impl RowEmbedding {
    pub(super) fn new(config: &Config, weights: &Weights) -> Result<Self> {
        let channels = config.channels;
        let shape = BlockShape { channels, heads: config.num_embedding_heads, norm_bias: config.norm_bias };
        let head = channels / config.num_embedding_heads;
        let mut ropes: Vec<Rope> = Vec::new();
        let mut rows = Vec::new();
        for layer in 0..config.num_embedding_layers {
            let weights = weights.at("row_layers").at(layer);
            rows.push(Block::new(shape, false, &weights)?);
            ropes.push(Rope::new(head, &weights.at("attn"), ropes.first())?);
        }
        let points = config.num_inducing_points;
        let columns = weights.at("col_layers");
        Ok(Self {
            map: Linear::new(config.group_size, channels, &weights.at("lin"))?,
            labels: LabelEmbedding::new(config.num_classes, channels, weights)?,
            columns: (0..config.num_embedding_layers)
                .map(|layer| InducedBlock::new(shape, points, &columns.at(layer)))
                .collect::<Result<_>>()?,
            tokens: weights.get("readout_token", &[config.num_readout_tokens, channels])?,
            rows,
            ropes,
            norm: LayerNorm::new(channels, config.norm_bias, &weights.at("norm"))?,
            group: config.group_size,
            classes: config.num_classes,
            keys_max: config.max_train_size,
            compute: weights.compute().clone(),
        })
    }

    /// The vectors of a context's rows, and what queries need. `x` is `[rows, columns]`; `owners` says to which example
    /// each row belongs.
    pub(super) fn fit(
        &self,
        x: &Tensor,
        owners: &[Option<u32>],
        labels: &Labels,
        dice: &mut dyn Dice,
    ) -> Result<(Tensor, TableSummary)> {
        let labelled: Vec<u32> =
            (0u32..).zip(owners).filter(|(_, owner)| owner.is_some()).map(|(row, _)| row).collect();
        let keys: Vec<Vec<u32>> = self.columns.iter().map(|_| self.keys(&labelled, dice)).collect();
        let cells = self.cells(x)?;
        let mut digits = Vec::new();
        let mut sum: Option<Tensor> = None;
        for labels in self.digits(labels) {
            let labels = self.labels.forward(&labels)?;
            let (made, layers) = if x.dim(1)? == 0 {
                (None, Vec::new())
            } else if self.compute.is_loops() {
                self.columns_apart(&cells, owners, &labels, &keys)?
            } else {
                self.columns_together(&cells, owners, &labels, &keys)?
            };
            digits.push(layers);
            sum = match (sum, made) {
                (Some(sum), Some(made)) => Some((sum + made)?),
                (_, made) => made,
            };
        }
        let cells = sum.map(|sum| mean(&sum, digits.len())).transpose()?;
        Ok((self.readout(cells.as_ref(), x.dim(0)?)?, TableSummary { digits }))
    }

    /// All columns through all column layers, each on its own: cells `[rows, columns, channels]` and the layers' summaries.
    fn columns_apart(
        &self,
        cells: &Tensor,
        owners: &[Option<u32>],
        labels: &Tensor,
        keys: &[Vec<u32>],
    ) -> Result<(Option<Tensor>, Vec<KeyValues>)> {
        let made = rows::each(cells.dim(0)?, |column| {
            let cells = add_labels(&cells.get(column)?, owners, labels)?;
            self.column(cells, keys)
        })?;
        let (columns, summaries): (Vec<Tensor>, Vec<Vec<KeyValues>>) = made.into_iter().unzip();
        Ok((Some(Tensor::stack(&columns, 1)?), stack_layers(&summaries, self.columns.len())))
    }

    /// The same for a device, all columns at once.
    fn columns_together(
        &self,
        cells: &Tensor,
        owners: &[Option<u32>],
        labels: &Tensor,
        keys: &[Vec<u32>],
    ) -> Result<(Option<Tensor>, Vec<KeyValues>)> {
        let mut cells = cells.broadcast_add(&operations::of_owners(labels, owners)?)?;
        let mut summaries = Vec::new();
        for (layer, keys) in self.columns.iter().zip(keys) {
            let index = Tensor::new(keys.as_slice(), cells.device())?;
            let summary = layer.summarise(&cells.index_select(&index, 1)?)?;
            if cells.dim(1)? > 0 {
                cells = layer.forward(&cells, &summary)?;
            }
            summaries.push(summary);
        }
        Ok((Some(cells.transpose(0, 1)?.contiguous()?), summaries))
    }

    /// The vectors of a query's rows.
    pub(super) fn predict(&self, x: &Tensor, summary: &TableSummary) -> Result<Tensor> {
        let (count, columns) = x.dims2()?;
        if columns == 0 {
            return self.readout(None, count);
        }
        let cells = self.cells(x)?;
        let mut sum: Option<Tensor> = None;
        for layers in &summary.digits {
            let mut digit = cells.clone();
            for (layer, summary) in self.columns.iter().zip(layers) {
                digit = layer.forward(&digit, summary)?;
            }
            sum = Some(sum.map_or(Ok(digit.clone()), |sum| sum + digit)?);
        }
        let sum = sum.expect("a summary of columns has at least one digit");
        let cells = mean(&sum.transpose(0, 1)?.contiguous()?, summary.digits.len())?;
        self.readout(Some(&cells), count)
    }

    /// Grouped and mapped cells, `[columns, rows, channels]`.
    fn cells(&self, x: &Tensor) -> Result<Tensor> {
        let (count, columns) = x.dims2()?;
        if columns == 0 || count == 0 {
            return Tensor::zeros((columns, count, self.tokens.dim(1)?), x.dtype(), self.tokens.device());
        }
        let group = |values: &[f32]| {
            let mut grouped = Vec::with_capacity(values.len() * self.group);
            for column in 0..columns {
                for row in values.chunks_exact(columns) {
                    grouped.extend((0..self.group).map(|place| row[(column + (1 << place)) % columns]));
                }
            }
            grouped
        };
        let grouped = Tensor::from_vec(rows::read(x, group)?, (columns * count, self.group), self.tokens.device())?;
        self.map.forward(&grouped)?.reshape((columns, count, self.tokens.dim(1)?))
    }

    /// The labelled rows that a layer's summary reads: all, or as many as it takes, drawn at random.
    fn keys(&self, labelled: &[u32], dice: &mut dyn Dice) -> Vec<u32> {
        if labelled.len() <= self.keys_max {
            return labelled.to_vec();
        }
        dice.permutation(labelled.len()).into_iter().take(self.keys_max).map(|place| labelled[place]).collect()
    }

    fn digits(&self, labels: &Labels) -> Vec<Labels> {
        match labels {
            Labels::Classes { count, codes } if *count > self.classes => {
                let bases = radix::bases(*count, self.classes);
                let digit = |place: usize| {
                    let digit = |code: &u32| radix::digits(*code as usize, &bases)[place];
                    let digit = |code: &u32| u32::try_from(digit(code)).expect("a digit is below ten");
                    Labels::Classes { count: bases[place], codes: codes.iter().map(digit).collect() }
                };
                (0..bases.len()).map(digit).collect()
            }
            _ => vec![labels.clone()],
        }
    }

    /// One column through all column layers: its cells `[rows, channels]`, and the summary of each layer.
    fn column(&self, mut cells: Tensor, keys: &[Vec<u32>]) -> Result<(Tensor, Vec<KeyValues>)> {
        let mut summaries = Vec::new();
        for (layer, keys) in self.columns.iter().zip(keys) {
            let index = Tensor::new(keys.as_slice(), cells.device())?;
            let summary = layer.summarise(&cells.index_select(&index, 0)?.unsqueeze(0)?)?;
            let read = |tile: &Tensor| layer.forward(&tile.unsqueeze(0)?, &summary)?.squeeze(0);
            // A table may be empty in the context and not in a query.
            if cells.dim(0)? > 0 {
                cells = rows::tiles(&cells, COLUMN_TILE, read)?;
            }
            summaries.push(summary);
        }
        Ok((cells, summaries))
    }

    /// Cells `[rows, columns, channels]` to vectors `[rows, tokens · channels]`.
    fn readout(&self, cells: Option<&Tensor>, count: usize) -> Result<Tensor> {
        let (tokens, channels) = self.tokens.dims2()?;
        if count == 0 {
            return Tensor::zeros((0, tokens * channels), self.tokens.dtype(), self.tokens.device());
        }
        let head = self.tokens.unsqueeze(0)?.expand((count, tokens, channels))?;
        let x = match cells {
            Some(cells) => Tensor::cat(&[&head, cells], 1)?,
            None => head.contiguous()?,
        };
        self.compute.tiles(&x, ROW_TILE, |tile| {
            let mut x = tile.clone();
            for (index, (layer, rope)) in self.rows.iter().zip(&self.ropes).enumerate() {
                let queries = if index + 1 == self.rows.len() { tokens } else { x.dim(1)? };
                x = layer.within(&x, queries, rope)?;
            }
            self.norm.forward(&x)?.reshape((x.dim(0)?, tokens * channels))
        })
    }
}

fn add_labels(cells: &Tensor, owners: &[Option<u32>], labels: &Tensor) -> Result<Tensor> {
    let channels = labels.dim(1)?;
    rows::read(labels, |labels| {
        rows::change(cells, |cells| {
            for (row, owner) in cells.chunks_exact_mut(channels).zip(owners) {
                let Some(owner) = owner else { continue };
                let label = &labels[*owner as usize * channels..][..channels];
                row.iter_mut().zip(label).for_each(|(cell, label)| *cell += label);
            }
        })
    })?
}

/// From a list of layers per column to a list of layers with all columns.
fn stack_layers(columns: &[Vec<KeyValues>], layers: usize) -> Vec<KeyValues> {
    let layer = |layer: usize| -> Vec<KeyValues> { columns.iter().map(|column| column[layer].clone()).collect() };
    (0..layers).filter_map(|index| KeyValues::stack(&layer(index))).collect()
}

fn mean(sum: &Tensor, count: usize) -> Result<Tensor> {
    #[expect(clippy::cast_precision_loss, reason = "a class has few digits")]
    if count == 1 { Ok(sum.clone()) } else { sum / count as f64 }
}
