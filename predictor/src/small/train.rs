//! Training: gradients of batches, and the optimiser's state.

use candle_core::{DType, Device, Tensor, Var};

use super::batch::Batch;
use super::net::{Net, Slot, slots};
use super::optimiser::Optimiser;
use super::{Config, Error, Prepared, Schedule, Weights};

/// Episodes are computed together up to about so many rows, which fit the processor's caches.
const ROWS_TOGETHER: usize = 1_024;

/// A network in training. Equal steps from an equal state give equal bytes on a processor.
#[derive(Debug, Clone)]
pub struct Trainer {
    pub(super) config: Config,
    pub(super) optimiser: Optimiser,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// Mean over the episodes before the step: nats, or twice the mean pinball loss in standard deviations.
    pub loss: f64,
    /// The gradient's length before it was cut.
    pub gradient_norm: f64,
    /// Whether loss or gradient were not finite: nothing was changed then, the step's number excepted.
    pub skipped: bool,
}

impl Trainer {
    /// An untrained network, which answers as its anchor does.
    ///
    /// # Errors
    ///
    /// When no network of these dimensions can be built.
    pub fn new(config: &Config, schedule: &Schedule, seed: u64) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { config: *config, optimiser: Optimiser::new(&slots(config), *schedule, seed) })
    }

    /// Goes on from weights, with an optimiser that remembers nothing.
    #[must_use]
    pub fn from_weights(weights: &Weights, schedule: &Schedule) -> Self {
        let config = *weights.config();
        let (values, zeros) = (weights.values().to_vec(), vec![0.0; weights.values().len()]);
        let parts = [values.clone(), zeros.clone(), zeros, values];
        Self { config, optimiser: Optimiser::from_parts(&slots(&config), *schedule, 0, parts) }
    }

    /// One step along the mean gradient of a batch. Episodes of equal size are computed together.
    ///
    /// # Errors
    ///
    /// When a tensor operation fails.
    pub fn step(&mut self, batch: &[Prepared]) -> Result<Loss, Error> {
        let mut gradient = vec![0.0; self.optimiser.weights().len()];
        let mut loss = 0.0;
        let parameters = Parameters::new(&self.config, self.optimiser.weights(), DType::F32)?;
        for group in groups(batch) {
            loss += parameters.add_gradient(&group, batch.len(), &mut gradient)?;
        }
        let gradient_norm = gradient.iter().map(|part| f64::from(*part).powi(2)).sum::<f64>().sqrt();
        let skipped = !loss.is_finite() || !gradient_norm.is_finite() || batch.is_empty();
        self.optimiser.step((!skipped).then_some(&gradient), gradient_norm);
        Ok(Loss { loss, gradient_norm, skipped })
    }

    /// Steps taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.optimiser.steps()
    }

    /// The moving average of the weights: what ships.
    #[must_use]
    pub fn weights(&self) -> Weights {
        Weights::new(self.config, self.optimiser.average().to_vec())
    }
}

/// Episodes of equal size, in the order of their first, parted so that each part fits.
pub(super) fn groups(batch: &[Prepared]) -> Vec<Vec<&Prepared>> {
    let mut groups: Vec<Vec<&Prepared>> = Vec::new();
    for episode in batch {
        let (context, queries) = episode.size();
        let most = (ROWS_TOGETHER / (context + queries).max(1)).max(1);
        match groups.iter_mut().find(|group| group[0].size() == episode.size() && group.len() < most) {
            Some(group) => group.push(episode),
            None => groups.push(vec![episode]),
        }
    }
    groups
}

/// Weights as tensors, for one step.
pub(super) struct Parameters {
    pub(super) config: Config,
    pub(super) net: Net<Tensor>,
    /// In the order of the slots.
    variables: Vec<Var>,
}

impl Parameters {
    /// Takes the weights of a network in the order of its slots.
    pub(super) fn new(config: &Config, weights: &[f32], dtype: DType) -> Result<Self, Error> {
        let mut start = 0;
        let mut variables = Vec::new();
        let net = Net::build(config, |slot: Slot| {
            let end = start + slot.size();
            let tensor = Tensor::from_slice(&weights[start..end], slot.shape.to_vec(), &Device::Cpu)?;
            start = end;
            let variable = Var::from_tensor(&tensor.to_dtype(dtype)?)?;
            let tensor = variable.as_tensor().clone();
            variables.push(variable);
            Ok::<Tensor, Error>(tensor)
        })?;
        Ok(Self { config: *config, net, variables })
    }

    /// Sets the weights, in the precision that they are kept in.
    #[cfg(test)]
    pub(super) fn set(&self, weights: &[f64]) {
        let mut start = 0;
        for variable in &self.variables {
            let end = start + variable.elem_count();
            let tensor = Tensor::from_slice(&weights[start..end], variable.dims(), &Device::Cpu);
            variable.set(&tensor.expect("as many as the shape says")).expect("of the same kind");
            start = end;
        }
    }

    /// Adds the gradient of the episodes' summed loss over `shares` to `onto`, and gives that part of the loss.
    pub(super) fn add_gradient(&self, episodes: &[&Prepared], shares: usize, onto: &mut [f32]) -> Result<f64, Error> {
        let batch = Batch::new(episodes, self.net.cell.dtype(), &Device::Cpu)?;
        let losses = self.net.answer(&self.config, &batch)?.losses(&batch)?;
        #[expect(clippy::cast_precision_loss, reason = "batches are small")]
        let loss = (losses.sum_all()? / shares as f64)?;
        let gradients = loss.backward()?;
        let mut start = 0;
        for variable in &self.variables {
            let end = start + variable.elem_count();
            if let Some(gradient) = gradients.get(variable) {
                let gradient = gradient.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
                onto[start..end].iter_mut().zip(gradient).for_each(|(sum, part)| *sum += part);
            }
            start = end;
        }
        Ok(loss.to_dtype(DType::F64)?.to_scalar::<f64>()?)
    }
}
