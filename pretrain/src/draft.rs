//! A database in the making: tables whose rows become a schema and changes in the order in which they became known.

use std::sync::Arc;

use relational::{
    Cell, Change, Column, ColumnId, DataType, EventTime, ForeignKey, Key, Op, Position, Schema, Table, TableId, Value,
};

/// 2001-09-09: when the synthetic worlds begin.
pub(crate) const START: EventTime = EventTime(1_000_000_000 * EventTime::SECOND);

/// A table in the making. Its first column is `id`, which is its key and counts from 1.
#[derive(Debug, Clone)]
pub struct Draft {
    /// As queries spell it.
    pub name: String,
    columns: Vec<Column>,
    time: Option<usize>,
    links: Vec<(usize, &'static str)>,
    rows: Vec<Vec<Value>>,
    signals: Vec<Vec<f64>>,
}

impl Draft {
    /// A table of no rows.
    pub(crate) fn new(name: &str) -> Self {
        let columns = vec![Column::new("id", DataType::Int)];
        Self { name: name.to_owned(), columns, time: None, links: Vec::new(), rows: Vec::new(), signals: Vec::new() }
    }

    /// With one more column.
    pub(crate) fn with(mut self, name: &str, data_type: DataType) -> Self {
        self.columns.push(Column::new(name, data_type));
        self
    }

    /// With a foreign key to a table.
    pub(crate) fn link(mut self, name: &str, parent: &'static str) -> Self {
        self.links.push((self.columns.len(), parent));
        self.with(name, DataType::Int)
    }

    /// With the column `at`, the row's own time.
    pub(crate) fn timed(mut self) -> Self {
        self.time = Some(self.columns.len());
        self.with("at", DataType::Time)
    }

    /// With one more column, whose value becomes known so many microseconds after the row.
    pub(crate) fn late(mut self, name: &str, data_type: DataType, micros: i64) -> Self {
        self = self.with(name, data_type);
        self.columns.last_mut().expect("just added").arrives_after = micros;
        self
    }

    /// Adds a row of values for the columns after `id`, and what columns added later may read of it. Returns its id.
    pub(crate) fn push(&mut self, values: impl IntoIterator<Item = Value>, signals: &[f64]) -> i64 {
        let id = whole(self.rows.len() + 1);
        let row: Vec<Value> = std::iter::once(Value::Int(id)).chain(values).collect();
        assert_eq!(row.len(), self.columns.len(), "a row of `{}` has one value per column", self.name);
        self.rows.push(row);
        self.signals.push(signals.to_vec());
        id
    }

    /// Adds a column with these values, one per row.
    pub(crate) fn add(&mut self, name: &str, data_type: DataType, values: impl IntoIterator<Item = Value>) {
        self.columns.push(Column::new(name, data_type));
        let mut values = values.into_iter();
        for row in &mut self.rows {
            row.push(values.next().expect("one value per row"));
        }
    }

    /// The same table without the rows after a moment.
    #[cfg(test)]
    pub(crate) fn until(&self, cutoff: EventTime) -> Self {
        let early =
            |row: &&Vec<Value>| self.time.and_then(|time| row[time].as_time()).is_none_or(|time| time <= cutoff);
        Self { rows: self.rows.iter().filter(early).cloned().collect(), ..self.clone() }
    }

    /// What may be read of each row.
    pub(crate) fn signals(&self) -> &[Vec<f64>] {
        &self.signals
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The names of the columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// The rows' values, in the order of the columns.
    #[must_use]
    pub fn rows(&self) -> &[Vec<Value>] {
        &self.rows
    }

    fn table(&self) -> Table {
        let time = self.time.map(column);
        Table { name: self.name.clone(), columns: self.columns.clone(), key: vec![ColumnId(0)], time }
    }

    /// The changes of this table: each row when it happens, and what comes late of it when that becomes known.
    fn changes(&self, table: TableId, into: &mut Vec<Change>) {
        let delay = self.columns.iter().map(|column| column.arrives_after).max().unwrap_or(0);
        let late = |column: &Column| column.arrives_after > 0;
        for row in &self.rows {
            let time = self.time.and_then(|time| row[time].as_time()).unwrap_or(EventTime::MIN);
            let cells = row.iter().zip(&self.columns);
            let first = cells.clone().map(|(value, column)| {
                Cell::Value(if late(column) && self.time.is_some() { Value::Null } else { value.clone() })
            });
            into.push(change(table, row, first.collect(), time));
            if delay > 0 && self.time.is_some() {
                let told = cells.map(
                    |(value, column)| {
                        if late(column) { Cell::Value(value.clone()) } else { Cell::Unchanged }
                    },
                );
                into.push(change(table, row, told.collect(), time.plus(delay)));
            }
        }
    }
}

fn change(table: TableId, row: &[Value], cells: Box<[Cell]>, known: EventTime) -> Change {
    let position = Position { topic: Arc::from("synthetic"), partition: 0, offset: 0 };
    Change { table, key: Key::single(row[0].clone()), op: Op::Upsert(cells), known, position }
}

/// The schema of some tables.
pub(crate) fn schema(drafts: &[Draft]) -> Schema {
    let place = |name: &str| {
        let place = drafts.iter().position(|draft| draft.name == name).expect("a link names a table of the database");
        TableId(u16::try_from(place).expect("few tables"))
    };
    let links = drafts.iter().flat_map(|draft| {
        let child = place(&draft.name);
        draft.links.iter().map(move |(of, parent)| (child, column(*of), *parent))
    });
    let links = links.map(|(child, column, parent)| ForeignKey { child, columns: vec![column], parent: place(parent) });
    Schema::new(drafts.iter().map(Draft::table).collect(), links.collect()).expect("drafts are consistent")
}

/// Every change of some tables, in the order in which they became known.
pub(crate) fn changes(drafts: &[Draft]) -> Vec<Change> {
    let mut all = Vec::new();
    for (place, draft) in drafts.iter().enumerate() {
        draft.changes(TableId(u16::try_from(place).expect("few tables")), &mut all);
    }
    // A stable sort keeps the order of what became known at the same moment.
    all.sort_by_key(|change| change.known);
    for (offset, change) in (0..).zip(&mut all) {
        change.position.offset = offset;
    }
    all
}

fn column(place: usize) -> ColumnId {
    ColumnId(u16::try_from(place).expect("few columns"))
}

/// A count as the whole number of a column.
pub(crate) fn whole(count: usize) -> i64 {
    i64::try_from(count).expect("counts here are small")
}

/// A row's number as the key of the table it points at.
pub(crate) fn key(place: usize) -> Value {
    Value::Int(whole(place + 1))
}

/// So many days after the world's beginning.
pub(crate) fn moment(days: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "a few decades of microseconds")]
    let micros = (days * 86_400e6) as i64;
    Value::Time(START.plus(micros))
}

/// So many days in microseconds, to the second.
pub(crate) fn delay_micros(days: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "some days of seconds")]
    let seconds = (days * 86_400.0) as i64;
    seconds * EventTime::SECOND
}

/// A category by its number.
pub(crate) fn category(number: usize) -> Value {
    const NAMES: [&str; 16] = [
        "ash", "bay", "cedar", "dune", "elm", "fir", "gorse", "hazel", "iris", "jade", "kelp", "lime", "moss", "nut",
        "oak", "pine",
    ];
    Value::text(NAMES[number % NAMES.len()])
}

/// One of a few values by its number, as a column of numbers or of categories has it.
pub(crate) fn code(data_type: DataType, number: usize) -> Value {
    if data_type == DataType::Int { Value::Int(whole(number)) } else { category(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_value_becomes_known_by_an_update() {
        let mut parents = Draft::new("parents");
        parents.push([], &[]);
        let mut rows =
            Draft::new("rows").link("parent", "parents").timed().late("label", DataType::Bool, EventTime::DAY);
        for day in [3.0, 1.0] {
            rows.push([key(0), moment(day), Value::Bool(true)], &[]);
        }
        let made = changes(&[parents, rows]);
        let days = |change: &Change| change.known.since(START).div_euclid(EventTime::DAY);
        let told = |change: &Change| match &change.op {
            Op::Upsert(cells) => cells.last().cloned(),
            Op::Snapshot(_) | Op::Delete | Op::Truncate => None,
        };
        assert_eq!(made[0].known, EventTime::MIN, "a parent without a time is there from the beginning");
        assert_eq!(made[1..].iter().map(days).collect::<Vec<_>>(), [1, 2, 3, 4]);
        let (unknown, known) = (Some(Cell::Value(Value::Null)), Some(Cell::Value(Value::Bool(true))));
        assert_eq!(made[1..].iter().map(told).collect::<Vec<_>>(), [unknown.clone(), known.clone(), unknown, known]);
        assert!((0..).zip(&made).all(|(offset, change)| change.position.offset == offset));
    }
}
