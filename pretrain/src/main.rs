//! `foreshore-pretrain`: makes the weights of `foreshore-small` from synthetic relational databases.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use pretrain::cli::Cli;
use pretrain::{Error, commands};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match commands::dispatch(cli.command, &stop_on_signal()) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that has seen enough (`foreshore-pretrain ... | head`) is no failure.
        Err(Error::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing more can be done when standard error is closed too.
            drop(writeln!(std::io::stderr(), "error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Becomes true when the process is asked to end. Where signals cannot be heard, the process ends as it always does,
/// and a run goes on from the state saved last.
fn stop_on_signal() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        if runtime.block_on(pretrain::signals::asked_to_end()).is_ok() {
            told.store(true, Ordering::Relaxed);
        }
    });
    stop
}
