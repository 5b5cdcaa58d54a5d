//! Which column says when a row happened, by type and name.

use relational::DataType;

use super::LearnedColumn;

/// Parts of names of times that move while a row lives, or that lie before or after the event.
const NOT_THE_EVENT: [&str; 19] = [
    "updat", "modif", "chang", "delet", "remov", "expir", "birth", "due", "until", "end_", "_end", "ended", "last",
    "next", "valid", "sched", "cancel", "clos", "archiv",
];

/// Parts of names from the surest on: the row came into being; something happened.
const LIKELY: [&[&str]; 2] = [&["creat", "insert"], &["occur", "happen", "event", "transact"]];

/// The time column: the only time whose name speaks of no change, end or plan, or the likeliest of several by its name.
/// With several equally likely there is none, and a note says so.
#[must_use]
pub fn find(columns: &[LearnedColumn], key: &[String], notes: &mut Vec<String>) -> Option<String> {
    let is_time = |column: &&LearnedColumn| matches!(column.data_type, DataType::Time | DataType::Date);
    let candidates: Vec<&str> =
        columns.iter().filter(is_time).map(|column| column.name.as_str()).filter(|name| is_event(name, key)).collect();
    let ranked = |rank: usize| candidates.iter().filter(|name| rank_of(name) == rank).collect::<Vec<_>>();
    let best = (0..=LIKELY.len()).map(ranked).find(|names| !names.is_empty())?;
    match best.as_slice() {
        [only] => Some((**only).to_owned()),
        several => {
            let names: Vec<String> = several.iter().map(|name| format!("`{name}`")).collect();
            let names = names.join(", ");
            notes.push(format!("{names} could each say when a row happened: say which with `time`; none is used"));
            None
        }
    }
}

/// Whether whole numbers in a column of this name may be times.
pub(super) fn is_named_so(name: &str) -> bool {
    let lower = name.to_lowercase();
    let has_lower = name.chars().any(char::is_lowercase);
    matches!(lower.as_str(), "ts" | "at" | "when")
        || lower.contains("time")
        || ["_at", "_ts", "_on", "_date"].iter().any(|suffix| lower.ends_with(suffix))
        || has_lower && ["At", "Ts", "On", "Date"].iter().any(|suffix| name.ends_with(suffix))
}

fn is_event(name: &str, key: &[String]) -> bool {
    let lower = name.to_lowercase();
    !key.iter().any(|column| column == name) && !NOT_THE_EVENT.iter().any(|part| lower.contains(part))
}

fn rank_of(name: &str) -> usize {
    let lower = name.to_lowercase();
    let found = LIKELY.iter().position(|parts| parts.iter().any(|part| lower.contains(part)));
    found.unwrap_or(LIKELY.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(columns: &[(&str, DataType)]) -> (Option<String>, usize) {
        let column = |(name, data_type): &(&str, DataType)| LearnedColumn {
            name: (*name).to_owned(),
            data_type: *data_type,
            unit: None,
        };
        let columns: Vec<_> = columns.iter().map(column).collect();
        let mut notes = Vec::new();
        (find(&columns, &["id".to_owned()], &mut notes), notes.len())
    }

    #[test]
    fn the_only_time_or_the_likeliest_is_taken() {
        use DataType::{Date, Int, Time};
        assert_eq!(found(&[("id", Int), ("paid", Time)]), (Some("paid".into()), 0));
        assert_eq!(found(&[("paid_at", Time), ("updated_at", Time)]), (Some("paid_at".into()), 0));
        assert_eq!(found(&[("shipped_at", Time), ("created_at", Time)]), (Some("created_at".into()), 0));
        assert_eq!(found(&[("day", Date), ("event_time", Time)]), (Some("event_time".into()), 0));
    }

    #[test]
    fn what_moves_or_is_not_the_event_is_never_taken() {
        use DataType::{Date, Int, Time};
        assert_eq!(found(&[("updated_at", Time), ("birth_date", Date), ("created", Int)]), (None, 0));
        assert_eq!(found(&[("shipped_at", Time), ("paid_at", Time)]), (None, 1), "equally likely");
    }
}
