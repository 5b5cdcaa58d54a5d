//! The section on what becomes of the scores when what is read gets worse.

use maud::{Markup, html};

use super::page::{interval, plot, words};
use super::plots::{Plot, Series};
use crate::backtest::{Report, Stress, StressCurve, StressLevel};
use crate::output::count;

/// Title, and what is done.
fn told(name: &str) -> (&'static str, &'static str) {
    match name {
        "cold_start" => ("Cold start", "examples in a context"),
        "noise_columns" => ("Noise columns", "columns of noise, of as many as there are real ones"),
        "missing_values" => ("Missing values", "share of values that are missing"),
        "dropped_links" => ("Dropped links", "share of foreign keys that are hidden"),
        _ => ("Delayed labels", "how much later labels are known"),
    }
}

pub(super) fn robustness(report: &Report) -> Markup {
    let Some(stress) = &report.stress else { return html! {} };
    html! {
        h2 { "Robustness" }
        p {
            (count(stress.rows as u64)) " of the " (count(stress.of as u64)) " rows with a known label were asked again"
            @if stress.drawn_by_class { ", drawn class by class, so that more of them came true than of all" }
            "; " (stress.contexts) " contexts answer them. What the contexts and the questions read was disturbed alike, "
            "by chance (seed " (stress.seed) "); what came true was not. Undisturbed, every score was that of the backtest."
        }
        @for warning in &stress.warnings { p.warning { "Mind: " (warning) "." } }
        div.plots { @for curve in &stress.curves { (drawn(stress, curve)) } }
        @for curve in &stress.curves { (table(stress, curve)) }
    }
}

fn drawn(stress: &Stress, curve: &StressCurve) -> Markup {
    let (title, x) = told(&curve.name);
    let members = curve.levels.first().map(|level| level.members.keys().cloned().collect::<Vec<_>>());
    let series = |name: String| {
        let value = |(at, level): (u32, &StressLevel)| Some((f64::from(at), level.members.get(&name)?.figure.value?));
        let points = (0_u32..).zip(&curve.levels).filter_map(value).collect();
        Series { name, points }
    };
    plot(&Plot {
        title: title.into(),
        x: x.into(),
        y: words(&stress.figure),
        series: members.unwrap_or_default().into_iter().map(series).collect(),
        marked: true,
        diagonal: false,
        places: curve.levels.iter().map(|level| level.level.clone()).collect(),
        shares: false,
    })
}

fn table(stress: &Stress, curve: &StressCurve) -> Markup {
    let (title, x) = told(&curve.name);
    let Some(first) = curve.levels.first() else { return html! {} };
    html! {
        h3 { (title) }
        div.scroll tabindex="0" role="region" aria-label=(title) {
            table {
                caption { (words(&stress.figure)) ", and its change to undisturbed on the same rows; intervals are of 95 %." }
                thead { tr {
                    th scope="col" { (x) } th scope="col" { "rows" }
                    @for member in first.members.keys() { th scope="col" { (member) } th scope="col" { "change" } }
                } }
                tbody { @for level in &curve.levels { tr {
                    th scope="row" { (level.level) } td { (count(level.rows as u64)) }
                    @for of in level.members.values() {
                        td { (interval(&of.figure)) }
                        td { (interval(&of.difference)) }
                    }
                } } }
            }
        }
    }
}
