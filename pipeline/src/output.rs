//! Results on standard output: tables for people, JSON for programs; progress on standard error.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value as Json;

/// Lines above, below and under the header: between any two rows they make a table hard to read.
const STYLE: TableStyle = TableStyle::new()
    .top_border(LineStyle::none().fill('─').junction('─'))
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .bottom_border(LineStyle::none().fill('─').junction('─'));

/// Prints rows under a header.
///
/// # Errors
///
/// When standard output is closed.
pub fn print_table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    rows.into_iter().for_each(|row| {
        table.add_row(row);
    });
    writeln!(io::stdout().lock(), "{table}")
}

/// Prints one line.
///
/// # Errors
///
/// When standard output is closed.
pub fn print_line(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// Prints one JSON value, indented.
///
/// # Errors
///
/// When standard output is closed.
pub fn print_json(value: &Json) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{value:#}")
}

/// A number with thousands separated.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A progress bar on standard error, when that is a terminal.
#[must_use]
pub fn progress(what: &'static str, total: Option<u64>) -> ProgressBar {
    let target =
        if io::stderr().is_terminal() { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
    let template = match total {
        Some(_) => "{prefix} {wide_bar:.cyan/238} {percent:>3} % {human_pos}/{human_len} {per_sec} {eta} left {msg}",
        None => "{prefix} {spinner} {human_pos} {per_sec} {msg}",
    };
    let style = ProgressStyle::with_template(template).expect("the template is well-formed; a test draws it");
    let bar = ProgressBar::with_draw_target(total, target).with_style(style).with_prefix(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!(["7", "1,234", "12,345,678"].map(str::to_owned), [7, 1_234, 12_345_678].map(count));
    }

    #[test]
    fn both_progress_templates_are_well_formed() {
        progress("rows", Some(10)).finish_and_clear();
        progress("rows", None).finish_and_clear();
    }
}
