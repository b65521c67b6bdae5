//! A projection in PostgreSQL: the two generations are partitions of its tables, and an effect, its claims in the inbox and
//! the place in a history commit together.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::{Db, ServiceName, Tx};
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{BuildError, Comparison, Cursor, Digest, Generations, Outcome, Piece, Rebuild, Standing, Work};
use crate::consumer::{ApplyError, Consumer};
use crate::event::CloudEvent;
use crate::inbox;

mod bring;
mod compare;
mod handler;
mod rows;
mod sql;
pub use handler::{GenerationHandler, generations};
use rows::Row;
use sql::Statements;

/// How long clearing, emptying and comparing may take: they are rare, and a projection may be large.
const LONG: Duration = Duration::from_mins(5);
/// How long emptying waits for queries that read the old generation before it lets the effects and queries behind it go on, and
/// is tried again: they stand still for so long.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '150ms'";
/// Pauses between these tries: the first one, and by how much each is longer than the one before.
const PAUSE: Duration = Duration::from_millis(200);
/// Tries before the error is told; it goes on after that.
const TRIES: u32 = 10;

/// A projection with two generations in PostgreSQL. As a [`Consumer`] it applies events to the live generation, and to the
/// other one too while that is built.
pub struct PostgresProjection<H> {
    db: Db,
    service: ServiceName,
    name: String,
    handler: H,
    sql: Statements,
}

impl<H: GenerationHandler> PostgresProjection<H> {
    /// The projection `name` of `service`, whose tables are there ([`crate::outbox::migrate`] makes `<service>_projections`).
    /// The consumer group has to have the same name.
    pub async fn open(db: Db, service: ServiceName, name: &str, handler: H) -> Result<Self, sqlx::Error> {
        let sql = Statements::new(service);
        sqlx::query(sql.make()).bind(name).execute(&db).await?;
        Ok(Self {
            db,
            service,
            name: name.to_owned(),
            handler,
            sql,
        })
    }

    /// The name under which a generation claims events.
    fn inbox(&self, generation: i16) -> String {
        format!("{}/{generation}", self.name)
    }

    /// Applies what the generation has not seen; gives nothing back, since all or nothing is applied.
    async fn apply_to(&self, generation: i16, events: &[&CloudEvent], tx: &mut Tx) -> Result<(), ApplyError> {
        let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
        let fresh = inbox::claim(tx, self.service, &self.inbox(generation), &ids).await?;
        self.handle(fresh, events, generation, tx).await
    }

    async fn handle(
        &self,
        fresh: Vec<Uuid>,
        events: &[&CloudEvent],
        generation: i16,
        tx: &mut Tx,
    ) -> Result<(), ApplyError> {
        let mut fresh: HashSet<Uuid> = fresh.into_iter().collect();
        // Taken out, so that an event that comes twice in one batch counts once as well.
        let events: Vec<&CloudEvent> = events
            .iter()
            .copied()
            .filter(|event| fresh.remove(&event.id))
            .collect();
        if events.is_empty() {
            return Ok(());
        }
        self.handler.handle(&events, generation, tx).await
    }

    /// The generation that is built, while the member holds the rebuild.
    async fn held(&self, work: &Work, tx: &mut Tx) -> Result<i16, BuildError> {
        let live: Option<i16> = sqlx::query_scalar(self.sql.held())
            .bind(&self.name)
            .bind(work.rebuild)
            .bind(work.member)
            .fetch_optional(tx)
            .await?;
        live.map(|live| 1 - live).ok_or(BuildError::Lost)
    }

    /// Removes what was claimed for the generation that is not live, in short steps and without holding anybody up: nobody
    /// claims for it while it is not built.
    async fn clear(&self, generation: i16) -> Result<(), BuildError> {
        let inbox = self.inbox(generation);
        while inbox::reap(&self.db, self.service, &inbox, Duration::ZERO).await?
            >= inbox::REAP_BATCH.unsigned_abs()
        {}
        Ok(())
    }

    /// The moment from which all events go to both.
    async fn open_building(&self, work: &Work, owners: &[String]) -> Result<(), BuildError> {
        let cursors: BTreeMap<&str, Cursor> = owners
            .iter()
            .map(|owner| (owner.as_str(), Cursor::default()))
            .collect();
        let mut tx = self.db.begin().await?;
        tx.allow(LONG).await?;
        sqlx::query(LOCK_TIMEOUT).execute(&mut tx).await?;
        // Waits for effects under way, and keeps new ones waiting until the commit.
        let live: Option<i16> = sqlx::query_scalar(self.sql.build())
            .bind(&self.name)
            .bind(work.rebuild)
            .bind(work.member)
            .bind(Json(cursors))
            .bind(work.lease.as_secs_f64())
            .fetch_optional(&mut tx)
            .await?;
        let generation = 1 - live.ok_or(BuildError::Lost)?;
        self.handler.empty(generation, &mut tx).await?;
        sqlx::query(self.sql.forget())
            .bind(self.inbox(generation))
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }
}

#[async_trait]
impl<H: GenerationHandler> Consumer for PostgresProjection<H> {
    fn kinds(&self) -> &'static [&'static str] {
        self.handler.kinds()
    }

    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError> {
        let mut tx = self.db.begin().await?;
        for generation in generations(&mut tx, self.service, &self.name).await? {
            self.apply_to(generation, events, &mut tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Removes old claims of a generation that was live for that long: until then events may come that it has from a history.
    /// Claims of the other one go at once, unless it is being built.
    async fn reap(&self, age: Duration) -> Result<u64, ApplyError> {
        let mut tx = self.db.begin().await?;
        let (live, building, settled): (i16, bool, bool) = sqlx::query_as(self.sql.share_age())
            .bind(&self.name)
            .bind(age.as_secs_f64())
            .fetch_one(&mut tx)
            .await?;
        let mut removed = 0;
        if !building {
            let (inbox, all) = (self.inbox(1 - live), Duration::ZERO);
            removed += inbox::reap(&mut tx, self.service, &inbox, all).await?;
        }
        if settled && !building {
            removed += inbox::reap(&mut tx, self.service, &self.inbox(live), age).await?;
        }
        tx.commit().await?;
        Ok(removed)
    }

    fn generations(&self) -> Option<&dyn Generations> {
        Some(self)
    }
}

#[async_trait]
impl<H: GenerationHandler> Generations for PostgresProjection<H> {
    async fn standing(&self) -> Result<Standing, ApplyError> {
        let row: Row = sqlx::query_as(self.sql.standing())
            .bind(&self.name)
            .fetch_one(&self.db)
            .await?;
        Ok(Standing {
            live: row.live,
            rebuild: row.rebuild(),
            outcome: row.outcome.map(|outcome| outcome.0),
        })
    }

    async fn content(&self) -> Result<Vec<Digest>, ApplyError> {
        let live = self.standing().await?.live;
        let mut tx = self.db.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .execute(&mut tx)
            .await?;
        tx.allow(LONG).await?;
        let content = self.handler.digest(live, &mut tx).await?;
        tx.commit().await?;
        Ok(content)
    }

    async fn want(&self) -> Result<Uuid, ApplyError> {
        Ok(sqlx::query_scalar(self.sql.want())
            .bind(&self.name)
            .bind(Uuid::now_v7())
            .fetch_one(&self.db)
            .await?)
    }

    async fn take(&self, member: Uuid, lease: Duration) -> Result<Option<Rebuild>, ApplyError> {
        let row: Option<Row> = sqlx::query_as(self.sql.take())
            .bind(&self.name)
            .bind(member)
            .bind(lease.as_secs_f64())
            .fetch_optional(&self.db)
            .await?;
        Ok(row.and_then(|row| row.rebuild()))
    }

    async fn replace(&self, member: Uuid, lease: Duration) -> Result<Work, ApplyError> {
        let rebuild = Uuid::now_v7();
        sqlx::query(self.sql.replace())
            .bind(&self.name)
            .bind(rebuild)
            .bind(member)
            .bind(lease.as_secs_f64())
            .execute(&self.db)
            .await?;
        Ok(Work {
            rebuild,
            member,
            lease,
        })
    }

    async fn renew(&self, work: &Work) -> Result<(), BuildError> {
        let done = sqlx::query(self.sql.renew())
            .bind(&self.name)
            .bind(work.rebuild)
            .bind(work.member)
            .bind(work.lease.as_secs_f64())
            .execute(&self.db)
            .await?;
        match done.rows_affected() {
            0 => Err(BuildError::Lost),
            _ => Ok(()),
        }
    }

    async fn release(&self, member: Uuid) -> Result<(), ApplyError> {
        sqlx::query(self.sql.release())
            .bind(&self.name)
            .bind(member)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    async fn begin(&self, work: &Work, owners: &[String]) -> Result<(), BuildError> {
        self.renew(work).await?;
        let standing = self.standing().await?;
        if standing
            .rebuild
            .is_some_and(|rebuild| rebuild.id == work.rebuild && rebuild.cursors.is_empty())
        {
            self.clear(1 - standing.live).await?;
        }
        for tried in 1..TRIES {
            match self.open_building(work, owners).await {
                Err(BuildError::Apply(ApplyError::Unavailable(_))) => tokio::time::sleep(PAUSE * tried).await,
                done => return done,
            }
        }
        self.open_building(work, owners).await
    }

    async fn fill(&self, work: &Work, piece: &Piece<'_>) -> Result<(), BuildError> {
        let mut tx = self.db.begin().await?;
        // First of all, so that this and living effects take turns and never wait for each other's rows.
        let live: Option<i16> = sqlx::query_scalar(self.sql.note())
            .bind(&self.name)
            .bind(work.rebuild)
            .bind(work.member)
            .bind(piece.owner)
            .bind(Json(piece.cursor))
            .bind(piece.events)
            .bind(work.lease.as_secs_f64())
            .fetch_optional(&mut tx)
            .await?;
        let generation = 1 - live.ok_or(BuildError::Lost)?;
        if !piece.items.is_empty() {
            let ids: Vec<Uuid> = piece.items.iter().map(|item| item.event.id).collect();
            // What was written down before owners noted when: live events are written down when they happen.
            let at = |item: &&super::HistoryItem| item.recorded_at.unwrap_or(item.event.time);
            let times: Vec<OffsetDateTime> = piece.items.iter().map(at).collect();
            let inbox = self.inbox(generation);
            let fresh = inbox::claim_as_of(&mut tx, self.service, &inbox, &ids, &times).await?;
            let events: Vec<&CloudEvent> = piece.items.iter().map(|item| &item.event).collect();
            self.handle(fresh, &events, generation, &mut tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn has_seen(&self, work: &Work, events: &[Uuid]) -> Result<Vec<Uuid>, BuildError> {
        let mut tx = self.db.begin().await?;
        let generation = self.held(work, &mut tx).await?;
        let seen = sqlx::query_scalar(self.sql.seen())
            .bind(self.inbox(generation))
            .bind(events)
            .fetch_all(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(seen)
    }

    async fn compare(&self, work: &Work, refused: &[Uuid]) -> Result<Option<Comparison>, BuildError> {
        compare::compare(self, work, refused).await
    }

    async fn switch(&self, work: &Work, comparison: Option<&Comparison>) -> Result<Outcome, BuildError> {
        self.bring_all_over(work, comparison).await?;
        let mut tx = self.db.begin().await?;
        let row: Option<Row> = sqlx::query_as(self.sql.switch())
            .bind(&self.name)
            .bind(work.rebuild)
            .bind(work.member)
            .fetch_optional(&mut tx)
            .await?;
        let outcome = row
            .and_then(|row| row.outcome_of(comparison))
            .ok_or(BuildError::Lost)?;
        sqlx::query(self.sql.keep())
            .bind(&self.name)
            .bind(Json(&outcome))
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(outcome)
    }
}
