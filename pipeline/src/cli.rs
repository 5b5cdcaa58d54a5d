//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod backtest;
mod inspect;

pub use backtest::{Audit, Backtest, Report, Tune};
pub use inspect::{Inspect, InspectWhat};

/// Live predictions from a database's change stream.
///
/// Point Foreshore at the topics or files that carry your tables' changes, write one predictive query per score, and
/// every entity's score follows the data. Exit codes: 0 done, 1 failed while running, 2 wrong usage, 78 wrong config.
#[derive(Debug, Parser)]
#[command(name = "foreshore", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How much to say on standard error: error, warn, info, debug, or a filter such as `pipeline=debug`.
    #[arg(long, global = true, value_name = "FILTER", env = "FORESHORE_LOG", default_value = "warn")]
    pub log: String,
    /// How log lines are written.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people.
    Table,
    /// JSON for programs.
    Json,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Stream a generated shop and payment database through the program and watch the riskiest customers.
    Demo(Demo),
    /// Read a database's catalogue and write a config and a Debezium connector for it.
    Init(crate::init::Init),
    /// Check a config: schema, tasks, what each task reads, and warnings.
    Check(Check),
    /// Keep scores fresh: read changes, update the graph, score, publish, until stopped.
    Run(Run),
    /// Run the whole input through the same engine, then exit and leave the store.
    Replay(Replay),
    /// Score the rows of a file, each as of its own time, or one entity.
    Score(Score),
    /// Say what the scores of the past would have been, and how good.
    Backtest(Backtest),
    /// Make a sample of the published scores once more, and compare them bit for bit.
    Audit(Audit),
    /// Choose a task's predictor and context by what was best in the past, and write it into the config.
    Tune(Tune),
    /// Put several backtests side by side on one page.
    Report(Report),
    /// Label the rows of a file: what the task's target came out to be after each row's time.
    Labels(Labels),
    /// Go on training foreshore-small on a task's own past, and keep the weights if they are clearly better.
    FineTune(FineTune),
    /// Look into a store.
    Inspect(Inspect),
    /// Manage the Kafka topics that Foreshore writes.
    Topics(Topics),
    /// Look at rejected records, or try them again.
    Dlq(Dlq),
    /// Look at, check or convert the weights of `kumo-relational`.
    Model(Model),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the version.
    Version {
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
}

/// The config file and what may be said instead of it.
#[derive(Debug, Args)]
pub struct Common {
    /// The config file.
    #[arg(long, short, value_name = "FILE", env = "FORESHORE_CONFIG", default_value = "foreshore.toml")]
    pub config: PathBuf,
    /// The store's directory, instead of the config's.
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

/// Which predictor answers, instead of the config's.
#[derive(Debug, Args)]
pub struct Predictor {
    /// The predictor's member, instead of the config's: auto, baseline, trees, foreshore-small, kumo-relational,
    /// last-k or constant.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// The folder of the member's weights, instead of the config's.
    #[arg(long, value_name = "DIR")]
    pub weights: Option<PathBuf>,
    /// Examples in a context, instead of the config's.
    #[arg(long, value_name = "N")]
    pub context_size: Option<usize>,
}

/// What is kept from the scores, beside everything after their cutoffs.
#[derive(Debug, Args)]
pub struct Regime {
    /// No row after this time is seen by any score.
    #[arg(long, value_name = "TIME")]
    pub data_until: Option<String>,
    /// No label after this time enters a context.
    #[arg(long, value_name = "TIME")]
    pub labels_until: Option<String>,
}

/// `demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// The generator's seed: the same seed gives the same database and the same scores.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Customers in the generated shop.
    #[arg(long, default_value_t = 150)]
    pub customers: u32,
    /// Days of history to stream.
    #[arg(long, default_value_t = 180)]
    pub days: u32,
    /// Print the summary only, as JSON.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// `check`
#[derive(Debug, Args)]
pub struct Check {
    /// Where from.
    #[command(flatten)]
    pub common: Common,
    /// Also ask brokers and registry, and decode the newest records of each topic.
    #[arg(long)]
    pub online: bool,
    /// How to print the findings.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// `run`
#[derive(Debug, Args)]
pub struct Run {
    /// Where from.
    #[command(flatten)]
    pub common: Common,
    /// Stop when every topic has been read to its end and every score is published.
    #[arg(long)]
    pub until_caught_up: bool,
}

/// `replay`
#[derive(Debug, Args)]
pub struct Replay {
    /// Where from.
    #[command(flatten)]
    pub common: Common,
    /// Only build the graph.
    #[arg(long)]
    pub no_score: bool,
    /// Where scores go, as JSON lines, instead of the config's sink; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How to print the summary.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// `score`
#[derive(Debug, Args)]
pub struct Score {
    /// Where from.
    #[command(flatten)]
    pub common: Common,
    /// The task.
    #[arg(long, value_name = "NAME")]
    pub task: String,
    /// A file of rows to score (CSV or Parquet, also gzip), or with --entity a time; the newest time when absent.
    #[arg(long, value_name = "FILE|TIME", required_unless_present = "entity")]
    pub at: Option<String>,
    /// The file's column that holds each row's time.
    #[arg(long, value_name = "NAME", required_unless_present = "entity")]
    pub time_column: Option<String>,
    /// Where the rows go, with their predictions added.
    #[arg(long, value_name = "FILE", required_unless_present = "entity")]
    pub out: Option<PathBuf>,
    /// One entity's key; columns of a composite key are separated by `/`.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["time_column", "out"])]
    pub entity: Option<String>,
    /// What is kept from the scores.
    #[command(flatten)]
    pub regime: Regime,
    /// Which predictor.
    #[command(flatten)]
    pub predictor: Predictor,
    /// Also say why: what the score is made of, and which columns and rows move it. With --at FILE for one row only.
    #[arg(long)]
    pub explain: bool,
    /// How to print one entity's score, or the summary.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// `labels`
#[derive(Debug, Args)]
pub struct Labels {
    /// Where from.
    #[command(flatten)]
    pub common: Common,
    /// The task.
    #[arg(long, value_name = "NAME")]
    pub task: String,
    /// A file of rows to label (CSV or Parquet, also gzip).
    #[arg(long, value_name = "FILE")]
    pub at: PathBuf,
    /// The file's column that holds each row's time.
    #[arg(long, value_name = "NAME")]
    pub time_column: String,
    /// Where the rows go, with a column `label` added.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// How to print the summary.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// `fine-tune`
#[derive(Debug, Args)]
pub struct FineTune {
    /// Where from.
    #[command(flatten)]
    pub common: Common,
    /// The task.
    #[arg(long, value_name = "NAME")]
    pub task: String,
    /// The folder that the weights are written to, if they are better: `weights` of the task's config.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Nothing after this time is read; the newest time when absent.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Decides every draw: the same seed gives the same weights.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Labelled examples to learn from and to be judged on, the newest.
    #[arg(long, value_name = "N", default_value_t = 12_000)]
    pub examples: usize,
    /// Steps of each training at most.
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub steps: u64,
    /// How to print the outcome.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// `topics`
#[derive(Debug, Args)]
pub struct Topics {
    /// What to do.
    #[command(subcommand)]
    pub what: TopicsWhat,
}

/// What `topics` does.
#[derive(Debug, Subcommand)]
pub enum TopicsWhat {
    /// Create the topics that the config's tasks write, and the dead-letter topic.
    Create {
        /// Where from.
        #[command(flatten)]
        common: Common,
        /// Partitions of each topic.
        #[arg(long, default_value_t = 4)]
        partitions: i32,
        /// Replicas of each partition.
        #[arg(long, default_value_t = 1)]
        replication: i32,
    },
}

/// `dlq`
#[derive(Debug, Args)]
pub struct Dlq {
    /// What to do.
    #[command(subcommand)]
    pub what: DlqWhat,
}

/// What `dlq` does.
#[derive(Debug, Subcommand)]
pub enum DlqWhat {
    /// Show rejected records: where each stood, which step refused it, and why.
    List {
        /// Where from.
        #[command(flatten)]
        common: Common,
        /// At most this many, the newest.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// How to print them.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Decode rejected records again and apply those that now fit.
    Replay {
        /// Where from.
        #[command(flatten)]
        common: Common,
    },
}

/// `model`
#[derive(Debug, Args)]
pub struct Model {
    /// What to do.
    #[command(subcommand)]
    pub what: ModelWhat,
}

/// What `model` does. DIR holds `classifier` and `regressor`, or one of them, as published (`.pt`) or as safetensors.
#[derive(Debug, Subcommand)]
pub enum ModelWhat {
    /// Print a checkpoint's dimensions.
    Info {
        /// The folder with the weights.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// How to print them.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Load a checkpoint, and name every tensor that is missing, extra or of another shape.
    Verify {
        /// The folder with the weights.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Write a whole checkpoint as safetensors with its dimensions in `config.json`.
    Convert {
        /// The folder with the weights.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Where to write, instead of the same folder.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}
