//! The transactional outbox, which is also the owner's event history.
//!
//! A business transaction inserts its events without a position. Sequence numbers taken inside business transactions
//! would become visible out of order (a slow transaction commits a low number late, and a reader that has passed it
//! never sees it). So the relay numbers events only after they are committed: holding the lock on the `_outbox_head` row,
//! it gives the next positions to all unnumbered rows it can see, in the order of writing. Positions therefore become
//! visible in order, without holes that could still fill, and a late commit simply gets a later position. Rows of one
//! aggregate are written under its row lock, so among them the order of positions is the order of versions.
//!
//! The relay publishes to one bus. It notes which one, and its last event there, and the bus looks for that event before it
//! takes more. When it is missing (the bus lost its data, wholly or in part), or when this is another bus (the setting was
//! changed, or changed back), then events have not come by this bus. So every group there that is built from this history is
//! told to [rebuild](Bus::missed), and the relay goes on. Nothing is published twice for it, however long the history is.
//!
//! Numbering writes every row a second time. Bulk loads ([`Outbox::write_bulk`]) do without: they take that lock themselves,
//! last thing before they commit, and write their events with positions.

use std::sync::Arc;
use std::time::Duration;

use emporium_service_kit::bulk::BinaryRows;
use emporium_service_kit::metrics::{self, Metrics};
use emporium_service_kit::{Db, Environment, ServiceName, StartError, Tx};
use sqlx::migrate::{Migration, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bus::{BATCH_BYTES, Bus, Mark};
use crate::event::{CloudEvent, NewEvent};
use crate::history::{HistoryItem, HistoryPage};
use crate::pace::Pace;

mod rows;
mod statements;
use rows::{Head, HistoryRow, Row};
use statements::Statements;

/// Events numbered or published in one go.
const RELAY_BATCH: i64 = 1_000;
/// Rounds of numbering that one page waits for: as many as the longest page may need.
const PAGE_ROUNDS_MAX: i64 = crate::history::PAGE_MAX / RELAY_BATCH + 1;
/// How often the relay looks when nobody wakes it. Waking is a matter of latency; this is the guarantee.
const POLL: Duration = Duration::from_millis(500);

/// How often an idle relay asks whether the bus still has what it was given.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// Shortest time from one step to the next, so that events which come close together are published together.
const PACE: Duration = Duration::from_millis(20);

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/service");

/// A service's outbox.
#[derive(Clone)]
pub struct Outbox {
    db: Db,
    source: Arc<str>,
    sql: Arc<Statements>,
    wake: Arc<Notify>,
    lag: prometheus::IntGauge,
}

impl Outbox {
    /// The outbox of the environment's service; brings its tables (and the inbox) up to date.
    pub async fn open(environment: &Environment) -> Result<Self, StartError> {
        let service = environment.service;
        let db = environment.db()?;
        migrate(&db, service).await?;
        Ok(Self {
            db,
            source: format!("/{service}").into(),
            sql: Arc::new(Statements::new(service.as_str())),
            wake: Arc::default(),
            lag: lag_gauge(&environment.metrics),
        })
    }

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
        sqlx::query(AssertSqlSafe(self.sql.insert.clone()))
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
        while number(&self.sql, &mut *tx).await? >= RELAY_BATCH {}
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        let head: i64 = sqlx::query_scalar(AssertSqlSafe(self.sql.take_positions.clone()))
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
        tx.copy_in(&self.sql.copy, rows.finish()).await?;
        Ok(())
    }

    /// Tells the relay that there is something to publish. Call it after the commit; forgetting it costs latency only.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// The history after `after`, at most `limit` events.
    pub async fn page(&self, after: i64, limit: i64) -> Result<HistoryPage, sqlx::Error> {
        // Numbering makes the page as fresh as the last commit, and is what makes "at the end" true. It is only needed
        // where the numbered events do not fill the page; a backlog is numbered as far as the page goes.
        let max = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut rows = self.read(after, limit + 1).await?;
        let mut all_numbered = false;
        for _ in 0..PAGE_ROUNDS_MAX {
            if rows.len() > max || all_numbered {
                break;
            }
            all_numbered = number(&self.sql, &self.db).await? < RELAY_BATCH;
            rows = self.read(after, limit + 1).await?;
        }
        let at_end = all_numbered && rows.len() <= max;
        let end = rows.first().map_or(after, |row| row.last);
        let items: Vec<HistoryItem> = rows
            .into_iter()
            .take(max)
            .map(|found| HistoryItem {
                position: found.row.position,
                recorded_at: found.recorded_at,
                event: self.event(found.row),
            })
            .collect();
        let next_after = items.last().map_or(after, |item| item.position);
        Ok(HistoryPage {
            items,
            next_after,
            at_end,
            end: Some(end),
        })
    }

    /// The position of the last event that was committed before.
    pub async fn end(&self) -> Result<i64, sqlx::Error> {
        while number(&self.sql, &self.db).await? >= RELAY_BATCH {}
        sqlx::query_scalar(AssertSqlSafe(self.sql.end.clone()))
            .fetch_one(&self.db)
            .await
    }

    /// The relay: numbers and publishes until told to stop. Several may run; each event is published at least once and in
    /// order, and the bus drops repetitions.
    pub async fn relay(self, bus: Arc<dyn Bus>, stop: CancellationToken) -> anyhow::Result<()> {
        // Stopping in the middle of a step is like a crash there: it publishes again, and the bus drops the repetition.
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            result = self.relay_for_ever(bus.as_ref()) => result,
        }
    }

    async fn relay_for_ever(&self, bus: &dyn Bus) -> anyhow::Result<()> {
        let (mut check_at, mut pace) = (Instant::now(), Pace::new(PACE));
        loop {
            pace.turn().await;
            if Instant::now() >= check_at {
                self.check(bus).await?;
                check_at = Instant::now() + CHECK_EVERY;
            }
            if self.relay_step(bus).await? == 0 {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                }
            }
        }
    }

    /// One step of the relay: numbers a batch and publishes a batch, so that a backlog of unnumbered events does not hold up
    /// publishing; gives how many it published. Tests call it until it gives 0.
    pub async fn relay_step(&self, bus: &dyn Bus) -> anyhow::Result<usize> {
        number(&self.sql, &self.db).await?;
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(self.sql.unpublished.clone()))
            .bind(RELAY_BATCH)
            .bind(BATCH_BYTES)
            .fetch_all(&self.db)
            .await?;
        let Some(last) = rows.last().map(|row| row.position) else {
            self.lag.set(0);
            return Ok(0);
        };
        self.lag.set(i64::try_from(rows.len()).unwrap_or(i64::MAX));
        let events: Vec<CloudEvent> = rows.into_iter().map(|row| self.event(row)).collect();
        let mark = self.publish(bus, &events).await?;
        sqlx::query(AssertSqlSafe(self.sql.mark_published.clone()))
            .bind(last)
            .bind(mark.bus)
            .bind(mark.event)
            .bind(mark.position)
            .execute(&self.db)
            .await?;
        Ok(events.len())
    }

    /// Asks whether the bus has what it was given, and has groups rebuilt when not; true when it had. The relay does this
    /// before each batch and, when there is nothing to publish, every few seconds.
    pub async fn check(&self, bus: &dyn Bus) -> anyhow::Result<bool> {
        let head = self.head().await?;
        if head.mark().is_none() && head.published == 0 {
            return Ok(true); // nothing was published anywhere, so no bus can miss anything
        }
        let holds = match head.mark() {
            Some(mark) => bus.publish(&[], Some(&mark)).await?.is_some(),
            None => false,
        };
        if !holds {
            self.bridge_gap(bus).await?;
        }
        Ok(holds)
    }

    async fn publish(&self, bus: &dyn Bus, events: &[CloudEvent]) -> anyhow::Result<Mark> {
        let head = self.head().await?;
        let mark = match head.mark() {
            // Something was published by a version of this program that did not note where.
            None if head.published > 0 => self.bridge_gap(bus).await?,
            None => return appended(bus.publish(events, None).await?),
            Some(mark) => mark,
        };
        if let Some(mark) = bus.publish(events, Some(&mark)).await? {
            return Ok(mark);
        }
        let mark = self.bridge_gap(bus).await?;
        appended(bus.publish(events, Some(&mark)).await?)
    }

    /// The bus lacks events of this outbox: groups that read its history read it again. In this order, so that a crash in
    /// between does it once more. What is published from now on comes after their reading or is in it.
    async fn bridge_gap(&self, bus: &dyn Bus) -> anyhow::Result<Mark> {
        tracing::warn!(
            source = %self.source,
            "this event bus does not have what was published before: it is another one, or lost data; consumers read the history"
        );
        bus.missed(&self.source).await?;
        let mark = appended(bus.publish(&[], None).await?)?;
        sqlx::query(AssertSqlSafe(self.sql.join_bus.clone()))
            .bind(mark.bus)
            .execute(&self.db)
            .await?;
        Ok(mark)
    }

    async fn head(&self) -> Result<Head, sqlx::Error> {
        sqlx::query_as(AssertSqlSafe(self.sql.head.clone()))
            .fetch_one(&self.db)
            .await
    }

    /// How many committed events are not published yet.
    pub async fn unpublished(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(AssertSqlSafe(self.sql.count_unpublished.clone()))
            .fetch_one(&self.db)
            .await
    }

    async fn read(&self, after: i64, limit: i64) -> Result<Vec<HistoryRow>, sqlx::Error> {
        sqlx::query_as(AssertSqlSafe(self.sql.page.clone()))
            .bind(after)
            .bind(limit)
            .fetch_all(&self.db)
            .await
    }

    fn event(&self, row: Row) -> CloudEvent {
        CloudEvent {
            specversion: "1.0".to_owned(),
            id: row.id,
            source: self.source.to_string(),
            kind: row.r#type,
            subject: row.subject,
            time: row.time,
            datacontenttype: "application/json".to_owned(),
            aggregateversion: row.version,
            traceparent: row.traceparent,
            data: row.data.0,
        }
    }
}

/// A bus that was just told to go on from here, or from nowhere, cannot miss anything.
fn appended(mark: Option<Mark>) -> anyhow::Result<Mark> {
    mark.ok_or_else(|| anyhow::anyhow!("the event bus lost data while this was published; trying again"))
}

/// Gives positions to committed events, at most a batch; gives how many. Less than a batch means that every event committed
/// before has its position.
async fn number<'c, E>(sql: &Statements, executor: E) -> Result<i64, sqlx::Error>
where
    E: sqlx::Executor<'c, Database = sqlx::Postgres>,
{
    sqlx::query_scalar(AssertSqlSafe(sql.number.clone()))
        .bind(RELAY_BATCH)
        .fetch_one(executor)
        .await
}

/// Brings the outbox and inbox tables of a service up to date. [`Outbox::open`] does it too; a service that only consumes
/// calls this itself.
pub async fn migrate(db: &Db, service: ServiceName) -> Result<(), StartError> {
    let migrations = MIGRATIONS
        .iter()
        .map(|migration| {
            let sql = migration.sql.as_str().replace("{prefix}", service.as_str());
            Migration::new(
                migration.version,
                migration.description.clone(),
                migration.migration_type,
                AssertSqlSafe(sql).into_sql_str(),
                migration.no_tx,
            )
        })
        .collect();
    db.migrate(
        &Migrator::with_migrations(migrations),
        &format!("{service}_events"),
    )
    .await
    .map_err(|source| StartError::Migrate { service, source })
}

fn lag_gauge(metrics: &Metrics) -> prometheus::IntGauge {
    metrics.register(metrics::gauge(
        "emporium_outbox_unpublished",
        "Events that wait to be published (at most a batch).",
    ))
}
