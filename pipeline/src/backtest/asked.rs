//! Which questions are asked.

use ingest::files::Questions;
use relational::{AsOf, EventTime, Key};

use crate::config::Emit;
use crate::parallel;
use crate::plan::Plan;
use crate::scorer::Scorer;
use crate::world::Failure;

/// A question about the past.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    /// Whose score.
    pub entity: Key,
    /// What may be seen, as a live run saw it.
    pub as_of: AsOf,
}

/// Keys that are read from the store at once.
const PAGE: usize = 10_000;

/// Every entity of the population at each multiple of `step` within `[from, to]`.
///
/// # Errors
///
/// When the store cannot be read.
pub(crate) fn scheduled(scorer: &Scorer, from: EventTime, to: EventTime, step: i64) -> Result<Vec<Asked>, Failure> {
    let mut asked = Vec::new();
    let mut point = EventTime(from.0.div_euclid(step).saturating_mul(step));
    if point < from {
        point = point.plus(step);
    }
    while point <= to {
        let there = |key: &Key| Ok::<_, Failure>(scorer.historical(key, point)?.map(|as_of| (key.clone(), as_of)));
        for page in Pages::new(scorer, AsOf::historical(point, scorer.store().sequence())) {
            wanted(scorer, parallel::map(&page?, there)?, &mut asked)?;
        }
        point = point.plus(step);
    }
    Ok(asked)
}

/// The time between cutoffs of a task, in microseconds: its own step, or the length of its window.
pub(crate) fn step(plan: &Plan) -> i64 {
    match plan.emit {
        Emit::Every { step } => step,
        _ => plan.task.horizon().max(EventTime::DAY),
    }
}

/// As [`scheduled`], at the last points up to `to`.
///
/// # Errors
///
/// When the store cannot be read.
pub(crate) fn last_points(scorer: &Scorer, to: EventTime, points: i64) -> Result<Vec<Asked>, Failure> {
    let step = step(scorer.plan());
    scheduled(scorer, to.plus(-step.saturating_mul(points)).plus(1), to, step)
}

/// Every row of the population that scored itself when it came, within `[from, to]`; without `from` the last fifth of them.
///
/// # Errors
///
/// When the store cannot be read.
pub(crate) fn triggered(scorer: &Scorer, from: Option<EventTime>, to: EventTime) -> Result<Vec<Asked>, Failure> {
    let mut rows = Vec::new();
    let there = |key: &Key| Ok::<_, Failure>(scorer.historical(key, to)?.map(|as_of| (key.clone(), as_of)));
    for page in Pages::new(scorer, AsOf::live(EventTime::MAX, scorer.store().sequence())) {
        let found: Vec<Option<(Key, AsOf)>> = parallel::map(&page?, there)?;
        let within = |(_, as_of): &(Key, AsOf)| from.is_none_or(|from| as_of.cutoff >= from) && as_of.cutoff <= to;
        rows.extend(found.into_iter().flatten().filter(within).map(Some));
    }
    if from.is_none() {
        let mut times: Vec<EventTime> = rows.iter().flatten().map(|(_, as_of)| as_of.cutoff).collect();
        times.sort_unstable();
        let start = times.get(times.len() * 4 / 5).copied();
        rows.retain(|row| row.as_ref().map(|(_, as_of)| as_of.cutoff) >= start);
    }
    let mut asked = Vec::new();
    for rows in rows.chunks(PAGE) {
        wanted(scorer, rows.to_vec(), &mut asked)?;
    }
    Ok(asked)
}

/// The rows of a file, whether in the population or not; then how many are not in the store, and how many have a key or
/// time that cannot be read.
///
/// # Errors
///
/// When the store cannot be read.
pub(crate) fn given(scorer: &Scorer, questions: &Questions) -> Result<(Vec<Asked>, u64, u64), Failure> {
    let readable = |row: &ingest::files::Question| Some((row.key.clone()?, row.time?));
    let rows: Vec<(Key, EventTime)> = questions.rows().iter().filter_map(readable).collect();
    let there = |(key, time): &(Key, EventTime)| Ok::<_, Failure>(scorer.historical(key, *time)?);
    let found = parallel::map(&rows, there)?;
    let unreadable = (questions.rows().len() - rows.len()) as u64;
    let missing = found.iter().filter(|as_of| as_of.is_none()).count() as u64;
    let asked = rows.into_iter().zip(found);
    let asked = asked.filter_map(|((entity, _), as_of)| Some(Asked { entity, as_of: as_of? }));
    Ok((asked.collect(), missing, unreadable))
}

/// Keeps those that are to be scored.
fn wanted(scorer: &Scorer, rows: Vec<Option<(Key, AsOf)>>, asked: &mut Vec<Asked>) -> Result<(), Failure> {
    let rows: Vec<(Key, AsOf)> = rows.into_iter().flatten().collect();
    let wanted = parallel::map(&rows, |(key, as_of)| scorer.wanted(key, *as_of))?;
    let kept = rows.into_iter().zip(wanted).filter(|(_, wanted)| *wanted);
    asked.extend(kept.map(|((entity, as_of), _)| Asked { entity, as_of }));
    Ok(())
}

/// The keys of the entities' table, page by page.
struct Pages<'a> {
    scorer: &'a Scorer,
    as_of: AsOf,
    after: Option<Key>,
    ended: bool,
}

impl<'a> Pages<'a> {
    fn new(scorer: &'a Scorer, as_of: AsOf) -> Self {
        Self { scorer, as_of, after: None, ended: false }
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<Vec<Key>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let snapshot = self.scorer.store().as_of(self.as_of);
        let keys = snapshot.keys(self.scorer.plan().task.entity, self.after.as_ref(), PAGE);
        let keys = match keys {
            Ok(keys) => keys,
            Err(error) => return Some(Err(error.into())),
        };
        self.ended = keys.len() < PAGE;
        self.after = keys.last().cloned();
        Some(Ok(keys))
    }
}
