//! Records that a Confluent-compatible schema registry frames: a zero byte, the schema's number as four bytes, big-endian,
//! then the body in Avro, or in JSON described by JSON Schema.
//!
//! A framed key or value is rewritten as what Kafka Connect's JSON converter writes, `{"schema":..,"payload":..}`: so the
//! decoder knows one form of a schema, and a record says the same in either. Schemas are asked for once.
//!
//! While the registry gives no answer, records wait: nothing is refused for a fault that is not its own. What it does
//! not know (404) refuses only the records that name it.

mod avro;
mod client;
mod json_schema;
mod schema;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::Error;
use crate::decode::OwnedRecord;
use crate::learning::Sample;
use client::{Client, Trouble};
pub use client::{Credentials, RegistrySettings, Secret};
use schema::Registered;

/// The first byte of a frame.
const MAGIC: u8 = 0;

/// The bytes before the body.
const FRAME: usize = 5;

/// How long what the registry did not know is taken for unknown.
const UNKNOWN: Duration = Duration::from_secs(60);

/// Answers that are remembered; beyond, those that name no schema are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// The wait after a first failure, which doubles with each, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// A schema registry, and what it has said so far.
pub struct Registry {
    client: Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    answers: FxHashMap<u32, Answer>,
    outage: Option<Outage>,
}

#[derive(Clone)]
enum Answer {
    Schema(Arc<Registered>),
    /// There is none, or none that can be used: why.
    None(String, Instant),
}

struct Outage {
    reason: String,
    delay: Duration,
    next: Instant,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("client", &self.client).finish_non_exhaustive()
    }
}

/// A record after its frames were looked at.
#[derive(Debug)]
pub(crate) enum Unframed {
    /// It has none.
    AsIs,
    /// Key and value as the JSON converter writes them.
    Rewritten {
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        /// Why the key was left as it is: the row itself may name it.
        key_trouble: Option<String>,
    },
    /// It cannot be read.
    Refused(String),
    /// Its schema cannot be had now.
    Wait(String),
}

impl Registry {
    /// Not yet asked for anything.
    ///
    /// # Errors
    ///
    /// When a setting cannot be used.
    pub fn new(settings: RegistrySettings) -> Result<Self, Error> {
        Ok(Self { client: Client::new(settings)?, state: Mutex::default() })
    }

    /// Takes the frames off a record. May ask the registry, once per schema and for as long as its timeout.
    ///
    /// # Errors
    ///
    /// When the registry refuses us, or is none.
    pub(crate) fn unframe(&self, record: &OwnedRecord) -> Result<Unframed, Error> {
        let framed = |bytes: &Option<Vec<u8>>| bytes.as_deref().is_some_and(|bytes| bytes.first() == Some(&MAGIC));
        if !framed(&record.key) && !framed(&record.value) {
            return Ok(Unframed::AsIs);
        }
        let place = || format!("{}: ", record.origin);
        let value = match self.rewrite(record.value.as_deref())? {
            Body::Text(text) => text,
            Body::Refused(reason) => return Ok(Unframed::Refused(reason)),
            Body::Wait(reason) => return Ok(Unframed::Wait(place() + &reason)),
        };
        let (key, key_trouble) = match self.rewrite(record.key.as_deref())? {
            Body::Text(text) => (text, None),
            Body::Refused(reason) => (None, Some(reason)),
            Body::Wait(reason) => return Ok(Unframed::Wait(place() + &reason)),
        };
        let key = key.or_else(|| record.key.clone());
        Ok(Unframed::Rewritten { key, value: value.or_else(|| record.value.clone()), key_trouble })
    }

    /// Takes the frames off all records of a sample, so that tables can be learnt from it; waits for the registry up to
    /// `patience`. Records that cannot be read stay as they are, to be refused with their reason.
    ///
    /// # Errors
    ///
    /// When the registry gives no answer in time, refuses us, or is none.
    pub fn unframe_sample(&self, sample: &mut Sample, patience: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + patience;
        for record in &mut sample.records {
            loop {
                match self.unframe(record)? {
                    Unframed::AsIs | Unframed::Refused(_) => break,
                    Unframed::Rewritten { key, value, .. } => {
                        (record.key, record.value) = (key, value);
                        break;
                    }
                    Unframed::Wait(reason) if Instant::now() >= deadline => return Err(self.client.fault(reason)),
                    Unframed::Wait(_) => std::thread::sleep(Duration::from_millis(50)),
                }
            }
        }
        Ok(())
    }

    fn rewrite(&self, bytes: Option<&[u8]>) -> Result<Body, Error> {
        let Some(bytes) = bytes.filter(|bytes| bytes.first() == Some(&MAGIC)) else { return Ok(Body::Text(None)) };
        let Some((frame, body)) = bytes.split_at_checked(FRAME) else {
            let reason = format!("it begins with a schema registry's frame, but has only {} bytes", bytes.len());
            return Ok(Body::Refused(reason));
        };
        let id = u32::from_be_bytes(frame[1..].try_into().expect("a frame has four bytes behind the first"));
        Ok(match self.schema(id)? {
            Lookup::Schema(schema) => match schema.rewrite(body) {
                Ok(text) => Body::Text(Some(text)),
                Err(why) => Body::Refused(format!("{}: {why}", self.named(id))),
            },
            Lookup::None(why) => Body::Refused(format!("{}: {why}", self.named(id))),
            Lookup::Wait(why) => Body::Wait(format!("{}: {why}", self.named(id))),
        })
    }

    fn named(&self, id: u32) -> String {
        format!("schema {id} of registry {}", self.client.url())
    }

    fn schema(&self, id: u32) -> Result<Lookup, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.answers.get(&id) {
            Some(Answer::Schema(schema)) => return Ok(Lookup::Schema(Arc::clone(schema))),
            Some(Answer::None(why, since)) if since.elapsed() < UNKNOWN => return Ok(Lookup::None(why.clone())),
            _ => {}
        }
        if let Some(outage) = state.outage.as_ref().filter(|outage| Instant::now() < outage.next) {
            return Ok(Lookup::Wait(outage.reason.clone()));
        }
        let (answer, lookup) = match Registered::fetch(&self.client, id) {
            Ok(schema) => {
                let schema = Arc::new(schema);
                (Answer::Schema(Arc::clone(&schema)), Lookup::Schema(schema))
            }
            Err(Trouble::Unusable(why)) => (Answer::None(why.clone(), Instant::now()), Lookup::None(why)),
            Err(Trouble::Outage(reason)) => return Ok(state.fail(&self.named(id), reason)),
            Err(Trouble::Fatal(error)) => return Err(error),
        };
        if state.outage.take().is_some() {
            tracing::info!("the schema registry answers again");
        }
        if state.answers.len() >= REMEMBERED_MAX {
            state.answers.retain(|_, answer| matches!(answer, Answer::Schema(_)));
        }
        state.answers.insert(id, answer);
        Ok(lookup)
    }
}

impl State {
    fn fail(&mut self, what: &str, reason: String) -> Lookup {
        if self.outage.is_none() {
            tracing::warn!("{what}: {reason}; records wait, trying again until it answers");
        }
        let delay = self.outage.as_ref().map_or(RETRY.0, |outage| (outage.delay * 2).min(RETRY.1));
        self.outage = Some(Outage { reason: reason.clone(), delay, next: Instant::now() + delay });
        Lookup::Wait(reason)
    }
}

/// One key or value.
enum Body {
    /// As the JSON converter writes it; `None` where there is no frame.
    Text(Option<Vec<u8>>),
    Refused(String),
    Wait(String),
}

enum Lookup {
    Schema(Arc<Registered>),
    None(String),
    Wait(String),
}
