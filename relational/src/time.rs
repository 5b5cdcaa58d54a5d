//! The two time axes, and windows on the first.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::Sequence;

/// When something happened in the source's world, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventTime(pub i64);

impl EventTime {
    /// Before everything: the time of rows that have no time.
    pub const MIN: Self = Self(i64::MIN);
    /// After everything.
    pub const MAX: Self = Self(i64::MAX);
    /// One second in microseconds.
    pub const SECOND: i64 = 1_000_000;
    /// One day in microseconds.
    pub const DAY: i64 = 86_400 * Self::SECOND;

    /// This time moved by `micros` microseconds, held at the ends of the axis.
    #[must_use]
    pub fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to this time, held at the ends of the axis.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads RFC 3339 (`2024-01-31T12:00:00Z`, any offset), `2024-01-31 12:00:00[.ffffff]` or `2024-01-31`; without an
    /// offset the time is UTC. `None` when the text is none of these.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(timestamp) = text.parse::<Timestamp>() {
            return Some(Self(timestamp.as_microsecond()));
        }
        let civil: DateTime = text.parse().ok()?;
        Some(Self(TimeZone::UTC.to_timestamp(civil).ok()?.as_microsecond()))
    }

    /// The civil date and time in UTC. `None` outside the years -9999 to 9999.
    #[must_use]
    pub fn civil(self) -> Option<DateTime> {
        Some(TimeZone::UTC.to_datetime(Timestamp::from_microsecond(self.0).ok()?))
    }

    pub(crate) fn fmt_date(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.civil() {
            Some(civil) => fmt::Display::fmt(&civil.date(), f),
            None => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => fmt::Display::fmt(&timestamp, f),
            Err(_) if *self == Self::MIN => f.write_str("beginning"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// A half-open stretch of event time, `(start, end]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Exclusive; [`EventTime::MIN`] has no beginning and **includes** rows without a time.
    pub start: EventTime,
    /// Inclusive.
    pub end: EventTime,
}

impl Window {
    /// Everything up to and including `end`, rows without a time included.
    #[must_use]
    pub fn up_to(end: EventTime) -> Self {
        Self { start: EventTime::MIN, end }
    }

    /// Whether `time` lies in `(start, end]`.
    #[must_use]
    pub fn contains(&self, time: EventTime) -> bool {
        (time > self.start || self.start == EventTime::MIN) && time <= self.end
    }
}

/// The unit of a window's ends in a predictive query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// 1 s.
    Seconds,
    /// 60 s.
    Minutes,
    /// 3,600 s.
    Hours,
    /// 24 h.
    Days,
    /// 7 days.
    Weeks,
    /// Calendar months in UTC: a month after January 31 is the last day of February.
    Months,
}

impl TimeUnit {
    /// The instant `count` units after `anchor` (before, when negative).
    #[must_use]
    pub fn after(self, anchor: EventTime, count: i64) -> EventTime {
        let fixed = match self {
            Self::Seconds => 1,
            Self::Minutes => 60,
            Self::Hours => 3_600,
            Self::Days => 86_400,
            Self::Weeks => 604_800,
            Self::Months => return months_after(anchor, count),
        };
        anchor.plus(count.saturating_mul(fixed * EventTime::SECOND))
    }
}

/// Out of the calendar's years a month counts as 30 days, so that no input can fail.
fn months_after(anchor: EventTime, count: i64) -> EventTime {
    let exact = || {
        let moved = anchor.civil()?.checked_add(Span::new().try_months(count).ok()?).ok()?;
        Some(EventTime(TimeZone::UTC.to_timestamp(moved).ok()?.as_microsecond()))
    };
    exact().unwrap_or_else(|| anchor.plus(count.saturating_mul(30 * EventTime::DAY)))
}

/// A window relative to an anchor: `(anchor + start, anchor + end]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RelativeWindow {
    /// In `unit`s from the anchor; `None` reaches back to the beginning.
    pub start: Option<i64>,
    /// In `unit`s from the anchor.
    pub end: i64,
    /// The unit of both ends.
    pub unit: TimeUnit,
}

impl RelativeWindow {
    /// The window at `anchor`.
    #[must_use]
    pub fn at(&self, anchor: EventTime) -> Window {
        let start = self.start.map_or(EventTime::MIN, |start| self.unit.after(anchor, start));
        Window { start, end: self.unit.after(anchor, self.end) }
    }

    /// How many `unit`s it is long; up to its end, where it has no start.
    #[must_use]
    pub fn length(&self) -> i64 {
        self.end.saturating_sub(self.start.unwrap_or(0))
    }

    /// The same window, `times` its lengths later.
    #[must_use]
    pub fn later(&self, times: u32) -> Self {
        let shift = self.length().saturating_mul(i64::from(times));
        Self {
            start: self.start.map(|start| start.saturating_add(shift)),
            end: self.end.saturating_add(shift),
            unit: self.unit,
        }
    }
}

/// What may be read: nothing that happened after `cutoff`, nothing that reached us after `sequence`, nothing that
/// became known after `known`. All three are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AsOf {
    /// Last visible event time.
    pub cutoff: EventTime,
    /// Last visible arrival number.
    pub sequence: Sequence,
    /// Last visible time of knowledge ([`crate::Change::known`]).
    pub known: EventTime,
}

impl AsOf {
    /// What a live run sees: all that has arrived up to `sequence` and had happened by `cutoff`. A late row is seen.
    #[must_use]
    pub fn live(cutoff: EventTime, sequence: Sequence) -> Self {
        Self { cutoff, sequence, known: EventTime::MAX }
    }

    /// What somebody at `cutoff` could have seen, as far as the arrivals up to `sequence` tell: a row that came late
    /// is not seen before it came.
    #[must_use]
    pub fn historical(cutoff: EventTime, sequence: Sequence) -> Self {
        Self { cutoff, sequence, known: cutoff }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> EventTime {
        EventTime::parse(text).expect("valid time")
    }

    #[test]
    fn times_parse_in_the_usual_forms() {
        assert_eq!(at("1970-01-02"), EventTime(EventTime::DAY));
        assert_eq!(at("1970-01-01 00:00:01.5"), EventTime(1_500_000));
        assert_eq!(at("1970-01-01T02:00:00+02:00"), EventTime(0));
        assert_eq!(EventTime::parse("yesterday"), None);
    }

    #[test]
    fn months_follow_the_calendar() {
        assert_eq!(TimeUnit::Months.after(at("2024-01-31"), 1), at("2024-02-29"));
        assert_eq!(TimeUnit::Months.after(at("2024-03-31 10:00:00"), -1), at("2024-02-29 10:00:00"));
        assert_eq!(TimeUnit::Months.after(at("2023-12-15"), 2), at("2024-02-15"));
    }

    #[test]
    fn windows_exclude_their_start() {
        let window = RelativeWindow { start: Some(0), end: 30, unit: TimeUnit::Days }.at(at("2024-01-01"));
        assert!(!window.contains(at("2024-01-01")));
        assert!(window.contains(at("2024-01-31")));
        assert!(!window.contains(at("2024-01-31 00:00:01")));
    }
}
