//! `foreshore init`: a database's catalogue becomes a config, and a Debezium connector beside it.

mod catalogue;
mod config_text;
mod connector;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::output;
use crate::world::Failure;
use catalogue::Catalogue;

/// `init`
#[derive(Debug, Args)]
pub struct Init {
    /// The database, as `postgres://USER@HOST:PORT/DATABASE`. A password comes from PGPASSWORD or ~/.pgpass.
    #[arg(long, value_name = "URL", env = "FORESHORE_POSTGRES", hide_env_values = true)]
    pub postgres: String,
    /// Only tables of this schema.
    #[arg(long, value_name = "NAME", default_value = "public")]
    pub schema: String,
    /// Kafka's bootstrap servers, for the config.
    #[arg(long, value_name = "LIST", default_value = "127.0.0.1:9092")]
    pub brokers: String,
    /// How the connector's topics begin; the database's name when absent.
    #[arg(long, value_name = "NAME")]
    pub prefix: Option<String>,
    /// The folder to write `foreshore.toml` and `connector.json` into.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
}

/// Reads the catalogue and writes both files.
///
/// # Errors
///
/// When the database cannot be asked, has no table there, or a file exists already.
pub fn init(arguments: &Init) -> Result<(), Failure> {
    let catalogue = Catalogue::read(&arguments.postgres, &arguments.schema)?;
    if catalogue.tables.is_empty() {
        return Err(Failure::Usage(format!(
            "database `{}` has no table in schema `{}` that we may see; name another with --schema",
            catalogue.database, arguments.schema
        )));
    }
    let prefix = arguments.prefix.clone().unwrap_or_else(|| topic_name(&catalogue.database));
    let config = config_text::write(&catalogue, &prefix, &arguments.brokers);
    let connector = connector::write(&catalogue, &prefix);
    let files = [("foreshore.toml", config.text), ("connector.json", connector)];
    for (name, text) in files {
        let path = arguments.out.join(name);
        create(&path, &text)?;
        output::print_line(&format!("wrote {}", path.display()))?;
    }
    for warning in config.warnings {
        output::print_line(&format!("warning: {warning}"))?;
    }
    output::print_line(
        "next: give connector.json to Kafka Connect, add a [tasks.<name>] to foreshore.toml, then foreshore check --online",
    )?;
    Ok(())
}

/// A file that somebody has worked on is not written over.
fn create(path: &Path, text: &str) -> Result<(), Failure> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => Ok(file.write_all(text.as_bytes())?),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Failure::Usage(format!(
            "{} exists already; move it away, or name another folder with --out",
            path.display()
        ))),
        Err(error) => Err(Failure::Usage(format!("{} cannot be written: {error}", path.display()))),
    }
}

/// What topics may be called: letters, digits, `.`, `_`, `-`.
fn topic_name(name: &str) -> String {
    let allowed =
        |letter: char| if letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-') { letter } else { '_' };
    name.chars().map(allowed).collect()
}
