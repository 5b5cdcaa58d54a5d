//! Figures of parts of the rows: by time, by history, by segment.

use std::collections::BTreeMap;

use relational::EventTime;

use super::read::Scores;

/// Rows that go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slice {
    pub name: String,
    /// Places among the evaluated rows.
    pub rows: Vec<usize>,
}

/// Values of a segment that are told apart; the others are taken together.
const VALUES: usize = 20;
/// Parts of time, at most.
const PERIODS: usize = 24;

/// Every way to slice, by name; `rows` are places in the file.
pub(super) fn slices(scores: &Scores, rows: &[usize]) -> Vec<(String, Vec<Slice>)> {
    let cutoffs = scores.cutoffs();
    let history = scores.whole("history");
    let mut all = vec![("time".to_owned(), by_time(rows.iter().map(|row| cutoffs[*row])))];
    if rows.iter().any(|row| history[*row].is_some()) {
        all.push(("history".to_owned(), by_history(rows.iter().map(|row| history[*row]))));
    }
    for segment in &scores.layout().segments {
        let values = scores.texts(&format!("segment_{segment}"));
        all.push((segment.clone(), by_value(rows.iter().map(|row| values[*row]))));
    }
    all
}

/// By the finest calendar unit that makes few periods.
pub(super) fn by_time(cutoffs: impl Iterator<Item = EventTime> + Clone) -> Vec<Slice> {
    let date = |time: EventTime| time.civil().map_or_else(|| time.to_string(), |civil| civil.date().to_string());
    let month = |time: EventTime| date(time).rsplit_once('-').map_or_else(|| date(time), |(month, _)| month.to_owned());
    let year = |time: EventTime| month(time).rsplit_once('-').map_or_else(|| date(time), |(year, _)| year.to_owned());
    let decade = |time: EventTime| {
        let mut year = year(time);
        year.pop();
        year + "0s"
    };
    let units: [&dyn Fn(EventTime) -> String; 4] = [&date, &month, &year, &decade];
    let sliced = units.iter().map(|unit| grouped(cutoffs.clone().map(unit)));
    let mut last = Vec::new();
    for slices in sliced {
        if slices.len() <= PERIODS {
            return slices;
        }
        last = slices;
    }
    last
}

/// By how many labels of the entity were known.
fn by_history(history: impl Iterator<Item = Option<i32>>) -> Vec<Slice> {
    let name = |known: Option<i32>| match known {
        None => "unknown".to_owned(),
        Some(0) => "0".to_owned(),
        Some(1..=2) => "1 to 2".to_owned(),
        Some(3..=9) => "3 to 9".to_owned(),
        Some(_) => "at least 10".to_owned(),
    };
    grouped(history.map(name))
}

/// By value, the most frequent ones.
fn by_value<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Vec<Slice> {
    let mut slices = grouped(values.map(|value| value.unwrap_or("(none)").to_owned()));
    slices.sort_by(|one, other| other.rows.len().cmp(&one.rows.len()).then_with(|| one.name.cmp(&other.name)));
    if slices.len() > VALUES {
        let mut rows: Vec<usize> = slices.split_off(VALUES).into_iter().flat_map(|slice| slice.rows).collect();
        rows.sort_unstable();
        slices.push(Slice { name: "(all others)".to_owned(), rows });
    }
    slices
}

/// In the order of the names.
fn grouped(names: impl Iterator<Item = String>) -> Vec<Slice> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (row, name) in names.enumerate() {
        groups.entry(name).or_default().push(row);
    }
    groups.into_iter().map(|(name, rows)| Slice { name, rows }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(slices: &[Slice]) -> Vec<&str> {
        slices.iter().map(|slice| slice.name.as_str()).collect()
    }

    #[test]
    fn periods_are_as_fine_as_their_number_allows() {
        let time = |text: &str| EventTime::parse(text).expect("a time");
        let days = by_time([time("2020-01-02 05:00:00"), time("2020-01-01"), time("2020-01-02")].into_iter());
        assert_eq!(names(&days), ["2020-01-01", "2020-01-02"]);
        assert_eq!(days[1].rows, [0, 2]);
        let start = time("2019-12-20");
        let many = (0..60).map(|day| start.plus(day * EventTime::DAY));
        assert_eq!(names(&by_time(many)), ["2019-12", "2020-01", "2020-02"]);
    }

    #[test]
    fn rare_values_are_taken_together() {
        let values: Vec<String> = (0..30).flat_map(|value| vec![format!("v{value:02}"); 31 - value]).collect();
        let slices = by_value(values.iter().map(|value| Some(value.as_str())));
        assert_eq!((slices.len(), slices[0].name.as_str(), slices[20].name.as_str()), (21, "v00", "(all others)"));
        assert_eq!(slices.iter().map(|slice| slice.rows.len()).sum::<usize>(), values.len());
    }

    #[test]
    fn newcomers_are_told_apart() {
        let slices = by_history([Some(0), Some(2), Some(9), Some(10), None, Some(0)].into_iter());
        assert_eq!(names(&slices), ["0", "1 to 2", "3 to 9", "at least 10", "unknown"]);
        assert_eq!(slices[0].rows, [0, 5]);
    }
}
