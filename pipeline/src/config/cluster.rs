//! `endpoint` and `profile` of source and sink: which Fluvio cluster.

use super::raw::Delivery;
use super::report::{ConfigError, Document};
use super::units::Text;

/// Which Fluvio cluster: neither means the current profile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cluster {
    /// `host:port` of its controller.
    pub endpoint: Option<String>,
    /// A profile of Fluvio's own config.
    pub profile: Option<String>,
}

/// Where the two keys may stand, and what they say together.
pub(super) fn cluster(
    document: &Document,
    section: &str,
    is_fluvio: bool,
    endpoint: Option<&Text>,
    profile: Option<&Text>,
) -> Result<Cluster, ConfigError> {
    let given = [("endpoint", endpoint), ("profile", profile)];
    if !is_fluvio && let Some((key, _)) = given.into_iter().find(|(_, value)| value.is_some()) {
        return Err(document.error(&[section, key], format!("`{key}` goes with kind = \"fluvio\"")));
    }
    if is_fluvio && !cfg!(feature = "fluvio") {
        return Err(document
            .error(&[section, "kind"], "this program was built without Fluvio")
            .hint("build it with `cargo build --release --features fluvio`"));
    }
    if endpoint.is_some() && profile.is_some() {
        return Err(document
            .error(&[section, "profile"], "`endpoint` and `profile` each name a cluster")
            .hint("a profile says the endpoint too; keep one of the two"));
    }
    Ok(Cluster { endpoint: endpoint.map(|text| text.0.clone()), profile: profile.map(|text| text.0.clone()) })
}

/// Options are librdkafka's.
pub(super) fn no_options(document: &Document, section: &str, is_empty: bool) -> Result<(), ConfigError> {
    if is_empty {
        return Ok(());
    }
    let error = document.error(&[section, "options"], "`options` are librdkafka's and go with kind = \"kafka\"");
    Err(error.hint("for Fluvio, certificates stand in a profile: profile = \"NAME\""))
}

pub(super) fn delivery(document: &Document, delivery: Option<Delivery>) -> Result<(), ConfigError> {
    if delivery == Some(Delivery::ExactlyOnce) {
        return Err(document
            .error(&["sink", "delivery"], "Fluvio has no transactions, so nothing can leave exactly once")
            .hint("delivery = \"at_least_once\"; a repeat has the same `id`, by which a reader drops it"));
    }
    Ok(())
}
