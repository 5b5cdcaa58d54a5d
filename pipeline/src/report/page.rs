//! The page.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value as Json;

use super::latency::latency;
use super::plots::{Plot, Series, draw};
use super::robustness::robustness;
use super::without_secrets;
use super::words::headline;
use crate::backtest::{Curves, Evaluation, Example, Figure, Figures, Report, SliceFigures, Sort};
use crate::output::count;

const STYLE: &str = include_str!("style.css");

/// The page of one backtest. `command` is what made it, `config` the text of the config file.
pub(crate) fn page(report: &Report, command: &str, config: &str) -> String {
    let title = format!("{}: backtest", report.task);
    whole(
        &title,
        html! {
            p.quiet { code { (report.query) } }
            @for sentence in headline(report) { p.headline { (sentence) } }
            @for evaluation in &report.evaluations { (of_evaluation(report, evaluation)) }
            (robustness(report))
            (examples(&report.examples))
            (made(report, command, config))
        },
    )
}

/// Several backtests side by side, by the members that were asked about; all of the same questions, or a warning says so.
pub(crate) fn compared(runs: &[(String, Report)]) -> String {
    let same = |report: &Report| {
        let rows: Vec<usize> = report.evaluations.iter().map(|evaluation| evaluation.rows).collect();
        (report.query.clone(), report.first_cutoff.clone(), report.last_cutoff.clone(), rows)
    };
    let differ = runs.windows(2).any(|pair| same(&pair[0].1) != same(&pair[1].1));
    let first = &runs[0].1;
    whole(
        &format!("{}: backtests compared", first.task),
        html! {
            p.quiet { code { (first.query) } }
            @if differ {
                p.warning { "These backtests did not ask the same questions: their figures are not of the same rows." }
            }
            h2 { "Figures" }
            div.scroll tabindex="0" role="region" aria-label="Figures of each backtest" {
                table {
                    caption { "Each backtest's own predictor, with intervals of 95 %." }
                    thead { tr { th scope="col" { "Figure" } @for (name, report) in runs {
                        th scope="col" { (name) br; span.quiet { (report.model) } }
                    } } }
                    tbody { @for figure in figure_names(first) { tr {
                        th scope="row" { (words(&figure)) }
                        @for (_, report) in runs { td { (own(report).and_then(|of| of.get(&figure)).map_or("-".into(), interval)) } }
                    } } }
                }
            }
            div.plots {
                @for (title, x, y, diagonal, of) in CURVES {
                    (plot(&Plot {
                        title: title.into(), x: x.into(), y: y.into(), diagonal, marked: false, places: Vec::new(),
                        shares: true, series: runs.iter().filter_map(|(name, report)| {
                            let curves = report.evaluations.first()?.curves.get(&report.model)?;
                            Some(Series { name: name.clone(), points: of(curves).clone() })
                        }).collect(),
                    }))
                }
            }
        },
    )
}

fn whole(title: &str, content: Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                // No icon is fetched.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body { main { h1 { (title) } (content) } }
        }
    };
    page.into_string()
}

type Curve = fn(&Curves) -> &Vec<(f64, f64)>;

/// Title, axes, whether with a diagonal.
const CURVES: [(&str, &str, &str, bool, Curve); 2] = [
    ("ROC curve", "share of the false that score so high", "share of the true", true, |curves| &curves.roc),
    ("Precision and recall", "recall", "precision", false, |curves| &curves.precision_recall),
];

fn of_evaluation(report: &Report, of: &Evaluation) -> Markup {
    html! {
        @if report.evaluations.len() > 1 { h2 { "Timeframe " (of.timeframe) } }
        @for warning in &of.warnings { p.warning { "Mind: " (warning) "." } }
        h2 { "Figures" }
        (figures(report, of))
        @if !of.curves.is_empty() {
            h2 { "Curves" }
            div.plots { (curves(of)) }
        }
        h2 { "Over time, and for whom" }
        div.plots { (over_time(report, of)) }
        @for (name, slices) in &of.slices { (slice_table(report, name, slices)) }
    }
}

fn figures(report: &Report, of: &Evaluation) -> Markup {
    let Some(own) = of.members.get(&report.model) else { return html! {} };
    html! {
        div.scroll tabindex="0" role="region" aria-label="Figures" {
            table {
                caption {
                    "Intervals are of 95 %: " (of.resamples) " resamples of " (of.blocks)
                    @match of.block_days { Some(days) => { " blocks of " (days) @if days == 1 { " day" } @else { " days" } } None => { " rows" } }
                    ". Differences are the predictor's figure less the other's, on the same rows."
                }
                thead { tr {
                    th scope="col" { "Figure" } th scope="col" { (report.model) }
                    @for other in &report.beside { th scope="col" { (other) } th scope="col" { "difference" } }
                } }
                tbody { @for (name, figure) in own { tr {
                    th scope="row" { (words(name)) }
                    td { (interval(figure)) }
                    @for other in &report.beside {
                        td { (of.members.get(other).and_then(|of| of.get(name)).map_or("-".into(), |of| number(of.value))) }
                        td { (of.differences.get(other).and_then(|of| of.get(name)).map_or("-".into(), interval)) }
                    }
                } } }
            }
        }
    }
}

fn curves(of: &Evaluation) -> Markup {
    let series = |points: &dyn Fn(&Curves) -> Vec<(f64, f64)>| -> Vec<Series> {
        let named = of.curves.iter().map(|(name, curves)| Series { name: name.clone(), points: points(curves) });
        named.filter(|series| !series.points.is_empty()).collect()
    };
    let base = Plot {
        title: String::new(),
        x: String::new(),
        y: String::new(),
        series: Vec::new(),
        marked: false,
        diagonal: false,
        places: Vec::new(),
        shares: true,
    };
    let calibration = |curves: &Curves| curves.calibration.iter().map(|(said, came, _)| (*said, *came)).collect();
    html! {
        @for (title, x, y, diagonal, points) in CURVES {
            (plot(&Plot { title: title.into(), x: x.into(), y: y.into(), diagonal, series: series(&|of| points(of).clone()), ..base.clone() }))
        }
        (plot(&Plot {
            title: "Calibration".into(), x: "predicted probability".into(), y: "share that came true".into(),
            series: series(&calibration), marked: true, diagonal: true, ..base.clone()
        }))
        (plot(&Plot {
            title: "Lift".into(), x: "share of rows looked at".into(), y: "times more often true than all".into(),
            series: series(&|of| of.lift.clone()), shares: false, ..base.clone()
        }))
        @if of.curves.values().any(|curves| !curves.cost.is_empty()) {
            (plot(&Plot {
                title: "Cost".into(), x: "share of rows acted on".into(), y: "mean cost of a row".into(),
                series: series(&|of| of.cost.clone()), shares: false, ..base
            }))
        }
    }
}

fn over_time(report: &Report, of: &Evaluation) -> Markup {
    let Some(periods) = of.slices.get("time") else { return html! {} };
    let places: Vec<String> = periods.iter().map(|slice| slice.name.clone()).collect();
    let value = |slice: &SliceFigures, figure: &str| *slice.members.get(&report.model)?.get(figure)?;
    let series = |name: &str, figure: &str| Series {
        name: name.to_owned(),
        points: (0_u32..).zip(periods).filter_map(|(at, slice)| Some((f64::from(at), value(slice, figure)?))).collect(),
    };
    let first = if of.curves.is_empty() { "mae" } else { "auroc" };
    let drift = (0_u32..).zip(&of.drift).map(|(at, drift)| (f64::from(at), drift.stability_index)).collect();
    let base = Plot {
        title: String::new(),
        x: "time of the cutoff".into(),
        y: String::new(),
        series: Vec::new(),
        marked: true,
        diagonal: false,
        places,
        shares: false,
    };
    html! {
        (plot(&Plot {
            title: "What was said, and what came true".into(), y: "mean".into(),
            series: vec![series("predicted", "predicted"), series("came true", "observed")], ..base.clone()
        }))
        (plot(&Plot { title: words(first), y: words(first), series: vec![series(&report.model, first)], ..base.clone() }))
        (plot(&Plot {
            title: "Drift of the scores".into(), y: "population stability index".into(),
            series: vec![Series { name: report.model.clone(), points: drift }], ..base
        }))
    }
}

/// The plot, and its numbers as a table for those who would rather read or hear them.
pub(super) fn plot(plot: &Plot) -> Markup {
    let drawn = draw(&Plot {
        series: plot.series.iter().filter(|series| !series.points.is_empty()).cloned().collect(),
        ..plot.clone()
    });
    let Some(svg) = drawn else { return html! {} };
    let names: Vec<&str> = plot.series.iter().map(|series| series.name.as_str()).collect();
    let label = format!("{}: {} against {}, of {}", plot.title, plot.y, plot.x, names.join(", "));
    let place = |x: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place")]
        let at = x.max(0.0) as usize;
        plot.places.get(at).cloned().unwrap_or_else(|| number(Some(x)))
    };
    // The library's element gets a role and a name.
    let svg =
        svg.replacen("<svg ", "<svg role=\"img\" aria-label=\"LABEL\" ", 1).replacen("LABEL", &escaped(&label), 1);
    html! {
        figure {
            figcaption { (plot.title) }
            (PreEscaped(svg))
            details {
                summary { "Numbers of " (plot.title) }
                div.scroll tabindex="0" role="region" aria-label=(format!("Numbers of {}", plot.title)) {
                    table {
                        thead { tr { th scope="col" { "Line" } th scope="col" { (plot.x) } th scope="col" { (plot.y) } } }
                        tbody { @for series in &plot.series { @for (x, y) in thinned(&series.points) { tr {
                            th scope="row" { (series.name) } td { (place(*x)) } td { (number(Some(*y))) }
                        } } } }
                    }
                }
            }
        }
    }
}

/// Some twenty points of a curve say enough in a table.
fn thinned(points: &[(f64, f64)]) -> impl Iterator<Item = &(f64, f64)> {
    points.iter().step_by(points.len().div_ceil(24).max(1))
}

fn escaped(text: &str) -> String {
    html! { (text) }.into_string().replace('"', "&quot;")
}

fn slice_table(report: &Report, name: &str, slices: &[SliceFigures]) -> Markup {
    let shown = ["auroc", "log_loss", "mae", "pinball", "accuracy", "map"];
    let has = |figure: &&str| slices.iter().any(|slice| slice.members.values().any(|of| of.contains_key(*figure)));
    let shown: Vec<&str> = shown.into_iter().filter(has).take(2).collect();
    let title = match name {
        "time" => "By time".to_owned(),
        "history" => "By how many labels of the entity were known".to_owned(),
        other => format!("By {other}"),
    };
    let members: Vec<&String> = std::iter::once(&report.model).chain(&report.beside).collect();
    let value = |slice: &SliceFigures, member: &str, figure: &str| {
        number(slice.members.get(member).and_then(|of| of.get(figure)).copied().flatten())
    };
    html! {
        h3 { (title) }
        div.scroll tabindex="0" role="region" aria-label=(title) {
            table {
                thead { tr {
                    th scope="col" { (if name == "time" { "Period" } else { "Value" }) } th scope="col" { "rows" }
                    @if slices.iter().any(|slice| slice.positives.is_some()) { th scope="col" { "came true" } }
                    @for figure in &shown { @for member in &members { th scope="col" { (words(figure)) ", " (member) } } }
                } }
                tbody { @for slice in slices { tr {
                    th scope="row" { (slice.name) } td { (count(slice.rows as u64)) }
                    @if let Some(positives) = slice.positives { td { (count(positives as u64)) } }
                    @for figure in &shown { @for member in &members { td { (value(slice, member, figure)) } } }
                } } }
            }
        }
    }
}

fn examples(examples: &[Example]) -> Markup {
    let sorts = [
        (Sort::Hit, "Hits: high scores that came true"),
        (Sort::FalseAlarm, "False alarms: high scores that did not"),
        (Sort::Miss, "Misses: low scores that came true"),
        (Sort::TooHigh, "Predicted too high"),
        (Sort::TooLow, "Predicted too low"),
    ];
    html! {
        @if !examples.is_empty() { h2 { "Single rows" } }
        @for (sort, title) in sorts {
            @let of_sort: Vec<&Example> = examples.iter().filter(|example| example.sort == sort).collect();
            @if !of_sort.is_empty() { h3 { (title) } }
            @for example in of_sort { (of_example(example)) }
        }
    }
}

fn of_example(example: &Example) -> Markup {
    let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
    let effects = |of: &str, name: &dyn Fn(&Json) -> String| -> Vec<(String, String)> {
        let all = example.explanation[of].as_array().cloned().unwrap_or_default();
        all.iter().take(6).map(|effect| (name(effect), number(effect["adds"].as_f64()))).collect()
    };
    let columns = effects("columns", &|effect| text(&effect["column"]));
    let rows = effects("rows", &|effect| format!("{} {}", text(&effect["table"]), effect["key"]));
    html! {
        details {
            summary {
                (example.entity) " on " (example.cutoff.get(..10).unwrap_or_default()) ": " (number(Some(example.score)))
                @match example.sort {
                    Sort::Hit | Sort::Miss => " was said, and it came true",
                    Sort::FalseAlarm => " was said, and it did not come true",
                    Sort::TooHigh | Sort::TooLow => { " was said, and " (number(Some(example.label))) " came true" }
                }
            }
            p { (text(&example.explanation["sentence"])) }
            table {
                caption { "What the score would lose without it" }
                thead { tr { th scope="col" { "Column or row" } th scope="col" { "adds" } } }
                tbody { @for (name, adds) in columns.into_iter().chain(rows) { tr { th scope="row" { (name) } td { (adds) } } } }
            }
        }
    }
}

fn made(report: &Report, command: &str, config: &str) -> Markup {
    html! {
        h2 { "How these numbers were made" }
        p {
            "Each question was scored as a live run would have scored it, from what had happened, arrived and become known by its cutoff, with contexts of up to "
            (count(report.context_size as u64)) " labelled past examples, drawn and refreshed as they would have been. A label is known "
            (days(report.label_matures_after_s)) " after its cutoff; what came true is judged by everything that is known now."
        }
        @if let Some(until) = &report.regime.data_until { p { "No score saw a row after " (until) "." } }
        @if let Some(until) = &report.regime.labels_until { p { "No context held a label after " (until) "." } }
        @for (reason, rows) in &report.fell_back { p.warning { (count(*rows as u64)) " rows were answered by another member: " (reason) } }
        (latency(report))
        h3 { "Command" }
        pre tabindex="0" { (command) }
        p.quiet { "foreshore " (report.version) ", resamples by seed " (report.seed) }
        details { summary { "Config" } pre tabindex="0" { (without_secrets(config)) } }
    }
}

fn days(seconds: i64) -> String {
    if seconds % 86_400 == 0 { format!("{} days", seconds / 86_400) } else { format!("{seconds} s") }
}

fn own(report: &Report) -> Option<&Figures<Figure>> {
    report.evaluations.first()?.members.get(&report.model)
}

fn figure_names(report: &Report) -> Vec<String> {
    own(report).map_or_else(Vec::new, |of| of.keys().cloned().collect())
}

/// `calibration_error` as `calibration error`; names that are abbreviations in capitals.
pub(super) fn words(name: &str) -> String {
    match name {
        "auroc" | "mae" | "rmse" | "map" | "ndcg" | "mrr" => name.to_uppercase(),
        "r2" => "R²".into(),
        "macro_auroc" => "macro AUROC".into(),
        _ => name.replace('_', " "),
    }
}

pub(super) fn interval(figure: &Figure) -> String {
    match (figure.low, figure.high) {
        (Some(low), Some(high)) => format!("{} [{}, {}]", number(figure.value), number(Some(low)), number(Some(high))),
        _ => number(figure.value),
    }
}

pub(super) fn number(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.3}"),
    }
}
