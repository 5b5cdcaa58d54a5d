//! The registry's REST interface: schemas by number, and what they refer to by subject and version.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use ureq::Agent;
use ureq::http::StatusCode;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::Error;

/// Bytes of one answer: schemas have some kilobytes.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// Where the registry is, and how it lets us in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrySettings {
    /// The base address, up to what comes before `/schemas/ids`.
    pub url: String,
    /// Who we are.
    pub credentials: Credentials,
    /// Certificates of authorities to trust instead of the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// How long one question may take.
    pub timeout: Duration,
}

/// How we are let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Anyone is.
    None,
    /// By name and password.
    Basic(String, Secret),
    /// By a token.
    Bearer(Secret),
}

/// A password or token, never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Itself.
    Value(String),
    /// The file that holds it, read for each question, so that it may be replaced while we run.
    File(PathBuf),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("Value(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// Why there is no schema.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The registry does not know it, or it cannot be used: only its records are concerned.
    Unusable(String),
    /// No answer now.
    Outage(String),
    /// No answer ever, unless someone changes something.
    Fatal(Error),
}

/// A schema as the registry gives it.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    pub(super) schema: String,
    #[serde(rename = "schemaType", default = "avro")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) references: Vec<Reference>,
}

/// A schema that another refers to.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Reference {
    pub(super) name: String,
    subject: String,
    version: i64,
}

fn avro() -> String {
    "AVRO".to_owned()
}

#[derive(Debug)]
pub(super) struct Client {
    settings: RegistrySettings,
    agent: Agent,
}

impl Client {
    pub(super) fn new(mut settings: RegistrySettings) -> Result<Self, Error> {
        settings.url.truncate(settings.url.trim_end_matches('/').len());
        let fault = |reason: String| Error::Registry { url: settings.url.clone(), reason };
        let roots = match &settings.ca_file {
            None => RootCerts::PlatformVerifier,
            Some(path) => {
                let pem =
                    std::fs::read(path).map_err(|error| fault(format!("`ca_file` {}: {error}", path.display())))?;
                let items = parse_pem(&pem).filter_map(Result::ok);
                let certificates: Vec<Certificate<'static>> = items
                    .filter_map(|item| match item {
                        PemItem::Certificate(certificate) => Some(certificate),
                        _ => None,
                    })
                    .collect();
                if certificates.is_empty() {
                    return Err(fault(format!("`ca_file` {} holds no certificate in PEM", path.display())));
                }
                RootCerts::new_with_certs(&certificates)
            }
        };
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(roots).build();
        let config = Agent::config_builder()
            .timeout_global(Some(settings.timeout))
            .http_status_as_error(false)
            .user_agent(concat!("foreshore/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Self { agent: config.into(), settings })
    }

    pub(super) fn url(&self) -> &str {
        &self.settings.url
    }

    pub(super) fn by_id(&self, id: u32) -> Result<Answer, Trouble> {
        self.get(&format!("/schemas/ids/{id}"))
    }

    pub(super) fn by_reference(&self, reference: &Reference) -> Result<Answer, Trouble> {
        let subject = utf8_percent_encode(&reference.subject, NON_ALPHANUMERIC);
        self.get(&format!("/subjects/{subject}/versions/{}", reference.version))
    }

    pub(super) fn fault(&self, reason: impl Into<String>) -> Error {
        Error::Registry { url: self.settings.url.clone(), reason: reason.into() }
    }

    fn get(&self, path: &str) -> Result<Answer, Trouble> {
        let address = format!("{}{path}", self.settings.url);
        let mut request = self.agent.get(&address).header("Accept", "application/vnd.schemaregistry.v1+json, */*");
        if let Some(authorization) = self.authorization()? {
            request = request.header("Authorization", authorization);
        }
        let outage = |error: &dyn fmt::Display| {
            Trouble::Outage(format!("GET {address}: {error}; check that it runs, and `source.registry.url`"))
        };
        let mut response = request.call().map_err(|error| match error {
            ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) | ureq::Error::TlsRequired => {
                Trouble::Fatal(self.fault(format!("{error}; correct `source.registry.url`")))
            }
            error => outage(&error),
        })?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        let body = body.map_err(|error| outage(&error))?;
        self.understand(&address, status, &body)
    }

    fn understand(&self, address: &str, status: StatusCode, body: &str) -> Result<Answer, Trouble> {
        let said = Said::of(body);
        let fatal = |what: &str| Trouble::Fatal(self.fault(format!("GET {address}: {what}")));
        match status.as_u16() {
            200 => serde_json::from_str(body).map_err(|_| {
                fatal("what answers is no schema registry; correct `source.registry.url` (Apicurio: it ends with /apis/ccompat/v7)")
            }),
            401 | 403 => Err(fatal(&format!(
                "{status}{said}; correct `username` and `password`, or `token`, of `source.registry`"
            ))),
            404 if said.is_about_schemas() => Err(Trouble::Unusable(format!(
                "GET {address}: it does not know it{said}; register the schema again, or correct `source.registry.url` \
                 if the records come from elsewhere, then replay the dead letters"
            ))),
            404 => Err(fatal("404, as no schema registry says it; correct `source.registry.url`")),
            _ => Err(Trouble::Outage(format!("GET {address}: {status}{said}"))),
        }
    }

    fn authorization(&self) -> Result<Option<String>, Trouble> {
        let read = |secret: &Secret| match secret {
            Secret::Value(value) => Ok(value.clone()),
            Secret::File(path) => std::fs::read_to_string(path)
                .map(|text| text.trim().to_owned())
                .map_err(|error| Trouble::Fatal(self.fault(format!("secret file {}: {error}", path.display())))),
        };
        Ok(match &self.settings.credentials {
            Credentials::None => None,
            Credentials::Basic(user, password) => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{}", read(password)?))))
            }
            Credentials::Bearer(token) => Some(format!("Bearer {}", read(token)?)),
        })
    }
}

/// What a refusal says of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    error_code: i64,
    message: String,
}

impl Said {
    fn of(body: &str) -> Self {
        serde_json::from_str(body).unwrap_or_default()
    }

    /// Subject, version or schema not found; a path that is not there has the plain code 404.
    fn is_about_schemas(&self) -> bool {
        matches!(self.error_code, 40_401..=40_403)
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() { Ok(()) } else { write!(f, " ({})", crate::decode::clip(&self.message)) }
    }
}
