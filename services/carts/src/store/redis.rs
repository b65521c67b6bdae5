//! Carts in Redis, or in a Redis Cluster: one hash a cart, a field for each line, and the server's own expiry.
//!
//! Each verb but the merge is one script and one round trip: the server runs scripts one after the other, so a verb is atomic
//! without locks, and the answer holds the whole cart. Every script is repeatable, because the kit sends a call once more
//! when its connection was lost. The scripts (`redis/*.lua`) say what they do and why; [`merge`] says how a merge crosses
//! two slots.

use std::time::Duration;

use ::redis::cmd;
use async_trait::async_trait;
use emporium_service_kit::redis::{CALL_TIMEOUT, Invocation, NamedScript};
use emporium_service_kit::{Redis, StoreError};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Capability, CartStore, Merged, Moment, Purchase, SetLine};
use crate::model::{CartKey, LINES_MAX, StoredCart};

mod keys;
mod lacks;
mod merge;
mod record;
mod records;
mod scripts;
#[cfg(test)]
pub(super) mod tests;

use keys::Keys;
use merge::Settled;
use record::{Record, Reply, micros, millis_up};
pub(super) use records::RedisRecords;

/// How long a verb may take altogether: one call, and a little more for verbs that need several.
const VERB_TIMEOUT: Duration = CALL_TIMEOUT.saturating_add(Duration::from_millis(300));
/// How often a write tries to get past merges of the same visitor's cart, and a merge past writes.
const TRIES_MAX: usize = 100;

/// The Redis adapter.
pub struct RedisCarts {
    redis: Redis,
    keys: Keys,
    lacks: Vec<Capability>,
}

impl RedisCarts {
    /// Carts below the given name. Asks the server what it promises.
    pub async fn open(redis: Redis, namespace: &str) -> Result<Self, StoreError> {
        Ok(Self {
            lacks: lacks::of(&redis.promises().await?),
            redis,
            keys: Keys::new(namespace),
        })
    }

    /// The hash as it is, frozen or not.
    async fn read(&self, key: CartKey, now: OffsetDateTime) -> Result<Option<Record>, StoreError> {
        let reply: Reply = self
            .redis
            .command("HGETALL", cmd("HGETALL").arg(self.keys.cart(key)))
            .await?;
        Ok(reply.live(now))
    }

    /// A script with the keys and arguments that `begin.lua` wants.
    fn writing<'a>(
        &self,
        script: &'a NamedScript,
        key: CartKey,
        at: Moment,
        settled: &Settled,
    ) -> Invocation<'a> {
        Invocation::of(script)
            .key(self.keys.cart(key))
            .arg(micros(at.now))
            .arg(micros(at.expires_at))
            .arg(millis_up(at.expires_at))
            .arg(settled.merge_id.as_str())
            .arg(settled.verdict())
    }

    fn set_line_call(
        &self,
        key: CartKey,
        product_id: Uuid,
        quantity: u16,
        at: Moment,
        settled: &Settled,
    ) -> Invocation<'static> {
        self.writing(&scripts::SET_LINE, key, at, settled)
            .arg(product_id.to_string())
            .arg(quantity)
            .arg(LINES_MAX)
    }

    fn remove_line_call(
        &self,
        key: CartKey,
        product_id: Uuid,
        at: Moment,
        settled: &Settled,
    ) -> Invocation<'static> {
        self.writing(&scripts::REMOVE_LINE, key, at, settled)
            .arg(product_id.to_string())
    }

    fn take_purchase_call(&self, purchase: &Purchase, at: Moment) -> Invocation<'static> {
        let key = CartKey::user(purchase.user_id);
        let quantities = purchase.quantities.iter();
        self.writing(&scripts::TAKE_PURCHASE, key, at, &Settled::default())
            .key(self.keys.purchase(purchase.user_id, purchase.saga_id))
            .arg(micros(purchase.remembered_until))
            .arg(millis_up(purchase.remembered_until))
            .arg(
                quantities
                    .flat_map(|(product, units)| [product.to_string(), units.to_string()])
                    .collect::<Vec<_>>(),
            )
    }

    /// Does a write. One that meets a merge under way settles that first: usually it is over in the same moment.
    async fn write(
        &self,
        make: impl Fn(&Settled) -> Invocation<'static>,
        now: OffsetDateTime,
    ) -> Result<Reply, StoreError> {
        within(async {
            let mut settled = Settled::default();
            for _ in 0..TRIES_MAX {
                let reply: Reply = self.redis.run(&make(&settled)).await?;
                match reply {
                    Reply::Cart(Record {
                        cart,
                        merge: Some(merge),
                    }) => {
                        settled = self.settle(&merge, cart.expires_at, now).await?;
                    }
                    reply => return Ok(reply),
                }
            }
            Err(StoreError::Conflict("the cart is merged again and again".into()))
        })
        .await
    }
}

/// Bounds a verb that may need several calls. Ending it anywhere is harmless: each call is whole by itself.
async fn within<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = |_| Err(StoreError::Unavailable("the time is up".into()));
    tokio::time::timeout(VERB_TIMEOUT, work)
        .await
        .unwrap_or_else(late)
}

#[async_trait]
impl CartStore for RedisCarts {
    async fn find(&self, key: CartKey, now: OffsetDateTime) -> Result<Option<StoredCart>, StoreError> {
        within(async {
            let Some(record) = self.read(key, now).await? else {
                return Ok(None);
            };
            match record.merge {
                Some(merge) if self.is_applied(&merge).await? => Ok(None),
                _ => Ok(Some(record.cart)),
            }
        })
        .await
    }

    async fn set_line(
        &self,
        key: CartKey,
        product_id: Uuid,
        quantity: u16,
        at: Moment,
    ) -> Result<SetLine, StoreError> {
        let make = |settled: &Settled| self.set_line_call(key, product_id, quantity, at, settled);
        match self.write(make, at.now).await? {
            Reply::Cart(record) => Ok(SetLine::Done(record.cart)),
            Reply::Full => Ok(SetLine::Full),
            Reply::Nothing => Err(StoreError::Failed("the script gave no cart".into())),
        }
    }

    async fn remove_line(
        &self,
        key: CartKey,
        product_id: Uuid,
        at: Moment,
    ) -> Result<Option<StoredCart>, StoreError> {
        let make = |settled: &Settled| self.remove_line_call(key, product_id, at, settled);
        let reply = self.write(make, at.now).await?;
        Ok(reply.live(at.now).map(|record| record.cart))
    }

    async fn clear(&self, key: CartKey, at: Moment) -> Result<(), StoreError> {
        let make = |settled: &Settled| self.writing(&scripts::CLEAR, key, at, settled);
        self.write(make, at.now).await.map(|_| ())
    }

    async fn merge(&self, user_id: Uuid, anonymous_id: Uuid, at: Moment) -> Result<Merged, StoreError> {
        self.merge_carts(user_id, anonymous_id, at).await
    }

    async fn take_purchase(&self, purchase: &Purchase, at: Moment) -> Result<Option<StoredCart>, StoreError> {
        let reply: Reply = self.redis.run(&self.take_purchase_call(purchase, at)).await?;
        Ok(reply.live(at.now).map(|record| record.cart))
    }

    /// The server forgets by itself.
    async fn reap(&self, _now: OffsetDateTime, _max: u32) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.redis.ping().await
    }

    fn lacks(&self) -> &[Capability] {
        &self.lacks
    }
}
