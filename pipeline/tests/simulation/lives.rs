//! The lives of one application: processes that start, work, fail and are followed by others, until one comes to the end.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use graph_store::{Options, SimulatedDisk, Store};
use pipeline::driver::Driver;
use relational::EventTime;
use sinks::{ExactlyOnce, ProcessId, StoreId, TopicRecord, Topics};

use crate::broker::{Producer, Shared};
use crate::dice::Dice;
use crate::shop::{Log, Reader, Shops};

/// A fault of the program that the simulation must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plant {
    /// None.
    Nothing,
    /// Where to read on is committed before the rows and the outbox.
    PositionsFirst,
    /// The account of what left is written outside its transaction.
    EntryOutside,
}

/// The kinds of fault.
pub(crate) const FAULTS: [&str; 20] = [
    "crash before a call",
    "crash after a commit",
    "crash at a poll",
    "crash between two rounds",
    "disk stops",
    "disk stops after a write",
    "newest commits lost",
    "no take-over",
    "producer lost",
    "record refused",
    "positions refused",
    "transaction aborted",
    "shut out by the broker",
    "account not read",
    "commit not heard",
    "commit not acknowledged",
    "abort not acknowledged",
    "shut out",
    "partitions assigned anew",
    "older store brought back",
];

/// What became of a seed.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) trace: String,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// What is wrong, if anything.
    pub(crate) verdict: Result<(), String>,
}

/// Lives that may fail; the next one is left in peace.
const FAILING_LIVES: usize = 5;

/// Rounds of one life: more would mean that it does not come to its end.
const ROUNDS_MAX: usize = 3_000;

/// One process.
struct Process {
    driver: Driver,
    clock: EventTime,
}

/// Everything that outlives a process.
struct Place<'a> {
    shops: &'a Shops,
    log: Arc<Log>,
    broker: Shared,
    /// Whether time is the wall clock's.
    is_live: bool,
    sync: bool,
    clock: EventTime,
}

impl Place<'_> {
    fn start(&self, disk: &SimulatedDisk) -> Result<Process, String> {
        self.open(disk).map_err(|failure| failure.to_string())
    }

    fn open(&self, disk: &SimulatedDisk) -> Result<Process, Box<dyn Error>> {
        let world = &self.shops.world;
        let options = Options { memory_bytes: 8 << 20, sync: self.sync, ..Options::default() };
        let store = Arc::new(Store::open_simulated(disk, Arc::clone(&world.schema), &options)?);
        let topics = Topics { app: "sim".into(), scores: BTreeMap::new() };
        let process = ProcessId(self.broker.lock().dice.number());
        let sink = ExactlyOnce::new(topics, StoreId(7), process, Producer::new(self.broker.clone()));
        let source = Reader::new(Arc::clone(&self.log), self.broker.clone(), self.is_live);
        let scorers = world.scorers(&store);
        let driver = Driver::with_source(world, &store, scorers, Some(Box::new(sink)), Box::new(source))?;
        Ok(Process { driver, clock: self.clock })
    }

    /// The process is gone with whatever its disk had not flushed.
    fn kill(&self, process: Option<Process>, disk: &SimulatedDisk) {
        disk.stop_after(0, false);
        drop(process);
        let mut broker = self.broker.lock();
        let unflushed = disk.unflushed();
        let kept = broker.dice.below(unflushed + 1);
        if kept < unflushed {
            broker.dice.happens("newest commits lost");
        }
        drop(broker);
        disk.crash(kept);
    }
}

impl Process {
    /// One round. Returns whether the input has been read and answered to its end.
    fn round(&mut self, is_live: bool) -> Result<bool, String> {
        self.advance(is_live).map_err(|failure| failure.to_string())
    }

    fn advance(&mut self, is_live: bool) -> Result<bool, Box<dyn Error>> {
        self.clock = self.clock.plus(1_800 * EventTime::SECOND);
        let now = is_live.then_some(self.clock);
        if !self.driver.round(now, Duration::ZERO)? {
            return Ok(false);
        }
        self.driver.due(Some(EventTime::MAX))?;
        self.driver.finish()?;
        Ok(true)
    }
}

/// Lives until the end of the input, and judges what was published.
pub(crate) fn live(shops: &Shops, seed: u64, plant: Plant) -> Told {
    let mut dice = Dice::new(seed);
    let log = Arc::clone(&shops.logs[dice.below(shops.logs.len())]);
    let (is_live, sync) = (dice.below(3) == 0, dice.below(2) == 0);
    let broker = Shared::new(dice);
    broker.lock().entries_outside = plant == Plant::EntryOutside;
    let mut place =
        Place { shops, log, broker: broker.clone(), is_live, sync, clock: EventTime(1_710_000_000_000_000) };
    let ended = all_lives(&mut place, plant);
    let broker = broker.lock();
    let published: Vec<&TopicRecord> = broker.committed().collect();
    let verdict = ended.and_then(|()| judge(&place, &published, &broker));
    let mut trace = broker.dice.trace.clone();
    for record in &published {
        writeln!(trace, "{}", shown(record)).expect("text");
    }
    Told { trace, faults: broker.dice.faults.clone(), verdict }
}

fn all_lives(place: &mut Place<'_>, plant: Plant) -> Result<(), String> {
    let mut disk = new_disk(plant);
    let mut copies = vec![new_disk(plant)];
    for number in 0.. {
        let calm = number >= FAILING_LIVES;
        if calm {
            place.broker.lock().dice.calm();
            // One that stops no more.
            disk = copy(&disk, plant);
        } else {
            stop_sometime(place, &disk);
        }
        place.broker.lock().dice.say("start");
        let mut process = match place.start(&disk) {
            Ok(process) => process,
            Err(failure) => {
                wrong_if_calm(place, &failure)?;
                place.kill(None, &disk);
                continue;
            }
        };
        let end = one_life(place, &mut process)?;
        place.clock = process.clock;
        match end {
            End::Complete => return Ok(()),
            End::Stopped => {
                drop(process);
                if place.broker.lock().dice.below(2) == 0 {
                    copies.push(copy(&disk, plant));
                }
            }
            End::Crashed => place.kill(Some(process), &disk),
            End::Overtaken => {
                // It goes on beside the one that takes over from a copy of its store, and must not be heard.
                let other = copy(&disk, plant);
                if let Ok(newer) = place.start(&other) {
                    for _ in 0..3 {
                        drop(process.round(place.is_live));
                    }
                    drop(newer);
                }
                place.kill(Some(process), &disk);
                place.kill(None, &other);
                disk = other;
            }
        }
        let mut broker = place.broker.lock();
        if !calm && broker.dice.below(6) == 0 {
            broker.dice.happens("older store brought back");
            let older = broker.dice.below(copies.len());
            drop(broker);
            disk = copy(&copies[older], plant);
        }
    }
    unreachable!("a calm life comes to its end")
}

/// How a life ends.
enum End {
    Complete,
    Stopped,
    Crashed,
    Overtaken,
}

fn one_life(place: &Place<'_>, process: &mut Process) -> Result<End, String> {
    for _ in 0..ROUNDS_MAX {
        {
            let mut broker = place.broker.lock();
            if broker.dice.fails("crash between two rounds") {
                return Ok(End::Crashed);
            }
            if !broker.dice.is_calm() {
                match broker.dice.below(60) {
                    0 => {
                        broker.dice.say("stop");
                        return Ok(End::Stopped);
                    }
                    1 => {
                        broker.dice.say("overtaken");
                        return Ok(End::Overtaken);
                    }
                    _ => {}
                }
            }
        }
        match process.round(place.is_live) {
            Ok(true) => return Ok(End::Complete),
            Ok(false) => {}
            Err(failure) => {
                wrong_if_calm(place, &failure)?;
                return Ok(End::Crashed);
            }
        }
    }
    Err(format!("no end after {ROUNDS_MAX} rounds"))
}

fn wrong_if_calm(place: &Place<'_>, failure: &str) -> Result<(), String> {
    let mut broker = place.broker.lock();
    broker.dice.say(&format!("failed: {failure}"));
    if broker.dice.is_calm() { Err(format!("it fails without a fault: {failure}")) } else { Ok(()) }
}

fn new_disk(plant: Plant) -> SimulatedDisk {
    copy(&SimulatedDisk::default(), plant)
}

fn copy(disk: &SimulatedDisk, plant: Plant) -> SimulatedDisk {
    let copy = disk.copy();
    if plant == Plant::PositionsFirst {
        copy.split_positions();
    }
    copy
}

/// The disk may stop at any write of the life that begins.
fn stop_sometime(place: &Place<'_>, disk: &SimulatedDisk) {
    let mut broker = place.broker.lock();
    if broker.dice.below(2) == 0 {
        let writes = broker.dice.below(150);
        let carried_out = broker.dice.below(2) == 0;
        broker.dice.happens(if carried_out { "disk stops after a write" } else { "disk stops" });
        disk.stop_after(u64::try_from(writes).expect("few"), carried_out);
    }
}

/// A record without when and in which life it was made.
fn said(record: &TopicRecord) -> TopicRecord {
    let headers = record.headers.iter().filter(|(name, _)| name != "foreshore-outbox").cloned().collect();
    let value = record.value.as_ref().map(|bytes| match serde_json::from_slice::<serde_json::Value>(bytes) {
        Ok(mut value) => {
            value.as_object_mut().and_then(|score| score.remove("scored_at"));
            value.to_string().into_bytes()
        }
        Err(_) => bytes.clone(),
    });
    TopicRecord { headers, value, ..record.clone() }
}

/// All of a record, to be read.
fn shown(record: &TopicRecord) -> String {
    let text = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
    let headers = record.headers.iter().map(|(name, value)| format!(" {name}={}", text(value)));
    format!("{} {} {}{}", record.topic, text(&record.key), text(&record.value), headers.collect::<String>())
}

/// What a record says of itself.
fn name(record: &TopicRecord) -> String {
    let text = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
    let header = |name: &str| record.headers.iter().find(|(header, _)| header == name).map(|(_, value)| text(value));
    let value: serde_json::Value = serde_json::from_str(&text(&record.value)).unwrap_or_default();
    match header("__connect.errors.offset") {
        Some(offset) => format!("{} offset {offset}", record.topic),
        None if record.value.is_none() => format!("{} gone {}", record.topic, header("ce_id").unwrap_or_default()),
        None => format!("{} {} {} {}", record.topic, text(&record.key), value["cutoff"], value["revision"]),
    }
}

fn judge(place: &Place<'_>, published: &[&TopicRecord], broker: &crate::broker::Broker) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for record in published {
        if !seen.insert(name(record)) {
            return Err(format!("{} left twice", name(record)));
        }
    }
    let letters = published.iter().filter(|record| record.topic == "sim.dlq").count();
    if letters != 1 {
        return Err(format!("one record cannot be read, and {letters} dead letters left"));
    }
    for ((topic, partition), end) in &place.log.ends {
        // The group is told what moved; a store that was brought back and reads nothing more tells nothing more.
        if broker.group(topic, *partition).is_some_and(|offset| offset > *end) {
            return Err(format!("the group stands behind the end of {topic}[{partition}]"));
        }
    }
    let expected = undisturbed(place)?;
    if place.is_live {
        // Which scores are made between depends on the clock; that every payment has one does not, once there is a past.
        let scored: BTreeSet<&[u8]> = published
            .iter()
            .filter(|record| record.topic == "sim.fraud")
            .filter_map(|record| record.key.as_deref())
            .collect();
        let payments = place.log.payments.iter().skip(place.log.payments.len() * 3 / 4);
        let missing: Vec<&String> = payments.filter(|payment| !scored.contains(payment.as_bytes())).collect();
        return if missing.is_empty() { Ok(()) } else { Err(format!("payments {missing:?} have no score")) };
    }
    for topic in ["sim.fraud", "sim.churn", "sim.weekly"] {
        let of = |record: &&TopicRecord| record.topic == topic;
        compare(published.iter().copied().filter(of), expected.iter().filter(of))?;
    }
    Ok(())
}

/// What left to a topic, and what leaves without faults. A schedule's point is scored as of what has arrived when the
/// point is reached, which the size of a delivery decides: of these scores only the names are the same.
fn compare<'a>(
    found: impl Iterator<Item = &'a TopicRecord>,
    expected: impl Iterator<Item = &'a TopicRecord>,
) -> Result<(), String> {
    let comparable = |record: &TopicRecord| {
        if record.topic == "sim.weekly" {
            TopicRecord { value: Some(name(record).into_bytes()), headers: Vec::new(), ..record.clone() }
        } else {
            said(record)
        }
    };
    let (found, expected): (Vec<_>, Vec<_>) = (found.map(comparable).collect(), expected.map(comparable).collect());
    match found.iter().zip(&expected).find(|(found, expected)| found != expected) {
        Some((found, expected)) => Err(format!("not as without faults:\n{}\n{}", shown(found), shown(expected))),
        None if found.len() != expected.len() => {
            Err(format!("{} records left, {} without faults", found.len(), expected.len()))
        }
        None => Ok(()),
    }
}

/// What leaves when nothing fails.
fn undisturbed<'a>(place: &'a Place<'_>) -> Result<&'a [TopicRecord], String> {
    if let Some(records) = place.log.expected.get() {
        return Ok(records);
    }
    let mut dice = Dice::new(0);
    dice.calm();
    let (broker, log) = (Shared::new(dice), Arc::clone(&place.log));
    let calm = Place { broker: broker.clone(), log, is_live: false, sync: true, ..*place };
    let mut process = calm.start(&SimulatedDisk::default())?;
    for _ in 0..ROUNDS_MAX {
        if process.round(false)? {
            let records = broker.lock().committed().cloned().collect();
            return Ok(place.log.expected.get_or_init(|| records));
        }
    }
    Err("no end without faults".into())
}
