//! Identifiers: UUID version 7 (RFC 9562), so that new rows land at the right edge of every index.

use uuid::{NoContext, Timestamp, Uuid};

use crate::Clock;

/// A new UUIDv7 that carries the clock's time in milliseconds and 74 random bits.
pub fn new(clock: &Clock) -> Uuid {
    let nanos = clock.now().unix_timestamp_nanos().max(0);
    let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(0);
    let subsec = u32::try_from(nanos % 1_000_000_000).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, subsec))
}
