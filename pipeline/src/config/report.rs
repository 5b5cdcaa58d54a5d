//! What is wrong with a config file: shown with file, line, key and a hint.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

/// A config that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    message: String,
    hint: Option<String>,
    place: Option<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    line_number: usize,
    column: usize,
    width: usize,
    line: String,
}

impl ConfigError {
    /// An error about the file as a whole.
    pub fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), message: message.into(), hint: None, place: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        match &self.place {
            None => write!(f, "\n  in {}", self.file.display())?,
            Some(place) => {
                let number = place.line_number.to_string();
                let margin = " ".repeat(number.len());
                let pad = " ".repeat(place.column);
                write!(f, "\n {margin}--> {}:{}:{}", self.file.display(), place.line_number, place.column + 1)?;
                write!(f, "\n {margin} |\n {number} | {}\n {margin} | {pad}{}", place.line, "^".repeat(place.width))?;
            }
        }
        self.hint.iter().try_for_each(|hint| write!(f, "\n  hint: {hint}"))
    }
}

impl std::error::Error for ConfigError {}

/// A config file's text, to point into.
#[derive(Debug, Clone)]
pub struct Document {
    /// The file's name, as given.
    pub file: PathBuf,
    /// Its text.
    pub text: String,
}

impl Document {
    /// An error about the value at `path` (keys from the root), or about its nearest ancestor that is written out.
    pub fn error(&self, path: &[&str], message: impl Into<String>) -> ConfigError {
        let span = DeTable::parse(&self.text).ok().and_then(|root| locate(root.get_ref(), path));
        ConfigError {
            file: self.file.clone(),
            message: message.into(),
            hint: None,
            place: span.map(|span| self.place(span)),
        }
    }

    /// An error of the TOML parser, with the nearest known key where one is unknown.
    pub fn parse_error(&self, error: &toml::de::Error) -> ConfigError {
        let message = error.message().lines().next().unwrap_or("not valid TOML").to_owned();
        let hint = nearest_key(&message);
        ConfigError { file: self.file.clone(), message, hint, place: error.span().map(|span| self.place(span)) }
    }

    fn place(&self, span: Range<usize>) -> Place {
        let start = span.start.min(self.text.len());
        let before = self.text.get(..start).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |index| index + 1);
        let line = self.text.get(line_start..).unwrap_or("").lines().next().unwrap_or("");
        let column = self.text.get(line_start..start).unwrap_or("").chars().count();
        let within = span.end.min(line_start + line.len()).saturating_sub(start);
        let width = self.text.get(start..start + within).map_or(1, |part| part.chars().count().max(1));
        Place { line_number: before.matches('\n').count() + 1, column, width, line: line.to_owned() }
    }
}

fn locate(table: &DeTable<'_>, path: &[&str]) -> Option<Range<usize>> {
    let (first, rest) = path.split_first()?;
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == first)?;
    if rest.is_empty() {
        return Some(value.span().clone()).filter(|span| !span.is_empty()).or(Some(key.span()));
    }
    let deeper = match value.get_ref() {
        DeValue::Table(table) => locate(table, rest),
        _ => Some(value.span()),
    };
    deeper.or(Some(key.span()))
}

/// Serde names the unknown key and the known ones in back quotes: ``unknown field `x`, expected one of `a`, `b` ``.
fn nearest_key(message: &str) -> Option<String> {
    let mut names = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown field") && !message.starts_with("unknown variant") {
        return None;
    }
    let unknown = names.next()?;
    nearest(unknown, names).map(|name| format!("did you mean `{name}`?"))
}

/// The candidate most like `name`, if any is near enough to be meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let scored =
        candidates.into_iter().map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate));
    let (score, candidate) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score > 0.8).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_point_at_the_value() {
        let document =
            Document { file: "x.toml".into(), text: "[tables.orders]\nkey = \"id\"\ntime = \"when\"\n".into() };
        let shown = document.error(&["tables", "orders", "time"], "no column `when`").hint("say `at`").to_string();
        assert_eq!(
            shown,
            "no column `when`\n  --> x.toml:3:8\n   |\n 3 | time = \"when\"\n   |        ^^^^^^\n  hint: say `at`"
        );
    }

    #[test]
    fn unknown_keys_get_the_nearest() {
        assert_eq!(
            nearest_key("unknown field `querry`, expected one of `query`, `emit`").as_deref(),
            Some("did you mean `query`?")
        );
        assert_eq!(nearest_key("unknown field `zzz`, expected `query`"), None);
    }
}
