//! Settings.

use clap::Parser;
use time::Duration;

use crate::model::CartKind;

/// Settings of the carts service, from environment variables.
#[derive(Clone, Parser)]
pub struct Config {
    /// Days until an anonymous cart expires that nobody writes to.
    #[arg(long, env = "EMPORIUM_CARTS_ANONYMOUS_TTL_DAYS", default_value_t = 30, value_parser = days())]
    pub anonymous_ttl_days: i64,
    /// Days until a signed-in customer's cart expires that nobody writes to.
    #[arg(long, env = "EMPORIUM_CARTS_USER_TTL_DAYS", default_value_t = 90, value_parser = days())]
    pub user_ttl_days: i64,
    /// Days for which a purchase is remembered, so that repeating it changes nothing. Longer than any saga may take to be
    /// taken up again after a crash.
    #[arg(long, env = "EMPORIUM_CARTS_PURCHASE_MEMORY_DAYS", default_value_t = 90, value_parser = days())]
    pub purchase_memory_days: i64,
}

fn days() -> clap::builder::RangedI64ValueParser<i64> {
    clap::value_parser!(i64).range(1..=3_650)
}

impl Config {
    /// The settings that say how long things live.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            anonymous_ttl: Duration::days(self.anonymous_ttl_days),
            user_ttl: Duration::days(self.user_ttl_days),
            purchase_memory: Duration::days(self.purchase_memory_days),
        }
    }
}

/// How long things live.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    anonymous_ttl: Duration,
    user_ttl: Duration,
    /// For how long a saga's purchase is remembered.
    pub purchase_memory: Duration,
}

impl Terms {
    /// How long a cart of this kind lives after its last write.
    pub fn ttl(&self, kind: CartKind) -> Duration {
        match kind {
            CartKind::User => self.user_ttl,
            CartKind::Anonymous => self.anonymous_ttl,
        }
    }
}
