//! The config file as it is written. Unknown keys are errors; [`super::settings`] checks what the types cannot.

use indexmap::IndexMap;
use serde::Deserialize;

use super::units::{Bytes, Instant, Micros, OneOrMany, Text};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    /// The application.
    pub app: RawApp,
    /// Where changes come from.
    pub source: RawSource,
    /// The tables, in the order in which rows of equal time are taken.
    #[serde(default)]
    pub tables: IndexMap<String, RawTable>,
    /// What to predict.
    #[serde(default)]
    pub tasks: IndexMap<String, RawTask>,
    /// Where scores go.
    pub sink: RawSink,
    /// The metrics and health endpoint.
    pub http: RawHttp,
}

/// `[app]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawApp {
    /// Names topics, consumer group and client ids.
    pub name: Text,
    /// The store's directory.
    pub store: Text,
    /// Memory for the store's pages and cache.
    pub memory: Bytes,
    /// Whether every commit waits for the disk.
    pub sync: bool,
    /// What computes `kumo-relational`: `auto`, `cpu` or `cuda:` and a number.
    pub device: String,
}

/// `[source]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSource {
    /// Which source.
    pub kind: Option<RawSourceKind>,
    /// Where relative file names start.
    pub directory: Option<Text>,
    /// Files of change records, for `kind = "changes"`.
    #[serde(default)]
    pub files: OneOrMany,
    /// Kafka's bootstrap servers.
    pub brokers: Option<Text>,
    /// The controller of a Fluvio cluster.
    pub endpoint: Option<Text>,
    /// The profile of Fluvio's own config that says how to reach it.
    pub profile: Option<Text>,
    /// Topics by name, or one pattern that starts with `^`.
    #[serde(default)]
    pub topics: OneOrMany,
    /// The records' format: `debezium`, `flattened`, `upsert` or `append`.
    pub format: Option<String>,
    /// How far behind the newest row of its partition a row may come without being late.
    pub lateness: Option<Micros>,
    /// What becomes visible to scoring together.
    pub consistency: Option<RawConsistency>,
    /// How rows of one transaction are kept together.
    pub transactions: Option<RawTransactions>,
    /// Bytes of records that may wait to be taken.
    pub buffer: Option<Bytes>,
    /// Any librdkafka setting.
    #[serde(default)]
    pub options: IndexMap<String, RawOption>,
    /// The schemas of framed records.
    pub registry: Option<RawRegistry>,
}

/// What becomes visible to scoring together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawConsistency {
    /// Each row by itself; who waits for a parent is scored again when it comes.
    Fk,
    /// The rows of one transaction of the source.
    Transaction,
}

/// `[source.transactions]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTransactions {
    /// The topic that tells of them.
    pub topic: Option<Text>,
    /// Records that may wait for the rest of their transaction.
    pub records: Option<usize>,
    /// Their bytes.
    pub bytes: Option<Bytes>,
    /// How long a transaction may take.
    pub timeout: Option<Micros>,
}

/// The value of a librdkafka setting.
#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "a text, or { file = \"PATH\" }")]
pub(super) enum RawOption {
    /// Itself, with its variables, for a secret must not come from anywhere else.
    Text(String),
    /// The file that holds it.
    File {
        /// Its name.
        file: Text,
    },
}

impl std::fmt::Debug for RawOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawOption(..)")
    }
}

/// `[source.registry]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRegistry {
    /// The address of a Confluent-compatible schema registry.
    pub url: Text,
    /// Who we are.
    pub username: Option<Text>,
    /// `${NAME}`: the variable that holds the password.
    pub password: Option<String>,
    /// The file that holds the password.
    pub password_file: Option<Text>,
    /// `${NAME}`: the variable that holds the token.
    pub token: Option<String>,
    /// The file that holds the token.
    pub token_file: Option<Text>,
    /// Certificates of authorities to trust instead of the system's.
    pub ca_file: Option<Text>,
    /// How long one question may take.
    pub timeout: Option<Micros>,
}

/// The kinds of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawSourceKind {
    /// Plain tables as CSV or Parquet.
    Files,
    /// Newline-delimited change records.
    Changes,
    /// Kafka topics.
    Kafka,
    /// Topics of a Fluvio cluster.
    Fluvio,
}

impl RawSourceKind {
    /// Whether more may always come.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Kafka | Self::Fluvio)
    }
}

/// `[tables.<name>]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTable {
    /// The table's files.
    #[serde(default)]
    pub files: OneOrMany,
    /// The table's topic.
    pub topic: Option<Text>,
    /// The records' format, where it is not the source's.
    pub format: Option<String>,
    /// The primary key's columns.
    #[serde(default)]
    pub key: OneOrMany,
    /// The time column.
    pub time: Option<String>,
    /// Column (or columns, separated by commas) to parent table.
    #[serde(default)]
    pub foreign_keys: IndexMap<String, String>,
    /// What is said of single columns.
    #[serde(default)]
    pub columns: IndexMap<String, RawColumn>,
    /// The only columns to read, beside keys and time.
    #[serde(default)]
    pub only: OneOrMany,
    /// The delimiter of CSV files, where it is not to be detected.
    pub delimiter: Option<char>,
    /// CSV fields and texts that mean null.
    #[serde(default)]
    pub null_values: OneOrMany,
}

impl RawTable {
    /// Whether it says the type of each column that is read.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let mut read = self.columns.values().filter(|column| !column.hidden).peekable();
        read.peek().is_some() && read.all(|column| column.data_type.is_some())
    }
}

/// `[tables.<name>.columns.<column>]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawColumn {
    /// bool, int, decimal, float, text, time, date, bytes or list.
    #[serde(rename = "type")]
    pub data_type: Option<String>,
    /// number, category, text, time, id or ignore.
    pub semantic: Option<String>,
    /// How long after the row's time the value becomes known.
    pub arrives_after: Option<Micros>,
    /// The column is not read at all.
    #[serde(default)]
    pub hidden: bool,
    /// Digits behind the point, for decimals that are sent as bytes.
    pub scale: Option<i8>,
    /// s, ms, us or ns, for times that are sent as whole numbers.
    pub unit: Option<String>,
    /// CSV fields and texts that mean null in this column.
    #[serde(default)]
    pub null_values: OneOrMany,
}

/// `[tasks.<name>]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTask {
    /// The predictive query.
    pub query: String,
    /// When scores are emitted.
    pub emit: Option<RawEmit>,
    /// The schedule's step, for `emit = "every"`.
    pub every: Option<Micros>,
    /// For `emit = "latest"`: how long an entity must be quiet before it is scored.
    pub quiet: Option<Micros>,
    /// For `emit = "latest"`: how long a score may wait at most.
    pub max_delay: Option<Micros>,
    /// For `emit = "per_event"`: how old a row may be for its score to be corrected when other rows come late.
    pub corrections: Option<Micros>,
    /// No score has a cutoff before this time.
    pub from: Option<Instant>,
    /// The predictor's member.
    pub model: Option<String>,
    /// The folder of the member's weights, for `model = "kumo-relational"`.
    pub weights: Option<Text>,
    /// How many labelled examples a context holds.
    pub context_size: Option<usize>,
    /// How often a context is drawn anew, in event time.
    pub refresh: Option<Micros>,
    /// How they are chosen.
    pub context_policy: Option<String>,
    /// How many past targets are features one by one.
    pub lags: Option<u8>,
    /// How many children of a row are followed, one entry per hop, for `model = "kumo-relational"`.
    pub fanout: Option<Vec<usize>>,
    /// How many shuffled views of the tables are averaged, for `model = "kumo-relational"`.
    pub estimators: Option<usize>,
    /// Where scores go, when it is not `<app>.<task>`.
    pub topic: Option<Text>,
    /// What is done with the scores.
    pub review: Option<RawReview>,
}

/// `[tasks.<name>.review]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReview {
    /// How many can be looked at each day.
    pub budget: Option<usize>,
    /// What is looked at, if not single rows.
    pub by: Option<String>,
    /// What it costs to miss something true.
    pub cost_missed: Option<f64>,
    /// What it costs to act on something false.
    pub cost_false_alarm: Option<f64>,
}

/// The emit modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawEmit {
    /// Each new row of the entity's table is scored once, at its own time.
    PerEvent,
    /// An entity is scored when something that its score depends on has changed.
    Latest,
    /// Every entity is scored on a schedule in event time.
    Every,
    /// Never: the task is only asked for by `score` and `labels`.
    Never,
}

/// `[sink]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSink {
    /// Which sink.
    pub kind: RawSinkKind,
    /// The file, for `jsonl` (`-` for standard output) and `parquet`.
    pub path: Option<Text>,
    /// Kafka's bootstrap servers, where they are not the source's.
    pub brokers: Option<Text>,
    /// The controller of a Fluvio cluster, where it is not the source's.
    pub endpoint: Option<Text>,
    /// The profile of Fluvio's own config, where it is not the source's.
    pub profile: Option<Text>,
    /// How often a record may leave, for `kafka` and `fluvio`.
    pub delivery: Option<Delivery>,
    /// Any librdkafka setting.
    #[serde(default)]
    pub options: IndexMap<String, RawOption>,
}

/// The kinds of sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawSinkKind {
    /// One JSON object a line.
    Jsonl,
    /// Parquet files.
    Parquet,
    /// Kafka topics.
    Kafka,
    /// Topics of a Fluvio cluster.
    Fluvio,
}

/// How often a record may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Once, in transactions.
    ExactlyOnce,
    /// Once as a rule; a crash may repeat records, under the same ids.
    AtLeastOnce,
}

/// `[http]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHttp {
    /// Address and port of `/metrics`, `/livez` and `/readyz`; absent: no endpoint.
    pub listen: Option<Text>,
}

/// The same file before the defaults are laid under it: sections and their keys may be missing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read only to find where a fault stands")]
pub(super) struct RawFile {
    app: Option<RawAppFile>,
    source: Option<RawSource>,
    #[serde(default)]
    tables: IndexMap<String, RawTable>,
    #[serde(default)]
    tasks: IndexMap<String, RawTask>,
    sink: Option<RawSinkFile>,
    http: Option<RawHttp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read only to find where a fault stands")]
struct RawAppFile {
    name: Option<Text>,
    store: Option<Text>,
    memory: Option<Bytes>,
    sync: Option<bool>,
    device: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read only to find where a fault stands")]
struct RawSinkFile {
    kind: Option<RawSinkKind>,
    path: Option<Text>,
    brokers: Option<Text>,
    endpoint: Option<Text>,
    profile: Option<Text>,
    delivery: Option<Delivery>,
    #[serde(default)]
    options: IndexMap<String, RawOption>,
}
