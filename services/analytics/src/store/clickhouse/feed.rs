//! How events get into the tables.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use emporium_event_bus::projection::{
    Comparison, Digest, Filling, Generation, ProjectionStore, State, Versioned,
};
use emporium_event_bus::{ApplyError, CloudEvent};
use emporium_service_kit::{Clock, StoreError};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::block::{Batch, Series};
use super::client::{ClickHouse, SET_MAX};
use super::row::EventRow;
use super::{compare, digest, state};
use crate::events::KINDS;

/// Events and lines of a block: far below what the server would make two parts of.
const EVENTS_MAX: usize = 20_000;
const LINES_MAX: usize = 200_000;
/// The tables of builds.
const TABLES: [&str; 4] = [
    "analytics_event",
    "analytics_claim",
    "analytics_figure",
    "analytics_product",
];
/// The last block of a build, and until when it is held. Blocks are in the partition's key, so no row is read for the first.
const LAST: &str = "SELECT block, ifNull(
        (SELECT max(toUnixTimestamp64Micro(noted_at)) FROM analytics_event
         WHERE build = {build:Int64} AND block = last.block AND kind = 'hold'), 0) AS held
    FROM (SELECT max(block) AS block FROM analytics_event WHERE build = {build:Int64}) AS last";

/// The projection's store.
pub(super) struct Feed {
    pub(super) server: ClickHouse,
    pub(super) clock: Clock,
    series: Mutex<HashMap<i64, Arc<Series>>>,
    /// The builds that were targets when the state was last read.
    targets: Mutex<Option<Vec<Generation>>>,
}

impl Feed {
    pub(super) fn new(server: ClickHouse, clock: Clock) -> Self {
        Self {
            server,
            clock,
            series: Mutex::default(),
            targets: Mutex::default(),
        }
    }

    /// The blocks of a build.
    pub(super) async fn series(&self, build: i64) -> Arc<Series> {
        let mut all = self.series.lock().await;
        let new = || {
            Arc::new(Series::new(
                "analytics_event",
                "build = {build:Int64}",
                LAST,
                build,
            ))
        };
        all.entry(build).or_insert_with(new).clone()
    }

    /// Writes to a build what it has not seen.
    async fn write(&self, build: i64, rows: &[EventRow]) -> Result<(), StoreError> {
        let series = self.series(build).await;
        for rows in pieces(rows) {
            let mut fresh = Fresh { build, rows };
            series
                .append(&self.server, || self.clock.now(), &mut fresh)
                .await?;
        }
        Ok(())
    }

    /// The targets now. The one that is built comes first: what is under way is then nothing that the live one has and the other
    /// lacks, but what the live one still has to get.
    async fn load_targets(&self) -> Result<Vec<Generation>, StoreError> {
        let mut targets = state::load(&self.server).await?.state.targets();
        targets.reverse();
        *self.targets.lock().await = Some(targets.clone());
        Ok(targets)
    }
}

/// Pieces that are small enough for a block.
fn pieces(rows: &[EventRow]) -> Vec<&[EventRow]> {
    let (mut pieces, mut from, mut lines) = (Vec::new(), 0, 0);
    for (at, row) in rows.iter().enumerate() {
        if at > from && (at - from == EVENTS_MAX || lines + row.products.len() > LINES_MAX) {
            pieces.push(&rows[from..at]);
            (from, lines) = (at, 0);
        }
        lines += row.products.len();
    }
    if from < rows.len() {
        pieces.push(&rows[from..]);
    }
    pieces
}

/// Events for a build, of which it has perhaps seen some.
struct Fresh<'a> {
    build: i64,
    rows: &'a [EventRow],
}

#[async_trait]
impl Batch for Fresh<'_> {
    type Row = EventRow;

    async fn rows(
        &mut self,
        server: &ClickHouse,
        block: u64,
        writer: Uuid,
    ) -> Result<Vec<EventRow>, StoreError> {
        let claims = self
            .rows
            .iter()
            .flat_map(|row| [row.event_id.as_u128(), row.identity]);
        let mut seen = known(server, self.build, claims.filter(|&claim| claim != 0)).await?;
        let mut fresh = Vec::with_capacity(self.rows.len());
        for row in self.rows {
            if !seen.insert(row.event_id.as_u128()) {
                continue;
            }
            let counts = row.identity == 0 || seen.insert(row.identity);
            let row = row.clone();
            fresh.push(EventRow {
                build: self.build,
                block,
                writer,
                ..if counts { row } else { row.repeated() }
            });
        }
        Ok(fresh)
    }
}

/// Which of these the build has claimed.
async fn known(
    server: &ClickHouse,
    build: i64,
    claims: impl Iterator<Item = u128>,
) -> Result<HashSet<u128>, StoreError> {
    // Without index entries to go by, each statement reads all claims: so one of many ids, and not many of few.
    let claims: Vec<u128> = claims.collect();
    let mut all = HashSet::new();
    for ids in claims.chunks(SET_MAX) {
        let text = "SELECT DISTINCT id FROM analytics_claim WHERE build = {build:Int64} AND id IN {ids}";
        let known: Vec<u128> = server.ask_of_ids(text, ids).param("build", build).rows().await?;
        all.extend(known);
    }
    Ok(all)
}

fn rows_of<'a>(
    events: impl Iterator<Item = (&'a CloudEvent, OffsetDateTime)>,
) -> Result<Vec<EventRow>, ApplyError> {
    events
        .map(|(event, noted_at)| EventRow::of(event, noted_at))
        .collect()
}

#[async_trait]
impl ProjectionStore for Feed {
    fn kinds(&self) -> &'static [&'static str] {
        KINDS
    }

    async fn load(&self) -> Result<Versioned, StoreError> {
        state::load(&self.server).await
    }

    async fn swap(&self, version: i64, next: &State) -> Result<bool, StoreError> {
        state::swap(&self.server, version, next, self.clock.now()).await
    }

    /// Begins with the targets as they were known last, and reads the state afterwards: what has become a target meanwhile is
    /// written to as well, before the events count as applied.
    async fn apply(&self, events: &[&CloudEvent]) -> Result<(), ApplyError> {
        let now = self.clock.now();
        let rows = rows_of(events.iter().map(|event| (*event, now)))?;
        let mut targets = self.targets.lock().await.clone();
        if targets.is_none() {
            targets = Some(self.load_targets().await?);
        }
        let mut written = HashSet::new();
        while let Some(wanted) = targets.take() {
            for target in wanted {
                if written.insert(target.build) {
                    self.write(target.build, &rows).await?;
                }
            }
            let now = self.load_targets().await?;
            targets = now
                .iter()
                .any(|target| !written.contains(&target.build))
                .then_some(now);
        }
        Ok(())
    }

    async fn fill(&self, filling: &Filling<'_>, version: i64, next: &State) -> Result<bool, ApplyError> {
        let now = self.clock.now();
        let noted = filling.events.iter().map(|&(event, at)| (event, at.min(now)));
        let rows = rows_of(noted)?;
        self.write(filling.generation.build, &rows).await?;
        Ok(self.swap(version, next).await?)
    }

    /// Partitions of all builds but the targets': also what relieved builders have left.
    async fn empty(&self, generation: Generation) -> Result<(), ApplyError> {
        let state = self.load().await?.state;
        let kept: Vec<i64> = state.targets().iter().map(|target| target.build).collect();
        // A later build is somebody else's, who has relieved this one.
        let newest = state.live().build.max(state.other().build).max(generation.build);
        for table in TABLES {
            let old: Vec<String> = self
                .server
                .ask(
                    "SELECT DISTINCT partition_id FROM (
                         SELECT partition_id, toInt64(extract(partition, '[0-9]+')) AS build FROM system.parts
                         WHERE database = currentDatabase() AND table = {table:String} AND active
                     ) WHERE NOT has({kept:Array(Int64)}, build) AND build <= {newest:Int64}",
                )
                .param("newest", newest)
                .param("table", table)
                .param("kept", &kept)
                .rows()
                .await?;
            for partition in old {
                self.server
                    .ask(format!(
                        "ALTER TABLE {table} DROP PARTITION ID {{partition:String}}"
                    ))
                    .param("partition", partition)
                    .long()
                    .run("ALTER")
                    .await?;
            }
        }
        self.series.lock().await.retain(|build, _| kept.contains(build));
        Ok(())
    }

    async fn seen(&self, generation: Generation, events: &[Uuid]) -> Result<Vec<Uuid>, ApplyError> {
        let ids = events.iter().map(Uuid::as_u128);
        let known = known(&self.server, generation.build, ids).await?;
        Ok(known.into_iter().map(Uuid::from_u128).collect())
    }

    async fn content(&self, generation: Generation) -> Result<Vec<Digest>, ApplyError> {
        let clock = || self.clock.now();
        let series = self.series(generation.build).await;
        series.publish_last(&self.server, &clock, false).await?;
        Ok(digest::digests(&self.server, generation.build).await?)
    }

    async fn compare(
        &self,
        live: Generation,
        built: Generation,
        refused: &[Uuid],
        now: OffsetDateTime,
    ) -> Result<Option<Comparison>, ApplyError> {
        compare::compare(self, live.build, built.build, refused, now).await
    }

    /// Claims of whole days, since removing some rows costs as much as removing many: so at most once a day there is work.
    async fn reap(&self, generation: Generation, before: OffsetDateTime) -> Result<u64, ApplyError> {
        let old = "build = {build:Int64} AND is_event AND noted_at < toDateTime64({day:String}, 6, 'UTC')";
        let day = before.date().to_string();
        let count: u64 = self
            .server
            .ask(format!("SELECT count() FROM analytics_claim WHERE {old}"))
            .param("build", generation.build)
            .param("day", &day)
            .one()
            .await?;
        if count > 0 {
            self.server
                .ask(format!("ALTER TABLE analytics_claim DELETE WHERE {old}"))
                .param("build", generation.build)
                .param("day", &day)
                .long()
                .run("ALTER")
                .await?;
        }
        Ok(count)
    }
}
