//! Identifiers: UUID version 7 (RFC 9562), so that new rows land at the right edge of every index.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::{Builder, NoContext, Timestamp, Uuid};

use crate::Clock;

/// A new UUIDv7 that carries the clock's time in milliseconds and 74 random bits.
pub fn new(clock: &Clock) -> Uuid {
    let nanos = clock.now().unix_timestamp_nanos().max(0);
    let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(0);
    let subsec = u32::try_from(nanos % 1_000_000_000).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, subsec))
}

/// The UUIDv7 that always comes out for the thing `key` in `namespace` at time `at` (before 1970 counts as 1970): the
/// random bits are the SHA-256 of both. For events of imported records, where the same record has to give the same event.
pub fn derived(at: OffsetDateTime, namespace: &str, key: &[u8]) -> Uuid {
    let digest = Sha256::new()
        .chain_update(namespace.as_bytes())
        .chain_update([0])
        .chain_update(key)
        .finalize();
    let mut random = [0; 10];
    random.copy_from_slice(&digest[..10]);
    let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}
