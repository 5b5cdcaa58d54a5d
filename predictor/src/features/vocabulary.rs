//! How often each value of each category occurs, as of a context's bounds: the only thing features depend on that does
//! not belong to one query.
//!
//! Counts are taken over the newest rows of a table, a bounded number of them, so that making a vocabulary costs the
//! same however long the history is.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use graph_store::{Snapshot, Store};
use relational::{AsOf, ColumnId, Row, Schema, TableId, Value, Window};
use rustc_hash::FxHashMap;

use crate::Error;

use super::codes::Coder;
use super::plan::{Feature, OwnStat, Plan};

/// Columns of one table whose values are counted together.
type Category = (TableId, Vec<ColumnId>);

/// How often each value of each category occurs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vocabulary {
    categories: BTreeMap<TableId, BTreeMap<Vec<ColumnId>, Frequencies>>,
    coders: BTreeMap<(TableId, ColumnId), Coder>,
}

/// Of one category.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Frequencies {
    /// Count and rank (0 for the most frequent) of each value.
    values: FxHashMap<Box<[Value]>, (u32, u32)>,
    /// The most frequent values, the most frequent first.
    top: Vec<Box<[Value]>>,
}

impl Vocabulary {
    /// Of the newest `rows` rows of each table that the plan takes categories from, as of `at`.
    pub(crate) fn take(store: &Store, plan: &Plan, at: AsOf, rows: usize) -> Result<Self, Error> {
        let snapshot = store.as_of(at);
        let mut categories = BTreeMap::new();
        let mut read: BTreeMap<(TableId, i64), Vec<Row>> = BTreeMap::new();
        for category in wanted(store.schema(), plan) {
            let delay = delay_micros(store.schema(), &category);
            let rows = match read.entry((category.0, delay)) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(newest(&snapshot, category.0, delay, rows)?),
            };
            let frequencies = Frequencies::of(rows, &category.1);
            let of_table: &mut BTreeMap<_, _> = categories.entry(category.0).or_default();
            of_table.insert(category.1, frequencies);
        }
        let mut coders = BTreeMap::new();
        for (table, column) in plan.coded.iter().flat_map(|of| of.columns.iter().map(|column| (of.table, *column))) {
            let rows = match read.entry((table, 0)) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(newest(&snapshot, table, 0, rows)?),
            };
            coders.entry((table, column)).or_insert_with(|| Coder::of(rows, column));
        }
        Ok(Self { categories, coders })
    }

    /// How a column is coded; `None` when it was not wanted.
    pub(crate) fn coder(&self, table: TableId, column: ColumnId) -> Option<&Coder> {
        self.coders.get(&(table, column))
    }

    /// This one and another that was taken with the same bounds: what both have is equal.
    pub(crate) fn joined(mut self, other: Self) -> Self {
        for (table, categories) in other.categories {
            self.categories.entry(table).or_default().extend(categories);
        }
        self
    }

    /// Of one category; empty when it was not wanted.
    pub(crate) fn of(&self, table: TableId, columns: &[ColumnId]) -> Option<&Frequencies> {
        self.categories.get(&table)?.get(columns)
    }
}

fn newest(snapshot: &Snapshot, table: TableId, delay: i64, rows: usize) -> Result<Vec<Row>, Error> {
    let window = Window::up_to(snapshot.bounds().cutoff.plus(-delay));
    let versions = snapshot.timeline(table)?.newest(window, rows)?;
    Ok(versions.into_iter().map(|version| version.row).collect())
}

/// How long after its row a category is known: newer rows have nothing to count.
fn delay_micros(schema: &Schema, (table, columns): &Category) -> i64 {
    let delay = |column: &ColumnId| schema.table(*table).columns[usize::from(column.0)].arrives_after;
    columns.iter().map(delay).max().unwrap_or(0)
}

fn wanted(schema: &Schema, plan: &Plan) -> BTreeSet<Category> {
    let mut wanted = BTreeSet::new();
    for feature in &plan.features {
        match feature {
            Feature::Category { stream, category, .. } => {
                let stream = &plan.streams[*stream];
                wanted.insert((stream.child, stream.categories[*category].clone()));
            }
            Feature::Own { anchor, column, stat: OwnStat::Frequency | OwnStat::Code | OwnStat::Is(_) } => {
                wanted.insert((plan.table(schema, *anchor), vec![*column]));
            }
            _ => {}
        }
    }
    wanted
}

impl Frequencies {
    fn of(rows: &[Row], columns: &[ColumnId]) -> Self {
        let mut counts: BTreeMap<Box<[Value]>, u32> = BTreeMap::new();
        for row in rows {
            let values: Box<[Value]> = columns.iter().map(|column| row.value(*column).clone()).collect();
            if !values.iter().any(Value::is_null) {
                *counts.entry(values).or_default() += 1;
            }
        }
        let mut order: Vec<(Box<[Value]>, u32)> = counts.into_iter().collect();
        order.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let top = order.iter().take(3).map(|(values, _)| values.clone()).collect();
        let ranked = (0u32..).zip(order).map(|(rank, (values, count))| (values, (count, rank)));
        Self { values: ranked.collect(), top }
    }

    /// How often a value occurs.
    pub(crate) fn count(&self, values: &[Value]) -> u32 {
        self.values.get(values).map_or(0, |found| found.0)
    }

    /// The value's rank by frequency; one past the last for a value that does not occur.
    pub(crate) fn rank(&self, values: &[Value]) -> u32 {
        self.values.get(values).map_or_else(|| u32::try_from(self.values.len()).unwrap_or(u32::MAX), |found| found.1)
    }

    /// The n-th most frequent value, counted from 0.
    pub(crate) fn top(&self, rank: u8) -> Option<&[Value]> {
        self.top.get(usize::from(rank)).map(|values| &**values)
    }
}
