//! Records for topics without headers: CloudEvents 1.0 in structured mode, as one JSON object.

use fluvio_log::Appended;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::json::rfc3339;
use crate::mark::Mark;
use crate::{DeadLetterRecord, Outgoing, ScoreRecord, StoreId, Topics};

#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: &'static str,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    datacontenttype: &'static str,
    /// Which store's outbox it left, and its place there.
    foreshoreoutbox: &'a str,
    data: Option<&'a RawValue>,
}

/// The record for its topic. Of a score, the key is the entity's as JSON, the id is its `ce_id` of Kafka's records, and
/// the data its value there, null when the entity is gone. Of a dead letter, the key is the record's, and the data its
/// line in a file of dead letters.
pub(crate) fn envelope(topics: &Topics, store: StoreId, sequence: u64, outgoing: &Outgoing) -> (String, Appended) {
    let mark = Mark { store, sequence }.to_string();
    match outgoing {
        Outgoing::Score(score) => {
            let topic = topics.scores.get(&score.task).cloned();
            let topic = topic.unwrap_or_else(|| format!("{}.{}", topics.app, score.task));
            (topic, Appended { key: Some(score.key.clone().into_bytes()), value: of_score(score, &mark) })
        }
        Outgoing::DeadLetter(record) => {
            let value = of_letter(record, outgoing.stamp().subject, &topics.app, &mark);
            (topics.dead_letters(), Appended { key: record.letter.key.clone(), value })
        }
    }
}

fn of_score(score: &ScoreRecord, mark: &str) -> Vec<u8> {
    let is_gone = score.value.is_none();
    let data = score.value.clone().map(raw);
    written(&Envelope {
        specversion: "1.0",
        id: score.id_text(),
        source: format!("/foreshore/{}", score.app),
        kind: if is_gone { "foreshore.score.deleted.v1" } else { "foreshore.score.v1" },
        subject: format!("{}/{}/{}", score.task, score.table, score.key),
        time: rfc3339(score.cutoff),
        datacontenttype: "application/json",
        foreshoreoutbox: mark,
        data: data.as_deref(),
    })
}

fn of_letter(record: &DeadLetterRecord, subject: u128, app: &str, mark: &str) -> Vec<u8> {
    let position = &record.letter.position;
    let data = raw(record.line(mark));
    written(&Envelope {
        specversion: "1.0",
        id: format!("{subject:032x}-{}", record.attempt),
        source: format!("/foreshore/{app}"),
        kind: "foreshore.dead_letter.v1",
        subject: format!("{}/{}/{}", position.topic, position.partition, position.offset),
        time: record.letter.timestamp.and_then(rfc3339),
        datacontenttype: "application/json",
        foreshoreoutbox: mark,
        data: Some(&data),
    })
}

fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("values and lines are written as JSON")
}

fn written(envelope: &Envelope<'_>) -> Vec<u8> {
    serde_json::to_vec(envelope).expect("plain structs with text keys cannot fail")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use relational::EventTime;
    use serde_json::{Value as Json, json};

    use super::*;

    pub(crate) fn score(value: Option<&str>) -> ScoreRecord {
        ScoreRecord {
            app: "shop".into(),
            task: "churn".into(),
            table: "customers".into(),
            key: "[1,\"a\"]".into(),
            value: value.map(str::to_owned),
            cutoff: EventTime(1_700_000_000_000_000),
            id: 0xabc,
            revision: 2,
            digest: 5,
        }
    }

    fn parsed(score: &ScoreRecord) -> (Appended, Json) {
        let topics = Topics { app: "shop".into(), scores: BTreeMap::new() };
        let (topic, record) = envelope(&topics, StoreId(7), 3, &Outgoing::Score(score.clone()));
        assert_eq!(topic, "shop.churn");
        let json = serde_json::from_slice(&record.value).expect("JSON");
        (record, json)
    }

    #[test]
    fn an_envelope_says_what_kafka_says_in_headers() {
        let score = score(Some(r#"{"prediction":{"probability":0.25}}"#));
        let (record, json) = parsed(&score);
        assert_eq!(record.key.as_deref(), Some(b"[1,\"a\"]".as_slice()));
        assert_eq!(json["data"], json!({"prediction": {"probability": 0.25}}));
        for (header, value) in score.headers() {
            let attribute = match header {
                "content-type" => "datacontenttype",
                other => other.trim_start_matches("ce_"),
            };
            assert_eq!(json[attribute], value, "{header}");
        }
    }

    #[test]
    fn an_entity_that_is_gone_has_null_data() {
        let (_, json) = parsed(&score(None));
        assert!(json.get("data").is_some_and(Json::is_null), "{json}");
        assert_eq!(json["type"], "foreshore.score.deleted.v1");
    }
}
