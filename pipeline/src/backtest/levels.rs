//! How a stress test disturbs what is read, level by level.

use std::sync::Arc;

use relational::EventTime;

use crate::plan::Plan;
use crate::scorer::Disturbance;

/// What is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: what the others are compared with.
    Undisturbed,
    ColdStart,
    Noise,
    Missing,
    Links,
    Delay,
}

/// Of the kinds of which there is a curve, in their order.
pub(super) const CURVES: [Kind; 5] = [Kind::ColdStart, Kind::Noise, Kind::Missing, Kind::Links, Kind::Delay];

/// Examples of a context.
const SIZES: [u32; 5] = [10, 30, 100, 300, 1_000];
/// Columns of noise for each real one.
const NOISE: [f64; 3] = [0.5, 1.0, 2.0];
/// Shares of values, or of foreign keys.
const SHARES: [f64; 3] = [0.1, 0.25, 0.5];
/// As many times the time that a label takes anyway.
const DELAYS: [i32; 3] = [1, 2, 4];

/// One way to disturb.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Level {
    pub kind: Kind,
    /// As the report and `stress.parquet` say it.
    pub name: String,
    /// As a number: examples, columns for each real one, a share, or seconds.
    pub value: f64,
    disturbance: Disturbance,
    /// Examples of a context, at most.
    size: Option<usize>,
    /// How much later a row's own label arrives, in microseconds.
    later: i64,
}

impl Kind {
    /// As `metrics.json` and `stress.parquet` say it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Undisturbed => "undisturbed",
            Self::ColdStart => "cold_start",
            Self::Noise => "noise_columns",
            Self::Missing => "missing_values",
            Self::Links => "dropped_links",
            Self::Delay => "delayed_labels",
        }
    }

    /// What the undisturbed level is called on this curve.
    pub(super) fn nothing(self) -> &'static str {
        match self {
            Self::ColdStart => "as it is",
            Self::Noise | Self::Missing | Self::Links => "0 %",
            Self::Undisturbed | Self::Delay => "0",
        }
    }
}

impl Level {
    fn new(kind: Kind, name: String, value: f64, disturbance: Disturbance) -> Self {
        Self { kind, name, value, disturbance, size: None, later: 0 }
    }

    /// The task as it is asked at this level.
    pub(super) fn plan(&self, plan: &Arc<Plan>) -> Arc<Plan> {
        match self.size {
            Some(size) => {
                let mut plan = Plan::clone(plan);
                // No more in any case, where a class is rare neither.
                (plan.context.size, plan.context.size_max) = (size, size.min(plan.context.size_max));
                Arc::new(plan)
            }
            None if self.later > 0 => Arc::new(plan.delayed(self.later)),
            None => Arc::clone(plan),
        }
    }

    pub(super) fn disturbance(&self) -> Disturbance {
        self.disturbance
    }

    /// Whether rows are read from the store as they are, so that levels can share them.
    pub(super) fn reads_the_same(&self) -> bool {
        !self.disturbance.drops_links() && self.later == 0
    }
}

/// Every level of a task; the first is undisturbed.
pub(super) fn levels(plan: &Plan, seed: u64) -> Vec<Level> {
    let nothing = Disturbance { seed, ..Disturbance::default() };
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let mut levels = vec![Level::new(Kind::Undisturbed, Kind::Undisturbed.nothing().to_owned(), 0.0, nothing)];
    levels.extend(SIZES.map(|size| {
        let level = Level::new(Kind::ColdStart, size.to_string(), f64::from(size), nothing);
        Level { size: usize::try_from(size).ok(), ..level }
    }));
    let noise = |noise| Level::new(Kind::Noise, percent(noise), noise, Disturbance { noise, ..nothing });
    levels.extend(NOISE.map(noise));
    let missing = |missing| Level::new(Kind::Missing, percent(missing), missing, Disturbance { missing, ..nothing });
    levels.extend(SHARES.map(missing));
    let links = |links| Level::new(Kind::Links, percent(links), links, Disturbance { links, ..nothing });
    levels.extend(SHARES.map(links));
    let schema = plan.executor.schema();
    let is_static = plan.task.is_static();
    if is_static && schema.table(plan.task.entity).time.is_none() {
        // Labels of rows without a time have no time to be late at.
        return levels;
    }
    let unit = match plan.task.matures_after(schema) {
        0 => 7 * EventTime::DAY,
        unit => unit,
    };
    levels.extend(DELAYS.map(|times| {
        let delay = unit.saturating_mul(i64::from(times));
        #[expect(clippy::cast_precision_loss, reason = "shown, not counted with")]
        let seconds = delay as f64 / EventTime::SECOND as f64;
        let (later, delay_of_contexts) = if is_static { (delay, 0) } else { (0, delay) };
        let disturbance = Disturbance { delay: delay_of_contexts, ..nothing };
        Level { later, ..Level::new(Kind::Delay, length(delay), seconds, disturbance) }
    }));
    levels
}

/// A length of time in words.
fn length(micros: i64) -> String {
    if micros % EventTime::DAY == 0 {
        return format!("{} days", micros / EventTime::DAY);
    }
    let length = std::time::Duration::from_micros(micros.unsigned_abs());
    humantime::format_duration(length).to_string()
}
