//! Logs: `tracing` to standard error, as text or as JSON lines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// The text is not in `EnvFilter` syntax.
#[derive(Debug, thiserror::Error)]
#[error(
    "EMPORIUM_LOG: {0:?} is not a log filter; write a level such as warn, or pairs such as emporium_orders=debug,warn"
)]
pub struct BadFilter(String);

/// Starts logging for the whole process. `filter` is in `EnvFilter` syntax (`info`, `emporium_orders=debug`); calling it
/// twice leaves the first one in place.
pub fn init(filter: &str, format: LogFormat) -> Result<(), BadFilter> {
    let filter = EnvFilter::try_new(filter).map_err(|_| BadFilter(filter.to_owned()))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}
