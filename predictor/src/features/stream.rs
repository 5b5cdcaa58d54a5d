//! Reads one stream as of a query: the newest rows once, and the sums of its windows.

use graph_store::{Children, Snapshot, Version};
use relational::{ColumnId, Condition, EventTime, Key, Operand, RowKey, Target, Value, Window};

use crate::Error;
use crate::executor::{Executor, compare};

use super::FeatureOptions;
use super::plan::{Clock, Detail, NumberSource, Rollup, Span, Stream};
use super::rollup;

/// What features of a stream are computed from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loaded {
    /// The newest rows, newest first.
    pub(crate) rows: Vec<Version>,
    /// How many rows lie in each [`Span`].
    pub(crate) counts: [u64; 5],
    /// Where the rows are read from.
    handles: Vec<Children>,
    /// Whether `rows` are all there are.
    complete: bool,
    /// When the first row happened.
    pub(crate) first: Option<EventTime>,
    /// The numbers of each of `rows`, row by row; not a number where missing.
    cells: Vec<f64>,
    width: usize,
    /// Count and sum of each number in each [`Span`].
    sums: Vec<[(u64, f64); 5]>,
    /// Whether a roll-up was cut at its limit.
    pub(crate) truncated: bool,
}

/// Which rows of a stream a query may see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    /// The snapshot of the query.
    pub(crate) snapshot: &'a Snapshot,
    /// Time as the stream's features count it: ends at the query's time less the stream's shift.
    pub(crate) clock: Clock,
    /// Whether rows at the very end are left out.
    pub(crate) strict: bool,
    /// A row that is left out.
    pub(crate) without: Option<&'a Key>,
}

impl View<'_> {
    fn end(&self) -> EventTime {
        if self.strict { self.clock.now.plus(-1) } else { self.clock.now }
    }

    fn window(&self, span: Span) -> Window {
        let start = span.micros(self.clock.unit_micros).map_or(EventTime::MIN, |back| self.clock.now.plus(-back));
        Window { start, end: self.end() }
    }
}

impl Loaded {
    /// Reads the rows that point at `key`. `siblings` are the same rows up to a later time, if they are at hand.
    pub(crate) fn read(
        stream: &Stream,
        key: &Key,
        view: &View<'_>,
        siblings: Option<&Self>,
        executor: &Executor,
        options: &FeatureOptions,
    ) -> Result<Self, Error> {
        // With them comes what they have read of the store.
        let handles = match siblings {
            Some(siblings) => siblings.handles.clone(),
            None => stream.via.iter().map(|id| view.snapshot.children(*id, key)).collect::<Result<_, _>>()?,
        };
        let limit = if stream.detail == Detail::Brief { options.brief_rows } else { options.rows };
        let siblings = siblings.filter(|siblings| siblings.stand_for(view.end(), limit));
        let (rows, complete) = match siblings {
            Some(siblings) => (siblings.rows[siblings.later(view.end())..].to_vec(), siblings.complete),
            None => newest(&handles, view, limit)?,
        };
        let mut loaded = Self { rows, complete, handles, width: stream.numbers.len(), ..Self::default() };
        loaded.fill_cells(stream, view, executor, options)?;
        loaded.sums = vec![[(0, 0.0); 5]; loaded.width];
        if !loaded.rows.is_empty() {
            loaded.sum_listed(view);
            loaded.sum_unlisted(stream, view, siblings)?;
        }
        Ok(loaded)
    }

    /// How many of the newest rows are later than this.
    fn later(&self, end: EventTime) -> usize {
        self.rows.partition_point(|version| version.time > end)
    }

    /// Whether the rows at hand can stand for the newest ones up to an earlier time: they are all there are, or at
    /// least half of `limit`.
    fn stand_for(&self, end: EventTime, limit: usize) -> bool {
        self.complete || 2 * (self.rows.len() - self.later(end)) >= limit
    }

    /// One number of one of the newest rows; not a number where missing.
    pub(crate) fn cell(&self, row: usize, number: usize) -> f64 {
        self.cells[row * self.width + number]
    }

    /// Count and sum of a number's values in a span.
    pub(crate) fn sum(&self, number: usize, span: Span) -> (u64, f64) {
        self.sums.get(number).map_or((0, 0.0), |sums| sums[span.index()])
    }

    fn fill_cells(
        &mut self,
        stream: &Stream,
        view: &View<'_>,
        executor: &Executor,
        options: &FeatureOptions,
    ) -> Result<(), Error> {
        self.cells.reserve(self.rows.len() * self.width);
        let mut rolled: Vec<f64> = Vec::new();
        let widths = stream.rollups.iter().map(Rollup::width);
        let starts = widths.scan(0, |next, width| Some(std::mem::replace(next, *next + width)));
        let offset: Vec<usize> = starts.collect();
        for (place, version) in self.rows.iter().enumerate() {
            rolled.clear();
            let roll = stream.rolled && place < options.rolled_rows;
            for rollup in stream.rollups.iter().filter(|_| roll) {
                let key = RowKey { table: stream.child, key: version.key.clone() };
                self.truncated |= rollup::values(rollup, &key, view, options, &mut rolled)?;
            }
            for number in &stream.numbers {
                self.cells.push(match number.source {
                    NumberSource::Column(column) => version.row.value(column).as_f64().unwrap_or(f64::NAN),
                    NumberSource::Atom => executor.atom_of(&version.row).unwrap_or(f64::NAN),
                    NumberSource::Label => label(executor, view, version)?.unwrap_or(f64::NAN),
                    NumberSource::Lag(column) => days_after(version, column),
                    NumberSource::Rolled { rollup, value } => {
                        rolled.get(offset[rollup] + value).copied().unwrap_or(f64::NAN)
                    }
                });
            }
        }
        Ok(())
    }

    /// Sums over the listed rows, oldest first as the store adds.
    fn sum_listed(&mut self, view: &View<'_>) {
        for span in Span::EVERY {
            let window = view.window(span);
            for row in (0..self.rows.len()).rev().filter(|row| window.contains(self.rows[*row].time)) {
                self.counts[span.index()] += 1;
                for number in 0..self.width {
                    let value = self.cells[row * self.width + number];
                    if !value.is_nan() {
                        let sum = &mut self.sums[number][span.index()];
                        *sum = (sum.0 + 1, sum.1 + value);
                    }
                }
            }
        }
        self.first = self.rows.last().map(|version| version.time);
    }

    /// The store's sums for spans that reach beyond the listed rows. Numbers that the store does not sum keep those of
    /// the listed rows.
    fn sum_unlisted(&mut self, stream: &Stream, view: &View<'_>, siblings: Option<&Self>) -> Result<(), Error> {
        let Some(oldest) = self.first.filter(|_| !self.complete && view.without.is_none()) else { return Ok(()) };
        for span in Span::EVERY {
            let window = view.window(span);
            let needed = match stream.detail {
                Detail::Full => true,
                Detail::Brief => matches!(span, Span::One | Span::Twelve),
                Detail::Untimed => span == Span::All,
            };
            if !needed || (oldest <= window.start && window.start != EventTime::MIN) {
                continue;
            }
            let summed = stream.numbers.iter().any(|number| matches!(number.source, NumberSource::Column(_)));
            if let Some(siblings) = siblings.filter(|_| span == Span::All && !summed) {
                self.counts[span.index()] = siblings.counts[span.index()] - siblings.later(window.end) as u64;
                continue;
            }
            let summaries = self.handles.iter().map(|children| children.summary(window));
            let summaries = summaries.collect::<Result<Vec<_>, _>>()?;
            self.counts[span.index()] = summaries.iter().map(|summary| summary.rows).sum();
            for (number, source) in stream.numbers.iter().enumerate() {
                let NumberSource::Column(column) = source.source else { continue };
                let columns = summaries.iter().filter_map(|summary| summary.columns.get(usize::from(column.0)));
                let (count, sum) = columns.fold((0, 0.0), |total, of| (total.0 + of.count, total.1 + of.sum));
                self.sums[number][span.index()] = (count, sum);
            }
        }
        if let Some(siblings) = siblings {
            self.first = siblings.first;
        } else if stream.detail == Detail::Full {
            let firsts = self.handles.iter().map(Children::first).collect::<Result<Vec<_>, _>>()?;
            self.first = firsts.into_iter().flatten().min();
        }
        Ok(())
    }
}

/// The newest rows over all handles, each row once, and whether they are all there are.
fn newest(handles: &[Children], view: &View<'_>, limit: usize) -> Result<(Vec<Version>, bool), Error> {
    let window = Window::up_to(view.end());
    let extra = usize::from(view.without.is_some());
    let mut complete = true;
    let mut rows: Vec<Version> = Vec::new();
    for handle in handles {
        let listed = handle.newest(window, limit + extra)?;
        complete &= listed.len() < limit + extra;
        rows.extend(listed);
    }
    if handles.len() > 1 {
        rows.sort_by_key(|version| std::cmp::Reverse((version.time, version.born)));
        rows.dedup_by(|a, b| a.key == b.key);
    }
    rows.retain(|version| view.without != Some(&version.key));
    complete &= rows.len() <= limit;
    rows.truncate(limit);
    Ok((rows, complete))
}

/// The target of a row that is its own example.
fn label(executor: &Executor, view: &View<'_>, version: &Version) -> Result<Option<f64>, Error> {
    // One comparison of one column needs no more than the row, and this is read 64 times for each query.
    if let Target::Condition(Condition::Compare { operand: Operand::Column(of), relation, constant }) =
        &executor.task().target
    {
        let holds = compare(version.row.value(of.column), *relation, constant);
        return Ok(holds.map(|holds| f64::from(u8::from(holds))));
    }
    let label = executor.target_of_row(view.snapshot, version.clone())?;
    Ok(label.and_then(|label| label.as_f64()))
}

/// Signed log days from the row's own time to the time in a column.
fn days_after(version: &Version, column: ColumnId) -> f64 {
    let days = |time: EventTime| {
        #[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
        let days = time.since(version.time) as f64 / EventTime::DAY as f64;
        signed_log(days)
    };
    Value::as_time(version.row.value(column)).map_or(f64::NAN, days)
}

/// `sign(x) ln(1 + |x|)`.
pub(crate) fn signed_log(value: f64) -> f64 {
    value.signum() * value.abs().ln_1p()
}
