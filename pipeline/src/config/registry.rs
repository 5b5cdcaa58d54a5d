//! `[source.registry]`. Its secrets come from the environment or a file, never from the config itself.

use std::path::PathBuf;
use std::time::Duration;

use ingest::registry::{Credentials, RegistrySettings};

use super::raw::RawRegistry;
use super::report::{ConfigError, Document};
use super::secret::secret;

const PATH: [&str; 2] = ["source", "registry"];

/// How long one question to the registry may take, unless the config says.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn check(document: &Document, raw: &RawRegistry) -> Result<RegistrySettings, ConfigError> {
    let url = raw.url.0.clone();
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split('/').next()).filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| {
        document.error(&PATH, "its `url` is no address").hint("for example url = \"http://127.0.0.1:8081\"")
    })?;
    if host.contains('@') {
        let error = document.error(&PATH, "its `url` holds credentials");
        return Err(error.hint("say username = \"..\" and password = \"${NAME}\", or password_file"));
    }
    let password = secret(document, &PATH, "password", raw.password.as_deref(), raw.password_file.as_ref())?;
    let token = secret(document, &PATH, "token", raw.token.as_deref(), raw.token_file.as_ref())?;
    let credentials = match (&raw.username, password, token) {
        (None, None, None) => Credentials::None,
        (Some(user), Some(password), None) => Credentials::Basic(user.0.clone(), password),
        (None, None, Some(token)) => Credentials::Bearer(token),
        _ => {
            let error = document.error(&PATH, "its credentials do not go together");
            return Err(error.hint("say `username` and a password, or a token alone"));
        }
    };
    let timeout = raw.timeout.and_then(|timeout| u64::try_from(timeout.0).ok()).filter(|micros| *micros > 0);
    Ok(RegistrySettings {
        url,
        credentials,
        ca_file: raw.ca_file.as_ref().map(|file| PathBuf::from(&file.0)),
        timeout: timeout.map_or(TIMEOUT, Duration::from_micros),
    })
}

#[cfg(test)]
mod tests {
    use ingest::registry::Secret;

    use super::*;

    fn checked(section: &str) -> Result<RegistrySettings, String> {
        let text = format!("[source.registry]\n{section}");
        let table: toml::Table = text.parse().expect("TOML");
        let raw = table["source"]["registry"].clone().try_into().expect("the keys of a registry");
        check(&Document { file: "test.toml".into(), text }, &raw).map_err(|error| error.to_string())
    }

    #[test]
    fn secrets_come_from_elsewhere_and_are_never_shown() {
        let refused = checked("url = \"http://r\"\nusername = \"u\"\npassword = \"hunter2\"").expect_err("in the file");
        assert!(refused.contains("password_file") && !refused.contains("hunter2"), "{refused}");
        let refused = checked("url = \"http://u:hunter2@r\"").expect_err("in the address");
        assert!(refused.contains("credentials"), "{refused}");
        let path =
            checked("url = \"http://r\"\nusername = \"u\"\npassword = \"${PATH}\"").expect("a variable that is set");
        let Credentials::Basic(_, Secret::Value(value)) = &path.credentials else { panic!("{path:?}") };
        assert!(*value == std::env::var("PATH").expect("set") && !format!("{path:?}").contains(value.as_str()));
        let file = checked("url = \"https://r/a\"\ntoken_file = \"/run/token\"").expect("a file");
        assert_eq!(file.credentials, Credentials::Bearer(Secret::File("/run/token".into())));
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        assert!(checked("url = \"registry:8081\"").is_err_and(|why| why.contains("no address")));
        assert!(checked("url = \"http://r\"\nusername = \"u\"").is_err_and(|why| why.contains("go together")));
        let both = "url = \"http://r\"\ntoken = \"${PATH}\"\ntoken_file = \"t\"";
        assert!(checked(both).is_err_and(|why| why.contains("both `token`")));
        assert!(
            checked("url = \"http://r\"\ntoken = \"${FORESHORE_NOT_SET}\"").is_err_and(|why| why.contains("not set"))
        );
    }
}
