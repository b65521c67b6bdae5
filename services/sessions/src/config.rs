//! Settings.

use clap::Parser;
use time::Duration;

/// Settings of the sessions service, from environment variables.
#[derive(Clone, Parser)]
pub struct Config {
    /// Seconds after its last use at which a session expires.
    #[arg(long, env = "EMPORIUM_SESSIONS_TTL_S", default_value_t = 24 * 3_600, value_parser = seconds())]
    pub ttl_s: i64,
    /// Seconds after the login at which a session ends, however much it is used.
    #[arg(long, env = "EMPORIUM_SESSIONS_LIFETIME_S", default_value_t = 30 * 24 * 3_600, value_parser = seconds())]
    pub lifetime_s: i64,
    /// Seconds by which an expiry has to move before it is written, at most a tenth of the time to live. Look-ups in between
    /// only read.
    #[arg(long, env = "EMPORIUM_SESSIONS_SLIDE_STEP_S", default_value_t = 60, value_parser = seconds())]
    pub slide_step_s: i64,
    /// Sessions that a user may have at once; at one more login, the one that began first ends.
    #[arg(long, env = "EMPORIUM_SESSIONS_PER_USER_MAX", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub per_user_max: u32,
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
        let ttl = Duration::seconds(self.ttl_s);
        Terms {
            // A step as long as the time to live would never be taken.
            sliding: Sliding {
                ttl,
                step: Duration::seconds(self.slide_step_s).min(ttl / 10),
            },
            lifetime: Duration::seconds(self.lifetime_s),
            per_user_max: self.per_user_max,
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
    /// Sessions of a user at once.
    pub per_user_max: u32,
    /// How often one may fail.
    pub throttle: Throttle,
}

/// How a session's expiry moves with use.
#[derive(Debug, Clone, Copy)]
pub struct Sliding {
    /// From the last use to the expiry.
    pub ttl: Duration,
    /// The least by which it moves.
    pub step: Duration,
}

/// How often a login may fail.
#[derive(Debug, Clone, Copy)]
pub struct Throttle {
    /// Failures allowed within the window.
    pub failures_max: u16,
    /// The window.
    pub window: Duration,
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::model::slid;

    /// With the usual step of a minute, a session of half a minute would never move.
    #[test]
    fn a_short_time_to_live_slides_too() {
        let config = Config {
            ttl_s: 30,
            ..emporium_service_kit::config::from_env().unwrap()
        };
        let (terms, began) = (config.terms(), OffsetDateTime::UNIX_EPOCH);
        let (expiry, end) = (began + terms.sliding.ttl, began + terms.lifetime);
        let used = began + Duration::seconds(20);
        assert_eq!(
            slid(expiry, end, used, terms.sliding),
            Some(used + Duration::seconds(30))
        );
        assert_eq!(
            slid(expiry, end, began + Duration::seconds(2), terms.sliding),
            None
        );
    }
}
