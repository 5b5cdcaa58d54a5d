//! The shape of a database: tables, their columns, and the foreign keys between them.

use std::collections::BTreeMap;

use thiserror::Error;

/// A table's place in its [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u16);

/// A column's place in its [`Table`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u16);

/// A foreign key's place in its [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForeignKeyId(pub u16);

/// How a column is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// [`crate::Value::Bool`].
    Bool,
    /// [`crate::Value::Int`].
    Int,
    /// [`crate::Value::Decimal`].
    Decimal,
    /// [`crate::Value::Float`].
    Float,
    /// [`crate::Value::Text`].
    Text,
    /// [`crate::Value::Time`].
    Time,
    /// [`crate::Value::Date`].
    Date,
    /// [`crate::Value::Bytes`].
    Bytes,
    /// [`crate::Value::List`].
    List,
}

impl DataType {
    /// The name used in config files and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Decimal => "decimal",
            Self::Float => "float",
            Self::Text => "text",
            Self::Time => "time",
            Self::Date => "date",
            Self::Bytes => "bytes",
            Self::List => "list",
        }
    }
}

/// How a column is meant, which decides what a predictor makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SemanticType {
    /// A quantity: sums and means make sense.
    Number,
    /// One of a limited set of values.
    Category,
    /// Free text.
    Text,
    /// An instant or a day.
    Time,
    /// A name for something: equality is all that counts.
    Id,
    /// Not read by any predictor.
    Ignore,
}

impl SemanticType {
    /// Every meaning.
    pub const ALL: [Self; 6] = [Self::Number, Self::Category, Self::Text, Self::Time, Self::Id, Self::Ignore];

    /// The name used in config files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Category => "category",
            Self::Text => "text",
            Self::Time => "time",
            Self::Id => "id",
            Self::Ignore => "ignore",
        }
    }

    /// The meaning that a column of this type has unless the config says otherwise. Keys and foreign keys are
    /// [`SemanticType::Id`]; that is decided by [`Schema::new`], which knows them.
    #[must_use]
    pub fn of(data_type: DataType) -> Self {
        match data_type {
            DataType::Bool => Self::Category,
            DataType::Int | DataType::Decimal | DataType::Float => Self::Number,
            DataType::Text | DataType::List => Self::Category,
            DataType::Time | DataType::Date => Self::Time,
            DataType::Bytes => Self::Ignore,
        }
    }
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// As the source spells it.
    pub name: String,
    /// How it is stored.
    pub data_type: DataType,
    /// How it is meant.
    pub semantic: SemanticType,
    /// How long after the row's own time the value becomes known, in microseconds; 0 when it comes with the row.
    pub arrives_after: i64,
}

impl Column {
    /// A column that comes with its row and means what its type usually means.
    #[must_use]
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self { name: name.into(), data_type, semantic: SemanticType::of(data_type), arrives_after: 0 }
    }
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// As queries spell it.
    pub name: String,
    /// In the order of a [`crate::Row`]'s values.
    pub columns: Vec<Column>,
    /// The primary key's columns. Empty for a table that is only appended to: its rows are named by where they stood
    /// in the source.
    pub key: Vec<ColumnId>,
    /// The column that says when a row happened; `None` for a table whose rows are visible from the beginning.
    pub time: Option<ColumnId>,
}

impl Table {
    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<ColumnId> {
        let index = self.columns.iter().position(|column| column.name == name)?;
        u16::try_from(index).ok().map(ColumnId)
    }

    /// Every column with its id.
    pub fn columns(&self) -> impl Iterator<Item = (ColumnId, &Column)> {
        (0..).map(ColumnId).zip(&self.columns)
    }
}

/// A foreign key: columns of a child table that hold the primary key of a parent row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The table that holds the key.
    pub child: TableId,
    /// The child's columns, in the order of the parent's primary key.
    pub columns: Vec<ColumnId>,
    /// The table that the key points at.
    pub parent: TableId,
}

/// Why a schema was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SchemaError {
    /// Two tables share a name.
    #[error("table `{0}` is defined twice")]
    DuplicateTable(String),
    /// Two columns of a table share a name.
    #[error("column `{column}` of table `{table}` is defined twice")]
    DuplicateColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A key, time column or foreign key names a column or table that does not exist.
    #[error("{what} of table `{table}` is out of range")]
    OutOfRange {
        /// The table.
        table: String,
        /// Which part of its definition.
        what: &'static str,
    },
    /// A foreign key has another number of columns than the key it points at.
    #[error("the foreign key from `{child}` to `{parent}` has {found} columns but the primary key has {wanted}")]
    Arity {
        /// The table that holds the key.
        child: String,
        /// The table that it points at.
        parent: String,
        /// Columns of the foreign key.
        found: usize,
        /// Columns of the parent's primary key.
        wanted: usize,
    },
    /// More than 65,536 of something.
    #[error("too many {0}")]
    TooMany(&'static str),
}

/// A database's shape. Names are unique, ids are places in the lists, and every reference resolves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    tables: Vec<Table>,
    foreign_keys: Vec<ForeignKey>,
}

impl Schema {
    /// Checks the parts and puts them together. Columns of primary and foreign keys become [`SemanticType::Id`]
    /// unless they are already ignored.
    ///
    /// # Errors
    ///
    /// The first inconsistency found.
    pub fn new(mut tables: Vec<Table>, foreign_keys: Vec<ForeignKey>) -> Result<Self, SchemaError> {
        check_names(&tables)?;
        for table in &tables {
            let columns = table.columns.len();
            let inside = |column: &ColumnId| usize::from(column.0) < columns;
            for (valid, what) in [(table.key.iter().all(inside), "key"), (table.time.iter().all(inside), "time column")]
            {
                if !valid {
                    return Err(SchemaError::OutOfRange { table: table.name.clone(), what });
                }
            }
        }
        for foreign_key in &foreign_keys {
            check_foreign_key(&tables, foreign_key)?;
            for column in &foreign_key.columns {
                mark_id(&mut tables[usize::from(foreign_key.child.0)], *column);
            }
        }
        for table in &mut tables {
            for column in table.key.clone() {
                mark_id(table, column);
            }
        }
        Ok(Self { tables, foreign_keys })
    }

    /// Every table with its id.
    pub fn tables(&self) -> impl Iterator<Item = (TableId, &Table)> {
        (0..).map(TableId).zip(&self.tables)
    }

    /// Every foreign key with its id.
    pub fn foreign_keys(&self) -> impl Iterator<Item = (ForeignKeyId, &ForeignKey)> {
        (0..).map(ForeignKeyId).zip(&self.foreign_keys)
    }

    /// The table with this id.
    ///
    /// # Panics
    ///
    /// When the id is not of this schema.
    #[must_use]
    pub fn table(&self, id: TableId) -> &Table {
        &self.tables[usize::from(id.0)]
    }

    /// The foreign key with this id.
    ///
    /// # Panics
    ///
    /// When the id is not of this schema.
    #[must_use]
    pub fn foreign_key(&self, id: ForeignKeyId) -> &ForeignKey {
        &self.foreign_keys[usize::from(id.0)]
    }

    /// The table of this name.
    #[must_use]
    pub fn table_named(&self, name: &str) -> Option<TableId> {
        self.tables().find(|(_, table)| table.name == name).map(|(id, _)| id)
    }

    /// The foreign keys whose child is this table.
    pub fn parents_of(&self, child: TableId) -> impl Iterator<Item = (ForeignKeyId, &ForeignKey)> {
        self.foreign_keys().filter(move |(_, foreign_key)| foreign_key.child == child)
    }

    /// The foreign keys whose parent is this table.
    pub fn children_of(&self, parent: TableId) -> impl Iterator<Item = (ForeignKeyId, &ForeignKey)> {
        self.foreign_keys().filter(move |(_, foreign_key)| foreign_key.parent == parent)
    }
}

fn mark_id(table: &mut Table, column: ColumnId) {
    let column = &mut table.columns[usize::from(column.0)];
    if column.semantic != SemanticType::Ignore {
        column.semantic = SemanticType::Id;
    }
}

fn check_names(tables: &[Table]) -> Result<(), SchemaError> {
    if tables.len() > usize::from(u16::MAX) {
        return Err(SchemaError::TooMany("tables"));
    }
    let mut names = BTreeMap::new();
    for table in tables {
        if names.insert(table.name.as_str(), ()).is_some() {
            return Err(SchemaError::DuplicateTable(table.name.clone()));
        }
        if table.columns.len() > usize::from(u16::MAX) {
            return Err(SchemaError::TooMany("columns"));
        }
        let mut columns = BTreeMap::new();
        for column in &table.columns {
            if columns.insert(column.name.as_str(), ()).is_some() {
                return Err(SchemaError::DuplicateColumn { table: table.name.clone(), column: column.name.clone() });
            }
        }
    }
    Ok(())
}

fn check_foreign_key(tables: &[Table], foreign_key: &ForeignKey) -> Result<(), SchemaError> {
    let child = tables.get(usize::from(foreign_key.child.0));
    let parent = tables.get(usize::from(foreign_key.parent.0));
    let (Some(child), Some(parent)) = (child, parent) else {
        return Err(SchemaError::OutOfRange { table: format!("#{}", foreign_key.child.0), what: "foreign key" });
    };
    if foreign_key.columns.iter().any(|column| usize::from(column.0) >= child.columns.len()) {
        return Err(SchemaError::OutOfRange { table: child.name.clone(), what: "foreign key" });
    }
    if foreign_key.columns.len() != parent.key.len() {
        return Err(SchemaError::Arity {
            child: child.name.clone(),
            parent: parent.name.clone(),
            found: foreign_key.columns.len(),
            wanted: parent.key.len(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, key: &[u16]) -> Table {
        let columns = vec![Column::new("id", DataType::Int), Column::new("parent", DataType::Int)];
        Table { name: name.into(), columns, key: key.iter().copied().map(ColumnId).collect(), time: None }
    }

    #[test]
    fn keys_become_ids() {
        let link = ForeignKey { child: TableId(1), columns: vec![ColumnId(1)], parent: TableId(0) };
        let schema = Schema::new(vec![table("a", &[0]), table("b", &[0])], vec![link]).expect("valid");
        assert_eq!(schema.table(TableId(1)).columns[1].semantic, SemanticType::Id);
        assert_eq!(schema.table(TableId(0)).columns[1].semantic, SemanticType::Number);
    }

    #[test]
    fn inconsistencies_are_refused() {
        assert_eq!(
            Schema::new(vec![table("a", &[0]), table("a", &[0])], vec![]),
            Err(SchemaError::DuplicateTable("a".into()))
        );
        let link = ForeignKey { child: TableId(1), columns: vec![ColumnId(1)], parent: TableId(0) };
        let refused = Schema::new(vec![table("a", &[0, 1]), table("b", &[0])], vec![link]);
        assert!(matches!(refused, Err(SchemaError::Arity { found: 1, wanted: 2, .. })));
    }
}
