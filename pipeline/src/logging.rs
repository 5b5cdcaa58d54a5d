//! Log lines on standard error.

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// Starts logging. A filter that cannot be read is taken as `warn`, and said so.
pub fn start(filter: &str, format: LogFormat) {
    let (parsed, wrong) = match EnvFilter::try_new(filter) {
        Ok(parsed) => (parsed, None),
        Err(error) => (EnvFilter::new("warn"), Some(error)),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(std::io::stderr).with_target(false);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    if let Some(error) = wrong {
        tracing::warn!("the log filter `{filter}` is not understood ({error}); logging warnings");
    }
}
