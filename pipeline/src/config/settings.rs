//! The config after its values are checked. Names of tables and columns are checked later, when the schema is known.

use std::net::SocketAddr;
use std::path::PathBuf;

use indexmap::IndexMap;
use ingest::kafka::TransactionSettings;
use ingest::registry::RegistrySettings;

use super::cluster::{self, Cluster};
use super::device::Device;
use super::options::{self, Options};
use super::raw::{RawConfig, RawSource, RawSourceKind, RawTable};
use super::report::{ConfigError, Document, nearest};
use super::sink::{self, SinkSettings};
use super::task::{self, TaskSettings};
use super::transactions;
use super::units::Bytes;

/// A checked config.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file, to point into.
    pub document: Document,
    /// `[app]`
    pub app: App,
    /// `[source]`, with its kind.
    pub source: SourceSettings,
    /// `[tables]`
    pub tables: IndexMap<String, RawTable>,
    /// The same as it is written, to lay it over what is learnt from the source.
    pub(super) written_tables: toml::Table,
    /// `[tasks]`
    pub tasks: Vec<TaskSettings>,
    /// `[sink]`
    pub sink: SinkSettings,
    /// `[http]`
    pub http: Option<SocketAddr>,
}

/// `[app]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Names topics, consumer group and client ids.
    pub name: String,
    /// The store's directory.
    pub store: PathBuf,
    /// Memory for the store's pages and cache.
    pub memory_bytes: u64,
    /// Whether every commit of `run` waits for the disk.
    pub sync: bool,
}

/// `[source]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSettings {
    /// Which source.
    pub kind: RawSourceKind,
    /// Where relative file names start.
    pub directory: PathBuf,
    /// Files of change records.
    pub files: Vec<PathBuf>,
    /// Kafka's bootstrap servers.
    pub brokers: Option<String>,
    /// The Fluvio cluster.
    pub fluvio: Cluster,
    /// Topics by name, or one pattern.
    pub topics: Vec<String>,
    /// The records' format.
    pub format: String,
    /// How far behind the newest row of its partition a row may come without being late, in microseconds.
    pub lateness: i64,
    /// How rows of one transaction of the source are kept together, if they are.
    pub transactions: Option<TransactionSettings>,
    /// Bytes of records that may wait in the client to be taken, over all partitions.
    pub buffer_bytes: u64,
    /// Any librdkafka setting.
    pub options: Options,
    /// The schemas of framed records.
    pub registry: Option<RegistrySettings>,
}

pub(super) fn check(document: Document, raw: RawConfig, written_tables: toml::Table) -> Result<Settings, ConfigError> {
    let source = check_source(&document, &raw.source)?;
    let sink = sink::check(&document, &raw.sink, &source)?;
    let device = check_device(&document, &raw.app.device)?;
    let tasks = raw
        .tasks
        .iter()
        .map(|(name, task)| task::check(&document, name, task, (&raw.app.name.0, device)))
        .collect::<Result<_, _>>()?;
    let http = raw.http.listen.as_ref().map(|listen| {
        let parsed = listen.0.parse();
        parsed.map_err(|_| {
            document
                .error(&["http", "listen"], format!("`{}` is not an address with a port", listen.0))
                .hint("for example \"127.0.0.1:9464\"")
        })
    });
    let may_be_learnt = !is_whole(source.kind, &raw.tables);
    for (name, table) in &raw.tables {
        check_table(&document, source.kind, name, table, may_be_learnt)?;
    }
    if raw.tables.is_empty() && !may_be_learnt {
        return Err(document
            .error(&["tables"], "no table is described")
            .hint("add [tables.<name>] with its key and its files"));
    }
    Ok(Settings {
        app: App {
            name: raw.app.name.0,
            store: PathBuf::from(raw.app.store.0),
            memory_bytes: raw.app.memory.0,
            sync: raw.app.sync,
        },
        source,
        tables: raw.tables,
        written_tables,
        tasks,
        sink,
        http: http.transpose()?,
        document,
    })
}

/// Whether the config says all that there is to know of the tables: plain tables are looked up in their files, and the
/// others have to say the type of every column that is read.
fn is_whole(kind: RawSourceKind, tables: &IndexMap<String, RawTable>) -> bool {
    kind == RawSourceKind::Files || (!tables.is_empty() && tables.values().all(RawTable::is_whole))
}

impl Settings {
    /// Whether no table has to be learnt from the source.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        is_whole(self.source.kind, &self.tables)
    }

    /// Lays the tables that the file describes over those that were learnt.
    ///
    /// # Errors
    ///
    /// With the place in the file, when the two do not go together.
    pub fn complete(&mut self, learnt: toml::Table) -> Result<(), ConfigError> {
        let mut tables = learnt;
        super::merge(&mut tables, self.written_tables.clone());
        self.tables = toml::Value::Table(tables).try_into().map_err(|error| self.document.parse_error(&error))?;
        let check =
            |(name, table): (&String, &RawTable)| check_table(&self.document, self.source.kind, name, table, false);
        self.tables.iter().try_for_each(check)
    }
}

/// File names of the config are relative to `source.directory`, and that to the working directory.
fn check_source(document: &Document, raw: &RawSource) -> Result<SourceSettings, ConfigError> {
    let kind = raw.kind.ok_or_else(|| {
        document
            .error(&["source"], "`source.kind` is missing")
            .hint("one of \"files\", \"changes\", \"kafka\", \"fluvio\"")
    })?;
    let directory = raw.directory.as_ref().map_or_else(PathBuf::new, |directory| PathBuf::from(&directory.0));
    let format = raw.format.clone().unwrap_or_else(|| "debezium".into());
    check_format(document, &["source", "format"], &format)?;
    let brokers = raw.brokers.as_ref().map(|brokers| brokers.0.clone());
    if kind == RawSourceKind::Kafka && brokers.is_none() {
        return Err(document
            .error(&["source"], "`source.brokers` is missing")
            .hint("for example brokers = \"127.0.0.1:9092\""));
    }
    let is_fluvio = kind == RawSourceKind::Fluvio;
    let fluvio = cluster::cluster(document, "source", is_fluvio, raw.endpoint.as_ref(), raw.profile.as_ref())?;
    cluster::no_options(document, "source", !is_fluvio || raw.options.is_empty())?;
    if kind == RawSourceKind::Changes && raw.files.0.is_empty() {
        return Err(document
            .error(&["source"], "`source.files` is missing")
            .hint("name one or more files of change records"));
    }
    Ok(SourceSettings {
        kind,
        files: raw.files.0.iter().map(|file| directory.join(file)).collect(),
        directory,
        brokers,
        fluvio,
        topics: raw.topics.0.clone(),
        format,
        lateness: raw.lateness.map_or(0, |lateness| lateness.0),
        transactions: transactions::check(document, raw, kind)?,
        buffer_bytes: buffer(document, raw.buffer.as_ref())?,
        options: options::check(document, "source", &raw.options)?,
        registry: raw.registry.as_ref().map(|registry| super::registry::check(document, registry)).transpose()?,
    })
}

fn buffer(document: &Document, buffer: Option<&Bytes>) -> Result<u64, ConfigError> {
    const LEAST: u64 = 1 << 20;
    let bytes = buffer.map_or(64 << 20, |bytes| bytes.0);
    if bytes < LEAST {
        let error = document.error(&["source", "buffer"], "`buffer` is too small to read ahead in");
        return Err(error.hint("at least \"1MiB\"; the default is \"64MiB\""));
    }
    Ok(bytes)
}

const FORMATS: [&str; 4] = ["debezium", "flattened", "upsert", "append"];

fn check_format(document: &Document, path: &[&str], format: &str) -> Result<(), ConfigError> {
    known(document, path, "format", format, &FORMATS)
}

pub(super) fn known(
    document: &Document,
    path: &[&str],
    what: &str,
    name: &str,
    names: &[&str],
) -> Result<(), ConfigError> {
    if names.contains(&name) {
        return Ok(());
    }
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("one of {}", names.join(", ")),
    };
    Err(document.error(path, format!("`{name}` is not a {what}")).hint(hint))
}

/// `may_be_learnt`: its time column may still be found in the source.
fn check_table(
    document: &Document,
    kind: RawSourceKind,
    name: &str,
    table: &RawTable,
    may_be_learnt: bool,
) -> Result<(), ConfigError> {
    if let Some(format) = &table.format {
        check_format(document, &["tables", name, "format"], format)?;
    }
    for (column, raw) in &table.columns {
        let path = ["tables", name, "columns", column];
        if let Some(data_type) = &raw.data_type {
            let names = ["bool", "int", "decimal", "float", "text", "time", "date", "bytes", "list"];
            known(document, &[path.as_slice(), &["type"]].concat(), "type", data_type, &names)?;
        }
        if let Some(semantic) = &raw.semantic {
            let names = ["number", "category", "text", "time", "id", "ignore"];
            known(document, &[path.as_slice(), &["semantic"]].concat(), "semantic type", semantic, &names)?;
        }
        if let Some(unit) = &raw.unit {
            known(document, &[path.as_slice(), &["unit"]].concat(), "time unit", unit, &["s", "ms", "us", "ns"])?;
        }
        if raw.arrives_after.is_some() && table.time.is_none() && !may_be_learnt {
            let message = format!("`{column}` arrives after a time that table `{name}` does not have");
            return Err(document.error(&path, message).hint("give the table a time column: time = \"...\""));
        }
    }
    if kind != RawSourceKind::Files && !table.files.0.is_empty() {
        let message = format!("table `{name}` has files, but the source is not \"files\"");
        return Err(document
            .error(&["tables", name, "files"], message)
            .hint("set source.kind = \"files\", or give the table a topic"));
    }
    Ok(())
}

/// A GPU that is asked for by its number must be there.
fn check_device(document: &Document, text: &str) -> Result<Device, ConfigError> {
    let at = ["app", "device"];
    let Some(device) = Device::parse(text) else {
        let error = document.error(&at, format!("`{text}` is not a device"));
        return Err(error.hint("one of \"auto\", \"cpu\", \"cuda:0\""));
    };
    if let Device::Cuda(_) = device {
        device.open().map_err(|error| document.error(&at, error.to_string()))?;
    }
    Ok(device)
}
