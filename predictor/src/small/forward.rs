//! The network on a batch of episodes: what it adds to their anchors, and how far the sum is off.

use candle_core::{D, DType, Device, Result, Tensor};
use relational::Prediction;

use super::Config;
use super::batch::Batch;
use super::layers::{linear, raise, rms_norm};
use super::net::Net;

/// Corrections are held within this, smoothly.
pub(super) const CORRECTION_MAX: f64 = 4.0;

/// The network's answers to a batch.
#[derive(Debug)]
pub(super) struct Answers {
    /// Episode × query.
    pub(super) log_odds: Tensor,
    /// Episode × query × level, on the standardised scale.
    pub(super) quantiles: Tensor,
}

impl Net<Tensor> {
    /// Answers all queries of a batch.
    pub(super) fn answer(&self, config: &Config, batch: &Batch) -> Result<Answers> {
        let outputs = self.outputs(config, batch)?;
        let part = |place: usize| outputs.narrow(2, place, 1);
        let start = |place: usize| batch.starts.narrow(2, place, 1);
        let moved = ((part(0)? * start(1)?)? + (part(1)? * start(2)?)?)?;
        let log_odds = ((start(0)? + &moved)? + part(2)?)?.squeeze(2)?;
        let steps = outputs.narrow(2, 3, 9)?.broadcast_add(&part(2)?)?.broadcast_mul(&batch.sigma)?;
        let quantiles = (batch.starts.narrow(2, 3, 9)?.broadcast_add(&moved)? + steps)?;
        Ok(Answers { log_odds, quantiles })
    }

    fn outputs(&self, config: &Config, batch: &Batch) -> Result<Tensor> {
        let (context, from) = (batch.context, batch.context);
        let rows = self.rows(config, batch)?;
        let mut rows = rows;
        for (place, block) in self.blocks.iter().enumerate() {
            let from = if place + 1 == self.blocks.len() { from } else { 0 };
            rows = block.among(&rows, config.row_heads, Some(context), from)?;
        }
        let raised = raise(&linear(&rms_norm(&rows, &self.norm)?, &self.head)?, &self.head_bias)?;
        let outputs = linear(&raised, &self.out)?.broadcast_add(&self.out_bias)?;
        (outputs / CORRECTION_MAX)?.tanh()? * CORRECTION_MAX
    }

    /// Cells to rows.
    fn rows(&self, config: &Config, batch: &Batch) -> Result<Tensor> {
        let (many, columns, rows, _) = batch.cells.dims4()?;
        let cells = linear(&batch.cells, &self.cell)?.reshape((many * columns, rows, config.cell))?;
        let known = cells.narrow(1, 0, batch.context)?.contiguous()?;
        let seen = self.gather.at(&self.inducing, &known, 1)?;
        let cells = self.scatter.at(&cells, &seen, 1)?;
        let cells = cells.reshape((many, columns, rows, config.cell))?.transpose(1, 2)?.contiguous()?;
        let cells = cells.reshape((many * rows, columns, config.cell))?;
        let cells = self.across.among(&cells, config.cell_heads, None, 0)?;
        let read = self.read.at(&self.read_outs, &cells, config.cell_heads)?;
        let read = read.reshape((many, rows, config.read_outs * config.cell))?;
        linear(&read, &self.row_of_cells)? + linear(&batch.rows, &self.row)?
    }
}

impl Answers {
    /// The loss of each episode: log loss in nats, or twice the mean pinball loss in standard deviations.
    pub(super) fn losses(&self, batch: &Batch) -> Result<Tensor> {
        let (device, dtype) = (batch.truths.device(), batch.truths.dtype());
        let whether = binary_loss(&self.log_odds, &batch.truths)?;
        let how_much = pinball(&self.quantiles, &batch.truths, &levels(dtype, device)?)?;
        let number = batch.number.squeeze(1)?;
        (whether * (1.0 - &number)?)? + (how_much * number)?
    }
}

impl Batch {
    /// What the anchors say.
    pub(super) fn anchors(&self) -> Result<Answers> {
        let log_odds = self.starts.narrow(2, 0, 1)?.squeeze(2)?;
        Ok(Answers { log_odds, quantiles: self.starts.narrow(2, 3, 9)? })
    }
}

/// `log(1 + exp(x)) - truth · x`, without overflow.
fn binary_loss(log_odds: &Tensor, truths: &Tensor) -> Result<Tensor> {
    let softened = ((log_odds.abs()?.neg()?.exp()? + 1.0)?.log()? + log_odds.relu()?)?;
    (softened - (log_odds * truths.clamp(0.0, 1.0)?)?)?.mean(D::Minus1)
}

fn pinball(quantiles: &Tensor, truths: &Tensor, levels: &Tensor) -> Result<Tensor> {
    let errors = truths.unsqueeze(2)?.broadcast_sub(quantiles)?;
    // max(level · error, (level - 1) · error) = level · error + max(-error, 0)
    let losses = (errors.broadcast_mul(levels)? + errors.neg()?.relu()?)?;
    losses.mean((1, 2))? * 2.0
}

fn levels(dtype: DType, device: &Device) -> Result<Tensor> {
    Tensor::new(&Prediction::LEVELS, device)?.to_dtype(dtype)?.reshape((1, 1, 9))
}
