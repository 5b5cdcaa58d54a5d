//! The value of each feature, from what was read for one query.

use graph_store::Version;
use relational::{ColumnId, EventTime, TableId, Value};

use super::history::History;
use super::plan::{
    CalendarStat, CategoryStat, Clock, CountStat, Feature, LagStat, NumberSource, NumberStat, OwnStat, Plan,
    RelativeStat, Span,
};
use super::scale::{log_count, log_over_gap, log_tenths, quotient};
use super::stream::{Loaded, signed_log};
use super::vocabulary::Vocabulary;

/// Rows that the statistics of the newest rows look at.
const NEWEST: usize = 10;

/// Everything that was read for one query.
#[derive(Debug)]
pub(crate) struct Read {
    /// The query's time, in the plan's unit.
    pub(crate) clock: Clock,
    /// The row of each anchor, where there is one.
    pub(crate) anchors: Vec<Option<Version>>,
    /// Each stream of the plan.
    pub(crate) streams: Vec<Loaded>,
    /// The entity's past targets.
    pub(crate) history: History,
}

impl Read {
    /// The value of one feature; not a number where it is missing.
    pub(crate) fn value(&self, plan: &Plan, tables: &[TableId], vocabulary: &Vocabulary, feature: &Feature) -> f64 {
        match *feature {
            Feature::Calendar(stat) => calendar(self.clock.now, stat),
            Feature::Own { anchor, column, stat } => match &self.anchors[anchor] {
                Some(version) => self.own(version, tables[anchor], column, stat, vocabulary),
                None => f64::NAN,
            },
            Feature::Count { stream, stat } => {
                let shifted = self.shifted(plan.streams[stream].shift_micros);
                count(&self.streams[stream], &shifted, stat)
            }
            Feature::Number { stream, number, stat } => number_stat(&self.streams[stream], number, stat),
            Feature::Category { stream, category, stat } => {
                let of = &plan.streams[stream];
                share(&self.streams[stream], of.child, &of.categories[category], stat, vocabulary)
            }
            Feature::Lag(stat) => lag(&self.history, stat),
            Feature::Relative { stream, number, column, stat } => {
                debug_assert!(matches!(plan.streams[stream].numbers[number].source, NumberSource::Column(_)));
                let own = self.anchors[0].as_ref().and_then(|version| version.row.value(column).as_f64());
                relative(&self.streams[stream], number, own.unwrap_or(f64::NAN), stat)
            }
        }
    }

    fn shifted(&self, shift_micros: i64) -> Clock {
        Clock { now: self.clock.now.plus(-shift_micros), ..self.clock }
    }

    fn own(&self, version: &Version, table: TableId, column: ColumnId, stat: OwnStat, vocabulary: &Vocabulary) -> f64 {
        let value = version.row.value(column);
        if value.is_null() {
            return f64::NAN;
        }
        let frequencies = || vocabulary.of(table, &[column]);
        let alone = std::slice::from_ref(value);
        match stat {
            OwnStat::Value => value.as_f64().unwrap_or(f64::NAN),
            OwnStat::Age => value.as_time().map_or(f64::NAN, |time| years(self.clock.now, time)),
            OwnStat::Frequency => frequencies().map_or(0.0, |of| f64::from(of.count(alone)).ln_1p()),
            OwnStat::Code => frequencies().map_or(f64::NAN, |of| f64::from(of.rank(alone))),
            OwnStat::Is(rank) => {
                f64::from(u8::from(frequencies().and_then(|of| of.top(rank)).is_some_and(|top| top == alone)))
            }
            OwnStat::Length => length(value),
        }
    }
}

fn years(now: EventTime, time: EventTime) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
    let years = now.since(time) as f64 / (365.25 * EventTime::DAY as f64);
    years
}

fn length(value: &Value) -> f64 {
    match value {
        Value::Text(text) => log_count(text.chars().count() as u64),
        Value::List(items) => log_count(items.len() as u64),
        _ => f64::NAN,
    }
}

fn calendar(now: EventTime, stat: CalendarStat) -> f64 {
    let Some(civil) = now.civil() else { return f64::NAN };
    let year = std::f64::consts::TAU * f64::from(civil.date().day_of_year()) / 365.25;
    let day = std::f64::consts::TAU * fraction_of_day(now);
    match stat {
        CalendarStat::YearSin => year.sin(),
        CalendarStat::YearCos => year.cos(),
        CalendarStat::DaySin => day.sin(),
        CalendarStat::DayCos => day.cos(),
        CalendarStat::Weekday => f64::from(civil.date().weekday().to_monday_zero_offset()),
    }
}

fn fraction_of_day(time: EventTime) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "below one day")]
    let fraction = time.0.rem_euclid(EventTime::DAY) as f64 / EventTime::DAY as f64;
    fraction
}

fn count(loaded: &Loaded, clock: &Clock, stat: CountStat) -> f64 {
    match stat {
        CountStat::Rows(span) => log_count(loaded.counts[span.index()]),
        CountStat::Since(place) => log_tenths(nth(loaded, usize::from(place)).map(|time| clock.ago(time))),
        CountStat::First => loaded.first.map_or(f64::NAN, |time| clock.ago(time).max(0.0).ln_1p()),
        CountStat::SinceOverGap => {
            let (Some(newest), Some(first)) = (nth(loaded, 1), loaded.first) else { return f64::NAN };
            log_over_gap(clock.ago(newest), clock.ago(first), loaded.counts[Span::All.index()])
        }
        CountStat::SincePositive => {
            let newest = (0..loaded.rows.len()).find(|row| loaded.cell(*row, 0) > 0.0);
            log_tenths(newest.map(|row| clock.ago(loaded.rows[row].time)))
        }
    }
}

fn nth(loaded: &Loaded, place: usize) -> Option<EventTime> {
    loaded.rows.get(place - 1).map(|version| version.time)
}

fn number_stat(loaded: &Loaded, number: usize, stat: NumberStat) -> f64 {
    let newest = |rows: usize| {
        (0..loaded.rows.len().min(rows)).map(|row| loaded.cell(row, number)).filter(|value| !value.is_nan())
    };
    match stat {
        NumberStat::Last if loaded.rows.is_empty() => f64::NAN,
        NumberStat::Last => loaded.cell(0, number),
        NumberStat::MeanOf(rows) => mean(newest(usize::from(rows))),
        NumberStat::MeanIn(span) => {
            let (rows, sum) = loaded.sum(number, span);
            quotient(rows, sum)
        }
        NumberStat::Min => newest(NEWEST).fold(f64::NAN, f64::min),
        NumberStat::Max => newest(NEWEST).fold(f64::NAN, f64::max),
        NumberStat::Deviation => deviation(&newest(NEWEST).collect::<Vec<f64>>()),
        NumberStat::SumIn(span) => signed_log(loaded.sum(number, span).1),
    }
}

fn share(loaded: &Loaded, table: TableId, columns: &[ColumnId], stat: CategoryStat, vocabulary: &Vocabulary) -> f64 {
    let rows = &loaded.rows[..loaded.rows.len().min(NEWEST)];
    let Some(last) = rows.first() else { return f64::NAN };
    let equal = match stat {
        CategoryStat::SameAsLast => rows
            .iter()
            .filter(|version| columns.iter().all(|column| version.row.value(*column) == last.row.value(*column)))
            .count(),
        CategoryStat::Top(rank) => match vocabulary.of(table, columns).and_then(|of| of.top(rank)) {
            Some(top) => {
                let is_top = |version: &&Version| {
                    columns.iter().zip(top).all(|(column, value)| version.row.value(*column) == value)
                };
                rows.iter().filter(is_top).count()
            }
            None => 0,
        },
    };
    #[expect(clippy::cast_precision_loss, reason = "at most 10 rows")]
    let share = equal as f64 / rows.len() as f64;
    share
}

fn lag(history: &History, stat: LagStat) -> f64 {
    let newest = |count: usize| history.defined.iter().take(count).map(|(_, value)| *value);
    let kept = history.kept;
    match stat {
        LagStat::Value(place) => history.defined.get(usize::from(place)).map_or(f64::NAN, |(_, value)| *value),
        LagStat::Age(place) => {
            history.defined.get(usize::from(place)).map_or(f64::NAN, |(window, _)| f64::from(*window + 1).ln_1p())
        }
        LagStat::MeanOf(count) => mean(newest(usize::from(count))),
        LagStat::Mean => mean(newest(usize::MAX)),
        LagStat::Deviation => deviation(&newest(kept).collect::<Vec<f64>>()),
        LagStat::Min => newest(kept).fold(f64::NAN, f64::min),
        LagStat::Max => newest(kept).fold(f64::NAN, f64::max),
        LagStat::Count => log_count(history.defined.len() as u64),
        LagStat::Fading => {
            let weights = std::iter::successors(Some(1.0), |weight| Some(weight * 0.8));
            let (total, weight) =
                newest(kept).zip(weights).fold((0.0, 0.0), |sum, (value, w)| (sum.0 + w * value, sum.1 + w));
            if weight > 0.0 { total / weight } else { f64::NAN }
        }
    }
}

fn relative(loaded: &Loaded, number: usize, own: f64, stat: RelativeStat) -> f64 {
    match stat {
        RelativeStat::Difference => own - number_stat(loaded, number, NumberStat::MeanOf(10)),
        RelativeStat::Ratio => signed_log(own) - signed_log(number_stat(loaded, number, NumberStat::MeanIn(Span::All))),
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (rows, sum) = values.fold((0, 0.0), |total, value| (total.0 + 1, total.1 + value));
    quotient(rows, sum)
}

fn deviation(values: &[f64]) -> f64 {
    let middle = mean(values.iter().copied());
    mean(values.iter().map(|value| (value - middle) * (value - middle))).sqrt()
}
