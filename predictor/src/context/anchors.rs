//! At which past times a task with windows is asked.

use relational::{Condition, EventTime, RelativeWindow, Task, TimeUnit};

/// Anchors from the newest one back. The newest is the last whose windows have closed by `limit`. The others lie on a
/// grid from the epoch whose step is the horizon, at least half a step before the newest, so that a later context
/// finds most of them again.
#[derive(Debug)]
pub(super) struct Anchors {
    newest: Option<EventTime>,
    /// The number of the next grid point.
    next: i64,
    grid: Grid,
}

#[derive(Debug)]
struct Grid {
    unit: TimeUnit,
    step: i64,
}

impl Anchors {
    /// `None` when the task has no window that ends after its anchor, or `limit` is before all calendars.
    pub(super) fn new(task: &Task, limit: EventTime) -> Option<Self> {
        if limit < EventTime(i64::MIN / 2) {
            return None;
        }
        let windows = label_windows(task);
        let widest = windows.iter().max_by_key(|window| window.at(EventTime(0)).end)?;
        if widest.end <= 0 {
            return None;
        }
        let closes = |anchor| windows.iter().map(|window| window.at(anchor).end).max().unwrap_or(anchor);
        let mut newest = widest.unit.after(limit, -widest.end);
        // Windows of several units may end in another order here than at the reference anchor.
        while closes(newest) > limit {
            newest = newest.plus(limit.since(closes(newest)));
        }
        let grid = Grid { unit: widest.unit, step: widest.end };
        let next = grid.last_up_to(newest.plus(-task.horizon() / 2));
        Some(Self { newest: Some(newest), next, grid })
    }

    /// Leaves out the grid points from `bound` on.
    pub(super) fn skip_to_before(&mut self, bound: EventTime) {
        self.next = self.next.min(self.grid.last_up_to(bound.plus(-1)));
    }
}

impl Iterator for Anchors {
    type Item = EventTime;

    fn next(&mut self) -> Option<EventTime> {
        if let Some(newest) = self.newest.take() {
            return Some(newest);
        }
        let anchor = self.grid.point(self.next);
        self.next -= 1;
        Some(anchor)
    }
}

impl Grid {
    fn point(&self, number: i64) -> EventTime {
        self.unit.after(EventTime(0), number.saturating_mul(self.step))
    }

    /// The number of the last point that is not after `time`.
    fn last_up_to(&self, time: EventTime) -> i64 {
        let length = self.point(1).since(EventTime(0)).max(1);
        let mut number = time.0.div_euclid(length);
        // Exact for fixed units; calendar months drift from thirty-one days by one point in about five years.
        while self.point(number) > time {
            number -= 1;
        }
        while self.point(number + 1) <= time && self.point(number + 1) > self.point(number) {
            number += 1;
        }
        number
    }
}

fn label_windows(task: &Task) -> Vec<RelativeWindow> {
    let assumed = task.assuming.iter().flat_map(Condition::aggregates);
    task.target_aggregates().into_iter().chain(assumed).filter_map(|aggregate| aggregate.window).collect()
}
