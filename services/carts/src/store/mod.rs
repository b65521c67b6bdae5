//! Where carts are kept.
//!
//! # Adding an adapter
//!
//! 1. Write `store/<name>.rs` with a type that implements [`CartStore`]. The verbs are what the service does, so an adapter
//!    is free in its layout: PostgreSQL keeps one row a cart and does each verb in one statement; Redis keeps one hash a cart
//!    (a field a product) and does each verb in one Lua script. Its errors become [`StoreError`]s, whose causes may be of any
//!    client.
//! 2. Say what it lacks ([`CartStore::lacks`]).
//! 3. Let [`open_side`] make it for its URL scheme: one more arm; [`StoreSetting`](emporium_service_kit::StoreSetting) has the URL
//!    and the errors for it. Add the scheme to `emporium_service_kit::stores::KNOWN`.
//! 4. Add one line to the end of `store/contract.rs`: the whole suite, model-based test included, then runs against it.
//!
//! What every adapter has to keep, and the suite checks:
//!
//! - **Each verb is atomic.** Several instances of the service write to the same cart at once, and no update may get lost.
//! - **Time is a parameter** ([`Moment`]). A cart whose `expires_at` is not after `now` does not exist, whether it was
//!   removed already or not. A store's own expiry (Redis `PEXPIREAT`) may take the place of [`CartStore::reap`], but does
//!   not replace that comparison: its clock is another one.
//! - **A revision grows by one with each write that changes something**, and starts again at 1 with a cart that expired.
//! - **A write that finds nothing to change** leaves revision and `updated_at` alone, and only moves `expires_at`.
//! - **Acknowledged means durable**: no unlogged tables; on Redis, `appendfsync always`, or the window of loss is declared as
//!   a [`Capability`] that the adapter lacks.
//! - **Whoever calls, waits seconds at most**: a store that does not answer is a [`StoreError::Unavailable`] in time.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use emporium_moving::postgres::PostgresMoving;
use emporium_moving::redis::RedisMoving;
use emporium_moving::register::{Journal, Register};
use emporium_moving::{Copied, Moving, Side};
use emporium_service_kit::redis::REDIS;
use emporium_service_kit::report::{Opened, Server};
use emporium_service_kit::store::POSTGRES;
use emporium_service_kit::stores::CARTS_STORE;
use emporium_service_kit::{Environment, Lack, StartError, StoreError};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::model::{CartKey, DroppedLine, StoredCart};

#[cfg(test)]
mod contract;
mod gated;
mod postgres;
mod record;
mod redis;

use gated::GatedCarts;
pub use postgres::PostgresCarts;
use postgres::PostgresRecords;
pub use redis::RedisCarts;
use redis::RedisRecords;

/// Name below which the service keeps its carts where a store is shared with others.
const NAMESPACE: &str = "carts";

/// What the contract offers and a store may lack, by its nature or its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capability {
    /// What was acknowledged is there after the machine lost its power.
    SurvivesPowerLoss,
    /// What was acknowledged is there after the server's process was killed and started again.
    SurvivesRestart,
    /// What was acknowledged is there after a replica took over from its master.
    SurvivesFailover,
    /// Nothing is forgotten before it expires.
    KeepsUntilExpiry,
}

impl Capability {
    /// What follows from its absence, for reports.
    pub fn lack(self) -> Lack {
        let (capability, consequence) = match self {
            Self::SurvivesPowerLoss => (
                "survives power loss",
                "writes of the last second or two may be lost when the machine crashes, or the process while the disk is \
                 busy: changes to carts, and the marks by which a repeated purchase is recognised, so that bought goods may \
                 be in a cart again; set appendfsync to always",
            ),
            Self::SurvivesRestart => (
                "survives restart",
                "all carts, and the marks by which a repeated purchase is recognised, are lost when the server's process \
                 ends; set appendonly to yes",
            ),
            Self::SurvivesFailover => (
                "survives failover",
                "replication is asynchronous: writes of the moments before a replica takes over may be lost, marks of \
                 purchases and of merges included, so that bought or merged goods may be in a cart again",
            ),
            Self::KeepsUntilExpiry => (
                "keeps until expiry",
                "carts and marks of purchases and merges may be evicted before their time when memory is full; set \
                 maxmemory-policy to noeviction",
            ),
        };
        Lack::new(capability, consequence)
    }
}

/// When a write happens, and until when the cart lives because of it.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The present.
    pub now: OffsetDateTime,
    /// The cart's new expiry.
    pub expires_at: OffsetDateTime,
}

/// What became of setting a quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetLine {
    /// It is set; this is the cart.
    Done(StoredCart),
    /// The product would be one too many, so nothing was changed.
    Full,
}

/// What a merge gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The customer's cart; `None` when there is none.
    pub cart: Option<StoredCart>,
    /// What did not fit.
    pub dropped: Vec<DroppedLine>,
}

/// A saga's purchase.
#[derive(Debug, Clone)]
pub struct Purchase {
    /// The customer.
    pub user_id: Uuid,
    /// The saga.
    pub saga_id: Uuid,
    /// Bought units by product, all above 0.
    pub quantities: BTreeMap<Uuid, u32>,
    /// Until when a repetition is recognised.
    pub remembered_until: OffsetDateTime,
}

/// A store of carts; the module's documentation says what an adapter has to keep.
#[async_trait]
pub trait CartStore: Send + Sync {
    /// The cart; `None` when nobody wrote to it or it has expired.
    async fn find(&self, key: CartKey, now: OffsetDateTime) -> Result<Option<StoredCart>, StoreError>;

    /// Sets the quantity (1 to 999) of a product, adding it if need be; refuses what would be line 101. A product that is
    /// there already keeps its `added_at`.
    async fn set_line(
        &self,
        key: CartKey,
        product_id: Uuid,
        quantity: u16,
        at: Moment,
    ) -> Result<SetLine, StoreError>;

    /// Takes a product out; gives the cart, `None` when there is none.
    async fn remove_line(
        &self,
        key: CartKey,
        product_id: Uuid,
        at: Moment,
    ) -> Result<Option<StoredCart>, StoreError>;

    /// Takes everything out. The cart itself stays, with its revision, until it expires: a reader who compares revisions
    /// must not take a refilled cart for the one it saw before.
    async fn clear(&self, key: CartKey, at: Moment) -> Result<(), StoreError>;

    /// Moves what is in a visitor's cart into a customer's, by the rule of [`crate::model::merge_lines`]; the visitor's cart
    /// is gone afterwards. With no visitor's cart, or an empty one, the customer's is left exactly as it is: so a
    /// repetition changes nothing.
    async fn merge(&self, user_id: Uuid, anonymous_id: Uuid, at: Moment) -> Result<Merged, StoreError>;

    /// Takes bought units off a customer's cart, once a saga: more than the cart has takes the line out; what was added
    /// since stays. A repetition changes nothing, also when there was no cart the first time. Gives the cart, `None` when
    /// there is none.
    async fn take_purchase(&self, purchase: &Purchase, at: Moment) -> Result<Option<StoredCart>, StoreError>;

    /// Removes expired carts and forgotten purchases, at most `max` of each, and gives how many. It may leave the
    /// youngest of them for another day. A store that forgets by itself has nothing to do here.
    async fn reap(&self, now: OffsetDateTime, max: u32) -> Result<u64, StoreError>;

    /// Fails when the store does not answer.
    async fn ping(&self) -> Result<(), StoreError>;

    /// What this store does not give, as far as it can be told; empty when it keeps the whole contract.
    fn lacks(&self) -> &[Capability];
}

/// Opens the store that `EMPORIUM_CARTS_STORE` names, or the service's own database when it names none, with what moves it to
/// another one. An error is one line that names the setting; there is no falling back to another store.
pub async fn open(environment: &Environment) -> Result<Moving<dyn CartStore>, StartError> {
    Moving::open(environment, CARTS_STORE, open_side).await
}

/// The store behind the gate of a move.
pub fn gated(moving: &Moving<dyn CartStore>) -> Arc<dyn CartStore> {
    Arc::new(GatedCarts(moving.gate()))
}

/// Opens the store that the environment's setting names. The scheme picks the adapter.
pub async fn open_side(environment: Environment) -> Result<Side<dyn CartStore>, StartError> {
    let setting = environment.stores.setting(CARTS_STORE);
    let clock = environment.clock.clone();
    match setting.scheme().as_str() {
        POSTGRES => {
            let db = setting.postgres(&environment).await?;
            let not_migrated = |error| setting.not_migrated(&environment, error);
            let store = PostgresCarts::open(db.clone()).await.map_err(not_migrated)?;
            let moves = PostgresMoving::open(db.clone(), environment.service).await;
            let moves = Arc::new(moves.map_err(not_migrated)?);
            let opened = opened(Arc::new(store), db.clone());
            let records = Arc::new(PostgresRecords::new(db, clock));
            Ok(side(opened, setting.address(), records, moves))
        }
        REDIS => {
            let redis = setting.redis(&environment).await?;
            let store = RedisCarts::open(redis.clone(), NAMESPACE).await;
            let store = Arc::new(store.map_err(|error| setting.failed(&environment, error))?);
            let moves = Arc::new(RedisMoving::new(redis.clone(), NAMESPACE));
            let records = Arc::new(RedisRecords::new(store.clone(), clock));
            Ok(side(opened(store, redis), setting.address(), records, moves))
        }
        _ => Err(setting.unknown_scheme(&[POSTGRES, REDIS])),
    }
}

/// Everything that carts are is copied.
fn side(
    opened: Opened<dyn CartStore>,
    address: String,
    records: Arc<dyn Copied>,
    moves: Arc<impl Register + Journal + 'static>,
) -> Side<dyn CartStore> {
    Side::of(opened, address, moves.clone()).copying(records, moves)
}

fn opened(store: Arc<impl CartStore + 'static>, server: impl Server + 'static) -> Opened<dyn CartStore> {
    let lacks: Vec<Lack> = store.lacks().iter().map(|lack| lack.lack()).collect();
    Opened::new(store, server, CARTS_STORE, lacks)
}
