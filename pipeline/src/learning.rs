//! Tables that the config does not describe in full are learnt from a sample of the source, as one more layer of the
//! config between the defaults and the file. The layer is kept with the store, so that a restart has the same schema.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ingest::fluvio::FluvioSource;
use ingest::kafka::KafkaSource;
use ingest::learning::{LearnedTable, Sample, learn_tables, meanings};
use ingest::ndjson::ChangeFiles;
use toml::{Table, Value};

use crate::config::{RawSourceKind, Settings, SinkSettings};
use crate::tables;
use crate::world::{Failure, fluvio_source, kafka_settings, registry, written_topics};

/// Records of each partition that are looked at.
const RECORDS: usize = 500;

/// Lines of each file that are looked at; they hold the records of several topics.
const LINES: usize = 10_000;

/// How long a start waits for a schema registry, as long as for brokers.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was learnt.
#[derive(Debug)]
pub struct Learned {
    /// `[tables]` as a config would say it.
    layer: Table,
    /// What a reader should look at before relying on it; only when it has just been learnt.
    pub notes: Vec<String>,
}

impl Learned {
    /// The names of the tables.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.layer.keys().map(String::as_str)
    }

    /// Writes the layer into the store's directory, whole or not at all, unless it is there.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written.
    pub(crate) fn keep(&self, store: &Path) -> Result<(), Failure> {
        let path = file(store);
        if path.exists() {
            return Ok(());
        }
        fs::create_dir_all(store)?;
        let unfinished = path.with_extension("unfinished");
        let mut written = fs::File::create(&unfinished)?;
        let head = "# What Foreshore learnt of the tables when this store was made; the config goes before it.\n\n";
        written.write_all(head.as_bytes())?;
        let text = toml::to_string(&self.layer).expect("a table of texts and lists is TOML");
        written.write_all(text.as_bytes())?;
        written.sync_all()?;
        Ok(fs::rename(unfinished, path)?)
    }
}

/// Completes the config's tables: with what the store remembers, else with what a sample of the source shows.
///
/// # Errors
///
/// When the source cannot be read, or a table cannot be learnt.
pub(crate) fn complete(settings: &mut Settings) -> Result<Option<Learned>, Failure> {
    if settings.is_whole() {
        return Ok(None);
    }
    let learned = match remembered(&settings.app.store)? {
        Some(learned) => learned,
        None => learn(settings)?,
    };
    settings.complete(learned.layer.clone())?;
    Ok(Some(learned))
}

fn file(store: &Path) -> PathBuf {
    store.join("learnt-tables.toml")
}

fn remembered(store: &Path) -> Result<Option<Learned>, Failure> {
    let path = file(store);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let layer = text.parse().map_err(|error| {
        Failure::Usage(format!(
            "`{}` is not what was written there ({error}); start with an empty store",
            path.display()
        ))
    })?;
    Ok(Some(Learned { layer, notes: Vec::new() }))
}

fn learn(settings: &Settings) -> Result<Learned, Failure> {
    let sample = sample(settings)?;
    let routes = tables::routes(settings)?;
    let table_of = |topic: &str| match routes.table_of(topic) {
        Some(table) => routes.schema().table(table).name.clone(),
        None => topic.rsplit('.').next().unwrap_or(topic).to_owned(),
    };
    let mut learnt = learn_tables(&sample, &tables::said(settings), &table_of)?;
    learnt.retain(|table| settings.tables.get(&table.table).is_none_or(|raw| !raw.is_whole()));
    let notes = |table: &LearnedTable| -> Vec<String> {
        table.notes.iter().map(|note| format!("table `{}`: {note}", table.table)).collect()
    };
    let mut learned = Learned { layer: Table::new(), notes: learnt.iter().flat_map(notes).collect() };
    for table in &learnt {
        learned.layer.insert(table.table.clone(), described(table));
    }
    add_meanings(settings, &sample, &mut learned)?;
    Ok(learned)
}

/// The newest records of every topic, or the first of every file. What we write ourselves is no table.
pub(crate) fn sample(settings: &Settings) -> Result<Sample, Failure> {
    let source = &settings.source;
    let mut sample = match source.kind {
        RawSourceKind::Kafka => KafkaSource::sample(&kafka_settings(settings), RECORDS)?,
        RawSourceKind::Fluvio => {
            let (cluster, fluvio) = fluvio_source(settings)?;
            FluvioSource::sample(cluster, &fluvio, RECORDS)?
        }
        RawSourceKind::Changes | RawSourceKind::Files => {
            ChangeFiles::sample(&source.files, source.topics.first().map(String::as_str), LINES)?
        }
    };
    if let SinkSettings::Kafka(_) | SinkSettings::Fluvio(_) = &settings.sink {
        let ours: Vec<String> = written_topics(settings).all().collect();
        sample.topics.retain(|topic| !ours.contains(topic));
        sample.records.retain(|record| ours.iter().all(|ours| *ours != *record.origin.topic));
    }
    if let Some(registry) = registry(settings)? {
        registry.unframe_sample(&mut sample, PATIENCE)?;
    }
    Ok(sample)
}

/// A table as a config would say it.
fn described(table: &LearnedTable) -> Value {
    let texts = |names: &[String]| Value::Array(names.iter().cloned().map(Value::String).collect());
    let mut described = Table::new();
    if !table.key.is_empty() {
        described.insert("key".into(), texts(&table.key));
    }
    described.extend(table.time.clone().map(|time| ("time".into(), Value::String(time))));
    let links = table.foreign_keys.iter().map(|(column, parent)| (column.clone(), Value::String(parent.clone())));
    described.insert("foreign_keys".into(), Value::Table(links.collect()));
    let columns = table.columns.iter().map(|column| {
        let mut described = Table::new();
        described.insert("type".into(), Value::String(column.data_type.name().to_owned()));
        described.extend(column.unit.map(|unit| ("unit".into(), Value::String(unit.name().to_owned()))));
        (column.name.clone(), Value::Table(described))
    });
    described.insert("columns".into(), Value::Table(columns.collect()));
    Value::Table(described)
}

/// Adds what the columns mean, for which the sample has to be decoded with the types that were learnt.
fn add_meanings(settings: &Settings, sample: &Sample, learned: &mut Learned) -> Result<(), Failure> {
    let mut whole = settings.clone();
    whole.complete(learned.layer.clone())?;
    let schema = Arc::new(tables::declared_schema(&whole)?);
    let found = meanings(&tables::topics(&whole, &schema)?, &sample.records);
    for ((_, table), semantics) in schema.tables().zip(&found.semantics) {
        let Some(Value::Table(layer)) = learned.layer.get_mut(&table.name) else { continue };
        let Some(Value::Table(columns)) = layer.get_mut("columns") else { continue };
        for (column, semantic) in table.columns.iter().zip(semantics) {
            if let Some(Value::Table(column)) = columns.get_mut(&column.name) {
                column.insert("semantic".into(), Value::String(semantic.name().to_owned()));
            }
        }
    }
    learned.notes.extend(
        found.refused.iter().take(20).map(|letter| format!("{} would be refused: {}", letter.position, letter.reason)),
    );
    Ok(())
}
