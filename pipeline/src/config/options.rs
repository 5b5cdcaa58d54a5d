//! `[source.options]` and `[sink.options]`: librdkafka settings, some of which are secret.

use std::fmt;
use std::ops::Deref;

use indexmap::IndexMap;

use super::raw::RawOption;
use super::report::{ConfigError, Document};
use super::secret::from_variable;
use super::units::variables;

/// librdkafka settings in the order of the file. Values may be secret and are never printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Options(Vec<(String, String)>);

impl Options {
    /// What says how a broker is reached and who we are, and none of the rest.
    pub(super) fn of_connection(&self) -> Self {
        let is_of_connection = |name: &str| {
            ["security.", "ssl.", "sasl.", "enable.ssl.", "enable.sasl."].iter().any(|start| name.starts_with(start))
        };
        Self(self.0.iter().filter(|(name, _)| is_of_connection(name)).cloned().collect())
    }

    /// With those of `above` in the place of its own.
    pub(super) fn under(mut self, above: Self) -> Self {
        self.0.retain(|(name, _)| above.0.iter().all(|(other, _)| other != name));
        self.0.extend(above.0);
        self
    }
}

impl Deref for Options {
    type Target = [(String, String)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// librdkafka's settings that hold a secret themselves, rather than the name of a file.
fn is_secret(name: &str) -> bool {
    ["password", "passphrase", "secret", "key.pem", "oauthbearer.config"].iter().any(|end| name.ends_with(end))
}

/// librdkafka's settings that name a file or folder of certificates or keys.
fn is_file(name: &str) -> bool {
    name.starts_with("ssl.") && name.ends_with(".location")
}

/// In the place of `ssl.ca.location`: the library looks where systems have them.
const PROBE: &str = "probe";

pub(super) fn check(
    document: &Document,
    section: &str,
    raw: &IndexMap<String, RawOption>,
) -> Result<Options, ConfigError> {
    let value = |(name, raw): (&String, &RawOption)| Ok((name.clone(), value(document, section, name, raw)?));
    raw.iter().map(value).collect::<Result<_, _>>().map(Options)
}

fn value(document: &Document, section: &str, name: &str, raw: &RawOption) -> Result<String, ConfigError> {
    let path = [section, "options", name];
    let unreadable = |file: &str, error: std::io::Error| {
        document.error(&path, format!("the file of `{name}` cannot be read: {file}: {error}"))
    };
    match raw {
        RawOption::Text(text) if is_secret(name) => {
            let hint = format!(
                "write \"{name}\" = \"${{NAME}}\" and set that variable, or \"{name}\" = {{ file = \"PATH\" }}"
            );
            from_variable(document, &path[..2], name, text, &hint)
        }
        RawOption::Text(text) => {
            let value = variables(text).map_err(|message| document.error(&path, message))?;
            // The library's own message names no file.
            if is_file(name) && value != PROBE {
                std::fs::metadata(&value).map_err(|error| unreadable(&value, error))?;
            }
            Ok(value)
        }
        RawOption::File { file } => {
            let text = std::fs::read_to_string(&file.0).map_err(|error| unreadable(&file.0, error))?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(section: &str) -> Result<Options, String> {
        let text = format!("[sink.options]\n{section}");
        let table: toml::Table = text.parse().expect("TOML");
        let raw = table["sink"]["options"].clone().try_into().map_err(|error: toml::de::Error| error.to_string())?;
        check(&Document { file: "test.toml".into(), text }, "sink", &raw).map_err(|error| error.to_string())
    }

    #[test]
    fn secrets_come_from_elsewhere_and_are_never_shown() {
        for name in ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"] {
            let refused = checked(&format!("\"{name}\" = \"hunter2\"")).expect_err("in the file");
            assert!(
                refused.contains(name) && refused.contains("{ file = ") && !refused.contains("hunter2"),
                "{refused}"
            );
        }
        let path = checked("\"sasl.password\" = \"${PATH}\"").expect("a variable that is set");
        let value = std::env::var("PATH").expect("set");
        assert!(path[0].1 == value && !format!("{path:?}").contains(&value));
        let unset = checked("\"sasl.password\" = \"${FORESHORE_NOT_SET}\"").expect_err("not set");
        assert!(unset.contains("`FORESHORE_NOT_SET` of its `sasl.password` is not set"), "{unset}");
    }

    #[test]
    fn a_file_holds_a_value_without_the_end_of_its_line() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("password");
        std::fs::write(&file, "hunter2\n").expect("written");
        let options = checked(&format!("\"sasl.password\" = {{ file = {file:?} }}")).expect("a file that is there");
        assert_eq!(options[0].1, "hunter2");
        std::fs::remove_file(&file).expect("it was there");
        let gone = checked(&format!("\"sasl.password\" = {{ file = {file:?} }}")).expect_err("no such file");
        assert!(gone.contains("`sasl.password` cannot be read") && gone.contains("password: No such file"), "{gone}");
    }

    #[test]
    fn a_certificate_that_is_not_there_is_named() {
        let gone = checked("\"ssl.ca.location\" = \"/gone/ca.pem\"").expect_err("no such file");
        assert!(gone.contains("`ssl.ca.location` cannot be read: /gone/ca.pem: No such file"), "{gone}");
        let folder = tempfile::tempdir().expect("a temporary folder");
        for there in [PROBE, folder.path().to_str().expect("a text")] {
            checked(&format!("\"ssl.ca.location\" = {there:?}")).expect("the library takes it");
        }
    }

    #[test]
    fn other_settings_stand_as_they_are() {
        let options = checked("\"linger.ms\" = \"${FORESHORE_NOT_SET:-5}\"").expect("valid");
        assert_eq!(options.to_vec(), [("linger.ms".to_owned(), "5".to_owned())]);
        assert!(checked("\"linger.ms\" = 5").is_err_and(|why| why.contains("a text, or { file = ")));
    }

    #[test]
    fn how_a_broker_is_reached_is_taken_over() {
        let source = checked("\"security.protocol\" = \"SSL\"\n\"sasl.username\" = \"a\"\n\"fetch.min.bytes\" = \"1\"");
        let sink = checked("\"sasl.username\" = \"b\"").expect("valid");
        let both = source.expect("valid").of_connection().under(sink);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(both.to_vec(), [pair("security.protocol", "SSL"), pair("sasl.username", "b")]);
    }
}
