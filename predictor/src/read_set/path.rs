//! The ways that lead from an entity to the rows that its features or its sample read.

use std::fmt::Write as _;

use relational::{ForeignKeyId, Schema, TableId};

/// One way from an entity to rows that are read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path {
    /// From the entity on; none for the entity's own row.
    pub(crate) steps: Vec<Step>,
}

/// One step of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// To the row that this foreign key points at.
    Up(ForeignKeyId),
    /// To rows that point here by this foreign key.
    Down(ForeignKeyId, Reach),
}

/// Which of the rows that point somewhere are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// All.
    All,
    /// The newest.
    Newest(usize),
    /// The newest, and all that are not older than this.
    Recent {
        /// How many of the newest.
        rows: usize,
        /// Microseconds before the query's time; rows at the very end of this stretch are not read.
        micros: i64,
    },
}

impl Path {
    /// The table of the rows that the way leads to.
    pub(crate) fn table(&self, schema: &Schema, entity: TableId) -> TableId {
        match self.steps.last() {
            None => entity,
            Some(Step::Up(id)) => schema.foreign_key(*id).parent,
            Some(Step::Down(id, _)) => schema.foreign_key(*id).child,
        }
    }

    /// How often the way back leads to all the children of a row.
    pub(crate) fn fans(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Up(_))).count()
    }

    /// Whether it is read as a parent alone: then the way back from a row that was and is there finds the same, whatever
    /// the row holds.
    pub(crate) fn ends_at_parent(&self, schema: &Schema, entity: TableId) -> bool {
        let table = self.table(schema, entity);
        let child = |step: &Step| match step {
            Step::Up(id) | Step::Down(id, _) => schema.foreign_key(*id).child,
        };
        matches!(self.steps.last(), Some(Step::Up(_))) && self.steps.iter().all(|step| child(step) != table)
    }

    /// In words, for people.
    pub(crate) fn describe(&self, schema: &Schema, entity: TableId) -> String {
        let mut text = schema.table(entity).name.clone();
        let columns = |id: ForeignKeyId| crate::features::column_names(schema, id);
        for step in &self.steps {
            let written = match step {
                Step::Up(id) => {
                    let parent = &schema.table(schema.foreign_key(*id).parent).name;
                    write!(text, " > {parent} by {}", columns(*id))
                }
                Step::Down(id, reach) => {
                    let child = &schema.table(schema.foreign_key(*id).child).name;
                    let reach = match reach {
                        Reach::All => "all".to_owned(),
                        Reach::Newest(rows) => format!("newest {rows}"),
                        Reach::Recent { rows, micros } => {
                            format!("newest {rows} and all of the last {} h", micros / 3_600_000_000)
                        }
                    };
                    write!(text, " < {child} by {} ({reach})", columns(*id))
                }
            };
            written.expect("writing to a string cannot fail");
        }
        text
    }

    /// How many rows it can lead to at most; `None` when there is no bound but a window.
    pub(crate) fn rows_max(&self) -> Option<usize> {
        self.steps.iter().try_fold(1usize, |rows, step| match step {
            Step::Up(_) => Some(rows),
            Step::Down(_, Reach::Newest(newest)) => rows.checked_mul(*newest),
            Step::Down(..) => None,
        })
    }
}
