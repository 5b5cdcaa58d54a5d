//! What the engine did, for metrics and summaries.

use std::collections::BTreeMap;

use graph_store::Applied;
use relational::{Change, DeadLetter, Op, TableId};

/// Why an entity was not scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// Nothing that the score depends on has changed.
    Unchanged,
    /// There is no labelled past to predict from yet.
    NoContext,
    /// The query's population does not hold it.
    NotInPopulation,
    /// The cutoff is before the task's `from`.
    BeforeStart,
    /// It left in a later life of the store, from which it was brought back.
    HasLeft,
}

impl Skip {
    /// The name used in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "context_unchanged",
            Self::NoContext => "no_context",
            Self::NotInPopulation => "not_in_population",
            Self::BeforeStart => "before_start",
            Self::HasLeft => "has_left",
        }
    }
}

/// Counts of one call, or of many added up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Row versions written, by table and operation.
    pub rows: BTreeMap<(TableId, &'static str), u64>,
    /// Changes that changed nothing: duplicates, and snapshot rows that the stream has overtaken.
    pub unchanged: u64,
    /// Cells carried over from the previous version.
    pub carried: u64,
    /// Refused records, by topic and stage.
    pub rejected: BTreeMap<(String, &'static str), u64>,
    /// Scores made, by task.
    pub scored: BTreeMap<usize, u64>,
    /// Scores not made, by task and reason.
    pub skipped: BTreeMap<(usize, Skip), u64>,
    /// Row versions that came late, by table.
    pub late: BTreeMap<TableId, u64>,
    /// Entities that a sweep marked, by task.
    pub swept: BTreeMap<usize, u64>,
}

impl Counts {
    pub(super) fn applied(&mut self, change: &Change, applied: &[Applied]) {
        if applied.is_empty() {
            self.unchanged += 1;
        }
        for applied in applied {
            let op = match (&change.op, &applied.old, &applied.new) {
                (Op::Snapshot(_), ..) => "snapshot",
                (_, _, None) => "delete",
                (_, None, Some(_)) => "insert",
                (_, Some(_), Some(_)) => "update",
            };
            *self.rows.entry((applied.table, op)).or_default() += 1;
            self.carried += u64::from(applied.carried);
        }
    }

    pub(super) fn rejected(&mut self, letter: &DeadLetter) {
        let key = (letter.position.topic.to_string(), letter.stage.name());
        *self.rejected.entry(key).or_default() += 1;
    }

    pub(super) fn scored(&mut self, task: usize) {
        *self.scored.entry(task).or_default() += 1;
    }

    pub(super) fn skipped(&mut self, task: usize, skip: Skip) {
        *self.skipped.entry((task, skip)).or_default() += 1;
    }

    pub(super) fn late(&mut self, table: TableId) {
        *self.late.entry(table).or_default() += 1;
    }

    pub(super) fn swept(&mut self, task: usize, entities: usize) {
        *self.swept.entry(task).or_default() += entities as u64;
    }

    /// Adds the counts of another call.
    pub fn add(&mut self, other: &Self) {
        other.rows.iter().for_each(|(key, count)| *self.rows.entry(*key).or_default() += count);
        other.rejected.iter().for_each(|(key, count)| *self.rejected.entry(key.clone()).or_default() += count);
        other.scored.iter().for_each(|(key, count)| *self.scored.entry(*key).or_default() += count);
        other.skipped.iter().for_each(|(key, count)| *self.skipped.entry(*key).or_default() += count);
        other.late.iter().for_each(|(key, count)| *self.late.entry(*key).or_default() += count);
        other.swept.iter().for_each(|(key, count)| *self.swept.entry(*key).or_default() += count);
        self.unchanged += other.unchanged;
        self.carried += other.carried;
    }

    /// Row versions written in all.
    #[must_use]
    pub fn rows_total(&self) -> u64 {
        self.rows.values().sum()
    }

    /// Records refused in all.
    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Scores made in all.
    #[must_use]
    pub fn scored_total(&self) -> u64 {
        self.scored.values().sum()
    }
}
