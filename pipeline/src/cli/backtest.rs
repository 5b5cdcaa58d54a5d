//! `backtest`, and what goes with it

use std::path::PathBuf;

use clap::Args;

use super::{Common, Format, Predictor, Regime};

/// Each score says what it had seen: its cutoff, and how many changes had arrived. It is made again from that. Exit code 1
/// when one of them differs. The store must not be in use.
#[derive(Debug, Args)]
pub struct Audit {
    /// Where from.
    #[command(flatten)]
    pub common: Common,
    /// Scores of this task only.
    #[arg(long, value_name = "NAME")]
    pub task: Option<String>,
    /// A file of scores as JSON lines, instead of what the config's sink wrote (its topics, or its file of JSON lines).
    #[arg(long, value_name = "FILE")]
    pub scores: Option<PathBuf>,
    /// How many scores at most.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub sample: usize,
    /// Decides which.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How to print the findings.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// Several ways to answer the task are asked the same past questions, whose labels were known by --until, and seen nothing
/// after it. The best one is taken only if it is better than the config by more than noise. Keep the time after --until for
/// a backtest: the figures shown here are those that the choice was made by.
#[derive(Debug, Args)]
pub struct Tune {
    /// Where from.
    #[command(flatten)]
    pub common: Common,
    /// The task.
    #[arg(long, value_name = "NAME")]
    pub task: String,
    /// Nothing after this time is read; the newest time when absent.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Questions at most.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub questions: usize,
    /// Show what would be chosen, and leave the config as it is.
    #[arg(long)]
    pub dry_run: bool,
    /// Decides the resamples that intervals are made of.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How to print the outcome.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// `report`
#[derive(Debug, Args)]
pub struct Report {
    /// Folders that `backtest` has written, of the same questions.
    #[arg(long, value_name = "DIR", num_args = 2.., required = true)]
    pub compare: Vec<PathBuf>,
    /// The HTML file to write.
    #[arg(long, value_name = "FILE", default_value = "compared.html")]
    pub out: PathBuf,
}

/// Each question is scored as a live run would have scored it: from what had happened, arrived and become known by its
/// cutoff, with the contexts that the run would have had. Without --at the questions are the rows that score themselves
/// when they come (the last fifth of them), or every entity of the task's population at regular times (the last ten).
///
/// DIR/scores.parquet has a row per question, DIR/metrics.json the figures, DIR/report.html is for people; an interrupted
/// backtest goes on where it was.
#[derive(Debug, Args)]
pub struct Backtest {
    /// Where from.
    #[command(flatten)]
    pub common: Common,
    /// The task; may be left out when the config has one only.
    #[arg(long, value_name = "NAME")]
    pub task: Option<String>,
    /// The first cutoff.
    #[arg(long, value_name = "TIME", conflicts_with = "at")]
    pub from: Option<String>,
    /// The last cutoff; the latest whose labels are known when absent.
    #[arg(long, value_name = "TIME", conflicts_with = "at")]
    pub to: Option<String>,
    /// Time between cutoffs, such as 7d; the task's own step, or the length of its window, when absent.
    #[arg(long, value_name = "LENGTH", conflicts_with = "at")]
    pub every: Option<String>,
    /// A file of questions instead: the entities' keys under their own names, and a column of times.
    #[arg(long, value_name = "FILE", requires = "time_column")]
    pub at: Option<PathBuf>,
    /// The file's column that holds each question's time.
    #[arg(long, value_name = "NAME", requires = "at")]
    pub time_column: Option<String>,
    /// What is kept from the scores.
    #[command(flatten)]
    pub regime: Regime,
    /// Which predictor.
    #[command(flatten)]
    pub predictor: Predictor,
    /// Score by the asked predictor alone, without constant, last-k and baseline beside it.
    #[arg(long)]
    pub only: bool,
    /// A column to slice the figures by, of the entity or of a row that it points at; may be given several times.
    #[arg(long, value_name = "TABLE.COLUMN")]
    pub segment: Vec<String>,
    /// How many can be looked at each day: precision, recall and lift of the highest scores.
    #[arg(long, value_name = "N")]
    pub budget: Option<usize>,
    /// What is looked at, if not single rows: rows of one day with one value of this column, by their highest score.
    #[arg(long, value_name = "TABLE.COLUMN", requires = "budget")]
    pub budget_by: Option<String>,
    /// What it costs to miss something true; with --cost-false-alarm.
    #[arg(long, value_name = "COST", requires = "cost_false_alarm")]
    pub cost_missed: Option<f64>,
    /// What it costs to act on something false.
    #[arg(long, value_name = "COST", requires = "cost_missed")]
    pub cost_false_alarm: Option<f64>,
    /// Ask a part of the questions again while what is read gets worse: fewer examples, columns of noise, missing
    /// values, hidden foreign keys, labels that come later. Not for rankings.
    #[arg(long)]
    pub stress: bool,
    /// How many questions are asked again at most.
    #[arg(long, value_name = "N", default_value_t = 2_000, requires = "stress")]
    pub stress_questions: usize,
    /// Decides the resamples that intervals are made of, and every draw of --stress.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// The folder that is written to.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How to print the summary.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}
