//! Ids that a repeated import finds again: version 7 UUIDs whose time is the record's and whose 74 other bits are
//! the SHA-256 of its natural key.
//!
//! A natural key is a namespace (what kind of thing, from which source) and a key within it, such as
//! `("online-retail/order", "489434")`.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::{Builder, Uuid};

/// The id of the thing `key` in `namespace`, at `time` (whole milliseconds count; times before 1970 count as 1970).
///
/// The same arguments give the same id on every machine. The time is part of the identity: use one that another
/// file with the same thing gives too.
pub fn derive(time: OffsetDateTime, namespace: &str, key: &[u8]) -> Uuid {
    let millis = time.unix_timestamp_nanos() / 1_000_000;
    let digest = digest(namespace, key);
    let mut random = [0_u8; 10];
    random.copy_from_slice(&digest[..10]);
    Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or(0), &random).into_uuid()
}

/// 64 bits of a natural key, for choices that must not change from run to run (invented names, stock).
pub fn stable_hash(namespace: &str, key: &[u8]) -> u64 {
    let digest = digest(namespace, key);
    digest[..8]
        .iter()
        .fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
}

/// The SHA-256 of the natural key; no namespace holds a zero byte, so that no two keys run into one.
fn digest(namespace: &str, key: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(namespace.as_bytes())
        .chain_update([0])
        .chain_update(key)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn an_id_is_version_7_at_its_time_and_depends_on_namespace_and_key() {
        let at = datetime!(2010-03-04 05:06:07.891 UTC);
        let id = derive(at, "orders", b"489434");
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id, derive(at, "orders", b"489434"));
        assert_ne!(id, derive(at, "orders", b"489435"));
        assert_ne!(id, derive(at, "order", b"s489434"));
        let (seconds, nanos) = id.get_timestamp().expect("version 7 has a time").to_unix();
        assert_eq!((seconds, nanos), (1_267_679_167, 891_000_000));
        assert_eq!(
            derive(datetime!(1960-01-01 0:00 UTC), "a", b"b").get_version_num(),
            7
        );
    }
}
