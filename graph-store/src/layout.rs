//! Which indexes a table has.

use std::sync::Arc;

use relational::{ColumnId, ForeignKeyId, Schema, TableId};

use crate::keys::History;

/// Foreign keys by child table, and the numbers of the timelines.
#[derive(Debug)]
pub(crate) struct Layout {
    foreign_keys: Vec<Vec<(ForeignKeyId, Vec<ColumnId>)>>,
    first_timeline: u16,
    /// Columns of the rows in each index.
    widths: Vec<usize>,
}

impl Layout {
    /// `None` when tables and foreign keys together are more than an index number can tell apart.
    pub(crate) fn new(schema: &Schema) -> Option<Self> {
        let foreign_keys = schema.tables().map(|(table, _)| {
            schema.parents_of(table).map(|(id, foreign_key)| (id, foreign_key.columns.clone())).collect()
        });
        let first_timeline = u16::try_from(schema.foreign_keys().count()).ok()?;
        let tables = u16::try_from(schema.tables().count()).ok()?;
        first_timeline.checked_add(tables)?;
        let links = schema.foreign_keys().map(|(_, foreign_key)| schema.table(foreign_key.child));
        let widths = links.chain(schema.tables().map(|(_, table)| table)).map(|table| table.columns.len()).collect();
        Some(Self { foreign_keys: foreign_keys.collect(), first_timeline, widths })
    }

    /// All rows of a table.
    pub(crate) fn timeline(&self, table: u16) -> History {
        History { index: self.first_timeline + table, parent: Arc::from([]) }
    }

    /// How many columns the rows of an index have.
    pub(crate) fn width(&self, index: u16) -> usize {
        self.widths.get(usize::from(index)).copied().unwrap_or(0)
    }

    /// The indexes of a table's foreign keys.
    pub(crate) fn foreign_keys(&self, table: u16) -> impl Iterator<Item = u16> {
        self.foreign_keys[usize::from(table)].iter().map(|(id, _)| id.0)
    }

    /// How many foreign keys a table has; `None` for a table that is not in the schema.
    pub(crate) fn edges(&self, table: u16) -> Option<usize> {
        self.foreign_keys.get(usize::from(table)).map(Vec::len)
    }

    /// The columns of each foreign key of a table.
    pub(crate) fn columns(&self, table: TableId) -> impl Iterator<Item = (ForeignKeyId, &[ColumnId])> {
        self.foreign_keys[usize::from(table.0)].iter().map(|(id, columns)| (*id, columns.as_slice()))
    }
}
