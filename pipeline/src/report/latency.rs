//! How long the stages of a score took.

use maud::{Markup, html};

use super::page::number;
use crate::backtest::Report;
use crate::output::count;

/// The name of a stage, and what is timed.
fn told(name: &str) -> (&'static str, &'static str) {
    match name {
        "read" => ("reading", "what the score is made of, from the graph as of the cutoff"),
        "model" => ("model", "the member's answer; of a ranking with the reading of its candidates"),
        "context" => ("context", "drawing the labelled examples, reading and fitting them: once for many scores"),
        _ => ("score", "reading and model together"),
    }
}

pub(super) fn latency(report: &Report) -> Markup {
    let Some(latency) = &report.latency else { return html! {} };
    html! {
        h3 { "Latency" }
        div.scroll tabindex="0" role="region" aria-label="Latency" {
            table {
                caption {
                    "Timed while " (report.model) " made " (count(latency.scores as u64)) " of these scores, on "
                    (latency.cores) @if latency.cores == 1 { " core" } @else { " cores at once" }
                    " of the machine that made this report. Scores that are answered together each have their share."
                }
                thead { tr {
                    th scope="col" { "Stage" } th scope="col" { "what" } th scope="col" { "times" }
                    th scope="col" { "median, ms" } th scope="col" { "99th percentile, ms" }
                } }
                tbody { @for (name, stage) in &latency.stages { tr {
                    th scope="row" { (told(name).0) } td { (told(name).1) } td { (count(stage.count as u64)) }
                    td { (number(Some(stage.median_ms))) } td { (number(Some(stage.p99_ms))) }
                } } }
            }
        }
    }
}
