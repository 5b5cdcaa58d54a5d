//! `foreshore dlq`

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use sinks::DeadLetterRecord;

use crate::cli::{Dlq, DlqWhat, Format};
use crate::config::SinkSettings;
use crate::driver::Driver;
use crate::output;
use crate::world::{Failure, World, sink_settings, sink_topics, written_topics};

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
        SinkSettings::Kafka(output) => {
            sink_topics(&world.settings, output)?;
            let stored = sinks::read_dead_letters(&sink_settings(&world.settings, output))?;
            Ok(stored.into_iter().map(|stored| stored.letter).collect::<Result<_, _>>()?)
        }
        SinkSettings::Fluvio(_) => {
            let topic = written_topics(&world.settings).dead_letters();
            let message = format!(
                "refused records of a Fluvio sink are not read back; look at them with `fluvio consume {topic} -B`"
            );
            Err(Failure::Usage(message))
        }
        SinkSettings::JsonLines(_) | SinkSettings::Parquet(_) => {
            let lines = lines(&letters_file(world))?;
            // A shorter file is another one.
            let replayed = Some(replayed(world)?).filter(|replayed| *replayed <= lines.len());
            let open = lines.iter().skip(replayed.unwrap_or(0));
            open.map(|line| Ok(DeadLetterRecord::from_line(line)?)).collect()
        }
    }
}

/// Where file sinks keep refused records, see `docs/scores.md`.
fn letters_file(world: &World) -> PathBuf {
    let scores = match &world.settings.sink {
        SinkSettings::JsonLines(path) if path == Path::new("-") => PathBuf::from(&world.settings.app.name),
        SinkSettings::Parquet(path) => path.with_extension(""),
        SinkSettings::JsonLines(path) => path.clone(),
        SinkSettings::Kafka(_) | SinkSettings::Fluvio(_) => unreachable!("such a sink's dead letters are in a topic"),
    };
    let mut name = scores.into_os_string();
    name.push(".dlq.jsonl");
    PathBuf::from(name)
}

fn lines(path: &Path) -> Result<Vec<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// The sink goes on at the end of the file of dead letters, so the file stays as it is; how many of its lines were
/// replayed stands beside it.
fn replayed_file(world: &World) -> PathBuf {
    letters_file(world).with_extension("replayed")
}

fn replayed(world: &World) -> Result<usize, Failure> {
    let path = replayed_file(world);
    let Some(line) = lines(&path)?.into_iter().next() else { return Ok(0) };
    line.parse().map_err(|_| Failure::Usage(format!("`{}` does not hold a number of lines; remove it", path.display())))
}

/// Refused records are decoded again with today's config. Those that now fit are applied; the others come back to the
/// dead letters with a higher attempt.
fn replay(world: &World) -> Result<(), Failure> {
    let records = read(world)?;
    if records.is_empty() {
        return Ok(output::print_line("there are no refused records")?);
    }
    if let SinkSettings::Kafka(output) = &world.settings.sink {
        sinks::send_back(&sink_settings(&world.settings, output), &records)?;
        let line = format!("{} records sent back to their topics; `foreshore run` reads them there", records.len());
        return Ok(output::print_line(&line)?);
    }
    let store = world.open_store(true)?;
    let sink = world.sink(&store)?;
    let (before, count) = (replayed(world)?, records.len());
    let delivery = world.decode_again(records)?;
    let (fit, refused) = (delivery.changes.len(), delivery.dead_letters.len());
    let mut driver = Driver::open(world, &store, world.scorers(&store), Some(sink))?;
    driver.apply(delivery)?;
    driver.finish()?;
    drop(driver);
    // Those that were refused again stand behind the ones that were read.
    let unfinished = replayed_file(world).with_extension("unfinished");
    fs::write(&unfinished, format!("{}\n", before + count))?;
    fs::rename(unfinished, replayed_file(world))?;
    Ok(output::print_line(&format!("{fit} changes applied, {refused} records refused again"))?)
}
