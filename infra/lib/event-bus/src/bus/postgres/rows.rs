//! Rows of the bus's tables.

use serde_json::value::RawValue;
use sqlx::FromRow;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::bus::{DeadLetter, Delivery};
use crate::event::CloudEvent;

#[derive(FromRow)]
pub(super) struct LogRow {
    pub(super) position: i64,
    id: Uuid,
    source: String,
    r#type: String,
    subject: String,
    version: i64,
    time: OffsetDateTime,
    traceparent: Option<String>,
    data: Json<Box<RawValue>>,
    /// How many the statement found before it looked at their size.
    pub(super) found: i64,
}

#[derive(FromRow)]
pub(super) struct DeadRow {
    id: i64,
    group_name: String,
    event: Json<CloudEvent>,
    error: String,
    attempts: i32,
    at: OffsetDateTime,
    replayed_at: Option<OffsetDateTime>,
}

impl From<LogRow> for Delivery {
    fn from(row: LogRow) -> Self {
        let event = CloudEvent {
            specversion: "1.0".to_owned(),
            id: row.id,
            source: row.source,
            kind: row.r#type,
            subject: row.subject,
            time: row.time,
            datacontenttype: "application/json".to_owned(),
            aggregateversion: row.version,
            traceparent: row.traceparent,
            data: row.data.0,
        };
        Self {
            position: row.position,
            event,
        }
    }
}

impl From<DeadRow> for DeadLetter {
    fn from(row: DeadRow) -> Self {
        Self {
            id: row.id,
            group: row.group_name,
            event: row.event.0,
            error: row.error,
            attempts: row.attempts,
            at: row.at,
            replayed_at: row.replayed_at,
        }
    }
}
