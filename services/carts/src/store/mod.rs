//! Where carts are kept.
//!
//! # Adding an adapter
//!
//! 1. Write `store/<name>.rs` with a type that implements [`CartStore`]. The verbs are what the service does, so an adapter
//!    is free in its layout: PostgreSQL keeps one row a cart and does each verb in one statement; on Redis it would be one
//!    hash a cart (a field a product, and the revision), each verb one Lua script. Its errors become [`StoreError`]s, whose
//!    causes may be of any client.
//! 2. Let [`open`] make it for its URL scheme: one more arm; [`StoreSetting`] has the URL and the errors for it.
//! 3. Add one line to the end of `store/contract.rs`: the whole suite, model-based test included, then runs against it.
//!
//! What every adapter has to keep, and the suite checks:
//!
//! - **Each verb is atomic.** Several instances of the service write to the same cart at once, and no update may get lost.
//! - **Time is a parameter** ([`Moment`]). A cart whose `expires_at` is not after `now` does not exist, whether it was
//!   removed already or not. A store's own expiry (Redis `PEXPIREAT`) may take the place of [`CartStore::reap`], but does
//!   not replace that comparison: its clock is another one.
//! - **A revision grows by one with each write that changes something**, and starts again at 1 with a cart that expired.
//! - **A write that finds nothing to change** leaves revision and `updated_at` alone, and only moves `expires_at`.
//! - **Acknowledged means durable**: no unlogged tables; on Redis, `appendfsync always`, or a documented window of loss.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use emporium_service_kit::store::POSTGRES;
use emporium_service_kit::{Environment, StartError, StoreError, StoreSetting};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::model::{CartKey, DroppedLine, StoredCart};

#[cfg(test)]
mod contract;
mod postgres;

const SETTING: &str = "EMPORIUM_CARTS_STORE";

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
}

/// Opens the store that `url` names, or the service's own database when there is none. The scheme picks the adapter.
pub async fn open(url: Option<&str>, environment: &Environment) -> Result<Arc<dyn CartStore>, StartError> {
    let setting = StoreSetting::new(SETTING, url);
    match setting.scheme().as_str() {
        POSTGRES => {
            let opened = postgres::PostgresCarts::open(setting.postgres(environment)?).await;
            let store = opened.map_err(|error| setting.not_migrated(environment, error))?;
            Ok(Arc::new(store))
        }
        _ => Err(setting.unknown_scheme(&[POSTGRES])),
    }
}
