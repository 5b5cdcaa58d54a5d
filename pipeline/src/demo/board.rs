//! The live table of the riskiest customers and payments.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use relational::EventTime;
use serde_json::Value as Json;
use sinks::ScoreRecord;

use super::shelf::Shelf;
use crate::driver::Driver;
use crate::world::{Failure, World};

/// Rows shown per task.
const SHOWN: usize = 6;

/// Event time between two pictures: often enough to be seen moving, seldom enough to be read where it scrolls.
const STEP_TERMINAL: i64 = EventTime::DAY;
const STEP_LOG: i64 = 60 * EventTime::DAY;

/// Keeps the newest scores of each task.
pub(super) struct Board {
    tasks: Vec<String>,
    newest: BTreeMap<String, BTreeMap<String, (EventTime, f64)>>,
    seen: usize,
    drawn_at: EventTime,
    lines: usize,
    visible: bool,
    terminal: bool,
}

impl Board {
    pub(super) fn new(world: &World, visible: bool) -> Self {
        let tasks = world.plans.iter().map(|plan| plan.task.name.clone()).collect();
        let terminal = io::stdout().is_terminal();
        Self { tasks, newest: BTreeMap::new(), seen: 0, drawn_at: EventTime::MIN, lines: 0, visible, terminal }
    }

    /// Takes in new scores and draws, when it is time.
    pub(super) fn show(&mut self, driver: &Driver, shelf: &Shelf) -> Result<(), Failure> {
        let records = shelf.after(self.seen);
        self.seen += records.len();
        records.iter().for_each(|record| self.take(record));
        let now = driver.engine.newest();
        let step = if self.terminal { STEP_TERMINAL } else { STEP_LOG };
        if self.visible && self.seen > 0 && now.since(self.drawn_at) >= step {
            self.drawn_at = now;
            self.draw(now)?;
        }
        Ok(())
    }

    /// Draws once more at the end.
    pub(super) fn last(&mut self, driver: &Driver, shelf: &Shelf) -> Result<(), Failure> {
        self.drawn_at = EventTime::MIN;
        self.show(driver, shelf)
    }

    fn take(&mut self, record: &ScoreRecord) {
        let scores = self.newest.entry(record.task.clone()).or_default();
        let value: Option<Json> = record.value.as_deref().and_then(|value| serde_json::from_str(value).ok());
        match value.and_then(|value| value["prediction"]["probability"].as_f64()) {
            Some(probability) => {
                scores.insert(record.key.clone(), (record.cutoff, probability));
            }
            None => {
                scores.remove(&record.key);
            }
        }
    }

    /// Payments stay on the board for a week, customers until their next score.
    fn riskiest(&self, task: &str, now: EventTime) -> Vec<(&str, EventTime, f64)> {
        let Some(scores) = self.newest.get(task) else { return Vec::new() };
        let recent = scores.iter().filter(|(_, (at, _))| now.since(*at) <= 12 * EventTime::DAY);
        let mut rows: Vec<_> = recent.map(|(key, (at, risk))| (key.as_str(), *at, *risk)).collect();
        rows.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(b.0)));
        rows.truncate(SHOWN);
        rows
    }

    fn draw(&mut self, now: EventTime) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY);
        let header = self.tasks.iter().flat_map(|task| [task.clone(), "scored at".to_owned(), "risk".to_owned()]);
        table.set_header(header.collect::<Vec<_>>());
        let columns: Vec<_> = self.tasks.iter().map(|task| self.riskiest(task, now)).collect();
        for row in 0..SHOWN {
            let cells = columns.iter().flat_map(|rows| match rows.get(row) {
                Some((key, at, risk)) => {
                    [(*key).to_owned(), date(*at), format!("{:>4.0} % {}", risk * 100.0, bar(*risk))]
                }
                None => [String::new(), String::new(), String::new()],
            });
            table.add_row(cells.collect::<Vec<_>>());
        }
        let text = format!("{}\n{table}", date(now));
        let mut out = io::stdout().lock();
        if self.terminal && self.lines > 0 {
            // Up over the last picture, and clear to the end of the screen.
            write!(out, "\x1b[{}A\x1b[J", self.lines)?;
        }
        self.lines = text.lines().count();
        writeln!(out, "{text}")
    }
}

fn date(time: EventTime) -> String {
    time.civil().map_or_else(String::new, |civil| civil.strftime("%Y-%m-%d %H:%M").to_string())
}

fn bar(share: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 12")]
    let filled = (share.clamp(0.0, 1.0) * 12.0).round() as usize;
    "█".repeat(filled) + &"·".repeat(12 - filled)
}
