//! The curves of a stress test, as tables.

use super::backtest::interval;
use crate::backtest::{Stress, StressCurve};
use crate::output::{self, count};
use crate::world::Failure;

pub(super) fn print(stress: &Stress) -> Result<(), Failure> {
    let (rows, of) = (count(stress.rows as u64), count(stress.of as u64));
    let class = if stress.drawn_by_class { ", drawn class by class" } else { "" };
    output::print_line(&format!(
        "stress test: {} of {rows} of {of} rows{class}, {} contexts, seed {}",
        stress.figure, stress.contexts, stress.seed
    ))?;
    for curve in &stress.curves {
        print_curve(curve)?;
    }
    for warning in &stress.warnings {
        output::print_line(&format!("warning: {warning}"))?;
    }
    Ok(())
}

fn print_curve(curve: &StressCurve) -> Result<(), Failure> {
    let title = curve.name.replace('_', " ");
    let members: Vec<&str> = curve.levels.iter().flat_map(|level| level.members.keys()).map(String::as_str).collect();
    let members = &members[..members.len() / curve.levels.len().max(1)];
    let header: Vec<&str> =
        std::iter::once(title.as_str()).chain(members.iter().flat_map(|member| [*member, "change"])).collect();
    let rows = curve.levels.iter().map(|level| {
        let of_members = level.members.values().flat_map(|of| {
            [of.figure.value.map_or_else(|| "-".into(), |value| format!("{value:.4}")), interval(&of.difference)]
        });
        std::iter::once(level.level.clone()).chain(of_members).collect()
    });
    Ok(output::print_table(&header, rows)?)
}
