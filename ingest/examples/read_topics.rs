//! How fast topics are read and decoded from a broker: `read_topics BROKERS TOPIC..`, each topic in format `upsert` with
//! the columns that its newest records show, and the first of them as key. Prints changes per second.

#![expect(clippy::print_stdout, reason = "an example says what it measured")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use ingest::decode::{Format, Mapping, Tables, learn};
use ingest::kafka::{KafkaSettings, KafkaSource};
use ingest::{Error, Source};
use relational::{ColumnId, Schema, Table, TableId};

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((brokers, topics)) = arguments.split_first() else {
        println!("usage: read_topics BROKERS TOPIC..");
        return Ok(());
    };
    let settings = KafkaSettings::new(brokers.as_str(), topics.to_vec(), "read-topics");
    let sample = KafkaSource::sample(&settings, 100)?;
    let mut tables = Vec::new();
    let mut mappings = Vec::new();
    for (topic, table) in topics.iter().zip((0..).map(TableId)) {
        let records: Vec<_> = sample.records.iter().filter(|record| *record.origin.topic == **topic).collect();
        let learned = learn(&records.iter().map(|record| record.as_record()).collect::<Vec<_>>());
        let columns = learned.map_or_else(Vec::new, |learned| learned.columns);
        tables.push(Table { name: topic.clone(), columns, key: vec![ColumnId(0)], time: None });
        mappings.push(Mapping { table, topic: Some(topic.clone()), format: Format::Upsert, hints: Vec::new() });
    }
    let tables = Tables::new(Arc::new(Schema::new(tables, Vec::new())?), mappings)?;
    let mut source = KafkaSource::connect(settings, Arc::new(tables))?;
    let start = Instant::now();
    let (mut changes, mut refused) = (0, 0);
    loop {
        let delivery = source.poll(1_000, Duration::from_millis(100))?;
        changes += delivery.changes.len();
        refused += delivery.dead_letters.len();
        if delivery.caught_up {
            break;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 changes")]
    let rate = changes as f64 / seconds;
    println!("{changes} changes, {refused} refused, {seconds:.1} s, {rate:.0} changes/s");
    Ok(())
}
