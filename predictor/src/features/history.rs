//! The entity's own past targets.

use graph_store::Snapshot;
use relational::{EventTime, Key};

use crate::Error;
use crate::executor::Executor;

use super::FeatureOptions;
use super::plan::Clock;
use super::subject::Subject;

/// The entity's own past targets.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// Newest first: how many windows back (0 for the newest one that can be known), and the target.
    pub(crate) defined: Vec<(u16, f64)>,
    /// How many of them are features one by one.
    pub(crate) kept: usize,
}

impl History {
    /// The targets of the windows `(end - (j + 1) h, end - j h]`, as far as they are defined, where `end` is the last
    /// time at which a label is known by now.
    pub(crate) fn read(
        executor: &Executor,
        subject: &Subject,
        snapshot: &Snapshot,
        entity: &Key,
        clock: &Clock,
        options: &FeatureOptions,
    ) -> Result<Self, Error> {
        let end = clock.now.plus(-subject.delay_micros);
        let anchors: Vec<EventTime> = (0..i64::from(options.lag_windows))
            .map(|window| end.plus(-window.saturating_mul(subject.step_micros)))
            .map(|end| anchor_before(executor, subject, end))
            .collect();
        let targets = executor.targets(snapshot, entity, &anchors)?;
        let defined = (0u16..).zip(targets).filter_map(|(window, target)| target.map(|target| (window, target)));
        Ok(Self { defined: defined.collect(), kept: usize::from(options.lags) })
    }
}

/// An anchor whose label is complete at `end`. Calendar months differ in length, and the step is that of one of them.
fn anchor_before(executor: &Executor, subject: &Subject, end: EventTime) -> EventTime {
    let anchor = end.plus(-subject.step_micros);
    let task = executor.task();
    let assumed = task.assuming.iter().flat_map(relational::Condition::aggregates);
    let windows = task.target_aggregates().into_iter().chain(assumed).filter_map(|aggregate| aggregate.window);
    let late = windows.map(|window| window.at(anchor).end.since(end)).max().unwrap_or(0);
    anchor.plus(-late.max(0))
}
