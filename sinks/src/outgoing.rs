//! What leaves, and its bytes in the store's outbox.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version of this layout, 2 |
//! | 1 | kind: 0 score, 1 dead letter |
//! | score | app, task, table, key: text; value: optional text; cutoff: i64; id: u128; revision: u32; digest: u64 |
//! | dead letter | topic: text; partition: i32; offset: i64; stage: text; reason: text; key, value: optional bytes; timestamp: optional i64; attempt: u32; number of headers: u32, each a text and optional bytes |
//!
//! Numbers are big-endian; text and bytes follow their length as u32; an optional part follows a byte, 0 or 1.
//! Scores of version 1 have neither revision nor digest; 0 stands for both.

use std::sync::Arc;

use relational::{DeadLetter, EventTime, Position, Stage};

use crate::dead_letter::DeadLetterRecord;
use crate::error::Error;
use crate::record::ScoreRecord;
use crate::stamp::Stamp;

/// One record that leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// A score, or the tombstone of an entity that is gone.
    Score(ScoreRecord),
    /// A refused record.
    DeadLetter(DeadLetterRecord),
}

const VERSION: u8 = 2;

impl Outgoing {
    /// The bytes for the outbox.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer(vec![VERSION]);
        match self {
            Self::Score(score) => {
                writer.0.push(0);
                for text in [&score.app, &score.task, &score.table, &score.key] {
                    writer.bytes(text.as_bytes());
                }
                writer.optional(score.value.as_deref().map(str::as_bytes));
                writer.0.extend(score.cutoff.0.to_be_bytes());
                writer.0.extend(score.id.to_be_bytes());
                writer.0.extend(score.revision.to_be_bytes());
                writer.0.extend(score.digest.to_be_bytes());
            }
            Self::DeadLetter(record) => {
                writer.0.push(1);
                writer.dead_letter(record);
            }
        }
        writer.0
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Score(score) => score.key.len() + score.value.as_ref().map_or(0, String::len),
            Self::DeadLetter(DeadLetterRecord { letter, .. }) => {
                let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
                let headers = letter.headers.iter().map(|(name, value)| name.len() + length(value));
                length(&letter.key) + length(&letter.value) + headers.sum::<usize>()
            }
        }
    }

    /// What tells the record from every other that leaves.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        match self {
            Self::Score(score) => Stamp {
                subject: Stamp::subject(&score.task, &score.table, &score.key),
                cutoff: score.cutoff,
                revision: score.revision,
                digest: score.digest,
            },
            Self::DeadLetter(record) => {
                let Position { topic, partition, offset } = &record.letter.position;
                let parts = [b"dead letter", topic.as_bytes(), &partition.to_be_bytes(), &offset.to_be_bytes()];
                Stamp { subject: Stamp::hash(&parts), cutoff: EventTime(0), revision: record.attempt, digest: 0 }
            }
        }
    }

    /// Reads the bytes of an outbox entry.
    ///
    /// # Errors
    ///
    /// [`Error::Outbox`] when they are not such bytes, or of a version that this program does not know.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(bytes);
        let version = reader.array::<1>()?[0];
        if !(1..=VERSION).contains(&version) {
            return Err(Error::Outbox(format!("its layout has version {version}, and 1 to {VERSION} are known")));
        }
        let outgoing = match reader.array::<1>()?[0] {
            0 => Self::Score(reader.score(version)?),
            1 => Self::DeadLetter(reader.dead_letter()?),
            kind => return Err(Error::Outbox(format!("kind {kind} is unknown"))),
        };
        if reader.0.is_empty() {
            Ok(outgoing)
        } else {
            Err(Error::Outbox(format!("{} bytes too many", reader.0.len())))
        }
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).expect("limits::RECORD_BYTES_MAX keeps every part below 4 GiB");
        self.0.extend(length.to_be_bytes());
        self.0.extend(bytes);
    }

    fn optional(&mut self, bytes: Option<&[u8]>) {
        self.0.push(u8::from(bytes.is_some()));
        if let Some(bytes) = bytes {
            self.bytes(bytes);
        }
    }

    fn dead_letter(&mut self, record: &DeadLetterRecord) {
        let letter = &record.letter;
        self.bytes(letter.position.topic.as_bytes());
        self.0.extend(letter.position.partition.to_be_bytes());
        self.0.extend(letter.position.offset.to_be_bytes());
        self.bytes(letter.stage.name().as_bytes());
        self.bytes(letter.reason.as_bytes());
        self.optional(letter.key.as_deref());
        self.optional(letter.value.as_deref());
        self.0.push(u8::from(letter.timestamp.is_some()));
        if let Some(timestamp) = letter.timestamp {
            self.0.extend(timestamp.0.to_be_bytes());
        }
        self.0.extend(record.attempt.to_be_bytes());
        let headers = u32::try_from(letter.headers.len()).expect("limits::RECORD_BYTES_MAX keeps headers few");
        self.0.extend(headers.to_be_bytes());
        for (name, value) in &letter.headers {
            self.bytes(name.as_bytes());
            self.optional(value.as_deref());
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or_else(|| Error::Outbox("it ends early".into()))?;
        self.0 = tail;
        Ok(*head)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = u32::from_be_bytes(self.array()?) as usize;
        let (head, tail) = self.0.split_at_checked(length).ok_or_else(|| Error::Outbox("it ends early".into()))?;
        self.0 = tail;
        Ok(head)
    }

    fn text(&mut self) -> Result<String, Error> {
        let text = str::from_utf8(self.bytes()?).map_err(|error| Error::Outbox(error.to_string()))?;
        Ok(text.to_owned())
    }

    fn present(&mut self) -> Result<bool, Error> {
        match self.array::<1>()?[0] {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Error::Outbox(format!("{other} is neither absent nor present"))),
        }
    }

    fn optional(&mut self) -> Result<Option<Vec<u8>>, Error> {
        Ok(if self.present()? { Some(self.bytes()?.to_vec()) } else { None })
    }

    fn time(&mut self) -> Result<EventTime, Error> {
        self.array().map(i64::from_be_bytes).map(EventTime)
    }

    fn score(&mut self, version: u8) -> Result<ScoreRecord, Error> {
        Ok(ScoreRecord {
            app: self.text()?,
            task: self.text()?,
            table: self.text()?,
            key: self.text()?,
            value: if self.present()? { Some(self.text()?) } else { None },
            cutoff: self.time()?,
            id: u128::from_be_bytes(self.array()?),
            revision: if version == 1 { 0 } else { u32::from_be_bytes(self.array()?) },
            digest: if version == 1 { 0 } else { u64::from_be_bytes(self.array()?) },
        })
    }

    fn dead_letter(&mut self) -> Result<DeadLetterRecord, Error> {
        let position = Position {
            topic: Arc::from(self.text()?),
            partition: i32::from_be_bytes(self.array()?),
            offset: i64::from_be_bytes(self.array()?),
        };
        let stage = self.text()?;
        let stage = [Stage::Decode, Stage::Fit, Stage::Apply].into_iter().find(|known| known.name() == stage);
        let mut letter = DeadLetter {
            position,
            stage: stage.ok_or_else(|| Error::Outbox("its stage is unknown".into()))?,
            reason: self.text()?,
            key: self.optional()?,
            value: self.optional()?,
            headers: Vec::new(),
            timestamp: if self.present()? { Some(self.time()?) } else { None },
        };
        let attempt = u32::from_be_bytes(self.array()?);
        for _ in 0..u32::from_be_bytes(self.array()?) {
            letter.headers.push((self.text()?, self.optional()?));
        }
        Ok(DeadLetterRecord { letter, attempt })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any outgoing record.
    pub(crate) fn outgoing() -> impl Strategy<Value = Outgoing> {
        let score =
            ("[a-z]{1,4}", "[a-z]{1,4}", any::<i32>(), any::<bool>(), 0..4_000_000_000_000_000_i64, any::<u128>());
        let score = score.prop_map(|(app, task, key, gone, cutoff, id)| {
            let value = (!gone)
                .then(|| format!("{{\"prediction\":{{\"probability\":0.5}},\"examples\":{}}}", key.unsigned_abs()));
            let (revision, digest) = (key.unsigned_abs(), u64::from(key.unsigned_abs()));
            let (table, key, cutoff) = ("customers".into(), key.to_string(), EventTime(cutoff));
            Outgoing::Score(ScoreRecord { app, task, table, key, value, cutoff, id, revision, digest })
        });
        let bytes = || prop::option::of(prop::collection::vec(any::<u8>(), 0..9));
        let headers = prop::collection::vec(("[a-z]{1,4}", bytes()), 0..3);
        let letter = (bytes(), bytes(), headers, prop::option::of(any::<i64>()), 1..9_u32);
        let letter = letter.prop_map(|(key, value, headers, timestamp, attempt)| {
            let position = Position { topic: "orders".into(), partition: 1, offset: 9 };
            let timestamp = timestamp.map(EventTime);
            let reason = "no `op`".into();
            let letter = DeadLetter { position, stage: Stage::Fit, reason, key, value, headers, timestamp };
            Outgoing::DeadLetter(DeadLetterRecord { letter, attempt })
        });
        prop_oneof![score, letter]
    }

    proptest! {
        #[test]
        fn outbox_entries_round_trip(outgoing in outgoing()) {
            prop_assert_eq!(Outgoing::decode(&outgoing.encode()).expect("just encoded"), outgoing);
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            for prefix in [&[][..], &[1, 0][..], &[2, 0][..], &[2, 1][..]] {
                let all = [prefix, &bytes].concat();
                if let Ok(outgoing) = Outgoing::decode(&all) {
                    prop_assert!(all[0] < VERSION || outgoing.encode() == all);
                }
            }
        }
    }

    #[test]
    fn entries_of_version_one_are_still_read() {
        let mut bytes = vec![1, 0];
        for text in ["app", "churn", "customers", "7"] {
            bytes.extend([0, 0, 0, u8::try_from(text.len()).expect("short")]);
            bytes.extend(text.as_bytes());
        }
        bytes.push(0);
        bytes.extend([0, 0, 0, 0, 0, 0, 1, 0]);
        bytes.extend([0; 15]);
        bytes.push(5);
        let (app, task, table, key) = ("app".into(), "churn".into(), "customers".into(), "7".into());
        let (cutoff, revision, digest) = (EventTime(256), 0, 0);
        let score = ScoreRecord { app, task, table, key, value: None, cutoff, id: 5, revision, digest };
        assert_eq!(Outgoing::decode(&bytes).expect("version 1"), Outgoing::Score(score));
        bytes[0] = 3;
        assert!(Outgoing::decode(&bytes).is_err_and(|error| error.to_string().contains("version 3")));
    }
}
