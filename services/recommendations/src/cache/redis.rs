//! Shelves in Redis: one key a shelf with the server's own expiry, and a sorted set that bounds how many there are.
//!
//! All keys share a hash tag, so in a cluster they are on one server: what bounds them has to see them all. The bound is the
//! adapter's and not the server's `maxmemory`, because the server may be shared with what must never be evicted (carts, say).
//! The scripts (`redis/*.lua`) are repeatable, as the kit demands.

use std::sync::LazyLock;

use ::redis::cmd;
use async_trait::async_trait;
use emporium_service_kit::redis::{Invocation, NamedScript};
use emporium_service_kit::{Redis, StoreError};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Cache, Kept};

/// What the keys begin with.
pub(super) const NAMESPACE: &str = "recommendations-cache";
/// No shelf is kept longer ([`Config::cache_seconds`](crate::Config)), so who was not asked for since then has expired.
const KEPT_MAX: Duration = Duration::days(1);

static GET: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("get_shelf", include_str!("redis/get_shelf.lua")));
static PUT: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("put_shelf", include_str!("redis/put_shelf.lua")));
static TAKE: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("take_turn", include_str!("redis/take_turn.lua")));
static END: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("end_turn", include_str!("redis/end_turn.lua")));

/// A cache in Redis.
pub struct RedisCache {
    redis: Redis,
    namespace: String,
    max: usize,
}

impl RedisCache {
    /// Below the given name, with at most `max` shelves.
    pub fn new(redis: Redis, namespace: &str, max: usize) -> Self {
        Self {
            redis,
            namespace: namespace.to_owned(),
            max,
        }
    }

    fn key(&self, kind: &str, key: &str) -> String {
        format!("{{{}}}:{kind}:{key}", self.namespace)
    }

    /// The sorted set of the shelves' keys by when each was last asked for.
    fn used(&self) -> String {
        format!("{{{}}}:used", self.namespace)
    }
}

/// Milliseconds since 1970, cut.
fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, key: &str, now: OffsetDateTime) -> Result<Option<Kept>, StoreError> {
        let run = Invocation::of(&GET)
            .key(self.key("shelf", key))
            .key(self.used())
            .arg(millis(now));
        let found: Vec<String> = self.redis.run(&run).await?;
        let mut fields = found.into_iter();
        Ok(fields
            .next()
            .zip(fields.next())
            .map(|(stamp, shelf)| Kept { stamp, shelf }))
    }

    async fn put(
        &self,
        key: &str,
        kept: &Kept,
        now: OffsetDateTime,
        expires_at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let run = Invocation::of(&PUT)
            .key(self.key("shelf", key))
            .key(self.used())
            .arg(&kept.stamp)
            .arg(&kept.shelf)
            .arg(millis(now))
            .arg(millis(expires_at))
            .arg(self.max);
        self.redis.run(&run).await
    }

    async fn take_turn(
        &self,
        key: &str,
        who: Uuid,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let run = Invocation::of(&TAKE)
            .key(self.key("turn", key))
            .arg(who.to_string())
            .arg(millis(now))
            .arg(millis(until));
        self.redis.run(&run).await
    }

    async fn end_turn(&self, key: &str, who: Uuid) -> Result<(), StoreError> {
        let run = Invocation::of(&END)
            .key(self.key("turn", key))
            .arg(who.to_string());
        self.redis.run(&run).await
    }

    /// Shelves go by themselves; what is left of them in the sorted set goes here.
    async fn reap(&self, now: OffsetDateTime, max: u32) -> Result<u64, StoreError> {
        let mut range = cmd("ZRANGE");
        range.arg(self.used()).arg("-inf").arg(millis(now - KEPT_MAX));
        range.arg("BYSCORE").arg("LIMIT").arg(0).arg(max);
        let old: Vec<String> = self.redis.command("ZRANGE", &range).await?;
        if old.is_empty() {
            return Ok(0);
        }
        // One that was asked for since then is forgotten too early, which the next one to ask mends.
        let mut remove = cmd("ZREM");
        remove.arg(self.used()).arg(&old);
        self.redis.command("ZREM", &remove).await
    }
}
