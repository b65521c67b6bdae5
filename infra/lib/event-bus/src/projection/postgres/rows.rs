//! The row of a projection.

use std::collections::BTreeMap;

use sqlx::FromRow;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::projection::{Cause, Comparison, Cursor, Outcome, Phase, Rebuild};

#[derive(FromRow)]
pub(super) struct Row {
    pub(super) live: i16,
    building: bool,
    rebuild: Option<Uuid>,
    cause: Option<String>,
    cursors: Json<BTreeMap<String, Cursor>>,
    events: i64,
    started_at: Option<OffsetDateTime>,
    pub(super) outcome: Option<Json<Outcome>>,
    now: OffsetDateTime,
}

impl Row {
    fn cause(&self) -> Cause {
        match self.cause.as_deref() {
            Some("bus") => Cause::Bus,
            _ => Cause::Operator,
        }
    }

    pub(super) fn rebuild(&self) -> Option<Rebuild> {
        let cursors = &self.cursors.0;
        let ends = cursors.values().map(|cursor| cursor.end);
        Some(Rebuild {
            id: self.rebuild?,
            cause: self.cause(),
            phase: Phase::of(self.building, cursors),
            started_at: self.started_at.unwrap_or(self.now),
            events: self.events,
            total: if self.building { ends.sum() } else { None },
            error: None,
            cursors: cursors.clone(),
        })
    }

    /// Of the rebuild, which ends now.
    pub(super) fn outcome_of(&self, comparison: Option<&Comparison>) -> Option<Outcome> {
        let compared = comparison.cloned().unwrap_or_default();
        Some(Outcome {
            id: self.rebuild?,
            cause: self.cause(),
            started_at: self.started_at.unwrap_or(self.now),
            finished_at: self.now,
            events: self.events,
            equal: comparison.map(Comparison::equal),
            tables: compared.tables,
            differences: compared.differences,
            position: compared.position,
        })
    }
}
