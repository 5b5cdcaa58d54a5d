//! Debezium's envelope: `{"before":..,"after":..,"source":..,"op":..}`.

use std::borrow::Cow;

use relational::{Cell, Change, EventTime, Key, Op};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::connect::Layout;
use super::json::{Json, Row, clip};
use super::row::{Absent, Context};
use super::{Decoded, Refusal};

/// The fields in use; numbers stay text, for only the finest of the times is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(borrow)]
    op: Option<Cow<'a, str>>,
    #[serde(borrow)]
    before: Option<Row<'a>>,
    #[serde(borrow)]
    after: Option<Row<'a>>,
    #[serde(borrow)]
    source: Option<Origin<'a>>,
    #[serde(borrow)]
    ts_ms: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Origin<'a> {
    #[serde(borrow)]
    ts_ns: Option<&'a RawValue>,
    #[serde(borrow)]
    ts_us: Option<&'a RawValue>,
    #[serde(borrow)]
    ts_ms: Option<&'a RawValue>,
    #[serde(borrow)]
    snapshot: Option<&'a RawValue>,
}

pub(super) fn decode(context: &Context<'_>) -> Result<Decoded, Refusal> {
    let Some(bytes) = context.record.value else { return Ok(Decoded::set_aside("tombstone")) };
    let text = context.text(bytes)?;
    let opened = context
        .open::<Envelope<'_>>(text, &context.topic.value_schema)
        .map_err(|error| context.malformed(&error.to_string()))?;
    let layout = opened.layout(&context.topic.bare);
    let Some(envelope) = &opened.payload else { return Ok(Decoded::set_aside("tombstone")) };
    let op = envelope.op.as_deref().ok_or_else(|| {
        context.malformed(
            "it has no `op`; if its rows are not in an envelope, the format is `flattened`, `upsert` or `append`",
        )
    })?;
    match op {
        "c" | "u" | "r" => upsert(context, envelope, layout, op),
        "d" => delete(context, envelope, layout),
        "t" => Ok(changes([context.change(Key::new([]), Op::Truncate, known(context, envelope, None))], 0)),
        "m" => Ok(Decoded::set_aside("message")),
        other => Err(context.malformed(&format!("unknown op `{}`; c, u, r, d, t and m are known", clip(other)))),
    }
}

fn upsert(context: &Context<'_>, envelope: &Envelope<'_>, layout: &Layout, op: &str) -> Result<Decoded, Refusal> {
    let after = envelope.after.as_ref().ok_or_else(|| context.malformed(&format!("op `{op}` without `after`")))?;
    let absent = if op == "u" { Absent::Unchanged } else { Absent::Null };
    let mut read = context.read(after, layout, absent, |_| false)?;
    let row_key = context.key_of_cells(&read.cells);
    let key = if context.table.key.is_empty() {
        if op == "u" {
            return Err(Refusal::fit(no_key(context, "an update")));
        }
        context.place_key()
    } else {
        let key = context.key_of_record()?.or_else(|| row_key.clone());
        key.ok_or_else(|| Refusal::fit(missing_key(context, "`after`")))?
    };
    context.fill_key(&mut read, &key);
    let time = context.row_time(&read.cells);
    let from_snapshot = op == "r" || (op == "c" && in_snapshot(envelope));
    let known = if from_snapshot { time.unwrap_or(EventTime::MIN) } else { known(context, envelope, time) };
    let mut result = Vec::with_capacity(1);
    if op == "u"
        && let Some(old) = moved_from(context, envelope, layout, row_key.as_ref())
    {
        result.push(context.change(old, Op::Delete, known));
    }
    let cells: Box<[Cell]> = read.cells.into();
    let op = if from_snapshot { Op::Snapshot(cells) } else { Op::Upsert(cells) };
    result.push(context.change(key, op, known));
    Ok(changes(result, read.unknown_columns))
}

fn delete(context: &Context<'_>, envelope: &Envelope<'_>, layout: &Layout) -> Result<Decoded, Refusal> {
    if context.table.key.is_empty() {
        return Err(Refusal::fit(no_key(context, "a delete")));
    }
    let before = || Some(context.read(envelope.before.as_ref()?, layout, Absent::Null, |_| false));
    let key = match context.key_of_record()? {
        Some(key) => key,
        None => match before().transpose()?.and_then(|read| context.key_of_cells(&read.cells)) {
            Some(key) => key,
            None => return Err(Refusal::fit(missing_key(context, "`before`"))),
        },
    };
    Ok(changes([context.change(key, Op::Delete, known(context, envelope, None))], 0))
}

/// The key that the row had before, when this one record changes it. Connectors that know the key write two records
/// instead; with a key of the user's own choice (`message.key.columns`) they do not.
fn moved_from(context: &Context<'_>, envelope: &Envelope<'_>, layout: &Layout, new: Option<&Key>) -> Option<Key> {
    let before = context.read(envelope.before.as_ref()?, layout, Absent::Null, |_| false).ok()?;
    let old = context.key_of_cells(&before.cells)?;
    (&old != new?).then_some(old)
}

/// When the change became known: the source's commit time, else the record's timestamp, else the connector's clock.
fn known(context: &Context<'_>, envelope: &Envelope<'_>, row_time: Option<EventTime>) -> EventTime {
    let source = envelope.source.as_ref().and_then(|source| {
        let [nanos, micros, millis] = [source.ts_ns, source.ts_us, source.ts_ms].map(positive);
        nanos.map(|nanos| nanos / 1_000).or(micros).or(millis.map(|millis| millis.saturating_mul(1_000)))
    });
    let connector = || positive(envelope.ts_ms).map(|millis| EventTime(millis.saturating_mul(1_000)));
    source.map(EventTime).or(context.record.timestamp).or_else(connector).or(row_time).unwrap_or(EventTime::MIN)
}

/// Connectors that do not know a time write 0 or null.
pub(super) fn positive(json: Option<&RawValue>) -> Option<i64> {
    json?.get().parse().ok().filter(|number| *number > 0)
}

/// Whether a created row was read by an initial snapshot. Rows of an incremental one have op `r`; a change that is
/// streamed meanwhile is not of the snapshot, whatever its mark.
fn in_snapshot(envelope: &Envelope<'_>) -> bool {
    let mark = envelope.source.as_ref().and_then(|source| source.snapshot).map(|json| Json::of(json.get()));
    match mark {
        Some(Json::Bool(snapshot)) => snapshot,
        Some(Json::Text(text)) => !matches!(text.as_ref(), "false" | "incremental" | ""),
        _ => false,
    }
}

pub(super) fn changes(changes: impl Into<Vec<Change>>, unknown_columns: u32) -> Decoded {
    Decoded::Changes { changes: changes.into(), unknown_columns }
}

pub(super) fn missing_key(context: &Context<'_>, place: &str) -> String {
    format!(
        "neither the record's key nor {place} holds the key {} of table `{}`; set the table's `key` to the columns that \
         the source uses",
        context.key_names(),
        context.table.name
    )
}

fn no_key(context: &Context<'_>, what: &str) -> String {
    format!(
        "{what} in table `{}`, which has no key to name the row by; give the table a primary key at the source \
         (PostgreSQL: or REPLICA IDENTITY FULL with `message.key.columns`) and set `key`",
        context.table.name
    )
}
