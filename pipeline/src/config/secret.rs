//! Secrets come from the environment or a file, never from the config itself.

use std::path::PathBuf;

use ingest::registry::Secret;

use super::report::{ConfigError, Document};
use super::units::Text;

/// A secret that the table at `section` has as `key` (the variable that `${NAME}` names, or a `FORESHORE__` variable), or in
/// the file that it names.
pub(super) fn secret(
    document: &Document,
    section: &[&str],
    key: &str,
    value: Option<&str>,
    file: Option<&Text>,
) -> Result<Option<Secret>, ConfigError> {
    let hint = format!("write {key} = \"${{NAME}}\" and set that variable, or name a file with {key}_file");
    match (value, file) {
        (None, None) => Ok(None),
        (None, Some(file)) => Ok(Some(Secret::File(PathBuf::from(&file.0)))),
        (Some(_), Some(_)) => Err(document.error(section, format!("both `{key}` and `{key}_file` are set")).hint(hint)),
        (Some(value), None) => from_variable(document, section, key, value, &hint).map(Secret::Value).map(Some),
    }
}

/// Errors point at the section, for a line with a secret in it must not be shown.
pub(super) fn from_variable(
    document: &Document,
    section: &[&str],
    key: &str,
    value: &str,
    hint: &str,
) -> Result<String, ConfigError> {
    match value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        Some(name) => std::env::var(name)
            .map_err(|_| document.error(section, format!("the variable `{name}` of its `{key}` is not set"))),
        None if stands_in_file(document, section, key) => {
            Err(document.error(section, format!("its `{key}` stands in the file")).hint(hint))
        }
        None => Ok(value.to_owned()),
    }
}

fn stands_in_file(document: &Document, section: &[&str], key: &str) -> bool {
    let Ok(table) = document.text.parse::<toml::Table>() else { return false };
    let table = section.iter().try_fold(&table, |table, name| table.get(*name)?.as_table());
    table.is_some_and(|table| table.contains_key(key))
}
