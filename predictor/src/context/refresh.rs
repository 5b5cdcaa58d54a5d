//! When a context is drawn anew.

use relational::{EventTime, Schema, Task};

const MINUTE: i64 = 60 * EventTime::SECOND;
const HOUR: i64 = 60 * MINUTE;

/// The grids, in microseconds, finest first.
const STEPS: [i64; 7] = [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, EventTime::DAY, 7 * EventTime::DAY];

/// The time whose context scores a query at `cutoff`: the latest point up to it of a grid from the epoch. The grid's
/// step is the longest of 1 and 5 minutes, a quarter, 1 and 6 hours, 1 and 7 days that is at most a tenth of the
/// horizon (of the label delay, for a target without a window), for labels do not mature faster; an hour where
/// neither is known.
#[must_use]
pub fn refresh_point(task: &Task, schema: &Schema, cutoff: EventTime) -> EventTime {
    let horizon = task.horizon();
    let slowest = if horizon > 0 { horizon } else { task.label_delay(schema) };
    let step = match slowest {
        0 => HOUR,
        _ => STEPS.into_iter().rev().find(|step| *step <= slowest / 10).unwrap_or(MINUTE),
    };
    EventTime(cutoff.0.div_euclid(step).saturating_mul(step))
}
