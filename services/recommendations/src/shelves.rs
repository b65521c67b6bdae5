//! Shelves: from the cache where it has them, else made, each once at a time: within this process by a lock, among several by
//! a [turn](Cache::take_turn) of the cache they share.
//!
//! A kept shelf is shown when its subject's stamp is what it was, and every product on it is still sold. So an order, an
//! archived product or a rebuilt generation outdates shelves at the moment it is applied, without a message that could be
//! lost or come before a slower computation has put the old shelf back. What remains until the expiry are changes of other
//! goods' popularity.
//!
//! A cache that is away costs the time of one call now and then: it is left alone for a while after each that failed. Who waits
//! in this process for a shelf that is being made gets it without a cache too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use emporium_service_kit::metrics::{self, Metrics};
use emporium_service_kit::{Clock, StoreError};
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::cache::{Cache, Kept};
use crate::model::{LIMIT_MAX, Scope, Shelf};
use crate::store::{Made, RecommendationStore, Subject};

#[cfg(test)]
mod tests;

/// Shelves that are made at once; each holds up to some megabytes of baskets. Others wait.
const MADE_AT_ONCE: usize = 8;

/// How long a turn to make a shelf is: longer than that takes, as a rule. Who dies with it holds others up for so long.
const TURN: Duration = Duration::from_secs(2);
/// How long a call of the cache may take: making a shelf takes no longer, as a rule.
const CACHE_LIMIT: Duration = Duration::from_millis(500);
/// How long a cache is left alone that has failed.
const CACHE_REST: Duration = Duration::from_secs(5);
/// How often somebody whose turn it is not looks whether the shelf is there.
const LOOK_EVERY: Duration = Duration::from_millis(20);

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

/// A lock a key, while somebody has it or waits for it, with the shelf that was made under it.
type Locks = Mutex<HashMap<Kind, Weak<tokio::sync::Mutex<Option<Kept>>>>>;

/// Where shelves come from.
pub struct Shelves {
    store: Arc<dyn RecommendationStore>,
    cache: Arc<dyn Cache>,
    lifetime: Duration,
    clock: Clock,
    locks: Locks,
    making: Semaphore,
    /// Until when the cache is left alone.
    cache_rests: Mutex<Option<Instant>>,
    /// Who this is when it takes a turn.
    member: Uuid,
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
            cache_rests: Mutex::default(),
            member: Uuid::new_v4(),
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
        let mut made = lock.lock().await;
        let shelf = match self.made_by_now(kind, made.as_ref()).await? {
            Some(shelf) => Ok(shelf),
            None => self.make(kind, as_of(), &mut made).await,
        };
        drop(made);
        drop(lock);
        self.forget(kind);
        shelf
    }

    /// The shelf, when somebody has made it meanwhile: in this process or, if the cache has it, in another one. Else it is this
    /// process's turn. Who waits for another process waits no longer than a turn and makes the shelf then, whoever has the
    /// next one.
    async fn made_by_now(&self, kind: Kind, here: Option<&Kept>) -> Result<Option<Shelf>, StoreError> {
        if let Some(kept) = here
            && let Some(shelf) = self.holds(kind, kept).await?
        {
            return Ok(Some(shelf));
        }
        let end = Instant::now() + TURN;
        loop {
            if let Some(shelf) = self.kept(kind).await? {
                return Ok(Some(shelf));
            }
            if self.takes_turn(kind).await || Instant::now() >= end {
                return Ok(None);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether this process may make the shelf. Without a cache everybody may.
    async fn takes_turn(&self, kind: Kind) -> bool {
        let (key, now) = (kind.key(), self.clock.now());
        let taken = self.cache.take_turn(&key, self.member, now, now + TURN);
        self.of_cache(taken).await.unwrap_or(true)
    }

    async fn make(
        &self,
        kind: Kind,
        as_of: Option<OffsetDateTime>,
        here: &mut Option<Kept>,
    ) -> Result<Shelf, StoreError> {
        let permit = self.making.acquire().await;
        let made = self.ask(kind).await;
        drop(permit);
        if let Ok(Made { items, stamp }) = &made {
            self.count("made");
            let shelf = Shelf {
                items: items.clone(),
                as_of,
            };
            *here = self.keep(kind, stamp.clone(), &shelf).await;
        }
        self.of_cache(self.cache.end_turn(&kind.key(), self.member)).await;
        made.map(|Made { items, .. }| Shelf { items, as_of })
    }

    /// What the cache answers; nothing when it is not used, is left alone, or fails now.
    async fn of_cache<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        if self.lifetime.is_zero() || self.cache_rests() {
            return None;
        }
        let late = |_| {
            Err(StoreError::Unavailable(
                "the cache does not answer in time".into(),
            ))
        };
        match timeout(CACHE_LIMIT, call).await.unwrap_or_else(late) {
            Ok(answer) => {
                *self.rest() = None;
                Some(answer)
            }
            Err(error) => {
                *self.rest() = Some(Instant::now() + CACHE_REST);
                self.count("cache_failed");
                tracing::warn!(%error, "the cache of shelves does not work; they are made anew");
                None
            }
        }
    }

    /// Whether the cache is left alone. When that is over, one call tries it, and the others leave it alone for as long again.
    fn cache_rests(&self) -> bool {
        let (mut rest, now) = (self.rest(), Instant::now());
        match *rest {
            Some(until) if now < until => true,
            Some(_) => {
                *rest = Some(now + CACHE_REST);
                false
            }
            None => false,
        }
    }

    fn rest(&self) -> MutexGuard<'_, Option<Instant>> {
        self.cache_rests.lock().unwrap_or_else(PoisonError::into_inner)
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
        let key = kind.key();
        match self.of_cache(self.cache.get(&key, self.clock.now())).await {
            Some(Some(kept)) => self.holds(kind, &kept).await,
            _ => Ok(None),
        }
    }

    /// A shelf that was made before, if it still holds.
    async fn holds(&self, kind: Kind, kept: &Kept) -> Result<Option<Shelf>, StoreError> {
        // One of another version of the program, which this one cannot read, is no shelf.
        let Ok(shelf) = serde_json::from_str::<Shelf>(&kept.shelf) else {
            return Ok(None);
        };
        let shown: Vec<Uuid> = shelf.items.iter().map(|item| item.product_id).collect();
        if self.store.stamp(kind.subject(), &shown).await?.as_ref() != Some(&kept.stamp) {
            self.count("outdated");
            return Ok(None);
        }
        self.count("cache");
        Ok(Some(shelf))
    }

    /// Keeps the shelf for who asks later; gives it for those who wait for it here.
    async fn keep(&self, kind: Kind, stamp: String, shelf: &Shelf) -> Option<Kept> {
        // Nothing popular: nobody has bought anything yet, and no stamp tells when somebody does.
        let of_a_new_shop = shelf.items.is_empty() && !matches!(kind.subject(), Subject::Product(_));
        if self.lifetime.is_zero() || of_a_new_shop {
            return None;
        }
        let shelf = serde_json::to_string(shelf).ok()?;
        let (key, kept, now) = (kind.key(), Kept { stamp, shelf }, self.clock.now());
        self.of_cache(self.cache.put(&key, &kept, now, now + self.lifetime))
            .await;
        Some(kept)
    }

    fn count(&self, source: &str) {
        self.outcomes.with_label_values(&[source]).inc();
    }

    fn lock(&self, kind: Kind) -> Arc<tokio::sync::Mutex<Option<Kept>>> {
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
