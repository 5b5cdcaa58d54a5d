//! How long the stages of a score took while a backtest ran.

use std::collections::BTreeSet;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::scorer::{Moment, Took};

/// What `metrics.json` says of it: the only thing there that is not the same each time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    /// Scores that were timed: those that the last process made.
    pub scores: usize,
    /// Cores that made them at once.
    pub cores: usize,
    /// By name.
    pub stages: IndexMap<String, Stage>,
}

/// One stage, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stage {
    pub count: usize,
    pub median_ms: f64,
    pub p99_ms: f64,
}

/// What is timed as it happens.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    scores: Vec<Took>,
    contexts: Vec<Duration>,
    drawn: BTreeSet<Moment>,
}

impl Stopwatch {
    pub(super) fn score(&mut self, took: Took) {
        self.scores.push(took);
    }

    /// How long it took to have the context drawn at `moment`: the first time, that is to draw and fit it.
    pub(super) fn context(&mut self, moment: Moment, took: Duration) {
        if self.drawn.insert(moment) {
            self.contexts.push(took);
        }
    }

    /// `None` when nothing was scored.
    pub(super) fn read(self) -> Option<Latency> {
        let all = |of: fn(&Took) -> Duration| Stage::of(self.scores.iter().map(of).collect());
        let stages = [
            ("read", all(|took| took.read)),
            ("model", all(|took| took.model)),
            ("score", all(|took| took.read + took.model)),
            ("context", Stage::of(self.contexts)),
        ];
        let stages: IndexMap<String, Stage> =
            stages.into_iter().filter_map(|(name, stage)| Some((name.to_owned(), stage?))).collect();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        (!self.scores.is_empty()).then_some(Latency { scores: self.scores.len(), cores, stages })
    }
}

impl Stage {
    /// The upper of the middle two, and the time that 99 in 100 do not pass.
    fn of(mut took: Vec<Duration>) -> Option<Self> {
        took.sort_unstable();
        let count = took.len();
        let at = |place: usize| Some(took.get(place)?.as_secs_f64() * 1e3);
        Some(Self { count, median_ms: at(count / 2)?, p99_ms: at(count * 99 / 100)? })
    }
}

#[cfg(test)]
mod tests {
    use relational::{EventTime, Sequence};

    use super::*;

    #[test]
    fn stages_by_hand() {
        let mut watch = Stopwatch::default();
        for millis in 1..=100 {
            watch.score(Took { read: Duration::from_millis(millis), model: Duration::from_millis(1) });
        }
        for point in [1, 1, 2] {
            watch.context(Moment::new(EventTime(point), Sequence(1)), Duration::ZERO);
        }
        let latency = watch.read().expect("scores");
        let stage = |name: &str| latency.stages[name];
        assert_eq!((latency.scores, stage("read").median_ms, stage("read").p99_ms), (100, 51.0, 100.0));
        assert_eq!((stage("model").p99_ms, stage("score").median_ms, stage("context").count), (1.0, 52.0, 2));
        assert_eq!(Stopwatch::default().read(), None);
    }
}
