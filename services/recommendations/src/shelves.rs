//! Shelves: from the cache where it has them, else made, each once at a time.
//!
//! A kept shelf is shown when its subject's stamp is what it was, and every product on it is still sold. So an order, an
//! archived product or a rebuilt generation outdates shelves at the moment it is applied, without a message that could be
//! lost or come before a slower computation has put the old shelf back. What remains until the expiry are changes of other
//! goods' popularity.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use emporium_service_kit::metrics::{self, Metrics};
use emporium_service_kit::{Clock, StoreError};
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::cache::{Cache, Kept};
use crate::model::{LIMIT_MAX, Scope, Shelf};
use crate::store::{Made, RecommendationStore, Subject};

/// Shelves that are made at once; each holds up to some megabytes of baskets. Others wait.
const MADE_AT_ONCE: usize = 8;

/// Shelves are made as long as anybody may ask for.
const LONGEST: usize = LIMIT_MAX as usize;

/// A shelf that is worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Customers who bought the product also bought.
    AlsoBought(Uuid),
    /// What goes with the product.
    BoughtTogether(Uuid),
    /// For the customer.
    ForYou(Uuid, Scope),
    /// What many buy.
    Popular,
}

impl Kind {
    fn key(self) -> String {
        match self {
            Self::AlsoBought(product) => format!("also-bought/{product}"),
            Self::BoughtTogether(product) => format!("bought-together/{product}"),
            Self::ForYou(customer, Scope::New) => format!("for-you/{customer}"),
            Self::ForYou(customer, Scope::All) => format!("for-you-all/{customer}"),
            Self::Popular => "popular".to_owned(),
        }
    }

    fn subject(self) -> Subject {
        match self {
            Self::AlsoBought(product) | Self::BoughtTogether(product) => Subject::Product(product),
            Self::ForYou(customer, _) => Subject::Customer(customer),
            Self::Popular => Subject::Everybody,
        }
    }
}

/// A lock a key, while somebody has it or waits for it.
type Locks = Mutex<HashMap<Kind, Weak<tokio::sync::Mutex<()>>>>;

/// Where shelves come from.
pub struct Shelves {
    store: Arc<dyn RecommendationStore>,
    cache: Arc<dyn Cache>,
    lifetime: Duration,
    clock: Clock,
    locks: Locks,
    making: Semaphore,
    outcomes: prometheus::IntCounterVec,
}

impl Shelves {
    /// Shelves of a store, kept for `lifetime`.
    pub fn new(
        store: Arc<dyn RecommendationStore>,
        cache: Arc<dyn Cache>,
        lifetime: Duration,
        clock: Clock,
        metrics: &Metrics,
    ) -> Self {
        let outcomes = metrics::counter(
            "emporium_recommendations_shelves_total",
            "Shelves by where they came from.",
            &["source"],
        );
        Self {
            store,
            cache,
            lifetime,
            clock,
            locks: Locks::default(),
            making: Semaphore::new(MADE_AT_ONCE),
            outcomes: metrics.register(outcomes),
        }
    }

    /// The shelf's first `limit` suggestions. `as_of` is asked just before the shelf is made.
    pub async fn get(
        &self,
        kind: Kind,
        limit: usize,
        as_of: impl Fn() -> Option<OffsetDateTime>,
    ) -> Result<Shelf, StoreError> {
        let mut shelf = match self.kept(kind).await? {
            Some(shelf) => shelf,
            None => self.make_once(kind, as_of).await?,
        };
        shelf.items.truncate(limit);
        Ok(shelf)
    }

    /// Who comes while another one makes the same shelf waits for that one.
    async fn make_once(
        &self,
        kind: Kind,
        as_of: impl Fn() -> Option<OffsetDateTime>,
    ) -> Result<Shelf, StoreError> {
        let lock = self.lock(kind);
        let guard = lock.lock().await;
        let shelf = match self.kept(kind).await? {
            Some(shelf) => Ok(shelf),
            None => self.make(kind, as_of()).await,
        };
        drop(guard);
        drop(lock);
        self.forget(kind);
        shelf
    }

    async fn make(&self, kind: Kind, as_of: Option<OffsetDateTime>) -> Result<Shelf, StoreError> {
        let permit = self.making.acquire().await;
        let made = self.ask(kind).await;
        drop(permit);
        let Made { items, stamp } = made?;
        let shelf = Shelf { items, as_of };
        self.count("made");
        self.keep(kind, stamp, &shelf).await;
        Ok(shelf)
    }

    async fn ask(&self, kind: Kind) -> Result<Made, StoreError> {
        match kind {
            Kind::AlsoBought(product) => self.store.also_bought(product, LONGEST).await,
            Kind::BoughtTogether(product) => {
                // The stamp has to be the product's, and older than the shelf.
                let stamp = self.store.stamp(kind.subject(), &[]).await?.unwrap_or_default();
                let made = self.store.bought_together(&[product], LONGEST).await?;
                Ok(Made { stamp, ..made })
            }
            Kind::ForYou(customer, scope) => self.store.for_you(customer, scope, LONGEST).await,
            Kind::Popular => self.store.popular(LONGEST).await,
        }
    }

    /// The shelf that the cache has, if it still holds. A cache that is away has none.
    async fn kept(&self, kind: Kind) -> Result<Option<Shelf>, StoreError> {
        if self.lifetime.is_zero() {
            return Ok(None);
        }
        let kept = match self.cache.get(&kind.key(), self.clock.now()).await {
            Ok(kept) => kept,
            Err(error) => {
                self.cache_failed(&error);
                None
            }
        };
        let Some((kept, shelf)) = kept.and_then(read) else {
            return Ok(None);
        };
        let shown: Vec<Uuid> = shelf.items.iter().map(|item| item.product_id).collect();
        if self.store.stamp(kind.subject(), &shown).await? != Some(kept.stamp) {
            self.count("outdated");
            return Ok(None);
        }
        self.count("cache");
        Ok(Some(shelf))
    }

    async fn keep(&self, kind: Kind, stamp: String, shelf: &Shelf) {
        let Ok(text) = serde_json::to_string(shelf) else {
            return;
        };
        // Nothing popular: nobody has bought anything yet, and no stamp tells when somebody does.
        let of_a_new_shop = shelf.items.is_empty() && !matches!(kind.subject(), Subject::Product(_));
        if self.lifetime.is_zero() || of_a_new_shop {
            return;
        }
        let kept = Kept { stamp, shelf: text };
        let expires_at = self.clock.now() + self.lifetime;
        if let Err(error) = self.cache.put(&kind.key(), &kept, expires_at).await {
            self.cache_failed(&error);
        }
    }

    fn cache_failed(&self, error: &StoreError) {
        self.count("cache_failed");
        tracing::warn!(%error, "the cache of shelves does not work; they are made anew");
    }

    fn count(&self, source: &str) {
        self.outcomes.with_label_values(&[source]).inc();
    }

    fn lock(&self, kind: Kind) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(&kind).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::default();
        locks.insert(kind, Arc::downgrade(&lock));
        lock
    }

    /// Removes the key's lock, and those of callers that went away, unless somebody has them.
    fn forget(&self, kind: Kind) {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if locks.get(&kind).is_some_and(|lock| lock.strong_count() == 0) {
            locks.remove(&kind);
        }
        if locks.len() > 4 * MADE_AT_ONCE {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
    }
}

/// A shelf of another version of the program, which this one cannot read, is no shelf.
fn read(kept: Kept) -> Option<(Kept, Shelf)> {
    let shelf = serde_json::from_str(&kept.shelf).ok()?;
    Some((kept, shelf))
}
