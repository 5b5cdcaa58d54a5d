//! What every command starts from: the config, the schema, the compiled tasks, the store, the source and the sink.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use graph_store::{Keyspace, Options, Store};
use ingest::decode::{OwnedRecord, Tables, deliver};
use ingest::files::TableFiles;
use ingest::fluvio::{FluvioSettings, FluvioSource};
use ingest::kafka::{KafkaSettings, KafkaSource};
use ingest::ndjson::ChangeFiles;
use ingest::registry::Registry;
use ingest::{Delivery, Source};
use relational::{Column, ColumnId, DeadLetter, EventTime, Schema, SemanticType, TableId};
use sinks::{
    DeadLetterRecord, ExactlyOnce, FluvioSink, JsonLines, KafkaSink, KafkaTransactions, Origin, ParquetSink, ProcessId,
    Sink, StoreId, Topics,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::cli::Common;
use crate::config::{self, Cluster, ConfigError, Delivery as Mode, KafkaOutput, RawSourceKind, Settings, SinkSettings};
use crate::engine::next_outbox;
use crate::learning::{self, Learned};
use crate::plan::Plan;
use crate::scorer::{Bounds, Scorer};
use crate::tables;

/// A command cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The config is wrong: exit code 78.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The command line asks for something that is not there: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Something failed while running: exit code 1.
    #[error("{0}")]
    Engine(#[from] crate::engine::Error),
    /// The store failed.
    #[error("{0}")]
    Store(#[from] graph_store::Error),
    /// The predictor failed.
    #[error("{0}")]
    Predictor(#[from] predictor::Error),
    /// Training failed.
    #[error("{0}")]
    Training(#[from] predictor::small::Error),
    /// Weights cannot be read or are not whole.
    #[error("{0}")]
    Checkpoint(#[from] predictor::model::checkpoint::CheckpointError),
    /// The source failed.
    #[error("{0}")]
    Source(#[from] ingest::Error),
    /// Fluvio cannot be used.
    #[error("{0}")]
    Fluvio(#[from] fluvio_log::Error),
    /// The sink failed.
    #[error("{0}")]
    Sink(#[from] sinks::Error),
    /// What was to be equal is not: exit code 1.
    #[error("{0}")]
    Differs(String),
    /// Printing failed, or a socket.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl Failure {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 78,
            Self::Usage(_) => 2,
            _ => 1,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct World {
    /// The checked config.
    pub settings: Settings,
    /// The database's shape.
    pub schema: Arc<Schema>,
    /// The tasks, in the config's order.
    pub plans: Vec<Arc<Plan>>,
    /// What was learnt from the source because the config does not say it.
    pub learned: Option<Learned>,
    table_files: Vec<ingest::files::TableFile>,
}

impl World {
    /// Reads the config and compiles its tasks.
    ///
    /// # Errors
    ///
    /// When the config is wrong, or a file that the schema is learnt from cannot be read.
    pub fn load(common: &Common) -> Result<Self, Failure> {
        let mut settings = config::load(&common.config)?;
        if let Some(store) = &common.store {
            settings.app.store.clone_from(store);
        }
        Self::new(settings)
    }

    /// As [`Self::load`], from a checked config.
    ///
    /// # Errors
    ///
    /// When a file that the schema is learnt from cannot be read, or a query does not fit the schema.
    pub fn new(mut settings: Settings) -> Result<Self, Failure> {
        let learned = learning::complete(&mut settings)?;
        let (table_files, schema) = match settings.source.kind {
            RawSourceKind::Files => {
                let files = tables::files(&settings)?;
                let schema = ingest::files::infer(&files)?;
                (files, schema)
            }
            RawSourceKind::Changes | RawSourceKind::Kafka | RawSourceKind::Fluvio => {
                (Vec::new(), tables::declared_schema(&settings)?)
            }
        };
        let schema = Arc::new(schema);
        let compile = |task| Plan::compile(task, &schema, &settings.document).map(Arc::new);
        let plans = settings.tasks.iter().map(compile).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { settings, schema, plans, learned, table_files })
    }

    /// Opens the store; `sync` says whether each commit waits for the disk.
    ///
    /// # Errors
    ///
    /// When it is in use, damaged, or was made for another schema.
    pub fn open_store(&self, sync: bool) -> Result<Arc<Store>, Failure> {
        let options = Options { memory_bytes: self.settings.app.memory_bytes, sync, unlisted: self.unlisted() };
        if let Some(learned) = &self.learned {
            learned.keep(&self.settings.app.store)?;
        }
        let open = || Store::open(&self.settings.app.store, Arc::clone(&self.schema), &options);
        let store = open()?;
        if store.get(Keyspace::Context, STORE_ID)?.is_some() {
            return Ok(Arc::new(store));
        }
        // Closing waits for the disk. A store that forgot its id in a crash would not know its own scores again.
        store_id(&store)?;
        drop(store);
        Ok(Arc::new(open()?))
    }

    /// Columns that are read of no row that leads to another: texts that no query names.
    fn unlisted(&self) -> BTreeSet<(TableId, ColumnId)> {
        let is_named = |column: &Column| self.plans.iter().any(|plan| plan.task.query.contains(&column.name));
        let is_text = |column: &Column| matches!(column.semantic, SemanticType::Text | SemanticType::Ignore);
        let unlisted = self.schema.tables().flat_map(|(id, table)| {
            let columns = table.columns().filter(|(_, column)| is_text(column) && !is_named(column));
            columns.map(move |(column, _)| (id, column))
        });
        unlisted.collect()
    }

    /// The source, at its beginning.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn source(&self) -> Result<Box<dyn Source>, Failure> {
        let source = &self.settings.source;
        Ok(match source.kind {
            RawSourceKind::Files => Box::new(TableFiles::open(&self.table_files, Arc::clone(&self.schema))?),
            RawSourceKind::Changes => {
                let tables = Arc::new(self.topics()?);
                let topic = source.topics.first().map(String::as_str);
                Box::new(ChangeFiles::open(&source.files, topic, tables)?)
            }
            RawSourceKind::Kafka => {
                let tables = Arc::new(self.topics()?);
                Box::new(KafkaSource::connect(kafka_settings(&self.settings), tables)?)
            }
            RawSourceKind::Fluvio => {
                let (cluster, settings) = fluvio_source(&self.settings)?;
                Box::new(FluvioSource::connect(cluster, settings, Arc::new(self.topics()?))?)
            }
        })
    }

    /// Which topic feeds which table, and where the schemas are.
    ///
    /// # Errors
    ///
    /// When a table's topic or a setting of the registry cannot be used.
    pub(crate) fn topics(&self) -> Result<Tables, Failure> {
        Ok(tables::topics(&self.settings, &self.schema)?.with_registry(registry(&self.settings)?.map(Arc::new)))
    }

    /// Decodes refused records with today's config.
    ///
    /// # Errors
    ///
    /// When the source has no records: rows of plain tables are read again by a replay into a new store.
    pub fn decode_again(&self, records: Vec<DeadLetterRecord>) -> Result<Delivery, Failure> {
        if self.settings.source.kind == RawSourceKind::Files {
            let message =
                "rows of plain tables are not decoded again one by one; correct the file and replay into a new store";
            return Err(Failure::Usage(message.into()));
        }
        let tables = self.topics()?;
        let mut delivery = Delivery::default();
        for record in records {
            // With the attempt, which the next refusal raises.
            let headers = record.headers_to_send_back();
            let DeadLetter { position, timestamp, key, value, .. } = record.letter;
            let record = OwnedRecord { origin: position.clone(), position, timestamp, key, value, headers };
            if deliver(&tables, record, &mut delivery)?.is_some() {
                let reason = delivery.waiting.unwrap_or_default();
                return Err(Failure::Usage(format!("nothing was replayed: {reason}")));
            }
        }
        Ok(delivery)
    }

    /// The scorers of all tasks.
    #[must_use]
    pub fn scorers(&self, store: &Arc<Store>) -> Vec<Arc<Scorer>> {
        let scorer = |plan: &Arc<Plan>| {
            let scorer = Scorer::new(Arc::clone(store), Arc::clone(plan), Bounds::default());
            Arc::new(scorer.keeping(&self.settings.app.store, true))
        };
        self.plans.iter().map(scorer).collect()
    }

    /// Who makes the scores.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let text = self.settings.document.text.as_bytes();
        Origin { app: self.settings.app.name.clone(), config_hash: xxh3_64(text) }
    }

    /// The sink that the config names, for the scores of this store.
    ///
    /// # Errors
    ///
    /// When the file or broker cannot be used.
    pub fn sink(&self, store: &Store) -> Result<Box<dyn Sink>, Failure> {
        let id = store_id(store)?;
        let sync = self.settings.app.sync;
        Ok(match &self.settings.sink {
            SinkSettings::JsonLines(path) => json_lines(path, &self.settings.app.name, id, sync)?,
            SinkSettings::Parquet(path) => Box::new(ParquetSink::open(path, id, sync)?),
            SinkSettings::Fluvio(cluster) => {
                let cluster = fluvio_settings(&self.settings, cluster);
                let topics = written_topics(&self.settings);
                Box::new(FluvioSink::open(fluvio_log::connect(&cluster)?, cluster.to_string(), topics, id)?)
            }
            SinkSettings::Kafka(output) => {
                sink_topics(&self.settings, output)?;
                let kafka = sink_settings(&self.settings, output);
                match output.delivery {
                    Mode::ExactlyOnce => {
                        let topics = kafka.topics.clone();
                        Box::new(ExactlyOnce::new(topics, id, process_id(), KafkaTransactions::open(kafka)?))
                    }
                    Mode::AtLeastOnce => Box::new(KafkaSink::open(kafka, id, process_id(), next_outbox(store)?)?),
                }
            }
        })
    }
}

/// The schema registry, if the config names one.
pub(crate) fn registry(settings: &Settings) -> Result<Option<Registry>, Failure> {
    Ok(settings.source.registry.clone().map(Registry::new).transpose()?)
}

/// How to reach the source's topics.
pub(crate) fn kafka_settings(settings: &Settings) -> KafkaSettings {
    let source = &settings.source;
    let brokers = source.brokers.clone().unwrap_or_default();
    let mut kafka = KafkaSettings::new(brokers, source.topics.clone(), settings.app.name.clone());
    kafka.options = source.options.iter().cloned().collect();
    kafka.transactions.clone_from(&source.transactions);
    kafka.buffer_bytes = source.buffer_bytes;
    if let SinkSettings::Kafka(output) = &settings.sink {
        kafka.own = sink_settings(settings, output).topics.all().collect();
    }
    kafka
}

/// The topics that scores and dead letters go to.
pub(crate) fn written_topics(settings: &Settings) -> Topics {
    let scores = settings.tasks.iter().map(|task| (task.name.clone(), task.topic.clone())).collect();
    Topics { app: settings.app.name.clone(), scores }
}

fn fluvio_settings(settings: &Settings, cluster: &Cluster) -> fluvio_log::Settings {
    let Cluster { endpoint, profile } = cluster.clone();
    fluvio_log::Settings { endpoint, profile, client_id: settings.app.name.clone() }
}

/// The Fluvio cluster of the source, and what to read there.
///
/// # Errors
///
/// When the cluster's profile cannot be read.
pub(crate) fn fluvio_source(settings: &Settings) -> Result<(Box<dyn fluvio_log::Cluster>, FluvioSettings), Failure> {
    let source = &settings.source;
    let cluster = fluvio_settings(settings, &source.fluvio);
    let mut fluvio = FluvioSettings::new(cluster.to_string(), source.topics.clone());
    fluvio.buffer_bytes = source.buffer_bytes;
    if let SinkSettings::Fluvio(_) = &settings.sink {
        fluvio.own = written_topics(settings).all().collect();
    }
    Ok((fluvio_log::connect(&cluster)?, fluvio))
}

/// How to reach the topics that are written.
pub(crate) fn sink_settings(settings: &Settings, output: &KafkaOutput) -> sinks::KafkaSettings {
    let source = &settings.source;
    let own_group = source.options.iter().find(|(name, _)| name == "group.id").map(|(_, group)| group.clone());
    let reads_there = source.kind == RawSourceKind::Kafka && source.brokers.as_deref() == Some(&output.brokers);
    sinks::KafkaSettings {
        topics: written_topics(settings),
        brokers: output.brokers.clone(),
        options: output.options.to_vec(),
        group: reads_there.then(|| own_group.unwrap_or_else(|| settings.app.name.clone())),
    }
}

/// The topics that the sink's brokers show us. Who is not let in is told so at once, and why.
///
/// # Errors
///
/// When no broker answers in time or lets us in, or a setting is wrong.
pub(crate) fn sink_topics(settings: &Settings, output: &KafkaOutput) -> Result<Vec<String>, Failure> {
    let mut kafka = KafkaSettings::new(output.brokers.clone(), Vec::new(), settings.app.name.clone());
    kafka.options = output.options.iter().cloned().collect();
    kafka.section = output.section;
    Ok(KafkaSource::topics(&kafka)?)
}

/// JSON lines to a file, or to standard output for `-`.
///
/// # Errors
///
/// When the file cannot be used.
pub fn json_lines(path: &Path, app: &str, id: StoreId, sync: bool) -> Result<Box<dyn Sink>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(JsonLines::stdout(app, id)?));
    }
    Ok(Box::new(JsonLines::open(path, id, sync)?))
}

const STORE_ID: &[u8] = b"store-id";

/// The number that this store has drawn for itself; drawn now, if it has none yet.
///
/// # Errors
///
/// When the store fails.
pub fn store_id(store: &Store) -> Result<StoreId, graph_store::Error> {
    if let Some(bytes) = store.get(Keyspace::Context, STORE_ID)? {
        let bytes = bytes.try_into().expect("the store's id has 8 bytes");
        return Ok(StoreId(u64::from_be_bytes(bytes)));
    }
    let drawn = drawn();
    let mut transaction = store.begin();
    transaction.put(Keyspace::Context, STORE_ID.to_vec(), drawn.to_be_bytes().to_vec());
    transaction.commit()?;
    Ok(StoreId(drawn))
}

/// A number that no other process draws.
fn drawn() -> u64 {
    xxh3_64(format!("{:?} {}", SystemTime::now(), std::process::id()).as_bytes())
}

/// What a process that publishes is known by.
fn process_id() -> ProcessId {
    ProcessId(drawn())
}

/// The wall clock.
#[must_use]
pub fn now() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
