//! Dead letters of one group.

use std::time::Duration;

use emporium_service_kit::redis::{Invocation, NamedScript};
use emporium_service_kit::{Redis, StoreError};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{foreign, millis, scripts};
use crate::bus::{BusError, DeadLetter, LETTERS_COUNTED_MAX};
use crate::event::CloudEvent;

/// Letters of a group that may wait for their replay.
const WAITING_MAX: i64 = 10_000;
/// Letters that one script removes.
const EXPIRE_BATCH: i64 = 500;

pub(super) struct Letters<'a> {
    pub(super) redis: &'a Redis,
    pub(super) keys: [String; 4],
    pub(super) group: &'a str,
}

/// Id, event, reason, tries, when (ms), replayed when (ms).
type Row = (i64, Vec<u8>, String, i32, i64, Option<i64>);

impl Letters<'_> {
    fn script<'s>(&self, script: &'s NamedScript) -> Invocation<'s> {
        Invocation::of(script).key(&self.keys[..])
    }

    pub(super) async fn put(&self, event: &CloudEvent, error: &str, attempts: i32) -> Result<(), BusError> {
        let run = self
            .script(&scripts::LETTER)
            .arg(event.id.to_string())
            .arg(serde_json::to_vec(event)?)
            .arg(error)
            .arg(attempts)
            .arg(Uuid::new_v4().to_string())
            .arg(WAITING_MAX);
        match self.redis.run::<i64>(&run).await? {
            0 => Err(BusError::LettersFull(self.group.to_owned())),
            _ => Ok(()),
        }
    }

    /// Letters by id, oldest first; bounds as `ZRANGEBYSCORE` has them.
    pub(super) async fn between(
        &self,
        low: &str,
        high: &str,
        limit: i64,
    ) -> Result<Vec<DeadLetter>, BusError> {
        let run = self.script(&scripts::LETTERS).arg(low).arg(high).arg(limit);
        let rows: Vec<Row> = self.redis.run(&run).await?;
        rows.into_iter().map(|row| self.letter(row)).collect()
    }

    fn letter(&self, (id, event, error, attempts, at, replayed): Row) -> Result<DeadLetter, BusError> {
        Ok(DeadLetter {
            id,
            group: self.group.to_owned(),
            event: serde_json::from_slice(&event)?,
            error,
            attempts,
            at: time(at)?,
            replayed_at: replayed.map(time).transpose()?,
        })
    }

    pub(super) async fn mark_replayed(&self, id: i64) -> Result<(), BusError> {
        Ok(self.redis.run(&self.script(&scripts::REPLAYED).arg(id)).await?)
    }

    /// How many wait for their replay. Both keys in one command each: being off by one for a moment does no harm.
    pub(super) async fn waiting(&self) -> Result<i64, BusError> {
        let [_, _, order, replayed] = &self.keys;
        let mut counts = [0, 0];
        for (count, key) in counts.iter_mut().zip([order, replayed]) {
            let ask = ::redis::cmd("ZCARD").arg(key).to_owned();
            *count = self.redis.command::<i64>("ZCARD", &ask).await?;
        }
        let [all, done] = counts;
        Ok((all - done).clamp(0, LETTERS_COUNTED_MAX))
    }

    pub(super) async fn expire(&self, age: Duration) -> Result<(), StoreError> {
        let run = self.script(&scripts::EXPIRE).arg(millis(age)).arg(EXPIRE_BATCH);
        while self.redis.run::<i64>(&run).await? >= EXPIRE_BATCH {}
        Ok(())
    }
}

fn time(ms: i64) -> Result<OffsetDateTime, BusError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).map_err(foreign)
}
