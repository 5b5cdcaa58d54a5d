//! What a training run does, beside its seed: everything that its weights depend on.

use std::path::Path;

use predictor::small::{Config, Schedule};
use serde::{Deserialize, Serialize};

use crate::Error;

/// A recipe, as it is read from and written to TOML. What a file leaves out is as the shipped weights were made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// The seed of everything.
    pub seed: u64,
    /// Steps in all.
    pub steps: u64,
    /// What is learned from.
    pub data: Data,
    /// The regime of training.
    pub schedule: Regime,
    /// The dimensions of the network.
    pub network: Network,
}

/// What is learned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// Databases that are made at a time; the steps of a chunk draw from all of them.
    pub databases: usize,
    /// Steps that draw from the same databases before they are thrown away.
    pub steps: usize,
    /// Tasks asked of each database.
    pub tasks: usize,
    /// Queries of an episode.
    pub queries: usize,
    /// Rows of the episodes of one step together, contexts and queries, about.
    pub rows: usize,
    /// Episodes of one step at most.
    pub episodes: usize,
    /// Sizes of contexts and how often each is drawn.
    pub contexts: Vec<(usize, f64)>,
    /// Labelled examples of a task at most, and how often each is drawn.
    pub examples: Vec<(usize, f64)>,
}

/// The regime of training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Regime {
    /// The greatest learning rate.
    pub rate: f64,
    /// Steps over which the rate rises to it; then it falls along a cosine until the last step.
    pub warm_up: u64,
    /// A longer gradient is cut to this length.
    pub clip: f64,
    /// The share of the old in the moving average of the weights.
    pub average: f64,
    /// Weight decay of matrices, per unit of the learning rate.
    pub decay: f64,
}

/// The dimensions of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Columns that the network sees.
    pub columns: usize,
    /// Numbers per cell.
    pub cell: usize,
    /// Points through which the cells of a column see the context.
    pub inducing: usize,
    /// Heads of the attention of a row's cells to each other.
    pub cell_heads: usize,
    /// Tokens that read a row's cells out.
    pub read_outs: usize,
    /// Numbers per row.
    pub row: usize,
    /// Heads of the attention of rows to the context.
    pub row_heads: usize,
    /// Blocks in which rows look at the context.
    pub blocks: usize,
    /// Context rows that the network sees.
    pub context: usize,
}

impl Default for Recipe {
    fn default() -> Self {
        let (data, schedule, network) = (Data::default(), Regime::default(), Network::default());
        Self { seed: 0, steps: 5_000, data, schedule, network }
    }
}

impl Default for Data {
    fn default() -> Self {
        let contexts = [10, 16, 30, 50, 100, 160, 256, 512, 1_000];
        let weights = [0.12, 0.12, 0.16, 0.16, 0.17, 0.12, 0.09, 0.045, 0.015];
        Self {
            databases: 16,
            steps: 24,
            tasks: 2,
            queries: 48,
            rows: 1_536,
            episodes: 14,
            contexts: contexts.into_iter().zip(weights).collect(),
            examples: vec![(400, 0.5), (900, 0.35), (1_800, 0.15)],
        }
    }
}

impl Default for Regime {
    fn default() -> Self {
        // A short run: the rate rises fast and the average forgets fast.
        let Schedule { rate, clip, decay, .. } = Schedule::default();
        Self { rate, warm_up: 50, clip, average: 0.995, decay }
    }
}

impl Default for Network {
    fn default() -> Self {
        let Config { columns, cell, inducing, cell_heads, read_outs, row, row_heads, blocks, context } =
            Config::default();
        Self { columns, cell, inducing, cell_heads, read_outs, row, row_heads, blocks, context }
    }
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is no recipe.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
        let recipe: Self = toml::from_str(&text).map_err(|error| Error::content(path, error.to_string()))?;
        let wrong = [
            (recipe.data.databases == 0, "`data.databases` must be at least 1"),
            (recipe.data.steps == 0, "`data.steps` must be at least 1"),
            (recipe.data.tasks == 0, "`data.tasks` must be at least 1"),
            (recipe.data.queries == 0, "`data.queries` must be at least 1"),
            (recipe.data.episodes == 0, "`data.episodes` must be at least 1"),
            (!drawable(&recipe.data.contexts), "`data.contexts` must hold sizes and positive weights"),
            (!drawable(&recipe.data.examples), "`data.examples` must hold sizes and positive weights"),
        ];
        match wrong.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, reason)) => Err(Error::content(path, reason)),
            None => Ok(recipe),
        }
    }

    /// The recipe whole, with what was left to the defaults.
    ///
    /// # Panics
    ///
    /// Never: a recipe is numbers and lists of them, which TOML has.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe is numbers and lists of them")
    }

    /// The network's dimensions, as the trainer takes them.
    #[must_use]
    pub fn config(&self) -> Config {
        let Network { columns, cell, inducing, cell_heads, read_outs, row, row_heads, blocks, context } = self.network;
        Config { columns, cell, inducing, cell_heads, read_outs, row, row_heads, blocks, context }
    }

    /// The regime, as the trainer takes it.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        let Regime { rate, warm_up, clip, average, decay } = self.schedule;
        Schedule { rate, warm_up, steps: self.steps, clip, average, decay }
    }
}

fn drawable(sizes: &[(usize, f64)]) -> bool {
    let sum: f64 = sizes.iter().map(|(_, weight)| weight).sum();
    sizes.iter().all(|(size, weight)| *size > 0 && *weight >= 0.0) && sum > 0.0 && sum.is_finite()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Recipe, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Recipe::read(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_recipe_reads_back_and_what_is_left_out_is_the_default() {
        let recipe = Recipe { seed: 9, steps: 12, ..Recipe::default() };
        assert_eq!(read(&recipe.to_toml()), Ok(recipe));
        let columns = read("[network]\ncolumns = 8").unwrap().network.columns;
        assert_eq!((columns, read("").unwrap()), (8, Recipe::default()));
    }

    #[test]
    fn what_no_run_could_follow_is_refused_with_the_place() {
        for (text, reason) in [
            ("[data]\nqueries = 0", "`data.queries` must be at least 1"),
            ("[data]\ncontexts = []", "`data.contexts` must hold sizes and positive weights"),
            ("speed = 3", "unknown field `speed`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
