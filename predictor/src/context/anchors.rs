//! At which past times a task with windows is asked.

use relational::{Condition, EventTime, RelativeWindow, Task, TimeUnit};

/// Anchors from the newest one back. The newest is the last whose windows have closed by `limit`. The others lie on a
/// grid from the epoch whose step is the length of the window that ends last, so that labels do not overlap, at least
/// half a step before the newest, so that a later context finds most of them again.
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
        let grid = Grid { unit: widest.unit, step: widest.length() };
        let step = grid.point(1).since(EventTime(0));
        let next = grid.last_up_to(newest.plus(-step / 2));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Shop, day, hour};

    #[test]
    fn every_window_closes_by_the_limit_whatever_its_unit() {
        let shop = Shop::new();
        for target in [
            "COUNT(orders.*, 0, 1, months) = 0",
            "COUNT(orders.*, 2, 5, months) = 0",
            "COUNT(orders.*, 0, 1, months) = 0 AND COUNT(visits.*, 0, 30, days) > 0",
            "COUNT(orders.*, 0, 90, minutes) = 0",
        ] {
            let executor = shop.executor(&format!("PREDICT {target} FOR EACH customers.id"));
            let windows = label_windows(executor.task());
            for limit in (0..400).map(|number| hour(number, number % 24)) {
                let anchors: Vec<EventTime> = Anchors::new(executor.task(), limit).expect("windows").take(20).collect();
                let closes = |anchor: &EventTime| windows.iter().map(|window| window.at(*anchor).end).max();
                assert!(closes(&anchors[0]) <= Some(limit), "{target} at {limit}");
                assert!(anchors.is_sorted_by(|later, earlier| later > earlier), "{target} at {limit}");
            }
        }
    }

    #[test]
    fn the_grid_does_not_move_with_the_limit() {
        let shop = Shop::new();
        for unit in ["days", "months"] {
            let executor = shop.executor(&format!("PREDICT COUNT(orders.*, 0, 1, {unit}) = 0 FOR EACH customers.id"));
            let grid = |limit| Anchors::new(executor.task(), limit).expect("windows").skip(1).take(100);
            let (now, later) = (grid(day(200)), grid(hour(200, 9)));
            let again = later.filter(|anchor| now_holds(executor.task(), *anchor)).count();
            assert!(again >= 99, "{unit}: {again} of 100");
            assert_eq!(now.last(), grid(hour(200, 1)).last(), "{unit}");
        }
    }

    fn now_holds(task: &Task, anchor: EventTime) -> bool {
        Anchors::new(task, day(200)).expect("windows").skip(1).take(101).any(|point| point == anchor)
    }
}
