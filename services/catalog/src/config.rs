//! The service's own settings.

use clap::Parser;
use emporium_service_kit::Currency;

/// Settings of the catalog, from environment variables.
#[derive(Debug, Clone, Parser)]
pub struct Config {
    /// The shop's currency: prices of products are in it, and no other is accepted.
    #[arg(long, env = "EMPORIUM_CURRENCY", default_value = "GBP")]
    pub currency: Currency,
    /// How far behind the products a search index outside the database may be, in seconds, before the database answers
    /// searches for it.
    #[arg(long, env = "EMPORIUM_CATALOG_SEARCH_LAG_MAX_S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub search_lag_max_s: u64,
}
