//! Settings.

use std::time::Duration;

use clap::Parser;

/// Settings of the recommendations service, from environment variables.
#[derive(Debug, Clone, Parser)]
pub struct Config {
    /// Seconds for which shelves are kept that no order has outdated; 0: not at all.
    #[arg(long, env = "EMPORIUM_RECOMMENDATIONS_CACHE_SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub cache_seconds: u64,
}

impl Config {
    /// How long shelves are kept.
    pub(crate) fn lifetime(&self) -> Duration {
        Duration::from_secs(self.cache_seconds)
    }
}
