//! Time as a parameter: services ask a [`Clock`], never the system, so that tests can move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use time::{Duration, OffsetDateTime};

/// Where "now" comes from. Times are UTC, truncated to microseconds, which is what PostgreSQL keeps: a time that was
/// written and read back is equal to the one in memory.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that moves only when told to; microseconds since the Unix epoch.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `at` until [`Clock::advance`] moves it.
    pub fn manual(at: OffsetDateTime) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(micros(at))))
    }

    #[allow(clippy::disallowed_methods)] // the one place that asks the system
    /// The present moment, in UTC, to the microsecond.
    pub fn now(&self) -> OffsetDateTime {
        match self {
            Self::System => from_micros(micros(OffsetDateTime::now_utc())),
            Self::Manual(at) => from_micros(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward; the system's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(at) = self {
            at.fetch_add(
                i64::try_from(by.whole_microseconds()).unwrap_or(i64::MAX),
                Ordering::SeqCst,
            );
        }
    }
}

fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

fn from_micros(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
