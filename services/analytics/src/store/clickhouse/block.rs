//! Numbered blocks: the one way by which events and activities are written. Why it is right: `docs/adr/0019`.
//!
//! A series is the blocks of one table (of one build): 1, 2, 3 … A block is one insert of one part, so it is there as a whole or
//! not at all, with its number as deduplication token: the server lets the first one in and drops what comes with that token
//! later. So writing is a compare-and-swap: who reads its own `writer` afterwards has won; who does not looks at what the other
//! one wrote, decides anew, and takes the next number. What a block holds is decided knowing all blocks before it.
//!
//! The table has no views. A block that is there is *published*: inserted, from the table, into `<table>_published`, which keeps
//! nothing and has the views, with the same token again. Views drop what they have by then. Why not views of the table itself: a
//! server pushes a dropped block to the views all the same, so the loser of a race could be the first there. A writer may die
//! before it has published, so whoever writes next publishes the last block first, unless it knows that this was done.

use std::time::Duration;

use async_trait::async_trait;
use clickhouse::{Row, RowOwned, RowWrite};
use emporium_service_kit::StoreError;
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::client::ClickHouse;
use super::state::torn;

/// Races that are lost before the store counts as too busy. Each means that somebody else has written.
const RACES_MAX: u32 = 50;
/// How long a held series is waited for, and how often it is looked at.
const HELD_MAX: Duration = Duration::from_secs(30);
const HELD_PAUSE: Duration = Duration::from_millis(50);

/// A series of blocks, and what this process knows of its end.
pub(super) struct Series {
    /// The table.
    pub table: &'static str,
    /// What chooses the series' rows; the build is the parameter `build`.
    pub of: &'static str,
    /// Where the last number is found, as `block`; `held` is until when nobody may write.
    pub last: &'static str,
    /// The build, 0 where there are none.
    pub build: i64,
    /// The last block that is there and published. Writers of this process take turns.
    end: Mutex<Option<u64>>,
}

/// What is to be written.
#[async_trait]
pub(super) trait Batch: Send {
    /// A row of the table.
    type Row: RowOwned + RowWrite + serde::Serialize + Send + Sync;

    /// What is new of it, knowing all blocks before this one; nothing to write when it is empty. May be asked again.
    async fn rows(
        &mut self,
        server: &ClickHouse,
        block: u64,
        writer: Uuid,
    ) -> Result<Vec<Self::Row>, StoreError>;

    /// Whether it may be written while the series is held.
    fn passes_hold(&self) -> bool {
        false
    }
}

#[derive(Row, Deserialize)]
struct End {
    block: u64,
    /// Microseconds since 1970.
    held: i64,
}

impl Series {
    pub(super) fn new(table: &'static str, of: &'static str, last: &'static str, build: i64) -> Self {
        Self {
            table,
            of,
            last,
            build,
            end: Mutex::new(None),
        }
    }

    fn token(&self, block: u64) -> String {
        format!("{}/{}/{block}", self.table, self.build)
    }

    /// Writes what is new of the batch as the next block; gives its number, or the last one's when nothing is new.
    pub(super) async fn append<B: Batch>(
        &self,
        server: &ClickHouse,
        now: impl Fn() -> OffsetDateTime + Send + Sync,
        batch: &mut B,
    ) -> Result<u64, StoreError> {
        let mut end = self.end.lock().await;
        for _ in 0..RACES_MAX {
            let last = match end.take() {
                Some(last) => last,
                None => self.publish_last(server, &now, batch.passes_hold()).await?,
            };
            let (block, writer) = (last + 1, Uuid::new_v4());
            let rows = batch.rows(server, block, writer).await?;
            if rows.is_empty() {
                // What is known may be so by a block that others wrote since, and that is not in all views yet.
                let newest = self.last(server).await?;
                if newest == last {
                    *end = Some(last);
                } else {
                    self.publish(server, newest).await?;
                }
                return Ok(newest);
            }
            // An error leaves it open whether the block is there: whoever writes next finds out.
            server.insert(self.table, &rows, &self.token(block)).await?;
            match self.writer(server, block).await? {
                Some(winner) if winner == writer => {
                    self.publish(server, block).await?;
                    // Who comes after a hold has to see it.
                    *end = (!batch.passes_hold()).then_some(block);
                    return Ok(block);
                }
                // Somebody else's, and perhaps not published.
                Some(_) => {}
                // It was, and its rows were removed since.
                None => *end = Some(block),
            }
        }
        Err(StoreError::Unavailable(
            "others write all the time; try again".into(),
        ))
    }

    /// The number of the last block, which is published.
    pub(super) async fn publish_last(
        &self,
        server: &ClickHouse,
        now: &(impl Fn() -> OffsetDateTime + Send + Sync),
        passes_hold: bool,
    ) -> Result<u64, StoreError> {
        let end = self.free_end(server, now, passes_hold).await?;
        if end.block > 0 {
            self.publish(server, end.block).await?;
        }
        Ok(end.block)
    }

    /// The end, when nobody holds the series.
    async fn free_end(
        &self,
        server: &ClickHouse,
        now: &(impl Fn() -> OffsetDateTime + Send + Sync),
        passes_hold: bool,
    ) -> Result<End, StoreError> {
        let waited = tokio::time::timeout(HELD_MAX, async {
            loop {
                let end = self.end(server).await?;
                let is_held = i128::from(end.held) * 1_000 > now().unix_timestamp_nanos();
                if passes_hold || !is_held {
                    return Ok(end);
                }
                tokio::time::sleep(HELD_PAUSE).await;
            }
        });
        waited
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("generations are being compared".into())))
    }

    async fn end(&self, server: &ClickHouse) -> Result<End, StoreError> {
        server.ask(self.last).param("build", self.build).one().await
    }

    /// The last block's number just now.
    pub(super) async fn last(&self, server: &ClickHouse) -> Result<u64, StoreError> {
        Ok(self.end(server).await?.block)
    }

    /// Gives the block to the views that lack it. One thread, so that it is one block there too.
    async fn publish(&self, server: &ClickHouse, block: u64) -> Result<(), StoreError> {
        let (table, of) = (self.table, self.of);
        server
            .ask(format!(
                "INSERT INTO {table}_published SELECT * FROM {table} WHERE {of} AND block = {{block:UInt64}}"
            ))
            .param("build", self.build)
            .param("block", block)
            .setting("insert_deduplication_token", &self.token(block))
            .setting("max_threads", "1")
            .setting("max_insert_threads", "1")
            .run("INSERT")
            .await
    }

    async fn writer(&self, server: &ClickHouse, block: u64) -> Result<Option<Uuid>, StoreError> {
        let (table, of) = (self.table, self.of);
        let writers: Vec<String> = server
            .ask(format!(
                "SELECT DISTINCT toString(writer) FROM {table} WHERE {of} AND block = {{block:UInt64}}"
            ))
            .param("build", self.build)
            .param("block", block)
            .rows()
            .await?;
        match writers.as_slice() {
            [] => Ok(None),
            [one] => {
                let writer = one.parse().map_err(|_| torn("a block"))?;
                Ok(Some(writer))
            }
            _ => Err(torn("a block")),
        }
    }
}
