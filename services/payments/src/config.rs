//! The service's own settings.

use std::time::Duration;

use clap::Parser;

/// Settings of the payments service.
#[derive(Debug, Clone, Parser)]
pub struct Config {
    /// How long a charge waits for the provider's answer before it is left pending, in milliseconds.
    #[arg(long, env = "EMPORIUM_PAYMENTS_PATIENCE_MS", default_value_t = 2_500, value_parser = clap::value_parser!(u64).range(1..=2_900))]
    pub patience_ms: u64,
    /// How often the provider's late answers are looked for when nobody wakes the task, in milliseconds.
    #[arg(long, env = "EMPORIUM_PAYMENTS_POLL_MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub poll_ms: u64,
    /// After how long without an answer a charge is looked up at the provider unasked, in seconds.
    #[arg(long, env = "EMPORIUM_PAYMENTS_RECONCILE_AFTER_S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub reconcile_after_s: u64,
}

impl Config {
    /// How long a charge waits for the provider.
    pub fn patience(&self) -> Duration {
        Duration::from_millis(self.patience_ms)
    }

    /// The pause between two looks for late answers.
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    /// The age at which a pending charge is looked up.
    pub fn reconcile_after(&self) -> Duration {
        Duration::from_secs(self.reconcile_after_s)
    }
}
