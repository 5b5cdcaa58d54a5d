//! Topics beside the tables': heartbeats, transactions, schema changes and messages of Debezium.

use relational::EventTime;

use super::connect;
use super::json::{Json, Row, clip};
use super::tables::Tables;
use super::{Decoded, Record, Refusal};

/// The start of a heartbeat topic's name (`topic.heartbeat.prefix`).
pub(crate) const HEARTBEAT: &str = "__debezium-heartbeat";

/// A record of a topic that feeds no table.
pub(super) fn decode(tables: &Tables, record: &Record<'_>) -> Result<Decoded, Refusal> {
    recognise(record).ok_or_else(|| {
        Refusal::decode(format!(
            "no table takes topic `{}`; known: {}; add `topic` to a table, or take the topic out of `source.topics`",
            clip(&record.origin.topic),
            tables.known_topics()
        ))
    })
}

/// Recognises by its topic's name or by what it says a record that is about no row.
pub(super) fn recognise(record: &Record<'_>) -> Option<Decoded> {
    let topic = &*record.origin.topic;
    let Some(bytes) = record.value else { return Some(Decoded::set_aside("tombstone")) };
    let text = str::from_utf8(bytes).unwrap_or("").trim();
    let payload = connect::unwrap(text).map_or(text, |(_, payload)| payload);
    let row: Row<'_> = serde_json::from_str(payload).unwrap_or_default();
    if topic.starts_with(HEARTBEAT) {
        let millis = row.get("ts_ms").and_then(|json| json.parse::<i64>().ok());
        let reached = millis.map(|millis| EventTime(millis.saturating_mul(1_000)));
        return Some(Decoded::SetAside { kind: "heartbeat", reached });
    }
    let status = row.get("status").and_then(|json| Json::of(json).into_text());
    if row.get("event_count").is_some() && matches!(status.as_deref(), Some("BEGIN" | "END")) {
        return Some(Decoded::set_aside("transaction"));
    }
    if row.get("op") == Some("\"m\"") && row.get("message").is_some() {
        return Some(Decoded::set_aside("message"));
    }
    if row.get("ddl").is_some() || (row.get("databaseName").is_some() && row.get("tableChanges").is_some()) {
        return Some(Decoded::set_aside("schema_change"));
    }
    None
}
