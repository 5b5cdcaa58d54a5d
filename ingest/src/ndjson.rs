//! Files of change records as a source: one JSON object a line, plain or compressed (`.gz`, `.zst`).
//!
//! A line is either a whole record,
//!
//! ```json
//! {"topic":"shop.public.orders","partition":0,"offset":7,"timestamp":1700000000000,"headers":{"a":"b"},"key":"{\"id\":1}","value":"{..}"}
//! ```
//!
//! or a bare value of the one topic that the config names. `kcat -J` writes whole records too (`ts`, `payload`, headers
//! in one flat list). Keys and values are texts, `{"hex":"00ff"}` for bytes that are no text, null, or JSON itself.
//! Timestamps are in milliseconds. Files are read in the given order, line by line; empty lines count but say nothing.

#[cfg(test)]
mod tests;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use relational::limits::RECORD_BYTES_MAX;
use relational::{DeadLetter, EventTime, Position, Stage};

use crate::decode::{self, Header, OwnedRecord, Row, Tables, clip, text_of};
use crate::files::open_bytes;
use crate::learning::Sample;
use crate::{Delivery, Error, Source};

/// Bytes of one line: hexadecimal digits and escapes make a record longer than it is.
const LINE_BYTES_MAX: usize = 4 * RECORD_BYTES_MAX;

/// How long a source that has to wait lets its caller wait before it asks again.
const PAUSE: Duration = Duration::from_millis(100);

/// Files of change records.
pub struct ChangeFiles {
    tables: Arc<Tables>,
    topic: Option<Arc<str>>,
    files: Vec<ChangeFile>,
    /// The file that is being read.
    current: usize,
    reader: Option<BufReader<Box<dyn Read + Send>>>,
    line: Vec<u8>,
    /// The record of the line before, while it could not be delivered.
    held: Option<OwnedRecord>,
}

#[derive(Debug)]
struct ChangeFile {
    path: PathBuf,
    name: Arc<str>,
    /// The next line, counted from 0.
    next: i64,
    /// Where reading has to go on; lines before are passed over.
    from: i64,
}

impl std::fmt::Debug for ChangeFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeFiles").field("files", &self.files).field("current", &self.current).finish()
    }
}

impl ChangeFiles {
    /// At the beginning of the first file. `topic` is the topic of lines that are bare values.
    ///
    /// # Errors
    ///
    /// When a file cannot be opened, or is named twice.
    pub fn open(paths: &[PathBuf], topic: Option<&str>, tables: Arc<Tables>) -> Result<Self, Error> {
        let mut files: Vec<ChangeFile> = Vec::with_capacity(paths.len());
        for path in paths {
            let name: Arc<str> = path.to_string_lossy().into();
            if files.iter().any(|file| file.name == name) {
                return Err(Error::Content { path: path.clone(), reason: "is named twice; remove one".into() });
            }
            drop(open_bytes(path)?);
            files.push(ChangeFile { path: path.clone(), name, next: 0, from: 0 });
        }
        let topic = topic.map(Arc::from);
        Ok(Self { tables, topic, files, current: 0, reader: None, line: Vec::new(), held: None })
    }

    /// The first `limit` records of each file: to learn what they hold.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn sample(paths: &[PathBuf], topic: Option<&str>, limit: usize) -> Result<Sample, Error> {
        let topic: Option<Arc<str>> = topic.map(Arc::from);
        let mut records: Vec<OwnedRecord> = Vec::new();
        for path in paths {
            let mut reader = BufReader::new(open_bytes(path)?);
            let name: Arc<str> = path.to_string_lossy().into();
            let mut line = Vec::new();
            for number in 0..i64::try_from(limit).unwrap_or(i64::MAX) {
                if !read_line(&mut reader, &mut line, path)? {
                    break;
                }
                let position = Position { topic: Arc::clone(&name), partition: 0, offset: number };
                records.extend(record(&line, position, topic.as_ref()).ok().flatten());
            }
        }
        let mut topics: Vec<String> = Vec::new();
        for record in &records {
            if topics.iter().all(|topic| **topic != *record.origin.topic) {
                topics.push(record.origin.topic.to_string());
            }
        }
        Ok(Sample { topics, records })
    }

    /// Reads one line into the delivery; `false` at the end of the last file, and when the line has to wait.
    fn step(&mut self, delivery: &mut Delivery) -> Result<bool, Error> {
        if let Some(record) = self.held.take() {
            return self.deliver(record, delivery);
        }
        while let Some(file) = self.files.get_mut(self.current) {
            let reader = match &mut self.reader {
                Some(reader) => reader,
                None => {
                    file.next = 0;
                    self.reader.insert(BufReader::with_capacity(1 << 16, open_bytes(&file.path)?))
                }
            };
            if !read_line(reader, &mut self.line, &file.path)? {
                if file.next < file.from {
                    let (topic, position) = (file.name.to_string(), file.from);
                    return Err(Error::Position { topic, position, available: u64::try_from(file.next).unwrap_or(0) });
                }
                self.reader = None;
                self.current += 1;
                continue;
            }
            let position = Position { topic: Arc::clone(&file.name), partition: 0, offset: file.next };
            file.next += 1;
            if position.offset < file.from {
                continue;
            }
            match record(&self.line, position.clone(), self.topic.as_ref()) {
                Ok(Some(record)) => return self.deliver(record, delivery),
                Ok(None) => {}
                Err(why) => delivery.dead_letters.push(dead_letter(position, &why, &self.line)),
            }
            file.from = file.next;
            return Ok(true);
        }
        delivery.caught_up = true;
        Ok(false)
    }

    fn deliver(&mut self, record: OwnedRecord, delivery: &mut Delivery) -> Result<bool, Error> {
        self.held = decode::deliver(&self.tables, record, delivery)?;
        let delivered = self.held.is_none();
        if let Some(file) = self.files.get_mut(self.current).filter(|_| delivered) {
            file.from = file.next;
        }
        Ok(delivered)
    }
}

impl Source for ChangeFiles {
    fn seek(&mut self, positions: &[Position]) -> Result<(), Error> {
        for file in &mut self.files {
            let stored = positions.iter().find(|position| position.topic == file.name);
            file.from = stored.map_or(0, |position| position.offset);
            file.next = 0;
        }
        self.current = 0;
        self.reader = None;
        self.held = None;
        Ok(())
    }

    fn poll(&mut self, limit: usize, wait: Duration) -> Result<Delivery, Error> {
        let before: Vec<i64> = self.files.iter().map(|file| file.from).collect();
        let mut delivery = Delivery::default();
        let mut lines = 0;
        while delivery.has_room(lines, limit) {
            if !self.step(&mut delivery)? {
                break;
            }
            lines += 1;
        }
        if delivery.waiting.is_some() && lines == 0 {
            std::thread::sleep(wait.min(PAUSE));
        }
        let moved = self.files.iter().zip(before).filter(|(file, before)| file.from != *before);
        let at = |file: &ChangeFile| Position { topic: Arc::clone(&file.name), partition: 0, offset: file.from };
        delivery.next = moved.map(|(file, _)| at(file)).collect();
        Ok(delivery)
    }

    fn progress(&self) -> (u64, Option<u64>) {
        let lines = self.files.iter().map(|file| u64::try_from(file.from).unwrap_or(0)).sum();
        (lines, (self.current == self.files.len()).then_some(lines))
    }
}

/// Reads a line without its end; `false` at the end of the file. Of a line that is too long only the start is kept.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>, path: &Path) -> Result<bool, Error> {
    line.clear();
    let failed = |source| Error::File { doing: "read", path: path.to_owned(), source };
    let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
    if reader.by_ref().take(limit).read_until(b'\n', line).map_err(failed)? == 0 {
        return Ok(false);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() >= LINE_BYTES_MAX {
        reader.skip_until(b'\n').map_err(failed)?;
    }
    Ok(true)
}

/// The record on a line; `None` on an empty one.
fn record(line: &[u8], position: Position, topic: Option<&Arc<str>>) -> Result<Option<OwnedRecord>, String> {
    if line.len() >= LINE_BYTES_MAX {
        return Err(format!("the line has more than {LINE_BYTES_MAX} bytes"));
    }
    let text = str::from_utf8(line).map_err(|error| format!("not UTF-8 from byte {} on", error.valid_up_to()))?.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let row: Row<'_> = serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))?;
    let is_record = row.get("topic").is_some() && (row.get("value").is_some() || row.get("payload").is_some());
    if !is_record {
        let topic =
            topic.ok_or("a bare value, but no topic is set; set the table's `topic`, or write whole records")?;
        let origin = Position { topic: Arc::clone(topic), partition: 0, offset: position.offset };
        let value = Some(text.as_bytes().to_vec());
        return Ok(Some(OwnedRecord { origin, position, timestamp: None, key: None, value, headers: Vec::new() }));
    }
    let number = |name: &str| row.get(name).and_then(|json| json.parse::<i64>().ok());
    let origin = Position {
        topic: text_of(row.get("topic").unwrap_or("")).ok_or("field `topic` is not a text")?.as_ref().into(),
        partition: number("partition").and_then(|number| i32::try_from(number).ok()).unwrap_or(0),
        offset: number("offset").unwrap_or(position.offset),
    };
    let millis = number("timestamp").or_else(|| number("timestamp_ms")).or_else(|| number("ts"));
    let bytes = |names: [&str; 2]| {
        let json = names.iter().find_map(|name| row.get(name)).unwrap_or("null");
        bytes_of(json).ok_or_else(|| format!("field `{}`: `{}` is not hexadecimal", names[0], clip(json)))
    };
    Ok(Some(OwnedRecord {
        origin,
        position,
        timestamp: millis.map(|millis| EventTime(millis.saturating_mul(1_000))),
        key: bytes(["key", "key"])?,
        value: bytes(["value", "payload"])?,
        headers: headers(row.get("headers").unwrap_or("null"))?,
    }))
}

/// A text's bytes, those of `{"hex":..}`, or those of other JSON as it stands.
fn bytes_of(json: &str) -> Option<Option<Vec<u8>>> {
    if json == "null" {
        return Some(None);
    }
    if let Some(text) = text_of(json) {
        return Some(Some(text.as_bytes().to_vec()));
    }
    let row: Row<'_> = serde_json::from_str(json).unwrap_or_default();
    match row.get("hex").and_then(text_of).filter(|_| row.0.len() == 1) {
        Some(digits) => hexadecimal(&digits).map(Some),
        None => Some(Some(json.as_bytes().to_vec())),
    }
}

fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    let is_hexadecimal = digits.len().is_multiple_of(2) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.as_bytes().chunks(2).map(pair).collect::<Option<Vec<u8>>>().filter(|_| is_hexadecimal)
}

/// Headers as an object, or as one list of names and values in turn.
fn headers(json: &str) -> Result<Vec<Header>, String> {
    let wrong = || format!("field `headers`: `{}` is neither an object nor a list of names and values", clip(json));
    let value = |json: &str| bytes_of(json).ok_or_else(wrong);
    if json == "null" {
        return Ok(Vec::new());
    }
    if let Ok(row) = serde_json::from_str::<Row<'_>>(json) {
        return row.0.iter().map(|(name, json)| Ok((name.to_string(), value(json)?))).collect();
    }
    let list: Vec<&serde_json::value::RawValue> = serde_json::from_str(json).map_err(|_| wrong())?;
    let pairs = list
        .chunks_exact(2)
        .map(|pair| Ok((text_of(pair[0].get()).ok_or_else(wrong)?.into_owned(), value(pair[1].get())?)));
    pairs.collect()
}

fn dead_letter(position: Position, why: &str, line: &[u8]) -> DeadLetter {
    let reason = format!("line {} of `{}`: {why}", position.offset + 1, position.topic);
    let value = Some(line[..line.len().min(RECORD_BYTES_MAX)].to_vec());
    DeadLetter { position, stage: Stage::Decode, reason, key: None, value, headers: Vec::new(), timestamp: None }
}
