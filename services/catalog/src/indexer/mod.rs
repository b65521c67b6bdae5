//! Feeds a search index that is outside the service's database.
//!
//! The catalog's outbox is the history of everything that changes a product, in order and without gaps. The indexer follows
//! it, takes from each event only *which* product changed, reads that product as it is now, and writes it with its version as
//! external version. So events may come late, twice or out of order, several indexers may work at once, and the index can
//! only move forwards. How far it has come is kept in the database ([`feed`]); who feeds is settled by a lease there.
//!
//! An index is built anew ([`build`]) when there is none, when its mapping is not this version's, or when somebody asks. The
//! old one serves and is fed meanwhile.

use std::sync::Arc;
use std::time::Duration;

use emporium_service_kit::{Problem, StoreError};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::Error;
use crate::search::choice::Outside;
use crate::search::elasticsearch::client::ElasticError;
use crate::search::elasticsearch::index::Identity;
use crate::search::elasticsearch::{ElasticSearch, fingerprint};
use crate::store::Store;
use feed::Feed;

mod build;
pub mod feed;
pub mod feeders;
pub mod report;
pub mod watch;

/// Events that are followed in one go.
const EVENTS: i64 = 1_000;
/// How often the history is looked at when there was nothing in it.
const POLL: Duration = Duration::from_millis(250);
/// How often it is looked at which index the alias names.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long to wait after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often the lease is looked after while something takes long.
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// Events that change nothing that is indexed: imported history moves no stock.
const PASSED_OVER: &str = "stock.adjusted.v1";

/// Why the index could not be fed; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The search server.
    #[error("search index: {0}")]
    Index(#[from] ElasticError),
    /// The database.
    #[error("database: {0}")]
    Truth(#[from] Error),
    /// Another instance has taken over.
    #[error("another instance feeds the index now")]
    LeaseLost,
    /// Somebody else changed the index that was being built.
    #[error("the index that was being built is not what was made; another shop may use the same alias")]
    Disturbed,
}

impl From<sqlx::Error> for FeedError {
    fn from(error: sqlx::Error) -> Self {
        Self::Truth(error.into())
    }
}

impl From<StoreError> for FeedError {
    fn from(error: StoreError) -> Self {
        Self::Truth(error.into())
    }
}

impl From<FeedError> for Problem {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Truth(error) => error.into(),
            FeedError::Index(error) => StoreError::from(error).into(),
            FeedError::LeaseLost | FeedError::Disturbed => Self::unavailable("try-again", error.to_string()),
        }
    }
}

/// One instance's indexer.
#[derive(Clone)]
pub struct Indexer {
    store: Store,
    outside: Outside,
    /// Which instance this is.
    me: Uuid,
    /// How far behind the index may be.
    lag_max: Duration,
    gauges: Arc<watch::Gauges>,
}

/// What a look at the alias leads to.
enum Todo {
    /// The index is the one that the feed knows: follow.
    Follow,
    /// Make one, for this reason.
    Build(&'static str),
    /// It belongs to somebody else: leave it.
    Nothing,
}

/// What a step ended with.
enum Step {
    /// There is more to follow.
    More,
    /// All is followed.
    AtEnd,
    /// The index belongs to somebody else.
    NotOurs,
}

impl Indexer {
    /// An indexer of this store's products.
    pub fn new(store: Store, outside: Outside, lag_max: Duration, gauges: Arc<watch::Gauges>) -> Self {
        Self {
            store,
            outside,
            me: Uuid::new_v4(),
            lag_max,
            gauges,
        }
    }

    /// Which one it is.
    pub fn id(&self) -> Uuid {
        self.me
    }

    /// The index, and whether it may answer.
    pub fn outside(&self) -> &Outside {
        &self.outside
    }

    fn index(&self) -> &ElasticSearch {
        &self.outside.index
    }

    /// Feeds until told to stop, whenever no other instance does. Stopping in the middle of anything is like a crash there.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.feed_for_ever() => {}
        }
        feed::release(&self.store.db, self.index().alias(), self.me).await?;
        Ok(())
    }

    async fn feed_for_ever(&self) {
        // An index of another database is replaced once, at the start: a new database finds the old one's. Later it would
        // mean that two shops take the alias from each other for ever.
        let mut is_new = true;
        loop {
            let pause = match self.feed_while_leading(&mut is_new).await {
                Ok(()) => RETRY_AFTER,
                Err(error) => {
                    tracing::warn!(%error, "the search index is not fed; trying again");
                    let _ = feed::note_error(&self.store.db, self.index().alias(), &error.to_string()).await;
                    RETRY_AFTER
                }
            };
            sleep(pause).await;
        }
    }

    /// Feeds as long as this instance has the lease.
    async fn feed_while_leading(&self, is_new: &mut bool) -> Result<(), FeedError> {
        let (db, alias) = (&self.store.db, self.index().alias());
        feed::ensure(db, alias).await?;
        let mut look_at = Instant::now();
        while feed::lead(db, alias, self.me).await? {
            let step = tokio::select! {
                step = self.step(is_new, &mut look_at) => step?,
                lost = self.lose_the_lease() => return lost,
            };
            match step {
                Step::More => {}
                Step::AtEnd => sleep(POLL).await,
                Step::NotOurs => return Ok(()),
            }
        }
        Ok(())
    }

    /// One page of the history, after a look at the alias when it is time for one.
    async fn step(&self, is_new: &mut bool, look_at: &mut Instant) -> Result<Step, FeedError> {
        let (db, alias) = (&self.store.db, self.index().alias());
        let mut feed = feed::read(db, alias).await?;
        if Instant::now() >= *look_at || feed.wanted {
            match self.look(&feed, *is_new).await? {
                Todo::Follow => {}
                Todo::Build(reason) => self.build(&feed, reason).await?,
                Todo::Nothing => return Ok(Step::NotOurs),
            }
            *is_new = false;
            *look_at = Instant::now() + LOOK_EVERY;
            feed = feed::read(db, alias).await?;
        }
        let at_end = self.follow(&feed).await?;
        if feed.error.is_some() {
            // Whether or not there was anything to follow: what went wrong is over.
            feed::no_error(db, alias, self.me).await?;
        }
        Ok(if at_end { Step::AtEnd } else { Step::More })
    }

    /// Keeps the lease beside the work, whose single requests may take longer than it lasts; ends when it is lost. Without
    /// that, two instances beside a slow server would take it from each other for ever, and neither get on.
    async fn lose_the_lease(&self) -> Result<(), FeedError> {
        loop {
            sleep(KEEP_EVERY).await;
            if !feed::lead(&self.store.db, self.index().alias(), self.me).await? {
                return Err(FeedError::LeaseLost);
            }
        }
    }

    async fn look(&self, feed: &Feed, is_new: bool) -> Result<Todo, FeedError> {
        let Some(serving) = self.index().serving().await? else {
            return Ok(Todo::Build("there is none"));
        };
        let end = self.store.outbox.end().await?;
        if feed.building.as_ref() == Some(&serving.name) && is_ours(&serving, feed) {
            // The alias was swapped, and the crash came before that was noted.
            let db = &self.store.db;
            feed::finish(
                db,
                self.index().alias(),
                self.me,
                &serving.name,
                feed.building_position,
            )
            .await?;
            self.remove_all_but(&[Some(&serving.name)], feed).await?;
            return Ok(Todo::Follow);
        }
        Ok(match () {
            () if feed.wanted => Todo::Build("somebody asked"),
            () if serving.history != Some(feed.history) && is_new => Todo::Build("it was another database's"),
            () if serving.history != Some(feed.history) => Todo::Nothing,
            () if serving.mapping.as_deref() != Some(&*fingerprint()) => {
                Todo::Build("its mapping is another version's")
            }
            () if feed.index_name.as_ref() != Some(&serving.name) => Todo::Build("how far it is was lost"),
            () if feed.position > end || is_new && self.index().position(&serving.name).await? > end => {
                Todo::Build("it is ahead of the database, which is an older one")
            }
            () => Todo::Follow,
        })
    }

    /// Follows the history by one page; true when that was all of it.
    async fn follow(&self, feed: &Feed) -> Result<bool, FeedError> {
        let Some(index) = &feed.index_name else {
            return Ok(true);
        };
        let (position, at_end) = self.follow_into(index, feed.position).await?;
        if position > feed.position {
            if at_end {
                // Who reads that nothing is left to follow expects to find it.
                self.index().refresh(index).await?;
            }
            feed::advance(&self.store.db, self.index().alias(), self.me, index, position).await?;
        }
        Ok(at_end)
    }

    /// Brings what events after `position` tell of into an index; gives the new position, and whether it is the end.
    async fn follow_into(&self, index: &str, position: i64) -> Result<(i64, bool), FeedError> {
        let page = self.store.outbox.page(position, EVENTS).await?;
        let mut ids: Vec<Uuid> = page
            .items
            .iter()
            .filter(|item| item.event.kind != PASSED_OVER)
            .filter_map(|item| item.event.subject.parse().ok())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        if !ids.is_empty() {
            let changes = self.store.index_changes(&ids).await?;
            self.index().write(index, &changes).await?;
            self.index().note_position(index, page.next_after).await?;
        }
        Ok((page.next_after, page.at_end))
    }
}

fn is_ours(identity: &Identity, feed: &Feed) -> bool {
    identity.history == Some(feed.history) && identity.mapping.as_deref() == Some(&*fingerprint())
}
