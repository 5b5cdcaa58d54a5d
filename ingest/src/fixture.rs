//! What several sources' tests read.

use std::sync::Arc;

use relational::{Column, ColumnId, DataType, Schema, Table, TableId};

use crate::decode::{Format, Mapping, Tables};

/// One table `t` of upserts: `id`, its key, and `name`.
pub(crate) fn tables() -> Arc<Tables> {
    let columns = vec![Column::new("id", DataType::Int), Column::new("name", DataType::Text)];
    let table = Table { name: "t".into(), columns, key: vec![ColumnId(0)], time: None };
    let schema = Arc::new(Schema::new(vec![table], Vec::new()).expect("valid"));
    let mapping = Mapping { table: TableId(0), topic: None, format: Format::Upsert, hints: Vec::new() };
    Arc::new(Tables::new(schema, vec![mapping]).expect("valid"))
}
