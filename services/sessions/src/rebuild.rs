//! Comparing the blocks that the store notes with the users' history, and mending what differs, while logins and news go on.
//!
//! What is noted is a state by version, so nothing has to be emptied and no second generation is kept: the history is read into
//! memory, and at its end the store is asked, some users at a time. It is asked after each page, too, and users of whom nothing
//! would be told are forgotten at once: what stays (some fifty bytes a user) are those with news within the last lifetime of a
//! session, and those of whom the store says something else than the history does so far. It is driven like the building of a
//! generation ([`emporium_event_bus::projection`]), and reports the same [`Outcome`].
//!
//! # What is compared
//!
//! Of every user of whom the history tells (`user.registered.v1`, `user.updated.v1`), the version and the mark that the store
//! notes ([`SessionStore::standings`]):
//!
//! - News that happened within the last lifetime of a session has to be there: this version, this mark. These are the rows that
//!   the outcome counts.
//! - Older news concerns no session; a store may have forgotten it, and it was passed over when it came that late. So it need
//!   not be there, but what is there has to be true: no version that the history does not have, and of the same version the
//!   same mark.
//! - Who was never updated may have nothing there.
//!
//! Sessions' own marks are written together with it and not compared one by one; a correction writes them, too. What a store
//! may note of users whom the history does not have concerns nobody, and is not looked for.
//!
//! # At which position
//!
//! The group has acknowledged what was on the bus after the history was read, so all of the history is in the store. News that
//! was written down less than [`PUBLISHED_WITHIN`] ago is waited for: it may not be on the bus yet. The store may be further
//! than the history was when it was read; then the history has that by now, since owners number events before they publish
//! them, and the rest of it is read for those users.
//!
//! # Mending
//!
//! What is lacking comes by the verb that events use, so only where nothing newer has come. What is wrong is replaced as long as
//! it is what was found ([`SessionStore::correct`]). So news that comes meanwhile wins either way. What differed is noted before
//! it is mended; who dies in between is followed by another member, which reads the history again, and tells of both.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emporium_event_bus::history::HistoryItem;
use emporium_event_bus::projection::{
    BuildError, Cause, Comparison, Cursor, Digest, Generations, Outcome, Phase, Piece, Rebuild,
    Standing as State, Work,
};
use emporium_event_bus::{ApplyError, CloudEvent};
use emporium_service_kit::Clock;
use emporium_service_kit::client::Client;
use time::OffsetDateTime;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::events::{UPDATED, UserUpdated, standings_of};
use crate::store::{Correction, SessionStore};
use judge::News;
use note::UnderWay;

mod judge;
mod look;
mod note;

/// How long news may take from the owner's history to the bus before it counts as lacking.
pub const PUBLISHED_WITHIN: time::Duration = time::Duration::minutes(1);

/// Compares a store with the users' history.
pub struct Comparer {
    store: Arc<dyn SessionStore>,
    clock: Clock,
    lifetime: time::Duration,
    users: Client,
    read: Mutex<Option<Read>>,
}

/// What this member has read for a comparison.
struct Read {
    work: (Uuid, Uuid),
    cause: Cause,
    cursors: BTreeMap<String, Cursor>,
    newest: HashMap<Uuid, News>,
}

impl Read {
    /// Of each user only the newest.
    fn note(&mut self, news: &[(Uuid, News)]) {
        for (user, news) in news {
            let newest = self.newest.entry(*user).or_insert(*news);
            if newest.version < news.version {
                *newest = *news;
            }
        }
    }
}

impl Comparer {
    /// Of `store`, whose sessions live for `lifetime` at most, with the history of `users`.
    pub fn new(store: Arc<dyn SessionStore>, clock: Clock, lifetime: time::Duration, users: Client) -> Self {
        Self {
            store,
            clock,
            lifetime,
            users,
            read: Mutex::default(),
        }
    }

    fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }
}

/// What an event tells of its user.
fn news_of(item: &HistoryItem) -> Result<(Uuid, News), ApplyError> {
    let event: &CloudEvent = &item.event;
    let at = event.time.unix_timestamp();
    let recorded_at = item.recorded_at.map_or(at, OffsetDateTime::unix_timestamp);
    let user: UserUpdated = event.data()?;
    let (version, blocked) = if event.kind == UPDATED {
        (event.aggregateversion, !user.active)
    } else {
        (0, false)
    };
    let news = News {
        version,
        blocked,
        at: if version == 0 { i64::MIN } else { at },
        recorded_at,
    };
    Ok((user.id, news))
}

#[async_trait]
impl Generations for Comparer {
    async fn standing(&self) -> Result<State, ApplyError> {
        let note = note::read(self.store.as_ref()).await?;
        Ok(State {
            live: 0,
            rebuild: note.rebuild.map(|under_way| under_way.seen),
            outcome: note.outcome,
        })
    }

    /// Nothing beside the store's own records: what is noted of users is a part of them.
    async fn content(&self) -> Result<Vec<Digest>, ApplyError> {
        Ok(Vec::new())
    }

    async fn want(&self) -> Result<Uuid, ApplyError> {
        let now = self.now();
        note::change(self.store.as_ref(), |note| {
            let under_way = note
                .rebuild
                .get_or_insert_with(|| UnderWay::wanted(Cause::Operator, now));
            Ok(under_way.seen.id)
        })
        .await
    }

    /// Another member than before begins at the beginning: what was read is in that one's memory.
    async fn take(&self, member: Uuid, lease: Duration) -> Result<Option<Rebuild>, ApplyError> {
        let now = self.now();
        let taken = note::change(self.store.as_ref(), |note| {
            let free = note.rebuild.as_mut().filter(|it| it.is_free_for(member, now));
            Ok::<_, ApplyError>(free.map(|under_way| {
                under_way.give(member, lease, now);
                under_way.seen.clone()
            }))
        })
        .await?;
        let Some(mut rebuild) = taken else { return Ok(None) };
        match &*self.read.lock().await {
            Some(read) if read.work == (rebuild.id, member) => rebuild.cursors = read.cursors.clone(),
            _ => rebuild.phase = Phase::Wanted,
        }
        Ok(Some(rebuild))
    }

    async fn replace(&self, member: Uuid, lease: Duration) -> Result<Work, ApplyError> {
        let now = self.now();
        let mut under_way = UnderWay::wanted(Cause::Bus, now);
        under_way.give(member, lease, now);
        let rebuild = under_way.seen.id;
        note::change(self.store.as_ref(), |note| {
            note.rebuild = Some(under_way.clone());
            Ok::<_, ApplyError>(())
        })
        .await?;
        Ok(Work {
            rebuild,
            member,
            lease,
        })
    }

    async fn renew(&self, work: &Work) -> Result<(), BuildError> {
        let now = self.now();
        note::change(self.store.as_ref(), |note| {
            note.held(work)?.give(work.member, work.lease, now);
            Ok(())
        })
        .await
    }

    async fn release(&self, member: Uuid) -> Result<(), ApplyError> {
        if note::read(self.store.as_ref())
            .await?
            .rebuild
            .and_then(|it| it.member)
            != Some(member)
        {
            return Ok(());
        }
        note::change(self.store.as_ref(), |note| {
            if let Some(under_way) = note.rebuild.as_mut().filter(|it| it.member == Some(member)) {
                under_way.member = None;
            }
            Ok(())
        })
        .await
    }

    /// Empties what this member has read.
    async fn begin(&self, work: &Work, owners: &[String]) -> Result<(), BuildError> {
        let mut read = self.read.lock().await;
        let cause = note::change(self.store.as_ref(), |note| {
            let seen = &mut note.held(work)?.seen;
            (seen.phase, seen.events, seen.total) = (Phase::Reading, 0, None);
            Ok::<_, BuildError>(seen.cause)
        })
        .await?;
        *read = Some(Read {
            work: (work.rebuild, work.member),
            cause,
            cursors: owners
                .iter()
                .map(|owner| (owner.clone(), Cursor::default()))
                .collect(),
            newest: HashMap::new(),
        });
        Ok(())
    }

    /// Reads. What the bus asks for is applied at once as well: no events are delivered meanwhile.
    async fn fill(&self, work: &Work, piece: &Piece<'_>) -> Result<(), BuildError> {
        let mut read = self.read.lock().await;
        let read = read
            .as_mut()
            .filter(|read| read.work == (work.rebuild, work.member))
            .ok_or(BuildError::Lost)?;
        let news = piece
            .items
            .iter()
            .map(|item| news_of(item))
            .collect::<Result<Vec<_>, _>>()?;
        if read.cause == Cause::Operator {
            read.note(&news);
            self.forget_passed(&mut read.newest, &news).await?;
        }
        let now = self.now();
        note::change(self.store.as_ref(), |note| {
            let under_way = note.held(work)?;
            under_way.give(work.member, work.lease, now);
            let seen = &mut under_way.seen;
            seen.events += piece.events;
            seen.total = piece.cursor.end;
            if piece.cursor.done {
                seen.phase = Phase::Comparing;
            }
            Ok::<_, BuildError>(())
        })
        .await?;
        if read.cause == Cause::Bus {
            let events: Vec<&CloudEvent> = piece.items.iter().map(|item| &item.event).collect();
            let standings = standings_of(&events, now - self.lifetime)?;
            self.store
                .set_blocked(&standings)
                .await
                .map_err(ApplyError::from)?;
        }
        read.cursors.insert(piece.owner.to_owned(), piece.cursor);
        Ok(())
    }

    /// None for sure: letters wait for their replay, which only counts where nothing newer has come.
    async fn has_seen(&self, _: &Work, _: &[Uuid]) -> Result<Vec<Uuid>, BuildError> {
        Ok(Vec::new())
    }

    async fn compare(&self, work: &Work, _: &[Uuid]) -> Result<Option<Comparison>, BuildError> {
        let read = self.read.lock().await;
        let read = read
            .as_ref()
            .filter(|read| read.work == (work.rebuild, work.member))
            .ok_or(BuildError::Lost)?;
        let cursor = read
            .cursors
            .values()
            .map(|cursor| cursor.after)
            .max()
            .unwrap_or(0);
        let found = self.look(&read.newest, cursor).await?;
        let settled = (self.now() - PUBLISHED_WITHIN).unix_timestamp();
        let is_new = |lacking: &Correction| read.newest[&lacking.right.user_id].recorded_at > settled;
        if found.lacking.iter().any(is_new) {
            return Ok(None);
        }
        let comparison = note::change(self.store.as_ref(), |note| {
            let under_way = note.held(work)?;
            let comparison = found.comparison(under_way.found.as_ref());
            under_way.found = Some(comparison.clone());
            Ok::<_, BuildError>(comparison)
        })
        .await?;
        self.mend(&found).await?;
        Ok(Some(comparison))
    }

    /// Notes the outcome; there is nothing to switch.
    async fn switch(&self, work: &Work, comparison: Option<&Comparison>) -> Result<Outcome, BuildError> {
        let now = self.now();
        let outcome = note::change(self.store.as_ref(), |note| {
            let seen = &note.held(work)?.seen;
            let compared = comparison.cloned().unwrap_or_default();
            let outcome = Outcome {
                id: seen.id,
                cause: seen.cause,
                started_at: seen.started_at,
                finished_at: now,
                events: seen.events,
                equal: comparison.map(Comparison::equal),
                tables: compared.tables,
                differences: compared.differences,
                position: compared.position,
            };
            note.rebuild = None;
            note.outcome = Some(outcome.clone());
            Ok::<_, BuildError>(outcome)
        })
        .await?;
        *self.read.lock().await = None;
        Ok(outcome)
    }
}
