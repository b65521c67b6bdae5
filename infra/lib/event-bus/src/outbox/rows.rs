//! Rows of the outbox's tables.

use serde_json::value::RawValue;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::store::{Head, Recorded};
use crate::bus::Mark;

#[derive(FromRow)]
pub(super) struct Row {
    position: i64,
    id: Uuid,
    r#type: String,
    subject: String,
    version: i64,
    time: OffsetDateTime,
    traceparent: Option<String>,
    data: sqlx::types::Json<Box<RawValue>>,
}

impl From<Row> for Recorded {
    fn from(row: Row) -> Self {
        Self {
            position: row.position,
            recorded_at: None,
            id: row.id,
            kind: row.r#type,
            subject: row.subject,
            version: row.version,
            time: row.time,
            traceparent: row.traceparent,
            data: row.data.0,
        }
    }
}

/// A row with what only readers of the history need.
#[derive(FromRow)]
pub(super) struct HistoryRow {
    #[sqlx(flatten)]
    row: Row,
    recorded_at: Option<OffsetDateTime>,
    pub(super) last: i64,
}

impl From<HistoryRow> for Recorded {
    fn from(found: HistoryRow) -> Self {
        Self {
            recorded_at: found.recorded_at,
            ..found.row.into()
        }
    }
}

/// How far the relay is, and where.
#[derive(FromRow)]
pub(super) struct HeadRow {
    sequenced: i64,
    published: i64,
    bus: Option<Uuid>,
    bus_event: Option<Uuid>,
    bus_position: Option<i64>,
}

impl From<HeadRow> for Head {
    fn from(row: HeadRow) -> Self {
        let mark = row.bus.map(|bus| Mark {
            bus,
            event: row.bus_event.unwrap_or(Uuid::nil()),
            position: row.bus_position.unwrap_or(0),
        });
        Self {
            sequenced: row.sequenced,
            published: row.published,
            mark,
        }
    }
}
