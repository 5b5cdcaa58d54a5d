//! What rows are told apart by: a column of the entity, or of a row that it points at.

use graph_store::Snapshot;
use relational::{ColumnId, ForeignKeyId, Key, RowKey, Schema, TableId};

use crate::config::nearest;
use crate::world::Failure;

/// A column by which rows are sliced.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Segment {
    /// `table.column`
    pub name: String,
    entity: TableId,
    /// Towards the row that holds the column; `None` for the entity itself.
    via: Option<ForeignKeyId>,
    column: ColumnId,
}

impl Segment {
    /// The column `table.column`, or `column` of the entity.
    ///
    /// # Errors
    ///
    /// When the entity has no such column and points at no row that has.
    pub(crate) fn parse(text: &str, schema: &Schema, entity: TableId) -> Result<Self, Failure> {
        let own = &schema.table(entity).name;
        let (table, column) = text.split_once('.').unwrap_or((own, text));
        let near = schema.parents_of(entity).map(|(via, foreign_key)| (Some(via), foreign_key.parent));
        let found = std::iter::once((None, entity)).chain(near).find(|(_, id)| schema.table(*id).name == table);
        let Some((via, id)) = found else {
            return Err(Failure::Usage(format!("`{text}`: rows of `{own}` point at no row of a table `{table}`")));
        };
        let of = schema.table(id);
        let column = of.column(column).ok_or_else(|| {
            let near = nearest(column, of.columns.iter().map(|column| column.name.as_str()));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            Failure::Usage(format!("`{text}`: table `{table}` has no column `{column}`{hint}"))
        })?;
        let name = format!("{table}.{}", of.columns[usize::from(column.0)].name);
        Ok(Self { name, entity, via, column })
    }

    /// The column's value for an entity; `None` where it is missing.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(super) fn value(&self, snapshot: &Snapshot, entity: &Key) -> Result<Option<String>, Failure> {
        let own = RowKey { table: self.entity, key: entity.clone() };
        let Some(mut row) = snapshot.row(&own)? else { return Ok(None) };
        if let Some(via) = self.via {
            let foreign_key = snapshot.schema().foreign_key(via);
            let key: Vec<_> = foreign_key.columns.iter().map(|column| row.row.value(*column).clone()).collect();
            let parent = RowKey { table: foreign_key.parent, key: Key::new(key) };
            let Some(found) = snapshot.row(&parent)? else { return Ok(None) };
            row = found;
        }
        let value = row.row.value(self.column);
        Ok((!value.is_null()).then(|| value.to_string()))
    }
}
