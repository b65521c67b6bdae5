//! Settings.

use clap::Parser;
use time::Duration;

/// Settings of the sessions service, from environment variables.
#[derive(Clone, Parser)]
pub struct Config {
    /// URL of the sessions' store; its scheme picks the adapter. The service's own database unless set.
    #[arg(long, env = "EMPORIUM_SESSIONS_STORE", hide_env_values = true)]
    pub store: Option<String>,
    /// Seconds after its last use at which a session expires.
    #[arg(long, env = "EMPORIUM_SESSIONS_TTL_S", default_value_t = 24 * 3_600, value_parser = seconds())]
    pub ttl_s: i64,
    /// Seconds after the login at which a session ends, however much it is used.
    #[arg(long, env = "EMPORIUM_SESSIONS_LIFETIME_S", default_value_t = 30 * 24 * 3_600, value_parser = seconds())]
    pub lifetime_s: i64,
    /// Seconds by which an expiry has to move before it is written. Look-ups in between only read.
    #[arg(long, env = "EMPORIUM_SESSIONS_SLIDE_STEP_S", default_value_t = 60, value_parser = seconds())]
    pub slide_step_s: i64,
    /// Failed logins for one e-mail address within the window, after which there is no further attempt.
    #[arg(long, env = "EMPORIUM_SESSIONS_FAILURES_MAX", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub failures_max: u16,
    /// The window, in seconds.
    #[arg(long, env = "EMPORIUM_SESSIONS_FAILURES_WINDOW_S", default_value_t = 300, value_parser = seconds())]
    pub failures_window_s: i64,
}

fn seconds() -> clap::builder::RangedI64ValueParser<i64> {
    clap::value_parser!(i64).range(1..=400 * 24 * 3_600)
}

impl Config {
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            sliding: Sliding {
                ttl: Duration::seconds(self.ttl_s),
                step: Duration::seconds(self.slide_step_s),
            },
            lifetime: Duration::seconds(self.lifetime_s),
            throttle: Throttle {
                failures_max: self.failures_max,
                window: Duration::seconds(self.failures_window_s),
            },
        }
    }
}

/// How long things live, and how often one may fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// How the expiry moves.
    pub sliding: Sliding,
    /// From login to the end that nothing moves.
    pub lifetime: Duration,
    /// How often one may fail.
    pub throttle: Throttle,
}

/// How a session's expiry moves with use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sliding {
    /// From the last use to the expiry.
    pub ttl: Duration,
    /// The least by which it moves.
    pub step: Duration,
}

/// How often a login may fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Throttle {
    /// Failures allowed within the window.
    pub failures_max: u16,
    /// The window.
    pub window: Duration,
}
