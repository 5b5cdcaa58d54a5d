//! Real records of Debezium, damaged at random: each is applied, set aside or refused with its place, and none is lost.
//!
//! More records, or another seed: see CONTRIBUTING.md. The seed is printed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingest::decode::{Format, Mapping, OwnedRecord, Tables, deliver};
use ingest::ndjson::ChangeFiles;
use ingest::registry::Registry;
use ingest::{Delivery, Error, Source};
use pipeline::config::{self, Document};
use pipeline::driver::Driver;
use pipeline::world::World;
use relational::{Position, TableId};
use sinks::{Outgoing, Receipt, Sink};

use crate::registry::{shop, shop_registry};

/// What became of the records.
#[derive(Debug, Default)]
struct Fates {
    applied: u64,
    refused: u64,
    set_aside: u64,
    changes: u64,
}

/// Hands over mutated records, and counts what the decoder makes of each.
struct Mutated {
    tables: Tables,
    samples: Vec<OwnedRecord>,
    dice: Dice,
    next: i64,
    count: i64,
    fates: Arc<Mutex<Fates>>,
}

impl Source for Mutated {
    fn seek(&mut self, _: &[Position]) -> Result<(), Error> {
        Ok(())
    }

    fn poll(&mut self, limit: usize, _: Duration) -> Result<Delivery, Error> {
        let mut delivery = Delivery::default();
        let mut fates = self.fates.lock().expect("unpoisoned");
        while self.next < self.count && delivery.changes.len() + 2 <= limit {
            let record = self.dice.mutated(&self.samples, self.next);
            self.next += 1;
            let before = (delivery.changes.len(), delivery.dead_letters.len());
            let held = deliver(&self.tables, record, &mut delivery)?;
            assert!(held.is_none(), "the registry has answered: {:?}", delivery.waiting);
            let made = (delivery.changes.len() - before.0, delivery.dead_letters.len() - before.1);
            match made {
                (0, 0) => fates.set_aside += 1,
                (0, 1) => fates.refused += 1,
                (1..=2, 0) => fates.applied += 1,
                other => panic!("a record made {other:?}"),
            }
            fates.changes += made.0 as u64;
        }
        delivery.next.push(Position { topic: "mutations".into(), partition: 0, offset: self.next });
        delivery.caught_up = self.next == self.count;
        Ok(delivery)
    }

    fn progress(&self) -> (u64, Option<u64>) {
        (0, None)
    }
}

/// Counts dead letters, and sees that each says why.
struct Letters(Arc<Mutex<(u64, BTreeMap<String, u64>)>>);

impl Sink for Letters {
    fn publish(&mut self, batch: &[(u64, Outgoing)], _: &[Position]) -> Result<Receipt, sinks::Error> {
        let mut seen = self.0.lock().expect("unpoisoned");
        for (_, outgoing) in batch {
            let Outgoing::DeadLetter(record) = outgoing else { panic!("there is no task: {outgoing:?}") };
            let letter = &record.letter;
            assert!(letter.reason.len() > 20 && letter.position.offset >= 0, "{letter:?}");
            // Up to the first particular.
            let start = letter.reason.split(['`', '{', '(', ':', '"']).next().unwrap_or_default();
            let start: String = start.chars().filter(|letter| letter.is_ascii_alphabetic() || *letter == ' ').collect();
            *seen.1.entry(start).or_default() += 1;
            seen.0 += 1;
        }
        Ok(Receipt::default())
    }

    fn flush(&mut self) -> Result<(), sinks::Error> {
        Ok(())
    }
}

/// `SplitMix64` (Steele, Lea, Flood, 2014): small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end.max(1) as u64).expect("below a usize")
    }

    /// A sample with one or two damages, at its own place.
    fn mutated(&mut self, samples: &[OwnedRecord], offset: i64) -> OwnedRecord {
        let mut record = samples[self.below(samples.len())].clone();
        let other = &samples[self.below(samples.len())];
        for _ in 0..=self.below(2) {
            match self.below(16) {
                0 => std::mem::swap(&mut record.key, &mut record.value),
                1 => record.key = other.key.clone(),
                2 => record.value = None,
                3 => record.key = None,
                4 => record.origin.topic = Arc::clone(&other.origin.topic),
                5 | 6 => self.damage(&mut record.key, other.key.as_deref()),
                _ => self.damage(&mut record.value, other.value.as_deref()),
            }
        }
        record.origin.offset = offset;
        record.position = record.origin.clone();
        record
    }

    fn damage(&mut self, bytes: &mut Option<Vec<u8>>, other: Option<&[u8]>) {
        let Some(bytes) = bytes.as_mut().filter(|bytes| !bytes.is_empty()) else { return };
        let at = self.below(bytes.len());
        let end = (at + 1 + self.below(12)).min(bytes.len());
        match self.below(9) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = self.roll().to_le_bytes()[0],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            5 => {
                let piece = other.map_or(&[][..], |other| &other[other.len().min(at)..other.len().min(end)]).to_vec();
                bytes.splice(at..end, piece);
            }
            _ => self.replace_token(bytes, at),
        }
    }

    /// Puts another value in the place of one behind `at`, so that most of the damage is still JSON.
    fn replace_token(&mut self, bytes: &mut Vec<u8>, at: usize) {
        const TOKENS: [&str; 18] = [
            "null",
            "true",
            "-1",
            "0",
            "9223372036854775807",
            "18446744073709551616",
            "1e400",
            "1.5",
            "\"\"",
            "\"x\"",
            "\"NaN\"",
            "\"BNI=\"",
            "[]",
            "{}",
            "[[1]]",
            "{\"scale\":200,\"value\":\"//8=\"}",
            "\"2024-02-30\"",
            "\"\\ud800\"",
        ];
        let Some(colon) = bytes[at..].iter().position(|byte| *byte == b':') else {
            bytes[at] = self.roll().to_le_bytes()[0];
            return;
        };
        let start = at + colon + 1;
        let length = bytes[start..].iter().position(|byte| matches!(byte, b',' | b'}' | b']')).unwrap_or(0);
        let token = TOKENS[self.below(TOKENS.len())].bytes();
        bytes.splice(start..start + length, token);
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect("a whole number"))
}

/// The shop of the captures, and beside Debezium's topics one table for each other format.
fn world(folder: &std::path::Path) -> World {
    let text = format!(
        "[app]\nname = \"mutations\"\nstore = {:?}\nsync = false\n[source]\nkind = \"changes\"\nfiles = {:?}\n\
         [sink]\npath = \"none\"\n",
        folder.join("store"),
        shop("json.jsonl.gz")
    );
    let document = Document { file: "mutations.toml".into(), text };
    World::new(config::parse(document, Vec::new()).expect("a config")).expect("the tables are learnt")
}

fn tables(world: &World, registry: Registry) -> Tables {
    let schema = Arc::clone(&world.schema);
    let mapping = |table, topic: Option<String>, format| Mapping { table, topic, format, hints: Vec::new() };
    let mut mappings = Vec::new();
    for (place, (id, table)) in schema.tables().enumerate() {
        let format = [Format::Flattened, Format::Upsert, Format::Append][place % 3];
        mappings.push(mapping(id, Some(format!("rows.{}", table.name)), format));
        mappings.push(mapping(id, None, Format::Debezium));
    }
    assert!(mappings.iter().any(|mapping| mapping.table == TableId(2)), "three tables and three formats");
    Tables::new(schema, mappings).expect("valid tables").with_registry(Some(Arc::new(registry)))
}

/// The captures, each record also under a topic whose value is the row itself.
fn samples() -> Vec<OwnedRecord> {
    let files = [shop("json.jsonl.gz"), shop("avro.jsonl.gz")];
    let mut samples = ChangeFiles::sample(&files, None, 1_000).expect("readable").records;
    // Of transactions there are as many as of rows, and they are only set aside.
    samples.retain(|record| !record.origin.topic.ends_with(".transaction") || record.origin.offset < 2);
    for record in samples.clone() {
        let Some(value) = record.value.as_deref().filter(|value| value.first() == Some(&b'{')) else { continue };
        let value: serde_json::Value = serde_json::from_slice(value).expect("the capture is JSON");
        let row = &value["payload"]["after"];
        if row.is_object() {
            let name = record.origin.topic.rsplit('.').next().expect("a name");
            let origin = Position { topic: format!("rows.{name}").into(), ..record.origin };
            samples.push(OwnedRecord { origin, value: Some(row.to_string().into_bytes()), ..record });
        }
    }
    samples
}

#[test]
fn of_mutated_records_each_is_applied_set_aside_or_refused_with_its_place() {
    let (count, seed) = (number("FORESHORE_MUTATIONS", 20_000), number("FORESHORE_SEED", 1));
    eprintln!("{count} mutated records, FORESHORE_SEED={seed}");
    let stand = shop_registry();
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(folder.path());
    let registry = Registry::new(stand.settings()).expect("valid settings");
    let fates: Arc<Mutex<Fates>> = Arc::default();
    let source = Mutated {
        tables: tables(&world, registry),
        samples: samples(),
        dice: Dice(seed),
        next: 0,
        count: i64::try_from(count).expect("a number of records"),
        fates: Arc::clone(&fates),
    };
    let letters: Arc<Mutex<_>> = Arc::default();
    let store = world.open_store(false).expect("a new store");
    let sink = Box::new(Letters(Arc::clone(&letters)));
    let mut driver =
        Driver::with_source(&world, &store, Vec::new(), Some(sink), Box::new(source)).expect("a new store");
    while !driver.round(None, Duration::ZERO).expect("no record stops the loop") {}
    driver.finish().expect("the store goes on");

    let (letters, reasons) = std::mem::take(&mut *letters.lock().expect("unpoisoned"));
    let fates = std::mem::take(&mut *fates.lock().expect("unpoisoned"));
    eprintln!("{fates:?}\nby reason: {reasons:#?}");
    assert_eq!(fates.applied + fates.refused + fates.set_aside, count);
    // The store refuses what the decoder could not know (a key that is too long): one change, one dead letter.
    let refused_by_store = letters - fates.refused;
    assert_eq!(driver.counts.rejected_total(), letters);
    assert!(refused_by_store <= fates.changes);
    assert!(fates.applied > count / 20 && fates.refused > count / 20 && fates.set_aside > count / 200, "{fates:?}");
}
