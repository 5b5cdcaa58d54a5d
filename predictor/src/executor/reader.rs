//! One entity as a snapshot shows it, read as little as possible.

use std::borrow::Cow;
use std::cell::OnceCell;

use graph_store::{Snapshot, Version};
use relational::limits::SCAN_ROWS_MAX;
use relational::{Aggregate, Condition, EventTime, ForeignKeyId, Key, Operand, Row, RowKey, TableId, Value, Window};

use super::aggregate::{of_summary, over};
use super::condition::evaluate;
use super::rows::{Loaded, Source};
use crate::Error;

/// Reads one entity's row and child rows; rows that several windows share are read once.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    snapshot: &'a Snapshot,
    entity: RowKey,
    version: OnceCell<Option<Version>>,
    /// One per set of foreign keys that the aggregates name.
    sources: Vec<(&'a [ForeignKeyId], Source, Loaded)>,
    windowless: Windowless,
}

/// Where a windowless aggregate ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Windowless {
    /// With what the snapshot shows.
    All,
    /// At the anchor.
    ToAnchor,
}

impl<'a> Reader<'a> {
    /// Opens the child rows of `aggregates` for all `anchors`.
    pub(super) fn open(
        snapshot: &'a Snapshot,
        (table, entity): (TableId, &Key),
        aggregates: &[&'a Aggregate],
        anchors: &[EventTime],
        windowless: Windowless,
    ) -> Result<Self, Error> {
        let mut covers: Vec<(&'a [ForeignKeyId], Window)> = Vec::new();
        for aggregate in aggregates {
            for anchor in anchors {
                let window = window_of(aggregate, *anchor, windowless);
                match covers.iter_mut().find(|(via, _)| *via == aggregate.via.as_slice()) {
                    Some((_, cover)) => {
                        *cover = Window { start: cover.start.min(window.start), end: cover.end.max(window.end) };
                    }
                    None => covers.push((&aggregate.via, window)),
                }
            }
        }
        let mut sources = Vec::with_capacity(covers.len());
        for (via, cover) in covers {
            let source = Source::open(snapshot, via, entity)?;
            let loaded = Loaded::read(&source, cover)?;
            sources.push((via, source, loaded));
        }
        let entity = RowKey { table, key: entity.clone() };
        Ok(Self { snapshot, entity, version: OnceCell::new(), sources, windowless })
    }

    /// With the entity's own version, where the caller has it already.
    pub(super) fn with_version(mut self, version: Version) -> Self {
        self.version = OnceCell::from(Some(version));
        self
    }

    /// The entity's own visible version.
    pub(super) fn version(&self) -> Result<Option<&Version>, Error> {
        if let Some(version) = self.version.get() {
            return Ok(version.as_ref());
        }
        let version = self.snapshot.row(&self.entity)?;
        Ok(self.version.get_or_init(|| version).as_ref())
    }

    /// Whether the entity is there at `anchor`: its row is visible and not younger. A table of which the store holds no
    /// row at all is only implied by the foreign keys that point at it; there an entity exists once a row names it.
    pub(super) fn exists(&self, anchor: EventTime) -> Result<bool, Error> {
        if let Some(version) = self.version()? {
            return Ok(version.time <= anchor);
        }
        if !self.snapshot.keys(self.entity.table, None, 1)?.is_empty() {
            return Ok(false);
        }
        let links: Vec<ForeignKeyId> =
            self.snapshot.schema().children_of(self.entity.table).map(|(foreign_key, _)| foreign_key).collect();
        let source = Source::open(self.snapshot, &links, &self.entity.key)?;
        Ok(!source.newest(Window::up_to(anchor), 1)?.is_empty())
    }

    pub(super) fn holds(&self, condition: &Condition, anchor: EventTime) -> Result<Option<bool>, Error> {
        let mut operand = |operand: &Operand| -> Result<Cow<'static, Value>, Error> {
            Ok(Cow::Owned(match operand {
                Operand::Column(column) => {
                    self.version()?.map_or(Value::Null, |version| version.row.value(column.column).clone())
                }
                Operand::Aggregate(aggregate) => self.aggregate(aggregate, anchor)?,
            }))
        };
        evaluate(condition, &mut operand)
    }

    /// The aggregate's value at `anchor`; null when it is unknown.
    pub(super) fn aggregate(&self, aggregate: &Aggregate, anchor: EventTime) -> Result<Value, Error> {
        let window = window_of(aggregate, anchor, self.windowless);
        let (_, source, loaded) = self
            .sources
            .iter()
            .find(|(via, ..)| *via == aggregate.via.as_slice())
            .expect("opened with every aggregate that is asked for");
        let schema = self.snapshot.schema();
        if let Some(rows) = loaded.within(window) {
            return Ok(over(aggregate, schema, rows.iter().rev().map(|version| &version.row)));
        }
        let summary = source.summary(window)?.filter(|summary| summary.rows > SCAN_ROWS_MAX as u64);
        if let Some(value) = summary.and_then(|summary| of_summary(aggregate, schema, &summary)) {
            return Ok(value);
        }
        let mut rows: Vec<Row> = Vec::new();
        source.pages(window, |page| {
            rows.extend(page.into_iter().map(|version| version.row));
            Ok(true)
        })?;
        Ok(over(aggregate, schema, rows.iter().rev()))
    }
}

fn window_of(aggregate: &Aggregate, anchor: EventTime, windowless: Windowless) -> Window {
    match (aggregate.window, windowless) {
        (Some(window), _) => window.at(anchor),
        (None, Windowless::All) => Window::up_to(EventTime::MAX),
        (None, Windowless::ToAnchor) => Window::up_to(anchor),
    }
}
