//! Rows of the outbox's tables.

use serde_json::value::RawValue;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::bus::Mark;

#[derive(FromRow)]
pub(super) struct Row {
    pub(super) position: i64,
    pub(super) id: Uuid,
    pub(super) r#type: String,
    pub(super) subject: String,
    pub(super) version: i64,
    pub(super) time: OffsetDateTime,
    pub(super) traceparent: Option<String>,
    pub(super) data: sqlx::types::Json<Box<RawValue>>,
}

/// A row with what only readers of the history need.
#[derive(FromRow)]
pub(super) struct HistoryRow {
    #[sqlx(flatten)]
    pub(super) row: Row,
    pub(super) recorded_at: Option<OffsetDateTime>,
    pub(super) last: i64,
}

/// How far the relay is, and where.
#[derive(FromRow)]
pub(super) struct Head {
    pub(super) published: i64,
    pub(super) bus: Option<Uuid>,
    pub(super) bus_event: Option<Uuid>,
    pub(super) bus_position: Option<i64>,
}

impl Head {
    /// Nothing, when it was never noted.
    pub(super) fn mark(&self) -> Option<Mark> {
        Some(Mark {
            bus: self.bus?,
            event: self.bus_event.unwrap_or(Uuid::nil()),
            position: self.bus_position.unwrap_or(0),
        })
    }
}
