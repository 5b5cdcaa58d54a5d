//! Configuration: defaults, then the file, then `FORESHORE__SECTION__KEY` variables.

mod cluster;
mod device;
mod options;
mod raw;
mod registry;
mod report;
mod secret;
mod settings;
mod sink;
mod task;
mod transactions;
mod units;

use std::path::Path;

use toml::{Table, Value};

pub use cluster::Cluster;
pub use device::Device;
pub use options::Options;
pub use raw::{Delivery, RawColumn, RawEmit, RawSinkKind, RawSourceKind, RawTable};
pub use report::{ConfigError, Document, nearest};
pub use settings::{App, Settings};
pub use sink::{KafkaOutput, SinkSettings};
pub use task::{Emit, ReviewSettings, TaskSettings, is_cost};

/// The visible defaults.
pub const DEFAULTS: &str = include_str!("../../../configs/default.toml");

/// Reads and checks a config file.
///
/// # Errors
///
/// With the place in the file, when it is not valid.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::of_file(path, format!("the config file cannot be read: {error}"))
            .hint("name one with --config FILE")
    })?;
    let overrides = std::env::vars().filter(|(name, _)| name.starts_with("FORESHORE__"));
    parse(Document { file: path.to_owned(), text }, overrides)
}

/// As [`load`], from text and given variables.
///
/// # Errors
///
/// With the place in the text, when it is not valid.
pub fn parse(
    document: Document,
    overrides: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, ConfigError> {
    let file: Table = document.text.parse().map_err(|error| document.parse_error(&error))?;
    let mut merged: Table = DEFAULTS.parse().expect("the defaults are valid TOML; a test reads them");
    // The merged table has no places in the file, so a failure is looked for in the file's own text first.
    merge(&mut merged, file);
    for (name, value) in overrides {
        set(&mut merged, &name, &value);
    }
    let written_tables = merged.get("tables").and_then(Value::as_table).cloned().unwrap_or_default();
    let raw = raw::RawConfig::deserialize_from(merged).map_err(|error| locate(&document, &error))?;
    settings::check(document, raw, written_tables)
}

impl raw::RawConfig {
    fn deserialize_from(table: Table) -> Result<Self, toml::de::Error> {
        Value::Table(table).try_into()
    }
}

/// Text that holds every required key is read again with places; where the fault is in a variable, there is none.
fn locate(document: &Document, error: &toml::de::Error) -> ConfigError {
    let with_places = toml::from_str::<raw::RawFile>(&document.text);
    match with_places {
        Err(placed) => document.parse_error(&placed),
        Ok(_) => document.parse_error(error),
    }
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// `FORESHORE__APP__STORE=x` sets `app.store`. Values that read as TOML booleans or numbers are taken as such.
fn set(table: &mut Table, name: &str, text: &str) {
    let path: Vec<String> = name.split("__").skip(1).map(str::to_lowercase).collect();
    let Some((last, sections)) = path.split_last() else { return };
    let mut table = table;
    for section in sections {
        let below = table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(below) = below else { return };
        table = below;
    }
    let value = match text {
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        _ => text.parse::<i64>().map_or_else(|_| Value::String(text.to_owned()), Value::Integer),
    };
    table.insert(last.clone(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, overrides: &[(&str, &str)]) -> Result<Settings, String> {
        let document = Document { file: "test.toml".into(), text: text.to_owned() };
        let overrides = overrides.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        parse(document, overrides).map_err(|error| error.to_string())
    }

    const MINIMAL: &str = "[source]\nkind = \"files\"\n[tables.a]\nfiles = \"a.csv\"\nkey = \"id\"\n";

    #[test]
    fn layers_win_in_order() {
        let settings =
            parsed(MINIMAL, &[("FORESHORE__APP__NAME", "shop"), ("FORESHORE__APP__SYNC", "false")]).expect("valid");
        assert_eq!((settings.app.name.as_str(), settings.app.sync), ("shop", false));
        assert_eq!(settings.app.memory_bytes, 256 << 20);
    }

    #[test]
    fn unknown_keys_are_pointed_at() {
        let shown = parsed(&format!("{MINIMAL}tme = \"x\"\n"), &[]).expect_err("invalid");
        assert!(
            shown.contains("unknown field `tme`")
                && shown.contains("test.toml:6:1")
                && shown.contains("did you mean `time`?"),
            "{shown}"
        );
    }

    #[test]
    fn devices_that_are_not_there_are_pointed_at() {
        let shown = parsed(&format!("[app]\ndevice = \"gpu\"\n{MINIMAL}"), &[]).expect_err("invalid");
        assert!(shown.contains("test.toml:2:10") && shown.contains("\"cuda:0\""), "{shown}");
        let text = format!("[app]\ndevice = \"cuda:99\"\n{MINIMAL}");
        let shown = parsed(&text, &[]).expect_err("no machine has so many");
        assert!(shown.contains("test.toml:2:10"), "{shown}");
        assert!(cfg!(feature = "cuda") || shown.contains("--features cuda"), "{shown}");
    }

    const FLUVIO: &str = "[source]\nkind = \"fluvio\"\nendpoint = \"127.0.0.1:9003\"\ntopics = \"t\"\n";

    #[test]
    fn fluvio_is_pointed_at_where_the_program_was_built_without_it() {
        let shown = parsed(&FLUVIO.replace("9003\"", "9003\"\nprofile = \"x\""), &[]).expect_err("invalid");
        if cfg!(feature = "fluvio") {
            assert!(shown.contains("test.toml:4:11") && shown.contains("keep one of the two"), "{shown}");
        } else {
            assert!(shown.contains("test.toml:2:8") && shown.contains("--features fluvio"), "{shown}");
        }
    }

    #[test]
    fn what_goes_with_fluvio_alone_is_pointed_at() {
        let shown =
            parsed(&MINIMAL.replace("\"files\"", "\"files\"\nendpoint = \"x:9003\""), &[]).expect_err("invalid");
        assert!(shown.contains("test.toml:3:12") && shown.contains("kind = \"fluvio\""), "{shown}");
        let settings = parsed(FLUVIO, &[("FORESHORE__SINK__KIND", "fluvio")]);
        let settings = settings.map(|settings| settings.sink == SinkSettings::Fluvio(settings.source.fluvio.clone()));
        assert!(settings.is_err() != cfg!(feature = "fluvio") && settings != Ok(false), "{settings:?}");
    }

    #[test]
    fn exactly_once_is_refused_where_there_are_no_transactions() {
        let document = Document { file: "test.toml".into(), text: "[sink]\ndelivery = \"exactly_once\"\n".into() };
        let shown = cluster::delivery(&document, Some(Delivery::ExactlyOnce)).expect_err("no").to_string();
        assert!(shown.contains("test.toml:2:12") && shown.contains("no transactions"), "{shown}");
        cluster::delivery(&document, Some(Delivery::AtLeastOnce)).expect("at least once");
        cluster::delivery(&document, None).expect("the default");
    }

    #[test]
    fn wrong_units_are_pointed_at() {
        let text = format!("{MINIMAL}[tasks.t]\nquery = \"x\"\nquiet = \"soon\"\n");
        let shown = parsed(&text, &[]).expect_err("invalid");
        assert!(shown.contains("test.toml:8:9") && shown.contains("`soon` is not a length of time"), "{shown}");
    }

    #[test]
    fn what_is_too_small_or_too_many_is_pointed_at() {
        let refused = |text: &str| parsed(text, &[]).expect_err("invalid");
        let shown = refused(&MINIMAL.replace("[tables.a]", "buffer = \"1KiB\"\n[tables.a]"));
        assert!(shown.contains("test.toml:3:10") && shown.contains("at least \"1MiB\""), "{shown}");
        let shown = refused(&format!("{MINIMAL}[tasks.t]\nquery = \"x\"\nestimators = 17\n"));
        assert!(shown.contains("test.toml:8:14") && shown.contains("from 1 to 16"), "{shown}");
    }
}
