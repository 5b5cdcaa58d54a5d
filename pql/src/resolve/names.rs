//! Looking up names, and what to offer when there is none.

use relational::{ColumnId, Schema, TableId};

use crate::error::Fault;
use crate::syntax::Name;

/// Names listed in a hint at most.
const LISTED_MAX: usize = 20;

/// The table of this name.
pub(crate) fn table(schema: &Schema, name: &Name) -> Result<TableId, Fault> {
    schema.table_named(&name.text).ok_or_else(|| {
        let names = || schema.tables().map(|(_, table)| table.name.as_str());
        let fault = Fault::new(name.span, format!("unknown table `{}`", name.text));
        match nearest(&name.text, names()) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => listed(fault, "tables are", names()),
        }
    })
}

/// The column of this name.
pub(crate) fn column(schema: &Schema, table: TableId, name: &Name) -> Result<ColumnId, Fault> {
    let definition = schema.table(table);
    definition.column(&name.text).ok_or_else(|| {
        let names = || definition.columns.iter().map(|column| column.name.as_str());
        let fault = Fault::new(name.span, format!("unknown column `{}` of table `{}`", name.text, definition.name));
        let elsewhere = schema.tables().find(|(_, other)| other.column(&name.text).is_some());
        match (nearest(&name.text, names()), elsewhere) {
            (Some(near), _) => fault.hint(format!("did you mean `{near}`?")),
            (None, Some((_, other))) => fault.hint(format!("table `{}` has a column of that name", other.name)),
            (None, None) => listed(fault, "its columns are", names()),
        }
    })
}

fn listed<'a>(fault: Fault, what: &str, names: impl Iterator<Item = &'a str>) -> Fault {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() || names.len() > LISTED_MAX {
        fault
    } else {
        fault.hint(format!("{what} {}", names.join(", ")))
    }
}

/// The name most like the one written, if any is near enough to be what was meant.
pub(crate) fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Of two names this alike, one is very probably a misspelling of the other.
    const ALIKE: f64 = 0.7;
    let folded = written.to_lowercase();
    let alike = |name: &str| strsim::normalized_damerau_levenshtein(&folded, &name.to_lowercase());
    let scored = names.into_iter().map(|name| (alike(name), name)).filter(|(score, _)| *score >= ALIKE);
    // The first of equally near ones, so that the offer does not depend on anything but the schema's order.
    scored.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, name)| name)
}

/// `table.column` for messages.
pub(crate) fn written(schema: &Schema, table: TableId, column: ColumnId) -> String {
    let table = schema.table(table);
    format!("{}.{}", table.name, table.columns[usize::from(column.0)].name)
}
