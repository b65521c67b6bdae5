//! Shelves that were made before.
//!
//! A cache is a place for text by key, with an expiry; whether what it has still holds is decided by [`crate::shelves`],
//! which compares stamps. So a cache may lose anything at any time, and one that is away makes shelves slower and nothing
//! else. To add one, implement [`Cache`], let [`open`] make it for its URL scheme, and add a line to the end of `contract.rs`.
//!
//! It is also where instances of the service agree on who makes a shelf that many ask for at once, since it is what they
//! share. A turn is a lease, no lock: who dies with it holds the others up until it is over, and two who make the same shelf
//! after all do no harm.

use std::sync::Arc;

use async_trait::async_trait;
use emporium_service_kit::redis::REDIS;
use emporium_service_kit::report::{Inspect, StoreOn};
use emporium_service_kit::store::POSTGRES;
use emporium_service_kit::stores::RECOMMENDATIONS_CACHE;
use emporium_service_kit::{Environment, StartError, StoreError};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::store::PostgresRecommendations;

#[cfg(test)]
mod contract;
mod postgres;
mod redis;

pub use postgres::PostgresCache;
pub use redis::RedisCache;

/// Shelves that a cache keeps at most, some kilobytes each: those that were asked for longest ago make room.
pub const SHELVES_MAX: usize = 100_000;

/// A shelf as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The stamp of its subject when it was made.
    pub stamp: String,
    /// JSON.
    pub shelf: String,
}

/// A place for shelves.
#[async_trait]
pub trait Cache: Send + Sync {
    /// What is kept under the key and has not expired.
    async fn get(&self, key: &str, now: OffsetDateTime) -> Result<Option<Kept>, StoreError>;

    /// Keeps it until then, in place of what was there.
    async fn put(
        &self,
        key: &str,
        kept: &Kept,
        now: OffsetDateTime,
        expires_at: OffsetDateTime,
    ) -> Result<(), StoreError>;

    /// Gives `who` the turn to make what belongs under the key, unless somebody else has it; says whether. It is over at
    /// `until`, or when it is [given back](Cache::end_turn). Taking one's own turn again prolongs it.
    async fn take_turn(
        &self,
        key: &str,
        who: Uuid,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<bool, StoreError>;

    /// Gives a turn back; somebody else's stays.
    async fn end_turn(&self, key: &str, who: Uuid) -> Result<(), StoreError>;

    /// Removes what has expired, and what is beyond [`SHELVES_MAX`], at most `max`; gives how many.
    async fn reap(&self, now: OffsetDateTime, max: u32) -> Result<u64, StoreError>;
}

/// A cache, to use and to tell about.
pub struct Cached {
    /// To use.
    pub cache: Arc<dyn Cache>,
    /// To tell about.
    pub report: Arc<dyn Inspect>,
}

/// Opens the cache that `EMPORIUM_RECOMMENDATIONS_CACHE` names, or a table of the service's own database when it names none.
pub async fn open(environment: &Environment) -> Result<Cached, StartError> {
    let setting = environment.stores.setting(RECOMMENDATIONS_CACHE);
    let (name, role) = (Some(RECOMMENDATIONS_CACHE), "cache");
    match setting.scheme().as_str() {
        POSTGRES => {
            let db = setting.postgres(environment).await?;
            let migrated = PostgresRecommendations::migrate(&db).await;
            migrated.map_err(|error| setting.not_migrated(environment, error))?;
            Ok(Cached {
                cache: Arc::new(PostgresCache::new(db.clone())),
                report: StoreOn::shared(db, role, name, []),
            })
        }
        REDIS => {
            let redis = setting.redis(environment).await?;
            Ok(Cached {
                cache: Arc::new(RedisCache::new(redis.clone(), redis::NAMESPACE, SHELVES_MAX)),
                report: StoreOn::shared(redis, role, name, []),
            })
        }
        _ => Err(setting.unknown_scheme(&[POSTGRES, REDIS])),
    }
}

/// No cache: every shelf is made anew.
pub struct NoCache;

#[async_trait]
impl Cache for NoCache {
    async fn get(&self, _: &str, _: OffsetDateTime) -> Result<Option<Kept>, StoreError> {
        Ok(None)
    }

    async fn put(&self, _: &str, _: &Kept, _: OffsetDateTime, _: OffsetDateTime) -> Result<(), StoreError> {
        Ok(())
    }

    async fn take_turn(
        &self,
        _: &str,
        _: Uuid,
        _: OffsetDateTime,
        _: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn end_turn(&self, _: &str, _: Uuid) -> Result<(), StoreError> {
        Ok(())
    }

    async fn reap(&self, _: OffsetDateTime, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}
