//! `foreshore`: live predictions from a database's change stream.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use pipeline::cli::Cli;
use pipeline::commands;

/// Rows are unpacked into many small allocations, which it serves in three quarters of the time of the system's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    pipeline::logging::start(&cli.log, cli.log_format);
    match commands::dispatch(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that has seen enough (`foreshore ... | head`) is no failure.
        Err(commands::Failure::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing more can be done when standard error is closed too.
            drop(writeln!(std::io::stderr(), "error: {failure}"));
            ExitCode::from(failure.exit_code())
        }
    }
}
