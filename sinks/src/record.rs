//! A score as the record that leaves: key, value, headers and timestamp, the same bytes for every sink.

use relational::{EventTime, Prediction, Schema, Score, Value, Window};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::json::{JsonValue, key_text, rfc3339};

/// Who makes the scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The app's name; `ce_source` is `/foreshore/<app>`.
    pub app: String,
    /// A digest of the effective config.
    pub config_hash: u64,
}

/// How long the stages of a score took, in microseconds of the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// From the commit of the change to the start of the work.
    pub queue_micros: u64,
    /// Reading the neighbourhood and computing features.
    pub sample_micros: u64,
    /// The model.
    pub infer_micros: u64,
}

/// A score, ready to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreRecord {
    /// The app that made it.
    pub app: String,
    /// The task's name.
    pub task: String,
    /// The entity's table.
    pub table: String,
    /// The entity's key as JSON: a scalar for one-column keys, else an array. The record's key.
    pub key: String,
    /// The score as a JSON object; `None` (a tombstone) when the entity is gone. The record's value.
    pub value: Option<String>,
    /// The score's cutoff. The record's timestamp.
    pub cutoff: EventTime,
    /// A digest of task, entity, cutoff, revision, model and context: equal scores have equal ids, whenever and however
    /// often they are made. The CloudEvents id.
    pub id: u128,
    /// The score's revision: task, entity, cutoff and revision name a record that leaves once.
    pub revision: u32,
    /// A digest of what it says: prediction, model and context, but not when and from which change it was made.
    pub digest: u64,
}

impl ScoreRecord {
    /// The record of a score that was made at `scored_at` of the wall clock.
    ///
    /// # Panics
    ///
    /// When the score's entity is not of this schema.
    #[must_use]
    pub fn new(
        score: &Score,
        schema: &Schema,
        origin: &Origin,
        scored_at: EventTime,
        latency: Option<&Latency>,
    ) -> Self {
        let table = &schema.table(score.entity.table).name;
        let key = key_text(&score.entity.key);
        let value = score.prediction.as_ref().map(|prediction| {
            let body = Body {
                task: &score.task,
                entity: BodyEntity { table, key: &score.entity.key.values().iter().map(JsonValue).collect::<Vec<_>>() },
                prediction: JsonPrediction(prediction),
                cutoff: rfc3339(score.cutoff),
                known_as_of: score.sequence.0,
                scored_at: rfc3339(scored_at),
                model: &score.model,
                fallback: score.fallback.as_deref(),
                context: score.context.to_string(),
                examples: score.examples,
                revision: score.revision,
                reason: score.reason.name(),
                trigger: score.trigger.as_ref().map(|position| BodyTrigger {
                    topic: &position.topic,
                    partition: position.partition,
                    offset: position.offset,
                }),
                truncated: score.truncated,
                config_hash: format!("{:016x}", origin.config_hash),
                latency_ms: latency.map(BodyLatency::new),
            };
            serde_json::to_string(&body).expect("plain structs with text keys cannot fail")
        });
        let id = id(score, table, &key);
        Self {
            app: origin.app.clone(),
            task: score.task.to_string(),
            table: table.clone(),
            key,
            value,
            cutoff: score.cutoff,
            id,
            revision: score.revision,
            digest: digest(score),
        }
    }

    /// The id as text, 32 hex digits.
    #[must_use]
    pub fn id_text(&self) -> String {
        format!("{:032x}", self.id)
    }

    /// The headers: CloudEvents 1.0 in Kafka's binary mode.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let kind = if self.value.is_some() { "foreshore.score.v1" } else { "foreshore.score.deleted.v1" };
        let mut headers = vec![
            ("ce_specversion", "1.0".to_owned()),
            ("ce_id", self.id_text()),
            ("ce_source", format!("/foreshore/{}", self.app)),
            ("ce_type", kind.to_owned()),
            ("ce_subject", format!("{}/{}/{}", self.task, self.table, self.key)),
        ];
        headers.extend(rfc3339(self.cutoff).map(|time| ("ce_time", time)));
        headers.extend(self.value.as_ref().map(|_| ("content-type", "application/json".to_owned())));
        headers
    }
}

fn id(score: &Score, table: &str, key: &str) -> u128 {
    let cutoff = score.cutoff.0.to_be_bytes();
    let revision = score.revision.to_be_bytes();
    let context = score.context.0.to_be_bytes();
    let gone = [u8::from(score.prediction.is_none())];
    let parts: [&[u8]; 8] = [
        score.task.as_bytes(),
        table.as_bytes(),
        key.as_bytes(),
        &cutoff,
        &revision,
        score.model.as_bytes(),
        &context,
        &gone,
    ];
    xxh3_128(&joined(&parts))
}

fn digest(score: &Score) -> u64 {
    let prediction = score.prediction.as_ref().map(|prediction| {
        serde_json::to_string(&JsonPrediction(prediction)).expect("plain structs with text keys cannot fail")
    });
    let (context, prediction) = (score.context.0.to_be_bytes(), prediction.unwrap_or_default());
    xxh3_64(&joined(&[score.model.as_bytes(), &context, prediction.as_bytes()]))
}

/// Parts are preceded by their lengths, so that no two lists of parts run together to the same bytes.
pub(crate) fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    for part in parts {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(*part);
    }
    bytes
}

#[derive(Serialize)]
struct Body<'a> {
    task: &'a str,
    entity: BodyEntity<'a>,
    prediction: JsonPrediction<'a>,
    cutoff: Option<String>,
    known_as_of: u64,
    scored_at: Option<String>,
    model: &'a str,
    fallback: Option<&'a str>,
    context: String,
    examples: u32,
    revision: u32,
    reason: &'static str,
    trigger: Option<BodyTrigger<'a>>,
    truncated: bool,
    config_hash: String,
    latency_ms: Option<BodyLatency>,
}

struct BodyEntity<'a> {
    table: &'a str,
    key: &'a [JsonValue<'a>],
}

impl Serialize for BodyEntity<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("table", self.table)?;
        match self.key {
            [value] => map.serialize_entry("key", value)?,
            values => map.serialize_entry("key", values)?,
        }
        map.end()
    }
}

#[derive(Serialize)]
struct BodyTrigger<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
}

#[derive(Serialize)]
struct BodyLatency {
    queue: f64,
    sample: f64,
    infer: f64,
}

impl BodyLatency {
    #[expect(clippy::cast_precision_loss, reason = "no stage takes the 285 years that f64 cannot count exactly")]
    fn new(latency: &Latency) -> Self {
        let millis = |micros: u64| micros as f64 / 1e3;
        Self {
            queue: millis(latency.queue_micros),
            sample: millis(latency.sample_micros),
            infer: millis(latency.infer_micros),
        }
    }
}

/// Names of the quantiles at [`Prediction::LEVELS`].
pub(crate) const QUANTILE_NAMES: [&str; 9] = ["q05", "q15", "q25", "q40", "q50", "q60", "q75", "q85", "q95"];

struct JsonPrediction<'a>(&'a Prediction);

impl Serialize for JsonPrediction<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.entries(&mut map)?;
        map.end()
    }
}

impl JsonPrediction<'_> {
    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        match self.0 {
            Prediction::Binary(probability) => map.serialize_entry("probability", probability)?,
            Prediction::Multiclass(classes) => {
                map.serialize_entry("classes", &classes.iter().map(JsonClass::new).collect::<Vec<_>>())?;
            }
            Prediction::Quantiles(values) => {
                map.serialize_entry("median", &self.0.point())?;
                map.serialize_entry("quantiles", &JsonQuantiles(values))?;
            }
            Prediction::Ranking(rows) => {
                map.serialize_entry("ranking", &rows.iter().map(JsonRanked::new).collect::<Vec<_>>())?;
            }
            Prediction::Forecast(windows) => {
                map.serialize_entry("forecast", &windows.iter().map(JsonWindow).collect::<Vec<_>>())?;
            }
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct JsonRanked<'a> {
    key: JsonValue<'a>,
    probability: f64,
}

impl<'a> JsonRanked<'a> {
    fn new((key, probability): &'a (Value, f64)) -> Self {
        Self { key: JsonValue(key), probability: *probability }
    }
}

/// One timeframe of a forecast: what follows from the first time, exclusive, to the second, inclusive.
struct JsonWindow<'a>(&'a (Window, Prediction));

impl Serialize for JsonWindow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (window, prediction) = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("after", &rfc3339(window.start))?;
        map.serialize_entry("until", &rfc3339(window.end))?;
        JsonPrediction(prediction).entries(&mut map)?;
        map.end()
    }
}

#[derive(Serialize)]
struct JsonClass<'a> {
    class: JsonValue<'a>,
    probability: f64,
}

impl<'a> JsonClass<'a> {
    fn new((class, probability): &'a (Value, f64)) -> Self {
        Self { class: JsonValue(class), probability: *probability }
    }
}

struct JsonQuantiles<'a>(&'a [f64; 9]);

impl Serialize for JsonQuantiles<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(QUANTILE_NAMES.iter().zip(self.0))
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
