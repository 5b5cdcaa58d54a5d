//! `foreshore dlq`

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use sinks::DeadLetterRecord;

use crate::cli::{Dlq, DlqWhat, Format};
use crate::config::SinkSettings;
use crate::driver::Driver;
use crate::output;
use crate::world::{Failure, World};

pub(super) fn dlq(arguments: &Dlq) -> Result<(), Failure> {
    match &arguments.what {
        DlqWhat::List { common, limit, format } => list(&World::load(common)?, *limit, *format),
        DlqWhat::Replay { common } => replay(&World::load(common)?),
    }
}

fn list(world: &World, limit: usize, format: Format) -> Result<(), Failure> {
    let mut records = read(world)?;
    let first = records.len().saturating_sub(limit);
    let shown = records.split_off(first);
    if format == Format::Json {
        let list = shown.iter().map(|record| {
            let letter = &record.letter;
            json!({
                "topic": &*letter.position.topic, "partition": letter.position.partition, "offset": letter.position.offset,
                "stage": letter.stage.name(), "reason": letter.reason, "attempt": record.attempt,
                "key": letter.key.as_deref().map(String::from_utf8_lossy), "value": letter.value.as_deref().map(String::from_utf8_lossy),
            })
        });
        return Ok(output::print_json(&Json::Array(list.collect()))?);
    }
    let rows = shown.iter().map(|record| {
        let letter = &record.letter;
        vec![
            letter.position.to_string(),
            letter.stage.name().to_owned(),
            record.attempt.to_string(),
            letter.reason.clone(),
        ]
    });
    Ok(output::print_table(&["record", "refused at", "attempt", "reason"], rows)?)
}

/// Where the sink keeps refused records: a topic, or a file beside the scores.
fn read(world: &World) -> Result<Vec<DeadLetterRecord>, Failure> {
    match &world.settings.sink {
        SinkSettings::Kafka { brokers, options } => {
            let stored = sinks::read_dead_letters(&world.sink_settings(brokers, options))?;
            Ok(stored.into_iter().map(|stored| stored.letter).collect::<Result<_, _>>()?)
        }
        SinkSettings::JsonLines(path) if path == Path::new("-") => {
            from_file(&beside(Path::new(&world.settings.app.name)))
        }
        SinkSettings::JsonLines(path) => from_file(&beside(path)),
        SinkSettings::Parquet(path) => from_file(&beside(&path.with_extension(""))),
    }
}

/// Where file sinks keep refused records, see `docs/scores.md`.
fn beside(scores: &Path) -> PathBuf {
    let mut name = scores.as_os_str().to_owned();
    name.push(".dlq.jsonl");
    PathBuf::from(name)
}

fn from_file(path: &Path) -> Result<Vec<DeadLetterRecord>, Failure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let lines = BufReader::new(file).lines();
    lines.map(|line| Ok(DeadLetterRecord::from_line(&line?)?)).collect()
}

/// Refused records are decoded again with today's config. Those that now fit are applied; the others come back to the
/// dead letters with a higher attempt.
fn replay(world: &World) -> Result<(), Failure> {
    let records = read(world)?;
    if records.is_empty() {
        return Ok(output::print_line("there are no refused records")?);
    }
    if let SinkSettings::Kafka { brokers, options } = &world.settings.sink {
        sinks::send_back(&world.sink_settings(brokers, options), &records)?;
        let line = format!("{} records sent back to their topics; `foreshore run` reads them there", records.len());
        return Ok(output::print_line(&line)?);
    }
    let store = world.open_store(true)?;
    let sink = world.sink(&store)?;
    let delivery = world.decode_again(records)?;
    let (fit, refused) = (delivery.changes.len(), delivery.dead_letters.len());
    let mut driver = Driver::open(world, &store, world.scorers(&store), Some(sink))?;
    driver.apply(delivery)?;
    driver.finish()?;
    Ok(output::print_line(&format!("{fit} changes applied, {refused} records refused again"))?)
}
