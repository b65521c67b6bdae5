//! The bus on PostgreSQL: a log table, whose single head row is locked by whoever appends. Positions are therefore
//! assigned in the order of commits: a position becomes readable only when no earlier one can still commit.

use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::config::database_options;
use emporium_service_kit::db::look;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::report::{Server, ServerFacts};
use emporium_service_kit::{Db, StartError, StoreError};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgListener;
use sqlx::types::Json;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{BATCH_BYTES, Batch, Bus, BusError, Capability, DeadLetter, Delivery, Mark, Progress};
use crate::event::CloudEvent;

mod append;
mod group;
mod rows;
mod trim;
use rows::{DeadRow, LogRow};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/bus");
const CHANNEL: &str = "emporium_bus";
/// Positions that one claim looks through, however few of them are wanted.
const LOOK_AHEAD: i64 = 10_000;
/// One for reading, one for appending; LISTEN holds a third.
const CONNECTIONS_MAX: u32 = 3;

/// The PostgreSQL adapter.
pub struct PostgresBus {
    db: Db,
    listener: Mutex<Option<PgListener>>,
}

impl PostgresBus {
    /// Connects; makes the tables when the role may and they are not there.
    pub async fn connect(url: &str, metrics: Metrics) -> Result<Self, BusError> {
        let options = database_options(url).map_err(|error| match error {
            // The parser names the setting that it knows; this URL comes from another one.
            StartError::BadSetting { problem, .. } => BusError::Setting(problem),
            other => BusError::Setting(other.to_string()),
        })?;
        look(&options)
            .await
            .map_err(|error| BusError::unusable(&error, error.tells_remedy()))?;
        let db = Db::connect(options, CONNECTIONS_MAX, metrics);
        if !group::has_newest_column(&db).await? {
            migrate(&db).await?;
        }
        Ok(Self {
            db,
            listener: Mutex::new(None),
        })
    }
}

/// Brings the bus's tables up to date; needs the role that owns them.
pub async fn migrate(db: &Db) -> Result<(), BusError> {
    Ok(db.migrate(&MIGRATIONS, "bus").await?)
}

#[async_trait]
impl Bus for PostgresBus {
    fn adapter(&self) -> &'static str {
        "postgresql"
    }

    fn lacks(&self) -> &'static [Capability] {
        &[Capability::Parallel]
    }

    async fn facts(&self) -> Result<ServerFacts, StoreError> {
        self.db.facts().await
    }

    async fn publish(&self, events: &[CloudEvent], after: Option<&Mark>) -> Result<Option<Mark>, BusError> {
        let mut tx = self.db.begin().await?;
        let mark = append::publish(&mut tx, events, after).await?;
        tx.commit().await?;
        if mark.is_none() || events.is_empty() {
            return Ok(mark);
        }
        // Outside the transaction: NOTIFY inside would take a database-wide lock at commit. The events are on the bus
        // whether or not it works; polling finds them.
        let notified = sqlx::query("SELECT pg_notify($1, '')")
            .bind(CHANNEL)
            .execute(&self.db)
            .await;
        if let Err(error) = notified {
            tracing::warn!(%error, "events appended, but their readers not woken");
        }
        Ok(mark)
    }

    async fn missed(&self, source: &str) -> Result<(), BusError> {
        sqlx::query("SELECT bus_missed($1)")
            .bind(source)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    async fn end(&self) -> Result<i64, BusError> {
        Ok(sqlx::query_scalar("SELECT position FROM bus_head")
            .fetch_one(&self.db)
            .await?)
    }

    async fn progress(&self, group: &str) -> Result<Option<Progress>, BusError> {
        Ok(group::progress(&self.db, group).await?)
    }

    async fn set_paused(&self, group: &str, paused: bool) -> Result<(), BusError> {
        Ok(group::set_paused(&self.db, group, paused).await?)
    }

    async fn is_paused(&self, group: &str) -> Result<bool, BusError> {
        Ok(group::is_paused(&self.db, group).await?)
    }

    async fn set_group(&self, group: &str, position: i64) -> Result<(), BusError> {
        sqlx::query(
            "INSERT INTO bus_group (name, position) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE
             SET position = $2, rebuilding = false, member = NULL, leased_until = NULL, updated_at = now()",
        )
        .bind(group)
        .bind(position)
        .execute(&self.db)
        .await?;
        Ok(())
    }

    async fn remove_group(&self, group: &str) -> Result<(), BusError> {
        sqlx::query("DELETE FROM bus_group WHERE name = $1")
            .bind(group)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    async fn begin_rebuild(
        &self,
        group: &str,
        member: Uuid,
        lease: Duration,
        sources: &[String],
    ) -> Result<Option<i64>, BusError> {
        // Two that begin at once queue on the row; the second one then finds the first one's lease.
        Ok(sqlx::query_scalar(
            "INSERT INTO bus_group AS g (name, position, rebuilding, member, leased_until, sources)
             SELECT $1, position, true, $2, now() + make_interval(secs => $3), $4 FROM bus_head
             ON CONFLICT (name) DO UPDATE SET position = excluded.position, rebuilding = true, member = excluded.member,
               leased_until = excluded.leased_until, sources = excluded.sources, updated_at = now()
             WHERE NOT g.paused AND CASE WHEN g.rebuilding THEN g.member IS NULL OR g.member = $2 OR g.leased_until < now()
                        ELSE NOT g.sources @> excluded.sources END
             RETURNING position",
        )
        .bind(group)
        .bind(member)
        .bind(lease.as_secs_f64())
        .bind(sources)
        .fetch_optional(&self.db)
        .await?)
    }

    async fn finish_rebuild(&self, group: &str, member: Uuid) -> Result<(), BusError> {
        let done = sqlx::query(
            "UPDATE bus_group SET rebuilding = false, member = NULL, leased_until = NULL, updated_at = now()
             WHERE name = $1 AND member = $2 AND rebuilding",
        )
        .bind(group)
        .bind(member)
        .execute(&self.db)
        .await?;
        held(group, done.rows_affected())
    }

    async fn renew(&self, group: &str, member: Uuid, lease: Duration) -> Result<(), BusError> {
        let done = sqlx::query(
            "UPDATE bus_group SET leased_until = now() + make_interval(secs => $3) WHERE name = $1 AND member = $2",
        )
        .bind(group)
        .bind(member)
        .bind(lease.as_secs_f64())
        .execute(&self.db)
        .await?;
        held(group, done.rows_affected())
    }

    async fn claim(
        &self,
        group: &str,
        member: Uuid,
        kinds: &[&str],
        max: i64,
        lease: Duration,
    ) -> Result<Option<Batch>, BusError> {
        // All up to the end is readable: whoever appends holds the head until the commit.
        let held: Option<(i64, i64)> = sqlx::query_as(
            "UPDATE bus_group SET member = $2, leased_until = now() + make_interval(secs => $3), updated_at = now()
             WHERE name = $1 AND NOT rebuilding AND NOT paused AND (member = $2 OR member IS NULL OR leased_until < now())
             RETURNING position, (SELECT position FROM bus_head)",
        )
        .bind(group)
        .bind(member)
        .bind(lease.as_secs_f64())
        .fetch_optional(&self.db)
        .await?;
        let Some((after, end)) = held else { return Ok(None) };
        let end = end.min(after.saturating_add(LOOK_AHEAD)).max(after);
        // Of what nobody wants, nothing but the type is read. A payload's size is known without reading it.
        let rows: Vec<LogRow> = sqlx::query_as(
            "SELECT * FROM (
               SELECT *, count(*) OVER () AS found, sum(pg_column_size(data)) OVER (ORDER BY position)
                   - pg_column_size(data) AS before
               FROM (SELECT position, id, source, type, subject, version, time, traceparent, data
                     FROM bus_log WHERE position > $1 AND position <= $2 AND type = ANY ($3)
                     ORDER BY position LIMIT $4) AS wanted) AS batch
             WHERE before < $5 ORDER BY position",
        )
        .bind(after)
        .bind(end)
        .bind(kinds)
        .bind(max)
        .bind(BATCH_BYTES)
        .fetch_all(&self.db)
        .await?;
        let taken = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let position = match rows.last() {
            Some(last) if last.found == max || last.found > taken => last.position,
            _ => end,
        };
        let deliveries = rows.into_iter().map(Delivery::from).collect();
        Ok(Some(Batch {
            deliveries,
            position,
            passed: position - after,
        }))
    }

    async fn acknowledge(&self, group: &str, member: Uuid, batch: &Batch) -> Result<(), BusError> {
        let done = sqlx::query(
            "UPDATE bus_group SET position = greatest(position, $3), updated_at = now()
             WHERE name = $1 AND member = $2 AND NOT rebuilding",
        )
        .bind(group)
        .bind(member)
        .bind(batch.position)
        .execute(&self.db)
        .await?;
        held(group, done.rows_affected())
    }

    async fn release(&self, group: &str, member: Uuid) -> Result<(), BusError> {
        sqlx::query(
            "UPDATE bus_group SET member = NULL, leased_until = NULL WHERE name = $1 AND member = $2",
        )
        .bind(group)
        .bind(member)
        .execute(&self.db)
        .await?;
        Ok(())
    }

    async fn dead_letter(
        &self,
        group: &str,
        event: &CloudEvent,
        error: &str,
        attempts: i32,
    ) -> Result<(), BusError> {
        sqlx::query(
            "INSERT INTO bus_dead_letter (group_name, event_id, event, error, attempts) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (group_name, event_id) DO UPDATE
             SET error = $4, attempts = bus_dead_letter.attempts + $5, replayed_at = NULL",
        )
        .bind(group)
        .bind(event.id)
        .bind(Json(event))
        .bind(error)
        .bind(attempts)
        .execute(&self.db)
        .await?;
        Ok(())
    }

    async fn dead_letters(&self, group: &str, after: i64, limit: i64) -> Result<Vec<DeadLetter>, BusError> {
        let rows: Vec<DeadRow> = sqlx::query_as(
            "SELECT id, group_name, event, error, attempts, at, replayed_at
             FROM bus_dead_letter WHERE group_name = $1 AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(group)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.db)
        .await?;
        Ok(rows.into_iter().map(DeadLetter::from).collect())
    }

    async fn waiting_letters(&self, group: &str) -> Result<i64, BusError> {
        Ok(group::waiting_letters(&self.db, group).await?)
    }

    async fn find_dead_letter(&self, group: &str, id: i64) -> Result<Option<DeadLetter>, BusError> {
        let row: Option<DeadRow> = sqlx::query_as(
            "SELECT id, group_name, event, error, attempts, at, replayed_at
             FROM bus_dead_letter WHERE group_name = $1 AND id = $2",
        )
        .bind(group)
        .bind(id)
        .fetch_optional(&self.db)
        .await?;
        Ok(row.map(DeadLetter::from))
    }

    async fn mark_replayed(&self, group: &str, id: i64) -> Result<(), BusError> {
        sqlx::query("UPDATE bus_dead_letter SET replayed_at = now() WHERE group_name = $1 AND id = $2")
            .bind(group)
            .bind(id)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    async fn wait(&self, _seen: i64, timeout: Duration) {
        let listened = tokio::time::timeout(timeout, async {
            let mut slot = self.listener.lock().await;
            if slot.is_none() {
                let mut listener = PgListener::connect_with(self.db.pool()).await?;
                listener.listen(CHANNEL).await?;
                *slot = Some(listener);
            }
            if let Some(listener) = slot.as_mut() {
                listener.recv().await?;
            }
            Ok::<_, sqlx::Error>(())
        })
        .await;
        if let Ok(Err(error)) = listened {
            tracing::debug!(%error, "cannot listen to the bus; polling goes on");
            tokio::time::sleep(timeout).await;
        }
    }

    async fn trim_both(&self, age: Duration, letters: Duration) -> Result<u64, BusError> {
        trim::dead_letters(&self.db, letters).await?;
        Ok(trim::log(&self.db, age).await?)
    }
}

/// A statement that names the member and changes no row tells that the member holds the group no more.
fn held(group: &str, rows: u64) -> Result<(), BusError> {
    if rows == 0 {
        return Err(BusError::LeaseLost(group.to_owned()));
    }
    Ok(())
}
