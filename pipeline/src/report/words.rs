//! The headline, in words.

use crate::backtest::{Evaluation, Figure, Report, more_is_better};
use crate::output::count;

/// What the figures come to, in a few sentences.
pub(super) fn headline(report: &Report) -> Vec<String> {
    let Some(evaluation) = report.evaluations.first() else { return Vec::new() };
    if evaluation.rows == 0 {
        return vec!["Nothing was scored whose label is known: there is nothing to say.".into()];
    }
    let mut sentences = vec![asked(report, evaluation)];
    sentences.extend(quality(report, evaluation));
    sentences.extend(report.beside.iter().filter_map(|other| beside(report, evaluation, other)));
    sentences
}

fn asked(report: &Report, of: &Evaluation) -> String {
    let date = |text: &Option<String>| text.as_deref().map_or("-", |text| &text[..text.len().min(10)]).to_owned();
    let (first, last) = (date(&report.first_cutoff), date(&report.last_cutoff));
    let rows = count(of.rows as u64);
    match of.positives {
        Some(positives) => format!(
            "{rows} questions were asked between {first} and {last} and have a known label; it came true for {} of them.",
            count(positives as u64)
        ),
        None => format!("{rows} questions were asked between {first} and {last} and have a known label."),
    }
}

fn quality(report: &Report, of: &Evaluation) -> Option<String> {
    let own = of.members.get(&report.model)?;
    let figure = |name: &str| own.get(name).copied();
    if let Some(area) = figure("auroc") {
        let error = figure("calibration_error").and_then(|figure| figure.value)?;
        return Some(format!(
            "{} ranks a true row above a false one in {} of pairs, and its probabilities are off by {} on average.",
            report.model,
            percent(&area)?,
            points(error)
        ));
    }
    if let Some(error) = figure("mae") {
        let coverage = figure("coverage_90").and_then(|figure| figure.value)?;
        return Some(format!(
            "The median of {} is off by {} on average; {:.0} % of the values lie within the range that should hold 90 %.",
            report.model,
            between(&error)?,
            100.0 * coverage
        ));
    }
    if let Some(right) = figure("accuracy") {
        return Some(format!("The likeliest class of {} is right for {} of the rows.", report.model, percent(&right)?));
    }
    let found = figure("map")?;
    Some(format!("The mean average precision of the rankings of {} is {}.", report.model, between(&found)?))
}

/// Whether the difference to another member is more than noise.
fn beside(report: &Report, of: &Evaluation, other: &str) -> Option<String> {
    let (name, title) = [
        ("auroc", "area under the ROC curve"),
        ("mae", "mean absolute error"),
        ("accuracy", "accuracy"),
        ("map", "mean average precision"),
    ]
    .into_iter()
    .find(|(name, _)| of.members[&report.model].contains_key(*name))?;
    let difference = of.differences.get(other)?.get(name)?;
    let (value, low, high) = (difference.value?, difference.low?, difference.high?);
    let better = more_is_better(name)?;
    let verdict = match (low > 0.0, high < 0.0) {
        (false, false) => "no more than noise",
        (above, _) if above == better => "better by more than noise",
        _ => "worse by more than noise",
    };
    Some(format!("Beside {other} its {title} is {value:+.3} [{low:+.3}, {high:+.3}]: {verdict}."))
}

fn percent(figure: &Figure) -> Option<String> {
    let (value, low, high) = (figure.value?, figure.low?, figure.high?);
    Some(format!("{:.1} % (95 %: {:.1} to {:.1})", 100.0 * value, 100.0 * low, 100.0 * high))
}

fn between(figure: &Figure) -> Option<String> {
    let (value, low, high) = (figure.value?, figure.low?, figure.high?);
    Some(format!("{value:.3} (95 %: {low:.3} to {high:.3})"))
}

fn points(share: f64) -> String {
    format!("{:.1} percentage points", 100.0 * share)
}
