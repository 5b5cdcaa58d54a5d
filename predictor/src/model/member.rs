//! The member as a whole: recipe, network, and the mean of several estimators.

use candle_core::{Device, Tensor};
use thiserror::Error;

use super::config::Config;
use super::dice::Dice;
use super::graph::Relationship;
use super::hierarchy::TEMPERATURE;
use super::kept;
use super::label::Labels;
use super::network::{Keys, Network, NetworkContext, Rows};
use super::recipe::{RelativeTime, TableRecipe, Target};
use super::sample::Sample;

/// Why the model cannot answer.
#[derive(Debug, Error)]
pub enum ModelError {
    /// There is no example to learn from.
    #[error("the context holds no examples")]
    Empty,
    /// The labels are of a kind that this checkpoint does not answer.
    #[error("a {checkpoint} cannot answer a question about {labels}")]
    Kind {
        /// What the checkpoint is.
        checkpoint: &'static str,
        /// What the labels are.
        labels: &'static str,
    },
    /// The encoded context is larger than allowed.
    #[error("the encoded context takes {bytes} bytes, more than the {limit} allowed: take a smaller context")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A tensor operation failed.
    #[error("the network failed: {0}")]
    Network(#[from] candle_core::Error),
}

/// How a context is fitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FitOptions {
    /// The schema's foreign keys.
    pub relationships: Vec<Relationship>,
    /// Rounds of messages along them.
    pub hops: usize,
    /// How many differently shuffled views are averaged.
    pub estimators: usize,
    /// The largest encoded context, in bytes.
    pub bytes_max: usize,
}

/// A loaded checkpoint.
#[derive(Debug, Clone)]
pub struct Model {
    pub(super) config: Config,
    pub(super) network: Network,
    pub(super) digest: u64,
}

/// A context that has been encoded: queries read it, and cost only their own rows.
#[derive(Debug, Clone)]
pub struct FittedModel {
    recipes: Recipes,
    estimators: Vec<Estimator>,
    relationships: Vec<Relationship>,
    hops: usize,
}

/// What is fitted of the raw tables before any network.
#[derive(Debug, Clone)]
pub(super) struct Recipes {
    pub(super) target: Target,
    pub(super) tables: Vec<TableRecipe>,
    pub(super) task: TableRecipe,
}

#[derive(Debug, Clone)]
struct Estimator {
    times: Vec<RelativeTime>,
    context: NetworkContext,
}

impl FittedModel {
    /// The size of the encoded context in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.estimators.iter().map(|estimator| estimator.context.bytes()).sum()
    }

    /// The encoded context, for [`Model::restore`]. `None` where it lies on a device.
    #[must_use]
    pub fn kept(&self) -> Option<Vec<u8>> {
        let contexts: Vec<&NetworkContext> = self.estimators.iter().map(|estimator| &estimator.context).collect();
        kept::write(&contexts)
    }

    fn keys(&self) -> Keys<'_> {
        Keys { relationships: &self.relationships, hops: self.hops }
    }
}

impl Model {
    /// The dimensions.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Equal digests mean equal weights.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The most examples whose keys and values stay within half of the bytes that a context may take.
    #[must_use]
    pub fn examples_max(&self, options: &FitOptions) -> usize {
        let each = 2 * 4 * self.config.wide_channels() * self.config.num_icl_layers * options.estimators.max(1);
        options.bytes_max / 2 / each
    }

    /// Encodes a context.
    ///
    /// # Errors
    ///
    /// When there are no examples, the labels are of the wrong kind, or the encoded context is too large.
    pub fn fit(
        &self,
        sample: &Sample,
        labels: &Labels,
        options: &FitOptions,
        dice: &mut dyn Dice,
    ) -> Result<FittedModel, ModelError> {
        self.check(labels)?;
        let recipes = Recipes::fit(sample, labels, options.estimators.max(1), dice);
        self.encode(recipes, sample, labels, options, dice)
    }

    /// A context that was encoded before, of the same examples, options and draws and by the same weights: the very bits
    /// that [`Self::fit`] gives, without the network's work. `None` where the bytes are not such a context.
    ///
    /// # Errors
    ///
    /// As for [`Self::fit`].
    pub fn restore(
        &self,
        sample: &Sample,
        labels: &Labels,
        options: &FitOptions,
        dice: &mut dyn Dice,
        bytes: &[u8],
    ) -> Result<Option<FittedModel>, ModelError> {
        self.check(labels)?;
        let recipes = Recipes::fit(sample, labels, options.estimators.max(1), dice);
        let FitOptions { relationships, hops, .. } = options.clone();
        let Some(contexts) = kept::read(bytes).filter(|contexts| contexts.len() == options.estimators.max(1)) else {
            return Ok(None);
        };
        let mut fitted = FittedModel { recipes, estimators: Vec::new(), relationships, hops };
        let (times, _) = relative_times(sample, &fitted);
        fitted.estimators = contexts.into_iter().map(|context| Estimator { times: times.clone(), context }).collect();
        Ok(Some(fitted))
    }

    /// Encodes a context of which the recipes are fitted.
    pub(super) fn encode(
        &self,
        recipes: Recipes,
        sample: &Sample,
        labels: &Labels,
        options: &FitOptions,
        dice: &mut dyn Dice,
    ) -> Result<FittedModel, ModelError> {
        let estimators = options.estimators.max(1);
        let FitOptions { relationships, hops, .. } = options.clone();
        let mut fitted = FittedModel { recipes, estimators: Vec::new(), relationships, hops };
        let (times, relative) = relative_times(sample, &fitted);
        for estimator in 0..estimators {
            let rows = fitted.rows(sample, estimator, &relative)?;
            let labels = fitted.recipes.target.apply(labels, estimator);
            let context = self.network.fit(&rows, fitted.keys(), &labels, dice)?;
            fitted.estimators.push(Estimator { times: times.clone(), context });
            let (bytes, limit) = (fitted.bytes(), options.bytes_max);
            if bytes > limit {
                return Err(ModelError::TooLarge { bytes, limit });
            }
        }
        Ok(fitted)
    }

    /// For each query, which is a sample of one example: the probabilities of the classes, or the quantiles in rising
    /// order. The bits of an answer do not depend on the other queries or on the number of threads.
    ///
    /// # Errors
    ///
    /// When a tensor operation fails.
    pub fn predict(&self, fitted: &FittedModel, queries: &[Sample]) -> Result<Vec<Vec<f32>>, ModelError> {
        let mut sums: Vec<Vec<f32>> = Vec::new();
        for (index, answers) in self.answers(fitted, queries)?.into_iter().enumerate() {
            let answers: Vec<Vec<f32>> =
                answers.iter().map(|answer| fitted.recipes.target.undo(answer, index)).collect();
            if sums.is_empty() {
                sums = answers;
            } else {
                let pairs = sums.iter_mut().flatten().zip(answers.into_iter().flatten());
                pairs.for_each(|(sum, answer)| *sum += answer);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "estimators are few")]
        let count = fitted.estimators.len() as f32;
        for answer in &mut sums {
            answer.iter_mut().for_each(|value| *value /= count);
            if matches!(fitted.recipes.target, Target::Classes { .. }) {
                softmax(answer);
            }
        }
        Ok(sums)
    }

    /// For each estimator and query the logits or quantiles in the estimator's own terms.
    fn answers(&self, fitted: &FittedModel, queries: &[Sample]) -> Result<Vec<Vec<Vec<f32>>>, ModelError> {
        let mut all = Vec::with_capacity(fitted.estimators.len());
        for (index, estimator) in fitted.estimators.iter().enumerate() {
            let rows: Vec<Rows> =
                queries.iter().map(|query| fitted.query(query, index, estimator)).collect::<Result<_, _>>()?;
            all.push(self.network.predict(&estimator.context, fitted.keys(), &rows)?);
        }
        Ok(all)
    }

    fn check(&self, labels: &Labels) -> Result<(), ModelError> {
        let kind = |checkpoint, labels| Err(ModelError::Kind { checkpoint, labels });
        match labels {
            _ if labels.is_empty() => Err(ModelError::Empty),
            Labels::Classes { .. } if self.config.num_classes == 0 => kind("regressor", "classes"),
            Labels::Numbers(_) if self.config.num_classes > 0 => kind("classifier", "numbers"),
            _ => Ok(()),
        }
    }
}

impl Recipes {
    /// Draws as the reference does, before the network does.
    pub(super) fn fit(sample: &Sample, labels: &Labels, estimators: usize, dice: &mut dyn Dice) -> Self {
        let target = Target::fit(labels, estimators, dice);
        let tables = sample.tables.iter().map(|rows| TableRecipe::fit(rows, true, estimators, dice)).collect();
        Self { target, tables, task: TableRecipe::fit(&sample.task, false, estimators, dice) }
    }
}

impl FittedModel {
    fn query(&self, query: &Sample, index: usize, estimator: &Estimator) -> Result<Rows, ModelError> {
        let anchors = anchors(query, &self.relationships, self.hops);
        let tables = query.tables.iter().zip(&estimator.times).zip(&anchors);
        let relative: Vec<Vec<Vec<f32>>> =
            tables.map(|((rows, recipe), anchors)| recipe.apply(&rows.times, anchors)).collect();
        self.rows(query, index, &relative)
    }

    fn rows(&self, sample: &Sample, estimator: usize, relative: &[Vec<Vec<f32>>]) -> Result<Rows, ModelError> {
        let recipes = self.recipes.tables.iter().zip(&sample.tables);
        let made = |(recipe, rows): (&TableRecipe, _)| (recipe.columns(), recipe.apply(rows, estimator));
        let tables: Vec<(usize, Vec<f32>)> = recipes.map(made).collect();
        Ok(assemble(sample, &tables, &self.recipes.task.apply(&sample.task, estimator), relative)?)
    }
}

/// Each table's fitted times, and those of the context's rows.
fn relative_times(sample: &Sample, fitted: &FittedModel) -> (Vec<RelativeTime>, Vec<Vec<Vec<f32>>>) {
    let anchors = anchors(sample, &fitted.relationships, fitted.hops);
    sample.tables.iter().zip(&anchors).map(|(rows, anchors)| RelativeTime::fit(&rows.times, anchors)).unzip()
}

/// For each table and row the anchor of its example.
pub(super) fn anchors(sample: &Sample, relationships: &[Relationship], hops: usize) -> Vec<Vec<Option<i64>>> {
    let owners = sample.graph.owners(&sample.graph.edges(relationships), hops);
    let anchor = |owner: &Option<u32>| owner.and_then(|owner| sample.anchors[owner as usize]);
    let starts = sample.graph.starts();
    starts.windows(2).map(|range| owners[range[0]..range[1]].iter().map(anchor).collect()).collect()
}

/// The network's rows: the recipe's columns (how many, and their numbers row by row), in the entities' table those of the
/// task, and the relative times.
pub(super) fn assemble(
    sample: &Sample,
    tables: &[(usize, Vec<f32>)],
    task: &[f32],
    relative: &[Vec<Vec<f32>>],
) -> candle_core::Result<Rows> {
    let extra = task.len() / sample.graph.entities.len().max(1);
    let mut made = Vec::with_capacity(tables.len());
    for (index, (rows, (width, values))) in sample.tables.iter().zip(tables).enumerate() {
        let own = index == sample.graph.entity_table;
        let (width, extra) = (*width, if own { extra } else { 0 });
        let columns = width + extra + relative[index].len();
        let mut all = vec![0.0; rows.count * columns];
        for (place, row) in all.chunks_exact_mut(columns.max(1)).enumerate() {
            row[..width].copy_from_slice(&values[place * width..][..width]);
            let times = row[width + extra..].iter_mut().zip(&relative[index]);
            times.for_each(|(value, column)| *value = column[place]);
        }
        for (example, entity) in sample.graph.entities.iter().enumerate().filter(|_| own) {
            all[entity * columns + width..][..extra].copy_from_slice(&task[example * extra..][..extra]);
        }
        made.push(Tensor::from_vec(all, (rows.count, columns), &Device::Cpu)?);
    }
    Ok(Rows { graph: sample.graph.clone(), tables: made })
}

fn softmax(logits: &mut [f32]) {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    logits.iter_mut().for_each(|logit| *logit = ((*logit - highest) / TEMPERATURE).exp());
    let total: f32 = logits.iter().sum();
    logits.iter_mut().for_each(|share| *share /= total);
}
