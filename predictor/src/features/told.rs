//! What a query's rows tell, in words and row by row: for explanations.

use std::collections::BTreeMap;

use graph_store::{Snapshot, Version};
use relational::{ColumnId, EventTime, Key, RowKey, Schema, TableId, Window};

use crate::Error;

use super::evaluate::Read;
use super::plan::{Anchor, Plan, Span};
use super::sources::Source;
use super::{Featuriser, Query};

/// A row that features were computed from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NearRow {
    pub(crate) key: RowKey,
    pub(crate) time: EventTime,
    /// How far from the query: steps from the entity, then how many rows of its kind are newer, then the kind.
    pub(crate) distance: (usize, usize, usize),
}

impl Featuriser {
    /// What was read for a query, to tell of it.
    pub(crate) fn read_of(&self, snapshot: &Snapshot, entity: &Key) -> Result<Read, Error> {
        self.read(snapshot, &Query { entity: entity.clone(), as_of: snapshot.bounds() })
    }

    /// The rows that features were computed from, the nearest first and each once, without the entity's own. Of a long
    /// history those that were read one by one: what lies further back is only in its sums.
    pub(crate) fn rows_of(&self, snapshot: &Snapshot, entity: &Key, read: &Read) -> Result<Vec<NearRow>, Error> {
        let mut rows = Rows { found: BTreeMap::new(), kind: 0 };
        for (anchor, version) in read.anchors.iter().enumerate().skip(1) {
            let depth = depth(&self.plan, anchor);
            rows.add(self.tables[anchor], depth, version);
        }
        for (stream, loaded) in self.plan.streams.iter().zip(&read.streams) {
            let depth = depth(&self.plan, stream.anchor) + 1;
            rows.add(stream.child, depth, &loaded.rows);
            if !stream.rolled {
                continue;
            }
            for rollup in &stream.rollups {
                let child = self.executor.schema().foreign_key(rollup.foreign_key).child;
                let mut below = Vec::new();
                for version in loaded.rows.iter().take(self.options.rolled_rows) {
                    let children = snapshot.children(rollup.foreign_key, &version.key)?;
                    below.extend(children.newest(Window::up_to(read.clock.now), self.options.rolled_children)?);
                }
                rows.add(child, depth + 1, &below);
            }
        }
        rows.found.remove(&RowKey { table: self.plan.entity, key: entity.clone() });
        let near = |(key, (distance, time))| NearRow { key, time, distance };
        let mut rows: Vec<NearRow> = rows.found.into_iter().map(near).collect();
        rows.sort_by(|a, b| a.distance.cmp(&b.distance).then_with(|| a.key.cmp(&b.key)));
        Ok(rows)
    }

    /// What a source tells of the query, as a clause; nothing where that cannot be said in a few words.
    pub(crate) fn says(&self, read: &Read, source: &Source) -> String {
        let schema = self.executor.schema();
        match source {
            Source::Calendar => {
                let day = read.clock.now.civil().map(|civil| civil.date().to_string());
                day.map_or_else(String::new, |day| format!("it is asked on {day}"))
            }
            Source::Past => past(read),
            Source::Rows(table) => {
                let streams = self.plan.streams.iter().zip(&read.streams);
                let of_table = streams.filter(|(stream, _)| stream.child == *table && stream.read);
                let counts = of_table.map(|(_, loaded)| loaded.counts[Span::All.index()]);
                counts.max().map_or_else(String::new, |count| format!("{} has {count} rows", schema.table(*table).name))
            }
            Source::Columns(table, columns) => self.column_says(read, *table, columns),
        }
    }

    fn column_says(&self, read: &Read, table: TableId, columns: &[ColumnId]) -> String {
        let schema = self.executor.schema();
        let name = Source::Columns(table, columns.to_vec()).name(schema);
        let hidden = |column: &ColumnId| table == self.subject.entity && self.subject.hidden.contains(column);
        let anchors = read.anchors.iter().zip(&self.tables).filter(|(_, of)| **of == table);
        if let Some(version) = anchors.filter_map(|(version, _)| version.as_ref()).next()
            && !columns.iter().any(hidden)
        {
            return format!("{name} is {}", values(version, columns));
        }
        let streams = self.plan.streams.iter().zip(&read.streams).filter(|(stream, _)| stream.child == table);
        let Some((_, loaded)) =
            streams.max_by_key(|(stream, loaded)| (loaded.rows.first().map(|row| row.time), !stream.labels))
        else {
            return String::new();
        };
        let rows = &schema.table(table).name;
        let Some(newest) = loaded.rows.first() else { return format!("{rows} has no rows") };
        if schema.table(table).time.is_some_and(|time| columns == [time]) {
            let count = loaded.counts[Span::All.index()];
            return format!("the newest of {count} rows of {rows} is {} old", age(read.clock.now.since(newest.time)));
        }
        format!("{name} was {} last", values(newest, columns))
    }
}

/// Rows by their names.
struct Rows {
    found: BTreeMap<RowKey, ((usize, usize, usize), EventTime)>,
    kind: usize,
}

impl Rows {
    /// Rows of one kind, newest first.
    fn add<'a>(&mut self, table: TableId, depth: usize, rows: impl IntoIterator<Item = &'a Version>) {
        for (place, version) in rows.into_iter().enumerate() {
            let key = RowKey { table, key: version.key.clone() };
            let distance = (depth, place, self.kind);
            let found = self.found.entry(key).or_insert((distance, version.time));
            found.0 = found.0.min(distance);
        }
        self.kind += 1;
    }
}

/// Steps from the entity.
fn depth(plan: &Plan, anchor: usize) -> usize {
    match plan.anchors[anchor] {
        Anchor::Entity => 0,
        Anchor::Parent(_) => 1,
        Anchor::LastParent { stream, .. } => depth(plan, plan.streams[stream].anchor) + 2,
    }
}

fn values(version: &Version, columns: &[ColumnId]) -> String {
    let texts: Vec<String> = columns.iter().map(|column| version.row.value(*column).to_string()).collect();
    texts.join(", ")
}

fn past(read: &Read) -> String {
    let newest: Vec<String> = read.history.defined.iter().take(3).map(|(_, target)| target.to_string()).collect();
    match newest.len() {
        0 => "it has no past targets".into(),
        1 => format!("its last target was {}", newest[0]),
        _ => format!("its last targets were {}", newest.join(", ")),
    }
}

/// In the unit that says most in few digits.
pub(crate) fn age(micros: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds")];
    let seconds = micros / EventTime::SECOND;
    let (size, unit) = UNITS.into_iter().find(|(size, _)| seconds >= 2 * size).unwrap_or(UNITS[3]);
    format!("{} {unit}", seconds / size)
}

/// What is said of a column of sampled rows.
pub(crate) fn column_of_rows(
    schema: &Schema,
    own: bool,
    version: &relational::Row,
    table: TableId,
    column: ColumnId,
) -> String {
    let name = Source::Columns(table, vec![column]).name(schema);
    let value = version.value(column);
    if own { format!("{name} is {value}") } else { format!("{name} was {value} last") }
}
