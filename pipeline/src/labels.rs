//! Labels of questions about the past, by everything that is known now.

use std::sync::Arc;

use graph_store::{Snapshot, Store};
use relational::{AsOf, EventTime, Key, Value};

use crate::plan::Plan;

/// What came true of one question, for one timeframe.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Label {
    /// The label.
    Known(Value),
    /// It is too early to say.
    Open,
    /// There is no label: the target is undefined, or what the query assumes did not come true.
    Undefined,
}

/// Labels of one task.
#[derive(Debug)]
pub(crate) struct Labels {
    plan: Arc<Plan>,
    snapshot: Snapshot,
    newest: EventTime,
    /// How long after the end of its window a label may still change, in microseconds.
    delay: i64,
}

impl Labels {
    /// Every label whose window has closed by the newest time in the store.
    pub(crate) fn closed(store: &Store, plan: &Arc<Plan>) -> Self {
        // Everything that is known by now may speak about the past.
        let snapshot = store.as_of(AsOf::live(EventTime::MAX, store.sequence()));
        Self { plan: Arc::clone(plan), snapshot, newest: store.newest_time(), delay: 0 }
    }

    /// Those of them that have had the time to arrive, by the same rule as the examples of a context; with `at` by what
    /// was known then.
    pub(crate) fn matured(store: &Store, plan: &Arc<Plan>, at: Option<EventTime>) -> Self {
        let delay = plan.task.label_delay(store.schema());
        let closed = Self { delay, ..Self::closed(store, plan) };
        let Some(at) = at else { return closed };
        let as_of = AsOf { cutoff: at, sequence: store.sequence(), known: at };
        Self { snapshot: store.as_of(as_of), newest: at.min(closed.newest), ..closed }
    }

    /// One label per timeframe.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(crate) fn of(&self, entity: &Key, time: EventTime) -> Result<Vec<Label>, predictor::Error> {
        let of_timeframe = |executor: &Arc<predictor::executor::Executor>| {
            if time.plus(executor.task().horizon()).plus(self.delay) > self.newest {
                return Ok(Label::Open);
            }
            Ok(executor.target(&self.snapshot, entity, time)?.map_or(Label::Undefined, Label::Known))
        };
        self.plan.timeframes.iter().map(of_timeframe).collect()
    }
}

impl Label {
    /// What came true, if that is known.
    pub(crate) fn value(&self) -> Option<&Value> {
        match self {
            Self::Known(value) => Some(value),
            Self::Open | Self::Undefined => None,
        }
    }
}

/// A list as a JSON array of texts; any other value as it is shown.
pub(crate) fn label_text(value: &Value) -> String {
    let Value::List(values) = value else { return value.to_string() };
    serde_json::Value::from(values.iter().map(ToString::to_string).collect::<Vec<_>>()).to_string()
}
