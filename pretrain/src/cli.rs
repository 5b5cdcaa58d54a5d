//! The command line of `foreshore-pretrain`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::Family;

/// Makes the weights of `foreshore-small` from synthetic relational databases.
///
/// Everything follows from the seed and the recipe: the same two give the same weights on the same machine, whatever
/// the number of threads and however often the run was interrupted and resumed. All of it runs on the processor: GPUs
/// are not used.
#[derive(Debug, Parser)]
#[command(name = "foreshore-pretrain", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train weights; interrupted, a run goes on with --resume as if it had never stopped
    Train(Train),
    /// Score weights on synthetic tasks that no training run learns from
    Evaluate(Evaluate),
    /// Print one synthetic database and what is asked of it
    Sample(Sample),
    /// Print the recipe that the shipped weights were made by, as TOML
    Recipe,
}

/// Where databases are kept while they are read, and by how many threads they are made.
#[derive(Debug, Clone, Args)]
pub struct Work {
    /// Where databases are kept for the second that they are needed; a folder in memory spares the disk [default: the
    /// system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
}

/// `train`
#[derive(Debug, Clone, Args)]
pub struct Train {
    /// Folder of the run: recipe.toml, log.jsonl, state, weights.safetensors
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Steps in all; the learning rate falls to its end over them
    #[arg(long, conflicts_with = "resume")]
    pub steps: Option<u64>,
    /// Seed of everything
    #[arg(long, conflicts_with = "resume")]
    pub seed: Option<u64>,
    /// Recipe to follow; what it leaves out is as `foreshore-pretrain recipe` prints it
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub config: Option<PathBuf>,
    /// Go on with the run in --out, by its own recipe
    #[arg(long)]
    pub resume: bool,
    /// Threads that make databases, beside those that train
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Stop after so many steps and save, as an interruption does
    #[arg(long, value_name = "STEPS")]
    pub stop_after: Option<u64>,
    /// Steps between entries of the log
    #[arg(long, default_value_t = 50, value_name = "STEPS")]
    pub log_every: u64,
    /// Steps between saved states
    #[arg(long, default_value_t = 500, value_name = "STEPS")]
    pub save_every: u64,
    /// Steps between scores on development tasks
    #[arg(long, default_value_t = 1_000, value_name = "STEPS")]
    pub score_every: u64,
    /// Development databases of each family; 0 for no scores on the way
    #[arg(long, default_value_t = 24, value_name = "COUNT")]
    pub development: usize,
    /// Where the work is done.
    #[command(flatten)]
    pub work: Work,
}

/// `evaluate`
#[derive(Debug, Clone, Args)]
pub struct Evaluate {
    /// Weights to score
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// Databases of each family
    #[arg(long, default_value_t = 60, value_name = "COUNT")]
    pub databases: usize,
    /// Seed of the databases
    #[arg(long, default_value_t = 1_000_000)]
    pub seed: u64,
    /// Recipe whose data the tasks are drawn by
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON value per line instead of text
    #[arg(long)]
    pub json: bool,
    /// Where the work is done.
    #[command(flatten)]
    pub work: Work,
}

/// `sample`
#[derive(Debug, Clone, Args)]
pub struct Sample {
    /// Seed of the database
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Family of the database [default: any]
    #[arg(long, value_parser = family)]
    pub family: Option<Family>,
    /// Rows shown of each table
    #[arg(long, default_value_t = 5)]
    pub rows: usize,
    /// Where the work is done.
    #[command(flatten)]
    pub work: Work,
}

impl Work {
    /// The folder to work in.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.scratch.clone().unwrap_or_else(std::env::temp_dir)
    }
}

fn family(name: &str) -> Result<Family, String> {
    let found = Family::ALL.into_iter().find(|family| family.name() == name);
    found.ok_or_else(|| format!("the families are: {}", Family::ALL.map(Family::name).join(", ")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["foreshore-pretrain", "train", "--out", "x", "--resume", "--seed", "1"]).is_err());
    }
}
