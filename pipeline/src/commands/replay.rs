//! `foreshore replay`

use std::time::Instant;

use serde_json::json;

use crate::cli::{Format, Replay};
use crate::driver::{Driver, set_complete};
use crate::engine::Counts;
use crate::output::{self, count};
use crate::world::{Failure, World, json_lines, store_id};

pub(super) fn replay(arguments: &Replay) -> Result<(), Failure> {
    let world = World::load(&arguments.common)?;
    // Scores that were published must not be forgotten by a crash; a graph alone is read again from where it stands.
    let store = world.open_store(!arguments.no_score)?;
    let scorers = if arguments.no_score { Vec::new() } else { world.scorers(&store) };
    let sink = match &arguments.out {
        Some(path) => json_lines(path, &world.settings.app.name, store_id(&store)?, false)?,
        None => world.sink(&store)?,
    };
    let started = Instant::now();
    let bar = output::progress("replaying", None);
    let mut driver = Driver::open(&world, &store, scorers, Some(sink))?;
    driver.to_the_end(&bar)?;
    bar.finish_and_clear();
    set_complete(&store)?;
    let counts = std::mem::take(&mut driver.counts);
    drop(driver);
    summarise(&world, &counts, started.elapsed().as_secs_f64(), &store, arguments.format)
}

fn summarise(
    world: &World,
    counts: &Counts,
    seconds: f64,
    store: &graph_store::Store,
    format: Format,
) -> Result<(), Failure> {
    let rows = counts.rows_total();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = rows as f64 / seconds.max(1e-9);
    let statistics = store.statistics()?;
    if format == Format::Json {
        let tasks = world.plans.iter().enumerate().map(|(index, plan)| {
            let scored = counts.scored.get(&index).copied().unwrap_or(0);
            let skipped = counts.skipped.iter().filter(|((task, _), _)| *task == index);
            let skipped: serde_json::Map<_, _> =
                skipped.map(|((_, skip), count)| (skip.name().into(), json!(count))).collect();
            json!({ "task": plan.task.name, "scored": scored, "skipped": skipped })
        });
        return Ok(output::print_json(&json!({
            "rows": rows, "seconds": seconds, "rows_per_second": rate, "unchanged": counts.unchanged,
            "rejected": counts.rejected_total(), "disk_bytes": statistics.disk_bytes,
            "newest": store.newest_time().to_string(), "tasks": tasks.collect::<Vec<_>>(),
        }))?);
    }
    output::print_line(&format!("{} row versions in {seconds:.1} s, {} per second", count(rows), count(whole(rate))))?;
    let by_table = counts
        .rows
        .iter()
        .map(|((table, op), number)| vec![world.schema.table(*table).name.clone(), (*op).to_owned(), count(*number)]);
    output::print_table(&["table", "operation", "rows"], by_table)?;
    if !counts.scored.is_empty() || !counts.skipped.is_empty() {
        let by_task = world.plans.iter().enumerate().map(|(index, plan)| {
            let skipped = counts.skipped.iter().filter(|((task, _), _)| *task == index);
            let skipped: Vec<String> =
                skipped.map(|((_, skip), number)| format!("{} {}", count(*number), skip.name())).collect();
            vec![plan.task.name.clone(), count(counts.scored.get(&index).copied().unwrap_or(0)), skipped.join(", ")]
        });
        output::print_table(&["task", "scores", "not scored"], by_task)?;
    }
    if counts.rejected_total() > 0 {
        let rejected = counts
            .rejected
            .iter()
            .map(|((topic, stage), number)| vec![topic.clone(), (*stage).to_owned(), count(*number)]);
        output::print_table(&["source", "refused at", "records"], rejected)?;
        output::print_line("see them with `foreshore dlq list`")?;
    }
    Ok(())
}

/// A rate as a whole number, for people.
fn whole(rate: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is not negative; a cast saturates"
    )]
    let whole = rate.round() as u64;
    whole
}
