//! `foreshore demo`: a generated shop and its card payments through the whole program, on the embedded default.

mod board;
mod dice;
mod shelf;
mod source;
mod verdict;
mod world;

use std::time::Instant;

use serde_json::json;

use crate::cli::{Demo, Format};
use crate::config::{self, Document};
use crate::driver::Driver;
use crate::output::{self, count};
use crate::world::{Failure, World};

use board::Board;
use shelf::Shelf;
use source::Generated;
use world::Size;

const CONFIG: &str = include_str!("../../../configs/demo.toml");

/// Runs the demo.
///
/// # Errors
///
/// When the temporary store cannot be used, or standard output is closed.
pub(crate) fn demo(arguments: &Demo) -> Result<(), Failure> {
    let document = Document { file: "configs/demo.toml".into(), text: CONFIG.to_owned() };
    let mut settings = config::parse(document, [])?;
    let folder = tempfile::tempdir()?;
    settings.app.store = folder.path().join("store");
    let world = World::new(settings)?;
    let size = Size { seed: arguments.seed, customers: arguments.customers.max(20), days: arguments.days.max(120) };
    let changes = world::changes(size);
    let people = arguments.format == Format::Table;
    if people {
        output::print_line(&introduction(&world, size, changes.len()))?;
    }
    let store = world.open_store(false)?;
    let shelf = Shelf::default();
    let source = Box::new(Generated::new(changes));
    let mut driver = Driver::with_source(&world, &store, world.scorers(&store), Some(Box::new(shelf.clone())), source)?;
    let started = Instant::now();
    let mut board = Board::new(&world, people);
    while !driver.round(None, std::time::Duration::ZERO)? {
        board.show(&driver, &shelf)?;
    }
    driver.finish()?;
    board.last(&driver, &shelf)?;
    let seconds = started.elapsed().as_secs_f64();
    let scores = shelf.after(0);
    let verdicts = verdict::verdicts(&world, &store, &scores)?;
    if people {
        output::print_line(&format!(
            "\n{} row versions and {} scores in {seconds:.1} s. How good were the scores, now that the labels are known?\n",
            count(driver.counts.rows_total()),
            count(scores.len() as u64),
        ))?;
        verdict::print(&verdicts)?;
        return Ok(output::print_line(
            "\nOn your own tables: docs/configuration.md, then `foreshore check` and `foreshore replay`.",
        )?);
    }
    Ok(output::print_json(&json!({
        "seed": arguments.seed, "rows": driver.counts.rows_total(), "scores": scores.len(), "seconds": seconds,
        "tasks": verdicts.iter().map(verdict::Verdict::json).collect::<Vec<_>>(),
    }))?)
}

fn introduction(world: &World, size: Size, changes: usize) -> String {
    let queries = world.plans.iter().map(|plan| {
        let query = plan.task.query.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("  {:<6} {query}", plan.task.name)
    });
    format!(
        "A generated shop: {} customers, {} days, {} changes (seed {}). Two queries, no training job:\n\n{}\n",
        count(u64::from(size.customers)),
        size.days,
        count(changes as u64),
        size.seed,
        queries.collect::<Vec<_>>().join("\n"),
    )
}
