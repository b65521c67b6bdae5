//! Building an index from the truth, while the old one serves and is fed.

use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::feed::{self, Building, Feed};
use super::{FeedError, Indexer, is_ours};

/// Products read and written in one go.
const PRODUCTS: i64 = 500;
/// How often the log tells how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

impl Indexer {
    /// Makes a new index, fills it, catches up with the history, and lets the alias name it. Nothing is missing in it: what
    /// changes after `position` was noted is in the history after `position`, and so comes again.
    ///
    /// A crash leaves an index that nobody uses, which the next building removes.
    pub(super) async fn build(&self, feed: &Feed, reason: &str) -> Result<(), FeedError> {
        let (db, alias) = (&self.store.db, self.index().alias());
        let name = self.index().new_index_name();
        let position = self.store.outbox.end().await?;
        let total = self.store.listed().await?;
        tracing::info!(index = name, total, reason, "building the search index");
        let building = Building {
            index: &name,
            position,
            total,
            reason,
        };
        feed::begin(db, alias, self.me, &building).await?;
        let before = self.index().serving().await?.map(|serving| serving.name);
        self.remove_all_but(&[before.as_deref(), Some(&name)], feed)
            .await?;
        self.index().create(&name, feed.history).await?;
        let done = self.fill(&name, position, total).await?;
        let position = self.catch_up(&name, position, done).await?;
        self.index().note_position(&name, position).await?;
        self.index().refresh(&name).await?;
        self.make_serve(&name, feed).await?;
        feed::finish(db, alias, self.me, &name, position).await?;
        tracing::info!(index = name, done, "the search index is built and serves");
        if let Some(before) = before {
            self.index().drop_index(&before).await?;
        }
        self.remove_all_but(&[Some(&name)], feed).await
    }

    /// All listed products, in the order of their ids.
    async fn fill(&self, name: &str, position: i64, total: i64) -> Result<i64, FeedError> {
        let (db, alias) = (&self.store.db, self.index().alias());
        let mut after = Uuid::nil();
        let mut done = 0;
        let mut tell_at = Instant::now() + TELL_EVERY;
        loop {
            let changes = self.store.listed_after(after, PRODUCTS).await?;
            let Some(last) = changes.last() else {
                return Ok(done);
            };
            after = last.id();
            self.index().write(name, &changes).await?;
            done += i64::try_from(changes.len()).unwrap_or(0);
            feed::progress(db, alias, self.me, done, position).await?;
            if Instant::now() >= tell_at {
                tracing::info!(index = name, done, total, "building the search index");
                tell_at = Instant::now() + TELL_EVERY;
            }
            self.keep_going().await?;
        }
    }

    /// What happened while it was filled.
    async fn catch_up(&self, name: &str, mut position: i64, done: i64) -> Result<i64, FeedError> {
        loop {
            let (next, at_end) = self.follow_into(name, position).await?;
            position = next;
            feed::progress(&self.store.db, self.index().alias(), self.me, done, position).await?;
            if at_end {
                return Ok(position);
            }
            self.keep_going().await?;
        }
    }

    /// Keeps the lease, and feeds the index that serves by a page.
    async fn keep_going(&self) -> Result<(), FeedError> {
        let (db, alias) = (&self.store.db, self.index().alias());
        if !feed::lead(db, alias, self.me).await? {
            return Err(FeedError::LeaseLost);
        }
        let feed = feed::read(db, alias).await?;
        match self.follow(&feed).await {
            // It was removed, or never finished; the new one takes its place.
            Err(FeedError::Index(error)) => {
                tracing::warn!(%error, "the old search index is not fed while the new one is built");
                Ok(())
            }
            fed => fed.map(drop),
        }
    }

    async fn make_serve(&self, name: &str, feed: &Feed) -> Result<(), FeedError> {
        let made = self.index().identity(name).await?;
        if !made.is_some_and(|made| is_ours(&made, feed)) {
            return Err(FeedError::Disturbed);
        }
        if !feed::lead(&self.store.db, self.index().alias(), self.me).await? {
            return Err(FeedError::LeaseLost);
        }
        Ok(self.index().swap(name).await?)
    }

    /// Removes what earlier buildings of this database left.
    pub(super) async fn remove_all_but(&self, kept: &[Option<&str>], feed: &Feed) -> Result<(), FeedError> {
        for index in self.index().indices().await? {
            // One without a history is none that was made: a write to a removed index makes a new one on some servers.
            let is_ours = index.history.is_none_or(|history| history == feed.history);
            if is_ours && !kept.contains(&Some(&*index.name)) {
                self.index().drop_index(&index.name).await?;
            }
        }
        Ok(())
    }
}
