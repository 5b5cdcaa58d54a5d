//! Other programs that are asked something.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a program on some input and returns what it prints. The error is what it said; none when it is not installed.
pub(crate) fn talk(command: &mut Command, input: &str) -> Result<String, Option<String>> {
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child =
        started.map_err(|error| (error.kind() != std::io::ErrorKind::NotFound).then(|| error.to_string()))?;
    let said = |error: std::io::Error| Some(error.to_string());
    // The input is small and the answer comes after all of it, so neither waits for the other.
    let sent = child.stdin.take().expect("it was piped").write_all(input.as_bytes());
    let output = child.wait_with_output().map_err(said)?;
    if !output.status.success() {
        return Err(Some(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    sent.map_err(said)?;
    String::from_utf8(output.stdout).map_err(|error| Some(error.to_string()))
}
