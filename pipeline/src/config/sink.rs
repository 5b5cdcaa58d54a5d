//! `[sink]`: where scores go.

use std::path::{Path, PathBuf};

use super::cluster::{self, Cluster};
use super::options::{self, Options};
use super::raw::{Delivery, RawSink, RawSinkKind, RawSourceKind};
use super::report::{ConfigError, Document};
use super::settings::SourceSettings;

/// Where scores go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkSettings {
    /// One JSON object a line; `-` is standard output.
    JsonLines(PathBuf),
    /// Parquet files with this prefix.
    Parquet(PathBuf),
    /// Kafka topics.
    Kafka(KafkaOutput),
    /// Topics of a Fluvio cluster.
    Fluvio(Cluster),
}

/// Kafka topics that scores go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaOutput {
    /// Bootstrap servers.
    pub brokers: String,
    /// How often a record may leave.
    pub delivery: Delivery,
    /// Any librdkafka setting.
    pub options: Options,
    /// The config's section that says how the brokers are reached.
    pub section: &'static str,
}

pub(super) fn check(document: &Document, raw: &RawSink, source: &SourceSettings) -> Result<SinkSettings, ConfigError> {
    let path = || {
        let path = raw.path.as_ref().map(|path| Path::new(&path.0).to_owned());
        path.ok_or_else(|| document.error(&["sink"], "`sink.path` is missing"))
    };
    if raw.delivery.is_some() && !matches!(raw.kind, RawSinkKind::Kafka | RawSinkKind::Fluvio) {
        return Err(document
            .error(&["sink", "delivery"], "`delivery` goes with kind = \"kafka\" or \"fluvio\"")
            .hint("files always hold each record once"));
    }
    let is_fluvio = raw.kind == RawSinkKind::Fluvio;
    let cluster = cluster::cluster(document, "sink", is_fluvio, raw.endpoint.as_ref(), raw.profile.as_ref())?;
    Ok(match raw.kind {
        RawSinkKind::Fluvio => {
            cluster::no_options(document, "sink", raw.options.is_empty())?;
            cluster::delivery(document, raw.delivery)?;
            let is_source = cluster == Cluster::default() && source.kind == RawSourceKind::Fluvio;
            SinkSettings::Fluvio(if is_source { source.fluvio.clone() } else { cluster })
        }
        RawSinkKind::Jsonl => SinkSettings::JsonLines(path()?),
        RawSinkKind::Parquet => SinkSettings::Parquet(path()?),
        RawSinkKind::Kafka => {
            let options = options::check(document, "sink", &raw.options)?;
            // Who is let in as a reader is let in as a writer, unless the config says otherwise.
            let (section, brokers, options) = match &raw.brokers {
                None => {
                    let section = if options.of_connection().is_empty() { "source" } else { "sink" };
                    (section, source.brokers.clone(), source.options.of_connection().under(options))
                }
                Some(brokers) => ("sink", Some(brokers.0.clone()), options),
            };
            let missing = || {
                document.error(&["sink"], "`sink.brokers` is missing").hint("for example brokers = \"127.0.0.1:9092\"")
            };
            SinkSettings::Kafka(KafkaOutput {
                brokers: brokers.ok_or_else(missing)?,
                delivery: raw.delivery.unwrap_or(Delivery::ExactlyOnce),
                options,
                section,
            })
        }
    })
}
