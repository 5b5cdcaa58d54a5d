//! A refused record as it leaves: key, value and headers as they came, and the reason in further headers, named as
//! Kafka Connect names them (KIP-298), so that its tools can read them.

use std::sync::Arc;

use relational::{DeadLetter, EventTime, Position, Stage};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value as Json;

use crate::error::Error;

/// What the names of the headers begin with that say what went wrong.
pub const ERRORS_PREFIX: &str = "__connect.errors.";

/// The header that counts how often a record was refused.
pub const ATTEMPT_HEADER: &str = "foreshore-attempt";

/// A refused record, ready to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterRecord {
    /// The record with its original headers, and why it was refused.
    pub letter: DeadLetter,
    /// How often it was refused, this time included.
    pub attempt: u32,
}

impl DeadLetterRecord {
    /// The record of a refusal. Headers of an earlier refusal (a letter that was sent back and refused again) give way
    /// to those of this one and raise the attempt.
    #[must_use]
    pub fn new(mut letter: DeadLetter) -> Self {
        let earlier = letter.headers.iter().rev().find(|(name, _)| name == ATTEMPT_HEADER);
        let earlier = earlier.and_then(|(_, value)| text(value.as_deref()?)?.parse::<u32>().ok()).unwrap_or(0);
        letter.headers.retain(|(name, _)| name != ATTEMPT_HEADER && !name.starts_with(ERRORS_PREFIX));
        Self { letter, attempt: earlier.saturating_add(1) }
    }

    /// All headers: the original ones, then the reason, then the attempt.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let DeadLetter { position, stage, reason, .. } = &self.letter;
        let added = [
            ("topic", position.topic.to_string()),
            ("partition", position.partition.to_string()),
            ("offset", position.offset.to_string()),
            ("stage", stage.name().to_owned()),
            ("exception.class.name", format!("foreshore.{}", stage.name())),
            ("exception.message", reason.clone()),
        ];
        let added = added.map(|(name, value)| (format!("{ERRORS_PREFIX}{name}"), Some(value.into_bytes())));
        let attempt = (ATTEMPT_HEADER.to_owned(), Some(self.attempt.to_string().into_bytes()));
        self.letter.headers.iter().cloned().chain(added).chain([attempt]).collect()
    }

    /// The headers with which the record goes back to its source: the original ones, and the attempt, which the next
    /// refusal would raise.
    #[must_use]
    pub fn headers_to_send_back(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let attempt = (ATTEMPT_HEADER.to_owned(), Some(self.attempt.to_string().into_bytes()));
        self.letter.headers.iter().cloned().chain([attempt]).collect()
    }

    /// Reads a record of a dead-letter topic back.
    ///
    /// # Errors
    ///
    /// [`Error::NotADeadLetter`] when a header is missing or unreadable.
    pub fn recover(
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        headers: Vec<(String, Option<Vec<u8>>)>,
        timestamp: Option<EventTime>,
    ) -> Result<Self, Error> {
        let find = |name: &str| {
            let found = headers.iter().rev().find(|(header, _)| header == name);
            found.and_then(|(_, value)| text(value.as_deref()?))
        };
        let missing = |name: &str| Error::NotADeadLetter(format!("its header `{name}` is missing or unreadable"));
        let needed = |name: &str| {
            let name = format!("{ERRORS_PREFIX}{name}");
            find(&name).ok_or_else(|| missing(&name))
        };
        let position = Position {
            topic: Arc::from(needed("topic")?),
            partition: needed("partition")?.parse().map_err(|_| missing("__connect.errors.partition"))?,
            offset: needed("offset")?.parse().map_err(|_| missing("__connect.errors.offset"))?,
        };
        let stage = needed("stage")?;
        let stage = [Stage::Decode, Stage::Fit, Stage::Apply].into_iter().find(|known| known.name() == stage);
        let stage = stage.ok_or_else(|| missing("__connect.errors.stage"))?;
        let reason = needed("exception.message")?.to_owned();
        let attempt = find(ATTEMPT_HEADER).and_then(|attempt| attempt.parse().ok()).unwrap_or(1);
        let ours = |name: &str| name == ATTEMPT_HEADER || name.starts_with(ERRORS_PREFIX);
        let headers = headers.iter().filter(|(name, _)| !ours(name)).cloned().collect();
        Ok(Self { letter: DeadLetter { position, stage, reason, key, value, headers, timestamp }, attempt })
    }

    /// The record as one JSON object, in the layout of change-record files (`topic`, `partition`, `offset`,
    /// `timestamp_ms`, `headers`, `key`, `value`; what is not UTF-8 as `{"hex": ".."}`), so that such a file can be
    /// read as a source again.
    #[must_use]
    pub(crate) fn line(&self, outbox: &str) -> String {
        let DeadLetter { position, key, value, timestamp, .. } = &self.letter;
        let line = Line {
            outbox,
            topic: &position.topic,
            partition: position.partition,
            offset: position.offset,
            timestamp_ms: timestamp.map(|time| time.0.div_euclid(1_000)),
            headers: Headers(&self.headers()),
            key: key.as_deref().map(Content),
            value: value.as_deref().map(Content),
        };
        serde_json::to_string(&line).expect("plain structs with text keys cannot fail")
    }

    /// Reads a line of a file of dead letters back.
    ///
    /// # Errors
    ///
    /// [`Error::NotADeadLetter`] when the line is not a dead letter.
    pub fn from_line(line: &str) -> Result<Self, Error> {
        let read: ReadLine = serde_json::from_str(line).map_err(|error| Error::NotADeadLetter(error.to_string()))?;
        let timestamp = read.timestamp_ms.map(|millis| EventTime(millis.saturating_mul(1_000)));
        let headers = read.headers.iter().map(|(name, value)| Ok((name.clone(), bytes(value)?)));
        Self::recover(bytes(&read.key)?, bytes(&read.value)?, headers.collect::<Result<_, Error>>()?, timestamp)
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[derive(Serialize)]
struct Line<'a> {
    outbox: &'a str,
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp_ms: Option<i64>,
    headers: Headers<'a>,
    key: Option<Content<'a>>,
    value: Option<Content<'a>>,
}

#[derive(Deserialize)]
struct ReadLine {
    timestamp_ms: Option<i64>,
    #[serde(default)]
    headers: serde_json::Map<String, Json>,
    key: Json,
    value: Json,
}

/// Bytes as text where they are UTF-8, else as `{"hex": ".."}`.
struct Content<'a>(&'a [u8]);

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(text) = text(self.0) {
            return serializer.serialize_str(text);
        }
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("hex", &digits)?;
        map.end()
    }
}

/// A JSON object holds one value per name: of headers that repeat a name, the last counts, as it does for Kafka's own
/// clients.
struct Headers<'a>(&'a [(String, Option<Vec<u8>>)]);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let last =
            |(index, (name, _)): &(usize, &(String, _))| !self.0[index + 1..].iter().any(|(later, _)| later == name);
        let kept = self.0.iter().enumerate().filter(last);
        serializer.collect_map(kept.map(|(_, (name, value))| (name, value.as_deref().map(Content))))
    }
}

fn bytes(content: &Json) -> Result<Option<Vec<u8>>, Error> {
    let unreadable = || Error::NotADeadLetter(format!("`{content}` is neither null, text nor {{\"hex\": ..}}"));
    match content {
        Json::Null => Ok(None),
        Json::String(text) => Ok(Some(text.clone().into_bytes())),
        Json::Object(map) => {
            let digits = map.get("hex").and_then(Json::as_str).ok_or_else(unreadable)?;
            let pairs = digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(text(pair)?, 16).ok());
            pairs.collect::<Option<_>>().map(Some).ok_or_else(unreadable)
        }
        _ => Err(unreadable()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Header = (String, Option<Vec<u8>>);

    fn letter(key: Option<Vec<u8>>, value: Option<Vec<u8>>, headers: Vec<Header>, millis: i64) -> DeadLetter {
        DeadLetter {
            position: Position { topic: "shop.public.orders".into(), partition: 3, offset: 42 },
            stage: Stage::Decode,
            reason: "`op` is missing".into(),
            key,
            value,
            headers,
            timestamp: Some(EventTime(millis * 1_000)),
        }
    }

    #[test]
    fn a_second_refusal_replaces_the_first_and_raises_the_attempt() {
        let first = DeadLetterRecord::new(letter(None, None, vec![("trace".into(), None)], 0));
        let second = DeadLetterRecord::new(DeadLetter { headers: first.headers(), ..first.letter.clone() });
        assert_eq!((first.attempt, second.attempt), (1, 2));
        assert_eq!(second.letter.headers, first.letter.headers);
    }

    #[test]
    fn a_plain_record_is_not_a_dead_letter() {
        let refused = DeadLetterRecord::recover(None, None, vec![], None).expect_err("no headers");
        assert!(refused.to_string().contains("__connect.errors.topic"), "{refused}");
    }

    fn header() -> impl Strategy<Value = Header> {
        ("[a-z]{1,6}", prop::option::of(prop::collection::vec(any::<u8>(), 0..6)))
    }

    proptest! {
        #[test]
        fn lines_round_trip(
            key in prop::option::of(prop::collection::vec(any::<u8>(), 0..12)),
            value in prop::option::of(prop::collection::vec(any::<u8>(), 0..12)),
            headers in prop::collection::btree_map("[a-z]{1,6}", header().prop_map(|(_, value)| value), 0..4),
            millis in -10_i64..2_000_000_000_000,
        ) {
            let record = DeadLetterRecord::new(letter(key, value, headers.into_iter().collect(), millis));
            let read = DeadLetterRecord::from_line(&record.line("store-1")).expect("just written");
            prop_assert_eq!(read, record);
        }

        #[test]
        fn headers_round_trip(headers in prop::collection::vec(header(), 0..4)) {
            let record = DeadLetterRecord::new(letter(None, Some(b"x".to_vec()), headers, 7));
            let timestamp = record.letter.timestamp;
            let read = DeadLetterRecord::recover(None, Some(b"x".to_vec()), record.headers(), timestamp).expect("ours");
            prop_assert_eq!(read, record);
        }
    }
}
