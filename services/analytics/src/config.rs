//! Settings.

use clap::Parser;
use emporium_service_kit::Currency;
use time::Duration;

use crate::store::Terms;

/// Settings of the analytics service, from environment variables.
#[derive(Debug, Clone, Parser)]
pub struct Config {
    /// The shop's currency: figures are of it unless another one is asked for.
    #[arg(long, env = "EMPORIUM_CURRENCY", default_value_t = Currency::GBP)]
    pub currency: Currency,
    /// Days for which single activities of visitors are kept. After that their day is closed, and its sums stay.
    #[arg(long, env = "EMPORIUM_ANALYTICS_ACTIVITY_DAYS", default_value_t = 30, value_parser = clap::value_parser!(i64).range(3..=365))]
    pub activity_days: i64,
    /// Activities that are kept of a day; more of them are dropped and counted.
    #[arg(long, env = "EMPORIUM_ANALYTICS_ACTIVITY_PER_DAY_MAX", default_value_t = 1_000_000, value_parser = clap::value_parser!(i64).range(1..=100_000_000))]
    pub activity_per_day_max: i64,
}

impl Config {
    /// How much activity is kept, and for how long.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            kept: Duration::days(self.activity_days),
            per_day_max: self.activity_per_day_max,
        }
    }
}
