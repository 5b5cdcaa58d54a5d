//! `foreshore report`

use std::fs;
use std::path::Path;

use crate::backtest;
use crate::cli::Report;
use crate::output;
use crate::report;
use crate::world::Failure;

pub(super) fn report(arguments: &Report) -> Result<(), Failure> {
    let read = |folder: &Path| -> Result<(String, backtest::Report), Failure> {
        let file = folder.join("metrics.json");
        let named = |error: &dyn std::fmt::Display| {
            Failure::Usage(format!("{}: {error}; `foreshore backtest --out` writes such a folder", file.display()))
        };
        let text = fs::read_to_string(&file).map_err(|error| named(&error))?;
        let report = serde_json::from_str(&text).map_err(|error| named(&error))?;
        Ok((folder.display().to_string(), report))
    };
    let runs = arguments.compare.iter().map(|folder| read(folder)).collect::<Result<Vec<_>, _>>()?;
    let out = &arguments.out;
    fs::write(out, report::compared(&runs))
        .map_err(|error| std::io::Error::other(format!("{}: {error}", out.display())))?;
    Ok(output::print_line(&format!("{} compares {} backtests", out.display(), runs.len()))?)
}
