//! `kumo-relational` for one task: the weights, and the neighbourhoods that they read.

use std::hash::Hash;
use std::path::Path;
use std::sync::Arc;

use predictor::context::Selection;
use predictor::executor::Executor;
use predictor::in_context::{self, InContext};
use predictor::learn::{Estimate, Targets};
use predictor::model::checkpoint::{Checkpoint, Part};
use predictor::model::{FitOptions, Model, Sample};
use predictor::neighbourhood::{Neighbourhood, Neighbourhoods};
use predictor::sampler::{SampleOptions, Sampler};
use relational::TaskKind;
use xxhash_rust::xxh3::Xxh3;

use crate::config::{ConfigError, Document, TaskSettings};

/// Differently shuffled views of the tables that are averaged, unless the config says. Cost and memory grow with them.
pub(crate) const ESTIMATORS: usize = 2;

/// The largest encoded context: a task keeps up to four of them.
const CONTEXT_BYTES_MAX: usize = 1 << 30;

/// The member's part of a plan.
#[derive(Debug)]
pub struct RelationalMember {
    model: Model,
    neighbourhoods: Neighbourhoods,
    options: FitOptions,
}

impl RelationalMember {
    /// Loads the weights that the task's config names.
    ///
    /// # Errors
    ///
    /// With the place in the config, when it names none or they are not whole, or the member has no answer for the kind.
    pub fn load(
        settings: &TaskSettings,
        kind: TaskKind,
        executor: &Executor,
        document: &Document,
    ) -> Result<Self, ConfigError> {
        let name = settings.name.as_str();
        let part = match kind {
            TaskKind::Binary | TaskKind::Multiclass => Part::Classifier,
            TaskKind::Regression => Part::Regressor,
            kind @ (TaskKind::Ranking | TaskKind::Forecast) => {
                let message = format!("task `{name}` is a {}, which {} does not answer", kind.name(), in_context::NAME);
                let error = document.error(&["tasks", name, "model"], message);
                return Err(error.hint("leave `model` out, or name one of the members that read features"));
            }
        };
        let Some(folder) = &settings.weights else {
            let message = format!("task `{name}` has the model {}, which needs weights", in_context::NAME);
            return Err(document.error(&["tasks", name, "model"], message).hint(
                "download `classifier.pt`, `regressor.pt` and `config.json` of `nvidia/Kumo-Relational` into a folder, \
                 and add weights = \"FOLDER\" to the task",
            ));
        };
        let compute = settings.device.open();
        let compute = compute.map_err(|error| document.error(&["app", "device"], error.to_string()))?;
        let model = Checkpoint::read(Path::new(folder), part).and_then(|checkpoint| checkpoint.load(&compute));
        let model = model.map_err(|error| document.error(&["tasks", name, "weights"], error.to_string()))?;
        let sampled = settings.fanout.clone().map_or_else(SampleOptions::default, |fanout| SampleOptions { fanout });
        let neighbourhoods = Neighbourhoods::new(executor, &sampled);
        let options = FitOptions {
            relationships: neighbourhoods.relationships(),
            hops: neighbourhoods.hops(),
            estimators: settings.estimators.unwrap_or(ESTIMATORS),
            bytes_max: CONTEXT_BYTES_MAX,
        };
        Ok(Self { model, neighbourhoods, options })
    }

    /// What is sampled.
    #[must_use]
    pub fn sampler(&self) -> &Sampler {
        self.neighbourhoods.sampler()
    }

    /// What is read of an entity.
    #[must_use]
    pub fn neighbourhoods(&self) -> &Neighbourhoods {
        &self.neighbourhoods
    }

    /// Leaves out the oldest examples of a selection where all of them would take too much memory.
    pub fn limit(&self, selection: &mut Selection) {
        let most = self.model.examples_max(&self.options);
        if selection.examples.len() > most {
            selection.warnings.push(format!("the newest {most} of {} examples are used", selection.examples.len()));
            selection.examples.truncate(most);
        }
    }

    /// Encodes a context.
    ///
    /// # Errors
    ///
    /// When the model cannot take it.
    pub fn fit(
        &self,
        examples: &[Arc<Neighbourhood>],
        targets: &Targets,
        prior: Option<&[f64]>,
        seed: u64,
    ) -> Result<InContext, predictor::Error> {
        let sample = self.neighbourhoods.together(examples);
        Ok(in_context::fit(&self.model, &sample, targets, prior, &self.options, seed)?)
    }

    /// The same from the bytes of a context that was encoded before; `None` where they are something else.
    ///
    /// # Errors
    ///
    /// When the model cannot take the context.
    pub fn restore(
        &self,
        examples: &[Arc<Neighbourhood>],
        targets: &Targets,
        prior: Option<&[f64]>,
        kept: (u64, &[u8]),
    ) -> Result<Option<InContext>, predictor::Error> {
        let sample = self.neighbourhoods.together(examples);
        Ok(in_context::restore(&self.model, &sample, targets, prior, &self.options, kept)?)
    }

    /// What a fit depends on beside its examples: equal digests mean equal fits of equal examples.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hasher = Xxh3::new();
        hasher.update(&self.model.digest().to_le_bytes());
        (self.options.hops, self.options.estimators).hash(&mut hasher);
        hasher.digest()
    }

    /// The answers for some neighbourhoods.
    ///
    /// # Errors
    ///
    /// When a tensor operation fails.
    pub fn predict(&self, context: &InContext, queries: &[Sample]) -> Result<Vec<Estimate>, predictor::Error> {
        Ok(context.predict(&self.model, queries)?)
    }
}
