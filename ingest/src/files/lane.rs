//! One table in the merge: its records, and the updates of its late columns that are still to come.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use relational::{Cell, Change, ColumnId, DeadLetter, EventTime, Key, Op, Position, Table, TableId, Value};

use super::TableFile;
use super::chunk::{Chunk, Layout, Wanted};
use super::column::Texts;
use super::rows::Rows;
use super::survey::null_values;
use super::table_reader::TableReader;
use crate::Error;

/// A table's records and late values.
#[derive(Debug)]
pub(super) struct Lane {
    table: TableId,
    key: Vec<ColumnId>,
    files: Vec<Arc<str>>,
    texts: Vec<Texts>,
    rows: Rows,
    counter: Counter,
    late: Vec<Late>,
}

/// A late column and the values that wait for their time; they come in the order of their rows.
#[derive(Debug)]
pub(super) struct Late {
    column: ColumnId,
    delay: i64,
    waiting: VecDeque<Waiting>,
    counter: Counter,
}

/// How many of something were delivered, and how many of them were told as a position.
#[derive(Debug)]
struct Counter {
    topic: Arc<str>,
    delivered: u64,
    told: u64,
}

#[derive(Debug)]
struct Waiting {
    due: EventTime,
    key: Key,
    value: Value,
    position: Position,
}

impl Lane {
    /// Opens the table's files; `None` for a table without any.
    pub(super) fn open(id: TableId, table: &Table, file: &TableFile) -> Result<Option<Self>, Error> {
        if file.paths.is_empty() {
            return Ok(None);
        }
        let layout = layout(table, file);
        let time = layout.time.map(|time| layout.columns[time].clone());
        let survey = Layout {
            table: table.name.clone(),
            time: time.is_some().then_some(0),
            columns: time.into_iter().collect(),
        };
        let reader = |layout| TableReader::new(file.paths.clone(), file.delimiter, layout);
        let rows = Rows::open(reader(survey), reader(layout))?;
        let late = table.columns().filter(|(_, column)| column.arrives_after > 0).map(|(id, column)| Late {
            column: id,
            delay: column.arrives_after,
            waiting: VecDeque::new(),
            counter: Counter::new(&format!("{}#{}", table.name, column.name)),
        });
        let name = |path: &std::path::PathBuf| {
            Arc::from(path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().as_ref())
        };
        Ok(Some(Self {
            table: id,
            key: table.key.clone(),
            files: file.paths.iter().map(name).collect(),
            texts: table.columns.iter().map(|_| Texts::default()).collect(),
            rows,
            counter: Counter::new(&table.name),
            late: late.collect(),
        }))
    }

    /// The time of the next record.
    pub(super) fn next_time(&mut self) -> Result<Option<EventTime>, Error> {
        Ok(self.rows.peek()?.map(|(chunk, row)| chunk.time(row)))
    }

    /// The next record, as a change or a dead letter. Its late values begin to wait: the places of the late columns
    /// that waited for nothing before are added to `woken`.
    pub(super) fn take(&mut self, woken: &mut Vec<usize>) -> Result<Option<Result<Change, DeadLetter>>, Error> {
        let Some((chunk, row)) = self.rows.peek()? else { return Ok(None) };
        let position = Position {
            topic: Arc::clone(&self.files[chunk.file]),
            partition: 0,
            offset: as_offset(chunk.first_in_file + row as u64),
        };
        let taken = match chunk.refused.get(&row) {
            Some(refusal) => Err(DeadLetter {
                position,
                stage: refusal.stage,
                reason: refusal.reason.clone(),
                key: None,
                value: refusal.original.clone(),
                headers: Vec::new(),
                timestamp: None,
            }),
            None => {
                let known = chunk.time(row);
                let key = key_of(&self.key, chunk, row, &mut self.texts);
                let columns = chunk.columns.iter().zip(&mut self.texts);
                let mut cells: Box<[Cell]> =
                    columns.map(|(column, texts)| Cell::Value(column.value(row, texts))).collect();
                for (index, late) in self.late.iter_mut().enumerate() {
                    let cell = &mut cells[usize::from(late.column.0)];
                    let Cell::Value(value) = std::mem::replace(cell, Cell::Value(Value::Null)) else { continue };
                    if late.wait(known, &key, value, &position) {
                        woken.push(index);
                    }
                }
                Ok(Change { table: self.table, key, op: Op::Upsert(cells), known, position })
            }
        };
        self.counter.delivered += 1;
        self.rows.advance();
        Ok(Some(taken))
    }

    /// The next update of a late column.
    pub(super) fn take_late(&mut self, index: usize) -> Option<Change> {
        let late = &mut self.late[index];
        let next = late.waiting.pop_front()?;
        late.counter.delivered += 1;
        let mut cells = vec![Cell::Unchanged; self.texts.len()];
        cells[usize::from(late.column.0)] = Cell::Value(next.value);
        let op = Op::Upsert(cells.into());
        Some(Change { table: self.table, key: next.key, op, known: next.due, position: next.position })
    }

    /// Goes to where these positions, by topic, say.
    pub(super) fn seek(&mut self, positions: &BTreeMap<&str, i64>) -> Result<(), Error> {
        self.counter.seek(positions, self.rows.total())?;
        self.rows.rewind();
        if self.late.is_empty() {
            return self.rows.skip(self.counter.delivered);
        }
        self.late.iter_mut().for_each(|late| late.waiting.clear());
        for _ in 0..self.counter.delivered {
            self.pass()?;
        }
        for late in &mut self.late {
            late.counter.seek(positions, late.waiting.len() as u64)?;
            late.waiting.drain(..usize::try_from(late.counter.delivered).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    /// Passes over a record whose change was delivered before; its late values wait again.
    fn pass(&mut self) -> Result<(), Error> {
        let Some((chunk, row)) = self.rows.peek()? else { return Ok(()) };
        if !chunk.refused.contains_key(&row) {
            let topic = Arc::clone(&self.files[chunk.file]);
            let position = Position { topic, partition: 0, offset: as_offset(chunk.first_in_file + row as u64) };
            let key = key_of(&self.key, chunk, row, &mut self.texts);
            for late in &mut self.late {
                let place = usize::from(late.column.0);
                let value = chunk.columns[place].value(row, &mut self.texts[place]);
                late.wait(chunk.time(row), &key, value, &position);
            }
        }
        self.rows.advance();
        Ok(())
    }

    /// Adds where to read on, for what has moved since the last time.
    pub(super) fn tell(&mut self, next: &mut Vec<Position>) {
        next.extend(self.counter.tell());
        next.extend(self.late.iter_mut().filter_map(|late| late.counter.tell()));
    }

    /// How many records were delivered, and how many there are.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.counter.delivered, self.rows.total())
    }

    /// The time of each late column's next update, where it has one.
    pub(super) fn late_times(&self) -> impl Iterator<Item = (usize, EventTime)> {
        self.late.iter().enumerate().filter_map(|(index, late)| Some((index, late.next_time()?)))
    }

    /// The time of a late column's next update.
    pub(super) fn late_time(&self, index: usize) -> Option<EventTime> {
        self.late[index].next_time()
    }
}

impl Late {
    fn next_time(&self) -> Option<EventTime> {
        self.waiting.front().map(|waiting| waiting.due)
    }

    /// Lets a value wait; whether it is the only one. Null needs no update.
    fn wait(&mut self, time: EventTime, key: &Key, value: Value, position: &Position) -> bool {
        if value.is_null() {
            return false;
        }
        let due = time.plus(self.delay);
        self.waiting.push_back(Waiting { due, key: key.clone(), value, position: position.clone() });
        self.waiting.len() == 1
    }
}

impl Counter {
    fn new(topic: &str) -> Self {
        Self { topic: topic.into(), delivered: 0, told: 0 }
    }

    fn seek(&mut self, positions: &BTreeMap<&str, i64>, available: u64) -> Result<(), Error> {
        let position = positions.get(self.topic.as_ref()).copied().unwrap_or(0);
        match u64::try_from(position) {
            Ok(delivered) if delivered <= available => {
                (self.delivered, self.told) = (delivered, delivered);
                Ok(())
            }
            _ => Err(Error::Position { topic: self.topic.to_string(), position, available }),
        }
    }

    fn tell(&mut self) -> Option<Position> {
        let moved = self.delivered != self.told;
        self.told = self.delivered;
        moved.then(|| Position { topic: Arc::clone(&self.topic), partition: 0, offset: as_offset(self.delivered) })
    }
}

/// The row's primary key; for a table without one the number of the record in it.
fn key_of(columns: &[ColumnId], chunk: &Chunk, row: usize, texts: &mut [Texts]) -> Key {
    if columns.is_empty() {
        return Key::single(Value::Int(as_offset(chunk.first_in_table + row as u64)));
    }
    let places = columns.iter().map(|column| usize::from(column.0));
    Key::new(places.map(|place| chunk.columns[place].value(row, &mut texts[place])))
}

fn as_offset(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What is read of the files for a table of the schema.
fn layout(table: &Table, file: &TableFile) -> Layout {
    let wanted = table.columns().map(|(id, column)| {
        let said = file.columns.get(&column.name);
        let null_values = null_values(file, &column.name);
        let required = if table.time == Some(id) {
            Some("the time")
        } else {
            table.key.contains(&id).then_some("part of the key")
        };
        let unit = said.and_then(|said| said.unit);
        Wanted { name: column.name.clone(), data_type: column.data_type, unit, null_values, required }
    });
    let columns = wanted.collect();
    Layout { table: table.name.clone(), columns, time: table.time.map(|time| usize::from(time.0)) }
}
