//! The network's parts: which tensors there are, how they are called and what they start as.
//!
//! One declaration serves training, where a part is a tensor on a device, and inference, where it is a slice of floats.

use super::Config;
use super::batch::{CELL_INPUTS, ROW_INPUTS};

/// Numbers that come out for a query: the anchor's and the floor's gate, the log-odds, a step for each quantile.
pub(super) const OUTPUTS: usize = 12;

/// One tensor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slot {
    /// Its name in a weights file.
    pub(super) name: String,
    /// Rows and columns. A vector has one row.
    pub(super) shape: [usize; 2],
    pub(super) start: Start,
}

/// What a tensor starts as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Start {
    Zeros,
    Ones,
    /// Normal, with this standard deviation.
    Normal(f64),
}

/// All tensors of the network. Matrices take rows of numbers from the left: inputs × outputs.
#[derive(Debug, Clone)]
pub(super) struct Net<T> {
    /// What is known of a cell -> cell.
    pub(super) cell: T,
    /// The points through which a column's cells see the context.
    pub(super) inducing: T,
    /// Inducing points look at the context's cells of a column.
    pub(super) gather: Block<T>,
    /// A column's cells look at the inducing points.
    pub(super) scatter: Block<T>,
    /// A row's cells look at each other.
    pub(super) across: Block<T>,
    pub(super) read_outs: T,
    /// Read-outs look at a row's cells.
    pub(super) read: Block<T>,
    /// Read-outs -> row.
    pub(super) row_of_cells: T,
    /// What is known of a row beside its cells -> row.
    pub(super) row: T,
    /// Rows look at the context's rows.
    pub(super) blocks: Vec<Block<T>>,
    pub(super) norm: T,
    pub(super) head: T,
    pub(super) head_bias: T,
    /// Zero at first, so that the untrained network says what its anchor says.
    pub(super) out: T,
    pub(super) out_bias: T,
}

/// Attention, then a layer for each token alone; each is normalised first and added to its input.
#[derive(Debug, Clone)]
pub(super) struct Block<T> {
    pub(super) norm: T,
    /// For keys that come from elsewhere than the queries.
    pub(super) norm_keys: Option<T>,
    pub(super) query: T,
    pub(super) key: T,
    pub(super) value: T,
    pub(super) out: T,
    /// For keys whose number varies: per head, what queries are scaled by, times log n / log 128.
    pub(super) sharpness: Option<T>,
    pub(super) norm_alone: T,
    pub(super) up: T,
    pub(super) up_bias: T,
    pub(super) down: T,
}

/// How a block differs from others.
struct Shape {
    width: usize,
    heads: usize,
    other_keys: bool,
    many_keys: bool,
}

impl<T> Net<T> {
    /// Builds the network from its tensors, asked for one by one in a fixed order.
    ///
    /// # Errors
    ///
    /// The first error of `part`.
    pub(super) fn build<E>(config: &Config, mut part: impl FnMut(Slot) -> Result<T, E>) -> Result<Self, E> {
        let &Config { cell, row, .. } = config;
        let mut take = |name: &str, shape: [usize; 2], start: Start| part(Slot { name: name.into(), shape, start });
        let mixing = |inputs: usize| Start::Normal(1.0 / root(inputs));
        let token = Start::Normal(0.3);
        let inner =
            |other_keys: bool, many_keys: bool, heads: usize| Shape { width: cell, heads, other_keys, many_keys };
        Ok(Self {
            cell: take("cell", [CELL_INPUTS, cell], Start::Normal(0.5))?,
            inducing: take("inducing", [config.inducing, cell], token)?,
            gather: Block::build("gather", &inner(true, true, 1), &mut take)?,
            scatter: Block::build("scatter", &inner(true, false, 1), &mut take)?,
            across: Block::build("across", &inner(false, false, config.cell_heads), &mut take)?,
            read_outs: take("read_outs", [config.read_outs, cell], token)?,
            read: Block::build("read", &inner(true, false, config.cell_heads), &mut take)?,
            row_of_cells: take("row_of_cells", [config.read_outs * cell, row], mixing(config.read_outs * cell))?,
            row: take("row", [ROW_INPUTS + 2 * config.columns, row], mixing(ROW_INPUTS + 2 * config.columns))?,
            blocks: (0..config.blocks)
                .map(|place| {
                    let shape = Shape { width: row, heads: config.row_heads, other_keys: false, many_keys: true };
                    Block::build(&format!("blocks.{place}"), &shape, &mut take)
                })
                .collect::<Result<Vec<_>, E>>()?,
            norm: take("norm", [1, row], Start::Ones)?,
            head: take("head", [row, row], mixing(row))?,
            head_bias: take("head_bias", [1, row], Start::Zeros)?,
            out: take("out", [row, OUTPUTS], Start::Zeros)?,
            out_bias: take("out_bias", [1, OUTPUTS], Start::Zeros)?,
        })
    }
}

impl<T> Block<T> {
    fn build<E>(
        name: &str,
        shape: &Shape,
        take: &mut impl FnMut(&str, [usize; 2], Start) -> Result<T, E>,
    ) -> Result<Self, E> {
        let width = shape.width;
        let mut part = |end: &str, shape: [usize; 2], start: Start| take(&format!("{name}.{end}"), shape, start);
        let mixing = Start::Normal(1.0 / root(width));
        let square = [width, width];
        Ok(Self {
            norm: part("norm", [1, width], Start::Ones)?,
            norm_keys: shape.other_keys.then(|| part("norm_keys", [1, width], Start::Ones)).transpose()?,
            query: part("query", square, mixing)?,
            key: part("key", square, mixing)?,
            value: part("value", square, mixing)?,
            out: part("out", square, Start::Normal(0.2 / root(width)))?,
            sharpness: shape.many_keys.then(|| part("sharpness", [1, shape.heads], Start::Ones)).transpose()?,
            norm_alone: part("norm_alone", [1, width], Start::Ones)?,
            up: part("up", [width, 2 * width], mixing)?,
            up_bias: part("up_bias", [1, 2 * width], Start::Zeros)?,
            down: part("down", [2 * width, width], Start::Normal(0.2 / root(2 * width)))?,
        })
    }
}

/// The slots of a network, in order.
pub(super) fn slots(config: &Config) -> Vec<Slot> {
    let mut slots = Vec::new();
    let built = Net::build(config, |slot| {
        slots.push(slot);
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(_) = built;
    slots
}

impl Slot {
    /// How many numbers it holds.
    pub(super) fn size(&self) -> usize {
        self.shape[0] * self.shape[1]
    }
}

#[expect(clippy::cast_precision_loss, reason = "dimensions are small")]
fn root(inputs: usize) -> f64 {
    (inputs as f64).sqrt()
}
