//! `inspect`

use clap::{Args, Subcommand};

use super::{Common, Format};

/// `inspect`
#[derive(Debug, Args)]
pub struct Inspect {
    /// Where from.
    #[command(flatten)]
    pub common: Common,
    /// What to look at.
    #[command(subcommand)]
    pub what: InspectWhat,
    /// How to print it.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// What `inspect` shows.
#[derive(Debug, Subcommand)]
pub enum InspectWhat {
    /// Rows, versions, sizes, the newest time.
    Store,
    /// Where reading goes on, per topic and partition.
    Positions,
    /// Entities whose scores are out of date.
    Dirty,
    /// One row, as of a time.
    Row {
        /// The table.
        table: String,
        /// Its key; columns of a composite key are separated by `/`.
        key: String,
        /// As of this time; the newest when absent.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// All rows of a table, as of a time.
    Rows {
        /// The table.
        table: String,
        /// As of this time; the newest when absent.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// The named features of one entity, as of a time.
    Features {
        /// The task.
        #[arg(long, value_name = "NAME")]
        task: String,
        /// The entity's key.
        #[arg(long, value_name = "KEY")]
        entity: String,
        /// As of this time; the newest when absent.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
}
