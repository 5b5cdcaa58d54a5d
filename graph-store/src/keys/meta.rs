//! The store's own state.
//!
//! | key | value |
//! |---|---|
//! | `format` | the version of the whole store, 1 byte |
//! | `schema` | the schema that the rows were written with, as text: [`describe`] |
//! | `state` | version 1, then the numbers of [`State`] as varints |

use std::fmt::Write;

use relational::Schema;

use crate::bytes::{Reader, put, put_signed};

pub(crate) const FORMAT_KEY: &[u8] = b"format";
pub(crate) const FORMAT: u8 = 2;
pub(crate) const SCHEMA_KEY: &[u8] = b"schema";
pub(crate) const STATE_KEY: &[u8] = b"state";

const VERSION: u8 = 1;

/// What every commit writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    /// Of the newest change.
    pub sequence: u64,
    /// The latest time at which a version took effect.
    pub newest: i64,
    /// Every page on disk holds all changes before this one.
    pub redo_from: u64,
    /// Rows that are not deleted.
    pub rows: u64,
    /// Versions of rows, deletions included.
    pub versions: u64,
}

impl Default for State {
    fn default() -> Self {
        Self { sequence: 0, newest: i64::MIN, redo_from: 1, rows: 0, versions: 0 }
    }
}

impl State {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put(&mut out, self.sequence);
        put_signed(&mut out, self.newest);
        for number in [self.redo_from, self.rows, self.versions] {
            put(&mut out, number);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes.strip_prefix(&[VERSION])?);
        let sequence = reader.number()?;
        let newest = reader.signed()?;
        let [redo_from, rows, versions] = [reader.number()?, reader.number()?, reader.number()?];
        reader.is_empty().then_some(Self { sequence, newest, redo_from, rows, versions })
    }
}

/// All that the stored bytes depend on, one line per table and foreign key. How columns are meant and when they arrive
/// is not part of it: that may change between runs.
pub(crate) fn describe(schema: &Schema) -> String {
    let mut text = String::new();
    for (_, table) in schema.tables() {
        let columns: Vec<_> =
            table.columns.iter().map(|column| format!("{} {}", column.name, column.data_type.name())).collect();
        let name = |column: relational::ColumnId| table.columns[usize::from(column.0)].name.as_str();
        let key: Vec<_> = table.key.iter().map(|column| name(*column)).collect();
        let time = table.time.map_or("none", name);
        writeln!(text, "table {} ({}) key ({}) time {time}", table.name, columns.join(", "), key.join(", "))
            .expect("text takes any text");
    }
    for (_, link) in schema.foreign_keys() {
        let child = schema.table(link.child);
        let columns: Vec<_> =
            link.columns.iter().map(|column| child.columns[usize::from(column.0)].name.as_str()).collect();
        let parent = &schema.table(link.parent).name;
        writeln!(text, "foreign key {} ({}) to {parent}", child.name, columns.join(", ")).expect("text takes any text");
    }
    text
}

/// The first line in which two descriptions differ, in words; `None` when they are equal.
pub(crate) fn difference(stored: &str, given: &str) -> Option<String> {
    let mut lines = stored.lines().zip(given.lines());
    if let Some((stored, given)) = lines.find(|(stored, given)| stored != given) {
        return Some(format!("the store has `{stored}` where the config has `{given}`"));
    }
    let (stored_lines, given_lines) = (stored.lines().count(), given.lines().count());
    if let Some(line) = stored.lines().nth(given_lines) {
        return Some(format!("the config lacks `{line}` of the store"));
    }
    given.lines().nth(stored_lines).map(|line| format!("the store lacks `{line}` of the config"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn states_round_trip(numbers in any::<[u64; 4]>(), newest in any::<i64>()) {
            let [sequence, redo_from, rows, versions] = numbers;
            let state = State { sequence, newest, redo_from, rows, versions };
            prop_assert_eq!(State::decode(&state.encode()), Some(state));
        }
    }

    #[test]
    fn a_difference_is_named() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("a\nb\n", "a\nc\n").as_deref(), Some("the store has `b` where the config has `c`"));
        assert_eq!(difference("a\nb\n", "a\n").as_deref(), Some("the config lacks `b` of the store"));
        assert_eq!(difference("a\n", "a\nb\n").as_deref(), Some("the store lacks `b` of the config"));
    }
}
