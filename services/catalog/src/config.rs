//! The service's own settings.

use clap::Parser;
use emporium_service_kit::Currency;

/// Settings of the catalog, from environment variables.
#[derive(Debug, Clone, Parser)]
pub struct Config {
    /// The shop's currency: prices of products are in it, and no other is accepted.
    #[arg(long, env = "EMPORIUM_CURRENCY", default_value = "GBP")]
    pub currency: Currency,
    /// The search index; `postgres:` is the service's own database.
    #[arg(
        long,
        env = "EMPORIUM_CATALOG_SEARCH",
        default_value = "postgres:",
        hide_env_values = true
    )]
    pub search: String,
}
