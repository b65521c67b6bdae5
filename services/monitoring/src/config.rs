//! Settings.

use std::time::Duration;

use clap::Parser;

/// Settings of the monitoring service, from environment variables.
#[derive(Clone, Debug, Parser)]
pub struct Config {
    /// Milliseconds from one scrape of a service to the next; 0: this instance scrapes nothing and only answers.
    #[arg(long, env = "EMPORIUM_MONITORING_SCRAPE_PERIOD_MS", default_value_t = 5_000, value_parser = period())]
    pub scrape_period_ms: u64,
    /// Milliseconds that a service has for its whole answer; less than half a period.
    #[arg(long, env = "EMPORIUM_MONITORING_SCRAPE_TIMEOUT_MS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(10..=30_000))]
    pub scrape_timeout_ms: u64,
    /// Largest answer to a scrape, in KiB.
    #[arg(long, env = "EMPORIUM_MONITORING_SCRAPE_KIB_MAX", default_value_t = 4_096, value_parser = clap::value_parser!(u64).range(16..=65_536))]
    pub scrape_kib_max: u64,
    /// Most series that are kept; what would be one more is refused and counted.
    #[arg(long, env = "EMPORIUM_MONITORING_SERIES_MAX", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=200_000))]
    pub series_max: u32,
}

/// 0, or 100 ms to an hour.
fn period() -> impl clap::builder::TypedValueParser<Value = u64> {
    use clap::builder::TypedValueParser;
    clap::value_parser!(u64)
        .range(0..=3_600_000)
        .try_map(|ms| match ms {
            1..=99 => Err("it has to be 0, or at least 100"),
            _ => Ok(ms),
        })
}

impl Config {
    /// From one scrape to the next; `None`: this instance scrapes nothing.
    pub fn period(&self) -> Option<Duration> {
        (self.scrape_period_ms > 0).then(|| Duration::from_millis(self.scrape_period_ms))
    }

    /// How long a service has: the setting, or half a period when that is less.
    pub fn timeout(&self) -> Duration {
        let set = Duration::from_millis(self.scrape_timeout_ms);
        self.period().map_or(set, |period| set.min(period / 2))
    }

    /// Largest answer to a scrape, in bytes.
    pub fn body_bytes_max(&self) -> usize {
        usize::try_from(self.scrape_kib_max * 1_024).unwrap_or(usize::MAX)
    }
}
