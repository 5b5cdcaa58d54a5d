//! The subcommands.

mod audit;
mod backtest;
mod check;
mod columns;
mod dlq;
mod fine_tune;
mod inspect;
mod labels;
mod model;
mod online;
mod questions;
mod replay;
mod report;
mod run;
mod score;
mod stress;
mod topics;
mod tune;

use std::io;

use clap::CommandFactory;

use crate::cli::{Cli, Command, Format};
use crate::demo;
use crate::init;
use crate::output;

pub use crate::world::Failure;

/// Does what the command line says.
///
/// # Errors
///
/// What went wrong, in words for the user.
pub fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo(arguments) => demo::demo(&arguments),
        Command::Init(arguments) => init::init(&arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Replay(arguments) => replay::replay(&arguments),
        Command::Score(arguments) => score::score(&arguments),
        Command::Backtest(arguments) => backtest::backtest(&arguments),
        Command::Audit(arguments) => audit::audit(&arguments),
        Command::Tune(arguments) => tune::tune(&arguments),
        Command::Report(arguments) => report::report(&arguments),
        Command::FineTune(arguments) => fine_tune::run(&arguments),
        Command::Labels(arguments) => labels::labels(&arguments),
        Command::Inspect(arguments) => inspect::inspect(&arguments),
        Command::Topics(arguments) => topics::topics(&arguments),
        Command::Dlq(arguments) => dlq::dlq(&arguments),
        Command::Model(arguments) => model::model(&arguments),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "foreshore", &mut io::stdout());
            Ok(())
        }
        Command::Version { format } => Ok(version(format)?),
    }
}

fn version(format: Format) -> io::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    match format {
        Format::Table => output::print_line(&format!("foreshore {version}")),
        Format::Json => output::print_json(&serde_json::json!({ "name": "foreshore", "version": version })),
    }
}
