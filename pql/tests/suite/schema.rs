//! Schemas as text, and where the tests' files stand.

use std::fs;
use std::path::{Path, PathBuf};

use relational::{Column, ColumnId, DataType, ForeignKey, Schema, SemanticType, Table, TableId};

/// A file of this crate's folder.
pub(crate) fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// The text of a file of this crate's folder.
pub(crate) fn read(relative: &str) -> String {
    fs::read_to_string(path(relative)).unwrap_or_else(|error| panic!("cannot read {relative}: {error}"))
}

/// A schema from one line per table: `name: column type [key] [when] [category | prose | ignored] [-> parent], ...`.
/// A `~` stands for a space in a column's name; a foreign key of several columns repeats the arrow on each.
pub(crate) fn parse(text: &str) -> Schema {
    let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(": ")).collect();
    let mut tables = Vec::new();
    let mut links = Vec::new();
    for (index, (name, columns)) in lines.iter().enumerate() {
        let mut table = Table { name: (*name).to_owned(), columns: Vec::new(), key: Vec::new(), time: None };
        for (place, definition) in columns.split(", ").enumerate() {
            let id = ColumnId(u16::try_from(place).expect("few columns"));
            let (definition, parent) = definition.split_once(" -> ").map_or((definition, None), |(a, b)| (a, Some(b)));
            table.columns.push(column(&mut table.key, &mut table.time, id, definition));
            links.extend(parent.map(|parent| (index, id, parent)));
        }
        tables.push(table);
    }
    let foreign_keys = foreign_keys(&lines, &tables, &links);
    Schema::new(tables, foreign_keys).expect("the test's schema is valid")
}

fn column(key: &mut Vec<ColumnId>, time: &mut Option<ColumnId>, id: ColumnId, definition: &str) -> Column {
    let mut words = definition.split(' ');
    let name = words.next().expect("a name").replace('~', " ");
    let data_type = match words.next().expect("a type") {
        "bool" => DataType::Bool,
        "int" => DataType::Int,
        "decimal" => DataType::Decimal,
        "float" => DataType::Float,
        "text" => DataType::Text,
        "time" => DataType::Time,
        "date" => DataType::Date,
        "bytes" => DataType::Bytes,
        "list" => DataType::List,
        other => panic!("unknown type {other}"),
    };
    let mut column = Column::new(name, data_type);
    for word in words {
        match word {
            "key" => key.push(id),
            "when" => *time = Some(id),
            "category" => column.semantic = SemanticType::Category,
            "prose" => column.semantic = SemanticType::Text,
            "ignored" => column.semantic = SemanticType::Ignore,
            other => panic!("unknown word {other}"),
        }
    }
    column
}

/// One foreign key per arrow, or one of several columns where the parent's key has several.
fn foreign_keys(lines: &[(&str, &str)], tables: &[Table], links: &[(usize, ColumnId, &str)]) -> Vec<ForeignKey> {
    let mut foreign_keys: Vec<ForeignKey> = Vec::new();
    for (child, column, parent) in links {
        let parent = lines.iter().position(|(name, _)| name == parent).expect("the parent is a table");
        let id = |table: usize| TableId(u16::try_from(table).expect("few tables"));
        let arity = tables[parent].key.len();
        match foreign_keys.last_mut() {
            Some(open) if open.child == id(*child) && open.parent == id(parent) && open.columns.len() < arity => {
                open.columns.push(*column);
            }
            _ => foreign_keys.push(ForeignKey { child: id(*child), columns: vec![*column], parent: id(parent) }),
        }
    }
    foreign_keys
}
