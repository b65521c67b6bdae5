//! Carts and marks of purchases, to be moved. A cart that a merge has frozen is as its visitor sees it: there, or gone into the
//! customer's cart.

use std::sync::Arc;

use ::redis::cmd;
use async_trait::async_trait;
use emporium_moving::{Copied, Keys, Record};
use emporium_service_kit::redis::Invocation;
use emporium_service_kit::{Clock, StoreError};
use futures::{StreamExt, TryStreamExt, stream};
use time::OffsetDateTime;

use super::record::{line_text, micros, millis_up};
use super::{RedisCarts, scripts};
use crate::model::{CartKey, StoredCart};
use crate::store::CartStore as _;
use crate::store::record::{Content, RecordKey, content, record};

/// Calls under way at the same time; they share a connection.
const AT_ONCE: usize = 64;

/// The records of a server or cluster.
pub struct RedisRecords {
    carts: Arc<RedisCarts>,
    clock: Clock,
}

impl RedisRecords {
    /// Of these carts.
    pub fn new(carts: Arc<RedisCarts>, clock: Clock) -> Self {
        Self { carts, clock }
    }

    fn key(&self, key: RecordKey) -> String {
        match key {
            RecordKey::Cart(key) => self.carts.keys.cart(key),
            RecordKey::Purchase { user_id, saga_id } => self.carts.keys.purchase(user_id, saga_id),
        }
    }

    async fn read_one(&self, key: RecordKey, now: OffsetDateTime) -> Result<Option<Record>, StoreError> {
        let content = match key {
            RecordKey::Cart(key) => self.carts.find(key, now).await?.map(Content::Cart),
            RecordKey::Purchase { .. } => {
                let until: Option<i64> = self
                    .carts
                    .redis
                    .command("GET", cmd("GET").arg(self.key(key)))
                    .await?;
                let until = until.and_then(from_micros).filter(|until| *until > now);
                until.map(Content::Purchase)
            }
        };
        content.map(|content| record(key, content)).transpose()
    }

    async fn put_one(&self, key: RecordKey, content: Content) -> Result<(), StoreError> {
        match (key, content) {
            (RecordKey::Cart(key), Content::Cart(cart)) => self.put_cart(key, &cart).await,
            (key, Content::Purchase(until)) => {
                let mut set = cmd("SET");
                set.arg(self.key(key))
                    .arg(micros(until))
                    .arg("PXAT")
                    .arg(millis_up(until));
                self.carts.redis.command("SET", &set).await
            }
            _ => Ok(()),
        }
    }

    async fn put_cart(&self, key: CartKey, cart: &StoredCart) -> Result<(), StoreError> {
        let mut run = Invocation::of(&scripts::PUT)
            .key(self.carts.keys.cart(key))
            .arg(millis_up(cart.expires_at))
            .arg("revision")
            .arg(cart.revision)
            .arg("updated_at")
            .arg(micros(cart.updated_at))
            .arg("expires_at")
            .arg(micros(cart.expires_at));
        for (product, line) in &cart.lines {
            run = run.arg(product.to_string()).arg(line_text(line));
        }
        self.carts.redis.run(&run).await
    }

    async fn unlink(&self, keys: Vec<String>) -> Result<(), StoreError> {
        // One by one: in a cluster they lie in different slots.
        stream::iter(keys)
            .map(|key| async move {
                let mut unlink = cmd("UNLINK");
                unlink.arg(key);
                self.carts.redis.command::<()>("UNLINK", &unlink).await
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }
}

fn from_micros(micros: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok()
}

#[async_trait]
impl Copied for RedisRecords {
    async fn keys(&self, after: Option<&str>, max: usize) -> Result<Keys, StoreError> {
        let page = self
            .carts
            .redis
            .scan(&self.carts.keys.pattern(), after, max)
            .await?;
        let keys = page.keys.iter().filter_map(|key| self.carts.keys.record(key));
        Ok(Keys {
            keys: keys.map(RecordKey::text).collect(),
            next: page.next,
        })
    }

    async fn read(&self, keys: &[String]) -> Result<Vec<Record>, StoreError> {
        let now = self.clock.now();
        let keys = keys
            .iter()
            .map(|key| RecordKey::read(key))
            .collect::<Result<Vec<_>, _>>()?;
        let read: Vec<Option<Record>> = stream::iter(keys)
            .map(|key| self.read_one(key, now))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(read.into_iter().flatten().collect())
    }

    async fn put(&self, records: &[Record]) -> Result<(), StoreError> {
        let records = records.iter().map(content).collect::<Result<Vec<_>, _>>()?;
        stream::iter(records)
            .map(|(key, content)| self.put_one(key, content))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        let keys = keys.iter().map(|key| Ok(self.key(RecordKey::read(key)?)));
        self.unlink(keys.collect::<Result<_, StoreError>>()?).await
    }

    /// Receipts of merges too; the record of the move stays.
    async fn clear(&self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self
                .carts
                .redis
                .scan(&self.carts.keys.pattern(), after.as_deref(), 1_000)
                .await?;
            let own = page.keys.into_iter().filter(|key| self.carts.keys.is_owners(key));
            self.unlink(own.collect()).await?;
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }
}
