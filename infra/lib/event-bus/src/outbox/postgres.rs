//! The outbox in PostgreSQL: rows beside those of the business, written in their transaction.
//!
//! Holding the lock on the `_outbox_head` row, numbering gives the next positions to all unnumbered rows it can see.

use async_trait::async_trait;
use emporium_service_kit::bulk::BinaryRows;
use emporium_service_kit::{Db, StoreError, Tx};
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::{HeadRow, HistoryRow, Row};
use super::statements::Statements;
use super::store::{Head, OutboxStore, Recorded, Stretch};
use super::{Outbox, RELAY_BATCH};
use crate::bus::Mark;
use crate::event::NewEvent;

/// The tables `<service>_outbox` and `<service>_outbox_head`.
pub struct PostgresOutbox {
    db: Db,
    sql: Statements,
}

impl PostgresOutbox {
    pub(super) fn new(db: Db, prefix: &str) -> Self {
        let sql = Statements::new(prefix);
        Self { db, sql }
    }

    /// Gives positions to committed events, at most `max`; gives how many. Less than that means that every event committed
    /// before has its position.
    async fn number_in<'c, E>(&self, executor: E, max: i64) -> Result<i64, sqlx::Error>
    where
        E: sqlx::Executor<'c, Database = sqlx::Postgres>,
    {
        sqlx::query_scalar(AssertSqlSafe(self.sql.number.clone()))
            .bind(max)
            .fetch_one(executor)
            .await
    }
}

/// For moves from another store: what was an outbox there becomes this one.
impl PostgresOutbox {
    /// Puts numbered events of another outbox here as they are; those that are here already stay. Numbering goes on after the
    /// last one. Pieces have to come in the order of positions.
    pub async fn restore(&self, tx: &mut Tx, events: &[Recorded]) -> Result<(), sqlx::Error> {
        let Some(last) = events.iter().map(|event| event.position).max() else {
            return Ok(());
        };
        sqlx::query(AssertSqlSafe(self.sql.restore.clone()))
            .bind(column(events, |event| event.position))
            .bind(column(events, |event| event.id))
            .bind(column(events, |event| event.kind.as_str()))
            .bind(column(events, |event| event.subject.as_str()))
            .bind(column(events, |event| event.version))
            .bind(column(events, |event| event.time))
            .bind(column(events, |event| event.traceparent.as_deref()))
            .bind(column(events, |event| event.data.get()))
            .bind(column(events, |event| event.recorded_at))
            .execute(&mut *tx)
            .await?;
        sqlx::query(AssertSqlSafe(self.sql.restore_end.clone()))
            .bind(last)
            .execute(tx)
            .await?;
        Ok(())
    }

    /// Publishing goes on from here. How far numbering is, [`PostgresOutbox::restore`] says.
    pub async fn restore_head(
        &self,
        tx: &mut Tx,
        published: i64,
        mark: Option<&Mark>,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(AssertSqlSafe(self.sql.restore_head.clone()))
            .bind(published)
            .bind(mark.map(|mark| mark.bus))
            .bind(mark.map(|mark| mark.event))
            .bind(mark.map(|mark| mark.position))
            .execute(tx)
            .await?;
        Ok(())
    }

    /// Removes all events, as if there had never been any.
    pub async fn clear(&self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        for sql in [&self.sql.truncate, &self.sql.reset_head] {
            sqlx::query(AssertSqlSafe(sql.clone())).execute(&mut *tx).await?;
        }
        Ok(())
    }
}

fn column<'a, T>(events: &'a [Recorded], field: impl Fn(&'a Recorded) -> T) -> Vec<T> {
    events.iter().map(field).collect()
}

impl Outbox {
    /// Writes events in the transaction of the change they tell of. Call it after the aggregate's row is locked.
    pub async fn write(&self, tx: &mut Tx, events: &[NewEvent]) -> Result<(), sqlx::Error> {
        if events.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = events.iter().map(|e| e.id).collect();
        let kinds: Vec<&str> = events.iter().map(|e| e.kind).collect();
        let subjects: Vec<&str> = events.iter().map(|e| e.subject.as_str()).collect();
        let versions: Vec<i64> = events.iter().map(|e| e.version).collect();
        let times: Vec<OffsetDateTime> = events.iter().map(|e| e.time).collect();
        let traces: Vec<Option<&str>> = events.iter().map(|e| e.traceparent.as_deref()).collect();
        let data: Vec<&str> = events.iter().map(|e| e.data.as_str()).collect();
        sqlx::query(AssertSqlSafe(self.store.sql.insert.clone()))
            .bind(ids)
            .bind(kinds)
            .bind(subjects)
            .bind(versions)
            .bind(times)
            .bind(traces)
            .bind(data)
            .execute(tx)
            .await?;
        Ok(())
    }

    /// Writes many events with COPY, for bulk loads. Their ids must be new.
    ///
    /// From here to the commit nobody else numbers events, so call it last. The events get their positions here: all that was
    /// committed before is numbered first, so events of the same aggregates come before these, and later commits queue for
    /// the lock on the head.
    pub async fn write_bulk(&self, tx: &mut Tx, events: &[NewEvent]) -> Result<(), sqlx::Error> {
        if events.is_empty() {
            return Ok(());
        }
        let sql = &self.store.sql;
        while self.store.number_in(&mut *tx, RELAY_BATCH).await? >= RELAY_BATCH {}
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        let head: i64 = sqlx::query_scalar(AssertSqlSafe(sql.take_positions.clone()))
            .bind(count)
            .fetch_one(&mut *tx)
            .await?;
        let mut rows = BinaryRows::default();
        for (position, event) in (head + 1..).zip(events) {
            let row = rows.row(8).bigint(position).uuid(event.id);
            row.text(event.kind).text(&event.subject).bigint(event.version);
            row.time(event.time).text_opt(event.traceparent.as_deref());
            row.text(&event.data);
        }
        tx.copy_in(&sql.copy, rows.finish()).await?;
        Ok(())
    }
}

#[async_trait]
impl OutboxStore for PostgresOutbox {
    async fn number(&self, max: i64) -> Result<i64, StoreError> {
        Ok(self.number_in(&self.db, max).await?)
    }

    async fn read(&self, after: i64, max: i64) -> Result<Stretch, StoreError> {
        let rows: Vec<HistoryRow> = sqlx::query_as(AssertSqlSafe(self.sql.page.clone()))
            .bind(after)
            .bind(max)
            .fetch_all(&self.db)
            .await?;
        Ok(Stretch {
            end: rows.first().map_or(after, |row| row.last),
            items: rows.into_iter().map(Recorded::from).collect(),
        })
    }

    async fn unpublished(&self, max: i64, bytes: i64) -> Result<Vec<Recorded>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(self.sql.unpublished.clone()))
            .bind(max)
            .bind(bytes)
            .fetch_all(&self.db)
            .await?;
        Ok(rows.into_iter().map(Recorded::from).collect())
    }

    async fn head(&self) -> Result<Head, StoreError> {
        let row: HeadRow = sqlx::query_as(AssertSqlSafe(self.sql.head.clone()))
            .fetch_one(&self.db)
            .await?;
        Ok(row.into())
    }

    async fn published(&self, position: i64, mark: &Mark) -> Result<(), StoreError> {
        sqlx::query(AssertSqlSafe(self.sql.mark_published.clone()))
            .bind(position)
            .bind(mark.bus)
            .bind(mark.event)
            .bind(mark.position)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    async fn join_bus(&self, bus: Uuid) -> Result<(), StoreError> {
        sqlx::query(AssertSqlSafe(self.sql.join_bus.clone()))
            .bind(bus)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    async fn waiting(&self) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar(AssertSqlSafe(self.sql.count_unpublished.clone()));
        Ok(count.fetch_one(&self.db).await?)
    }
}
