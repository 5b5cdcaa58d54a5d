//! The network on one context and single queries, in plain arithmetic: what training computes batch by batch.

use super::attend::attention;
use super::batch::{CELL_INPUTS, Mark, ROW_INPUTS, cell_inputs, row_inputs};
use super::dense::rms_norm;
use super::forward::CORRECTION_MAX;
use super::kernel::product;
use super::layers::{KEYS_USUAL, float};
use super::memory::{Keys, Memory};
use super::net::{Block, Net, Slot};
use super::prepare::{Prepared, Start};
use super::screen::{STATISTICS, VALUES, single};
use super::sight::FACTS;
use super::{Config, Weights};
use crate::learn::anchor::Answer;

/// A network that answers.
#[derive(Debug)]
pub(super) struct Network {
    config: Config,
    net: Net<Vec<f32>>,
}

/// A context as the network remembers it.
#[derive(Debug, Clone)]
pub(super) struct Encoded {
    number: bool,
    sigma: f32,
    statistics: Vec<[f32; STATISTICS]>,
    /// Per column what its cells look at.
    columns: Vec<Keys>,
    /// Per block what rows look at.
    blocks: Vec<Memory>,
}

/// What is known of one row.
pub(super) struct Row<'a> {
    values: &'a [[f32; VALUES]],
    facts: &'a [f32; FACTS],
    mark: Mark,
}

impl Network {
    /// Takes the weights apart; what queries are scaled by goes into their matrices.
    pub(super) fn new(weights: &Weights) -> Self {
        let (config, mut rest) = (*weights.config(), weights.values());
        let built = Net::build(&config, |slot: Slot| {
            let (part, others) = rest.split_at(slot.size());
            rest = others;
            Ok::<Vec<f32>, std::convert::Infallible>(part.to_vec())
        });
        let Ok(mut net) = built;
        net.gather.scale(config.cell, 1);
        net.scatter.scale(config.cell, 1);
        net.across.scale(config.cell, config.cell_heads);
        net.read.scale(config.cell, config.cell_heads);
        net.blocks.iter_mut().for_each(|block| block.scale(config.row, config.row_heads));
        Self { config, net }
    }

    /// The dimensions.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Encodes the context of an episode.
    pub(super) fn encode(&self, context: &Prepared) -> Encoded {
        let Config { cell, row: width, row_heads, columns: many, .. } = self.config;
        let number = context.number;
        let rows: Vec<Row<'_>> = (0..context.context).map(|row| context.row(row)).collect();
        let cells = self.cells(&context.statistics, &rows, number);
        let sharpness = sharpness(rows.len());
        let gathered = |cells: &[f32]| {
            let keys = self.net.gather.keys(cells, cell);
            let mut points = self.net.inducing.clone();
            self.net.gather.look(&mut points, cell, |queries| keys.seen_by(&sharpened(queries, sharpness), cell, 1));
            self.net.scatter.keys(&points, cell)
        };
        let columns: Vec<Keys> = cells.chunks_exact(cells.len() / many).map(gathered).collect();
        let mut rows = self.rows(cells, &columns, &rows, number);
        let mut blocks = Vec::new();
        for (place, block) in self.net.blocks.iter().enumerate() {
            let keys = block.keys(&rows, width);
            blocks.push(Memory::new(&keys, width));
            if place + 1 < self.net.blocks.len() {
                block.look(&mut rows, width, |queries| keys.seen_by(&sharpened(queries, sharpness), width, row_heads));
            }
        }
        Encoded { number, sigma: context.sigma, statistics: context.statistics.clone(), columns, blocks }
    }

    /// Answers one query: adds to what its anchor answers.
    pub(super) fn answer(&self, context: &Encoded, query: &Row<'_>, start: &Start, anchor: &Answer) -> Answer {
        let Config { row: width, row_heads, .. } = self.config;
        let rows = std::slice::from_ref(query);
        let cells = self.cells(&context.statistics, rows, context.number);
        let mut row = self.rows(cells, &context.columns, rows, context.number);
        for (block, memory) in self.net.blocks.iter().zip(&context.blocks) {
            let sharpness = sharpness(memory.tokens());
            block.look(&mut row, width, |queries| memory.look(&sharpened(queries, sharpness), row_heads));
        }
        let raised = raise(product(&normed(&row, &self.net.norm), &self.net.head, width), &self.net.head_bias);
        let mut outputs = product(&raised, &self.net.out, width);
        for (output, bias) in outputs.iter_mut().zip(&self.net.out_bias) {
            let limit = single(CORRECTION_MAX);
            *output = ((*output + bias) / limit).tanh() * limit;
        }
        context.correct(&outputs, start, anchor)
    }

    /// Column × row × cell.
    fn cells(&self, statistics: &[[f32; STATISTICS]], rows: &[Row<'_>], number: bool) -> Vec<f32> {
        let mut inputs = Vec::with_capacity(statistics.len() * rows.len() * CELL_INPUTS);
        for (column, statistics) in statistics.iter().enumerate() {
            for row in rows {
                inputs.extend(cell_inputs(&row.values[column], statistics, row.mark, number));
            }
        }
        product(&inputs, &self.net.cell, CELL_INPUTS)
    }

    /// Cells to rows.
    fn rows(&self, mut cells: Vec<f32>, columns: &[Keys], rows: &[Row<'_>], number: bool) -> Vec<f32> {
        let Config { cell, cell_heads, read_outs, .. } = self.config;
        let (many, all) = (columns.len(), rows.len());
        self.net.scatter.look(&mut cells, cell, |queries| {
            let mut mixed = Vec::with_capacity(queries.len());
            for (queries, keys) in queries.chunks_exact(all * cell).zip(columns) {
                attention([queries, &keys.keys, &keys.values], cell, 1, &mut mixed);
            }
            mixed
        });
        let mut cells = turned(&cells, many, all, cell);
        let keys = self.net.across.keys(&cells, cell);
        let size = many * cell;
        self.net.across.look(&mut cells, cell, |queries| keys.seen_apart(queries, size, size, cell, cell_heads));
        let keys = self.net.read.keys(&cells, cell);
        let mut read: Vec<f32> = self.net.read_outs.repeat(all);
        let of_row = read_outs * cell;
        self.net.read.look(&mut read, cell, |queries| keys.seen_apart(queries, of_row, size, cell, cell_heads));
        let width = ROW_INPUTS + 2 * many;
        let mut inputs = Vec::with_capacity(all * width);
        rows.iter().for_each(|row| row_inputs(row.facts, row.values, row.mark, number, &mut inputs));
        let mut rows = product(&read, &self.net.row_of_cells, read_outs * cell);
        add(&mut rows, &product(&inputs, &self.net.row, width));
        rows
    }
}

impl Encoded {
    fn correct(&self, outputs: &[f32], start: &Start, anchor: &Answer) -> Answer {
        let moved = f64::from(outputs[0] * start.point + outputs[1] * start.floor);
        let steps = outputs[3..].iter().map(|output| f64::from((output + outputs[2]) * self.sigma));
        let mut quantiles = anchor.quantiles;
        quantiles.iter_mut().zip(steps).for_each(|(quantile, step)| *quantile += moved + step);
        Answer { log_odds: anchor.log_odds + moved + f64::from(outputs[2]), quantiles }
    }
}

impl<'a> Row<'a> {
    /// A query.
    pub(super) fn asked(values: &'a [[f32; VALUES]], facts: &'a [f32; FACTS]) -> Self {
        Self { values, facts, mark: Mark::Asked }
    }
}

impl Prepared {
    pub(super) fn row(&self, row: usize) -> Row<'_> {
        let columns = self.statistics.len();
        let mark = self.labels.get(row).map_or(Mark::Asked, |label| Mark::Known(*label));
        Row { values: &self.values[row * columns..(row + 1) * columns], facts: &self.facts[row], mark }
    }
}

impl Block<Vec<f32>> {
    /// Puts the root of a head's width, and the sharpness where there is one, into the matrix of queries.
    fn scale(&mut self, width: usize, heads: usize) {
        let part = width / heads;
        let root = single(1.0 / float(part).sqrt());
        for row in self.query.chunks_exact_mut(width) {
            for (head, values) in row.chunks_exact_mut(part).enumerate() {
                let sharpness = self.sharpness.as_ref().map_or(1.0, |sharpness| sharpness[head]);
                values.iter_mut().for_each(|value| *value *= root * sharpness);
            }
        }
    }

    /// What others look at.
    fn keys(&self, rows: &[f32], width: usize) -> Keys {
        let source = normed(rows, self.norm_keys.as_ref().unwrap_or(&self.norm));
        Keys { keys: product(&source, &self.key, width), values: product(&source, &self.value, width) }
    }

    /// Adds to rows what they see, by `mix` of their queries, then what each makes of it alone.
    fn look(&self, rows: &mut [f32], width: usize, mix: impl FnOnce(&[f32]) -> Vec<f32>) {
        let mixed = mix(&product(&normed(rows, &self.norm), &self.query, width));
        add(rows, &product(&mixed, &self.out, width));
        let raised = raise(product(&normed(rows, &self.norm_alone), &self.up, width), &self.up_bias);
        add(rows, &product(&raised, &self.down, 2 * width));
    }
}

/// How much sharper attention over so many keys is.
fn sharpness(keys: usize) -> f32 {
    single(float(keys).max(2.0).ln() / KEYS_USUAL.ln())
}

fn sharpened(queries: &[f32], sharpness: f32) -> Vec<f32> {
    queries.iter().map(|query| query * sharpness).collect()
}

fn normed(rows: &[f32], gain: &[f32]) -> Vec<f32> {
    let mut normed = Vec::with_capacity(rows.len());
    rms_norm(rows, gain, &mut normed);
    normed
}

fn raise(mut rows: Vec<f32>, bias: &[f32]) -> Vec<f32> {
    for row in rows.chunks_exact_mut(bias.len()) {
        row.iter_mut().zip(bias).for_each(|(value, bias)| *value = (*value + bias).max(0.0));
    }
    rows
}

fn add(onto: &mut [f32], values: &[f32]) {
    onto.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

/// From column × row to row × column, each of `cell` numbers.
fn turned(cells: &[f32], columns: usize, rows: usize, cell: usize) -> Vec<f32> {
    let mut turned = Vec::with_capacity(cells.len());
    for row in 0..rows {
        for column in 0..columns {
            let start = (column * rows + row) * cell;
            turned.extend(&cells[start..start + cell]);
        }
    }
    turned
}
