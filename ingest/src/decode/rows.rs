//! Formats whose value is the row itself: flattened, upsert and append.

use relational::{Cell, EventTime, Key, Op};

use super::connect::Opened;
use super::debezium::{changes, missing_key};
use super::json::{Json, Row};
use super::row::{Absent, Context};
use super::{Decoded, Refusal};

/// Rows as Debezium's `ExtractNewRecordState` leaves them. A null value is a delete: by default the transformation
/// keeps only that of a delete and its tombstone.
pub(super) fn flattened(context: &Context<'_>) -> Result<Decoded, Refusal> {
    let opened = open(context)?;
    let meta = Meta { context, row: opened.payload.as_ref() };
    let op = meta.text("op");
    let deleted = meta.text("deleted").as_deref() == Some("true") || op.as_deref() == Some("d");
    let layout = opened.layout(&context.topic.bare);
    let Some(row) = opened.payload.as_ref().filter(|_| op.as_deref() != Some("t")) else {
        let known = known(context, &meta, None);
        if op.as_deref() == Some("t") {
            return Ok(changes([context.change(Key::new([]), Op::Truncate, known)], 0));
        }
        // A truncation and a tombstone of nothing carry no key.
        return Ok(match context.key_of_record()? {
            Some(key) => changes([context.change(key, Op::Delete, known)], 0),
            None => Decoded::set_aside("tombstone"),
        });
    };
    let absent = if matches!(op.as_deref(), Some("c" | "r")) { Absent::Null } else { Absent::Unchanged };
    let mut read = context.read(row, layout, absent, |name| name.starts_with("__"))?;
    let key = context.key_of_record()?.or_else(|| context.key_of_cells(&read.cells));
    let key = key.ok_or_else(|| Refusal::fit(missing_key(context, "the row")))?;
    if deleted {
        return Ok(changes([context.change(key, Op::Delete, known(context, &meta, None))], 0));
    }
    context.fill_key(&mut read, &key);
    let time = context.row_time(&read.cells);
    let cells: Box<[Cell]> = read.cells.into();
    let snapshot = meta.text("source_snapshot").is_some_and(|mark| !matches!(&*mark, "false" | "incremental" | ""));
    let change = if op.as_deref() == Some("r") || (snapshot && op.as_deref() == Some("c")) {
        context.change(key, Op::Snapshot(cells), time.unwrap_or(EventTime::MIN))
    } else {
        context.change(key, Op::Upsert(cells), known(context, &meta, time))
    };
    Ok(changes([change], read.unknown_columns))
}

/// The value is the whole row; a null value deletes it.
pub(super) fn upsert(context: &Context<'_>) -> Result<Decoded, Refusal> {
    let opened = open(context)?;
    let key = context.key_of_record();
    let Some(row) = &opened.payload else {
        let key = key?.ok_or_else(|| Refusal::fit(missing_key(context, "a null value")))?;
        return Ok(changes([context.change(key, Op::Delete, timestamp(context, None))], 0));
    };
    let mut read = context.read(row, opened.layout(&context.topic.bare), Absent::Null, |_| false)?;
    let own = context.key_of_cells(&read.cells);
    let key = match (key, own) {
        (Ok(Some(key)), Some(own)) if key != own => {
            return Err(Refusal::fit(format!(
                "the record's key says {key}, its value {own} for {} of table `{}`; in format `upsert` they must agree: \
                 set `key` to what the topic is keyed by, or use format `append`",
                context.key_names(),
                context.table.name
            )));
        }
        // A key of another kind (a partitioning key) does no harm while the row names itself.
        (_, Some(own)) => own,
        (key, None) => key?.ok_or_else(|| Refusal::fit(missing_key(context, "the value")))?,
    };
    context.fill_key(&mut read, &key);
    let known = timestamp(context, context.row_time(&read.cells));
    Ok(changes([context.change(key, Op::Upsert(read.cells.into()), known)], read.unknown_columns))
}

/// Every record is a new row.
pub(super) fn append(context: &Context<'_>) -> Result<Decoded, Refusal> {
    let opened = open(context)?;
    let Some(row) = &opened.payload else { return Ok(Decoded::set_aside("tombstone")) };
    let mut read = context.read(row, opened.layout(&context.topic.bare), Absent::Null, |_| false)?;
    let key = if context.table.key.is_empty() {
        context.place_key()
    } else {
        let key = context.key_of_cells(&read.cells).map_or_else(|| context.key_of_record(), |key| Ok(Some(key)))?;
        key.ok_or_else(|| Refusal::fit(missing_key(context, "the value")))?
    };
    context.fill_key(&mut read, &key);
    let known = timestamp(context, context.row_time(&read.cells));
    Ok(changes([context.change(key, Op::Upsert(read.cells.into()), known)], read.unknown_columns))
}

fn open<'a>(context: &Context<'a>) -> Result<Opened<Row<'a>>, Refusal> {
    let Some(bytes) = context.record.value else { return Ok(Opened { payload: None, schema: None }) };
    let text = context.text(bytes)?;
    context.open(text, &context.topic.value_schema).map_err(|error| context.malformed(&error.to_string()))
}

fn timestamp(context: &Context<'_>, row_time: Option<EventTime>) -> EventTime {
    context.record.timestamp.or(row_time).unwrap_or(EventTime::MIN)
}

/// The metadata that the transformation adds: as fields or as headers, with two underscores before the name.
struct Meta<'a> {
    context: &'a Context<'a>,
    row: Option<&'a Row<'a>>,
}

impl Meta<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let name = format!("__{name}");
        let field = self.row.and_then(|row| row.get(&name));
        let header = || {
            let (_, bytes) = self.context.record.headers.iter().find(|(header, _)| *header == name)?;
            str::from_utf8(bytes.as_deref()?).ok()
        };
        // Header converters write texts with or without quotes.
        match field.map(Json::of) {
            Some(Json::Text(text)) => Some(text.into_owned()),
            Some(Json::Bool(value)) => Some(value.to_string()),
            Some(Json::Number(number)) => Some(number.to_owned()),
            Some(_) => None,
            None => header().map(|text| text.trim_matches('"').to_owned()),
        }
    }

    fn micros(&self, name: &str, numerator: i64, denominator: i64) -> Option<EventTime> {
        let number: i64 = self.text(name)?.parse().ok().filter(|number| *number > 0)?;
        Some(EventTime(number.saturating_mul(numerator) / denominator))
    }
}

/// As in the envelope: the source's commit time, finest first, else the record's timestamp, else the connector's clock.
fn known(context: &Context<'_>, meta: &Meta<'_>, row_time: Option<EventTime>) -> EventTime {
    let source = meta.micros("source_ts_ns", 1, 1_000).or_else(|| meta.micros("source_ts_us", 1, 1));
    let source = source.or_else(|| meta.micros("source_ts_ms", 1_000, 1));
    let known = source.or(context.record.timestamp).or_else(|| meta.micros("ts_ms", 1_000, 1));
    known.or(row_time).unwrap_or(EventTime::MIN)
}
