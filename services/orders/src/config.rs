//! The service's own settings.

use std::time::Duration;

use clap::Parser;

/// Settings of the orders service, from environment variables. The usual values suit production; tests shorten them.
#[derive(Debug, Clone, Parser)]
pub struct Config {
    /// How long a saga may take from placing the order to its end, in milliseconds. An outcome that is still unknown then
    /// cancels the order. A last attempt may be under way at that moment, so the end comes up to two call time-outs later.
    #[arg(long, env = "EMPORIUM_ORDERS_SAGA_DEADLINE_MS", default_value_t = 15_000, value_parser = clap::value_parser!(u64).range(100..=20_000))]
    pub saga_deadline_ms: u64,
    /// How long a stock reservation outlives the saga's deadline, in milliseconds.
    #[arg(long, env = "EMPORIUM_ORDERS_RESERVATION_MARGIN_MS", default_value_t = 300_000, value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    pub reservation_margin_ms: u64,
    /// How long an order waits for a payment that its provider announced for later, in seconds. The stock reservation has
    /// to outlive it, and the catalog grants at most 24 hours.
    #[arg(long, env = "EMPORIUM_ORDERS_PAYMENT_WAIT_S", default_value_t = 85_800, value_parser = clap::value_parser!(u64).range(1..=86_000))]
    pub payment_wait_s: u64,
    /// How often such a payment is looked up when no event wakes the saga, in milliseconds.
    #[arg(long, env = "EMPORIUM_ORDERS_PAYMENT_POLL_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(10..=600_000))]
    pub payment_poll_ms: u64,
    /// Time-out of a step's call, in milliseconds.
    #[arg(long, env = "EMPORIUM_ORDERS_CALL_TIMEOUT_MS", default_value_t = 2_500, value_parser = clap::value_parser!(u64).range(10..=5_000))]
    pub call_timeout_ms: u64,
    /// Time-out of asking for a charge, in milliseconds; payments answers within 3 s.
    #[arg(long, env = "EMPORIUM_ORDERS_CHARGE_TIMEOUT_MS", default_value_t = 4_000, value_parser = clap::value_parser!(u64).range(10..=5_000))]
    pub charge_timeout_ms: u64,
    /// How long `POST /customers/{id}/orders` waits for the order's end before it answers 202, in milliseconds.
    #[arg(long, env = "EMPORIUM_ORDERS_ANSWER_WAIT_MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(0..=15_000))]
    pub answer_wait_ms: u64,
    /// How long a worker holds a saga without a sign of life, in milliseconds: the time after which a crashed process's sagas go on.
    #[arg(long, env = "EMPORIUM_ORDERS_LEASE_MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(50..=15_000))]
    pub lease_ms: u64,
    /// How often due sagas are looked for, in milliseconds.
    #[arg(long, env = "EMPORIUM_ORDERS_POLL_MS", default_value_t = 250, value_parser = clap::value_parser!(u64).range(5..=5_000))]
    pub poll_ms: u64,
    /// Longest pause between two attempts at what an ended order still owes, in milliseconds.
    #[arg(long, env = "EMPORIUM_ORDERS_RETRY_MAX_MS", default_value_t = 15_000, value_parser = clap::value_parser!(u64).range(10..=600_000))]
    pub retry_max_ms: u64,
    /// How many sagas are worked on at once, and how many checkouts are prepared at once.
    #[arg(long, env = "EMPORIUM_ORDERS_SAGAS_MAX", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub sagas_max: u16,
}

impl Config {
    pub(crate) fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }

    pub(crate) fn charge_timeout(&self) -> Duration {
        Duration::from_millis(self.charge_timeout_ms)
    }

    pub(crate) fn answer_wait(&self) -> Duration {
        Duration::from_millis(self.answer_wait_ms)
    }

    pub(crate) fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }
}

/// Milliseconds of a setting as a span of the clock's time.
pub(crate) fn span(ms: u64) -> time::Duration {
    time::Duration::milliseconds(i64::try_from(ms).unwrap_or(i64::MAX))
}
