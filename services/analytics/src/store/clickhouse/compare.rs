//! Comparing two builds at one moment, in a store without snapshots.
//!
//! First without disturbing anybody: if neither build got a block while both were read, it was one moment. A busy shop does not
//! stand still for so long, so then both are held: a block of the kind `hold` says that nobody may write for a while, and since it
//! is a block like others, whoever writes at that moment loses the race to it and sees it. The built one is held first, as
//! effects write there first: then the live one gets what is under way, and is held when it has all of it. That nothing was
//! written meanwhile is looked at in any case, so a hold that ran out costs a repetition and never a wrong answer.

use std::time::Duration;

use async_trait::async_trait;
use emporium_event_bus::ApplyError;
use emporium_event_bus::projection::{COMPARED, Comparison, EventDifferences, PUBLISHED_WITHIN};
use emporium_service_kit::StoreError;
use time::OffsetDateTime;
use uuid::Uuid;

use super::block::{Batch, Series};
use super::client::{ClickHouse, hex, ids_of};
use super::digest;
use super::feed::Feed;
use super::row::EventRow;

/// How long builds are held at most; effects wait meanwhile.
const HOLD: Duration = Duration::from_secs(20);
/// How long what is under way is waited for, and how often it is looked at.
const UNDER_WAY_MAX: Duration = Duration::from_secs(5);
const UNDER_WAY_PAUSE: Duration = Duration::from_millis(50);

/// What a comparison needs.
struct Both<'a> {
    feed: &'a Feed,
    live: i64,
    built: i64,
    refused: Vec<String>,
    now: OffsetDateTime,
}

/// Compares; `None` while the live build lacks what the other one has.
pub(super) async fn compare(
    feed: &Feed,
    live: i64,
    built: i64,
    refused: &[Uuid],
    now: OffsetDateTime,
) -> Result<Option<Comparison>, ApplyError> {
    let both = Both {
        feed,
        live,
        built,
        refused: hex(refused.iter().map(Uuid::as_u128)),
        now,
    };
    let (live, built) = (feed.series(live).await, feed.series(built).await);
    if both.is_behind().await? {
        return Ok(None);
    }
    let clock = || feed.clock.now();
    let ends = [
        built.publish_last(&feed.server, &clock, false).await?,
        live.publish_last(&feed.server, &clock, false).await?,
    ];
    let comparison = both.at_rest().await?;
    if both.ends(&built, &live).await? == ends {
        return Ok(Some(comparison));
    }
    both.held(&built, &live).await
}

impl Both<'_> {
    /// Holds both, compares, and lets them go in any case.
    async fn held(&self, built: &Series, live: &Series) -> Result<Option<Comparison>, ApplyError> {
        let first = self.hold(built).await?;
        let mut second = None;
        let compared = async {
            if !self.caught_up().await? {
                return Ok(None);
            }
            second = Some(self.hold(live).await?);
            if self.is_behind().await? {
                return Ok(None);
            }
            Ok::<_, ApplyError>(Some(self.at_rest().await?))
        };
        let compared = compared.await;
        let ends = self.ends(built, live).await;
        let released = [self.release(built).await, self.release(live).await];
        let (compared, ends) = (compared?, ends?);
        for result in released {
            result?;
        }
        Ok(compared.filter(|_| Some(ends[1]) == second && ends[0] == first))
    }

    async fn ends(&self, built: &Series, live: &Series) -> Result<[u64; 2], ApplyError> {
        let server = &self.feed.server;
        Ok([built.last(server).await?, live.last(server).await?])
    }

    async fn hold(&self, series: &Series) -> Result<u64, StoreError> {
        let until = self.feed.clock.now() + HOLD;
        self.mark(series, "hold", until).await
    }

    async fn release(&self, series: &Series) -> Result<u64, StoreError> {
        self.mark(series, "release", self.feed.clock.now()).await
    }

    async fn mark(
        &self,
        series: &Series,
        kind: &'static str,
        noted_at: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        let mut mark = Mark {
            build: series.build,
            row: EventRow::of_kind(kind, Uuid::new_v4(), noted_at),
        };
        let clock = || self.feed.clock.now();
        series.append(&self.feed.server, clock, &mut mark).await
    }

    /// Waits until the live one has what the built one has; whether it came to that.
    async fn caught_up(&self) -> Result<bool, StoreError> {
        let waited = tokio::time::timeout(UNDER_WAY_MAX, async {
            while self.is_behind().await? {
                tokio::time::sleep(UNDER_WAY_PAUSE).await;
            }
            Ok(true)
        });
        waited.await.unwrap_or(Ok(false))
    }

    /// Whether the live one lacks what may still come to it.
    async fn is_behind(&self) -> Result<bool, StoreError> {
        let lacking = self
            .lacking([self.built, self.live], PUBLISHED_WITHIN, Some(false), 1)
            .await?;
        Ok(!lacking.is_empty())
    }

    /// Compares; right if nobody writes meanwhile.
    async fn at_rest(&self) -> Result<Comparison, StoreError> {
        let shown = EventDifferences::SHOWN;
        let (live, built) = (self.live, self.built);
        let differences = EventDifferences {
            live_only: self.lacking([live, built], COMPARED, None, shown).await?,
            built_only: self.lacking([built, live], COMPARED, Some(false), shown).await?,
            refused: self.lacking([built, live], COMPARED, Some(true), shown).await?,
        };
        let server = &self.feed.server;
        let (old, new) = (
            digest::digests(server, live).await?,
            digest::digests(server, built).await?,
        );
        let mut comparison = Comparison::of(old, new, differences.lines());
        if let Some(max) = comparison.lines_wanted() {
            comparison.add_lines(digest::differing(server, live, built, max).await?);
        }
        Ok(comparison)
    }

    /// Events that the first build has and the second one lacks, written down within so long; of those that were refused, only
    /// them, or all others, or both.
    async fn lacking(
        &self,
        [has, lacks]: [i64; 2],
        within: Duration,
        refused: Option<bool>,
        max: i64,
    ) -> Result<Vec<Uuid>, StoreError> {
        let lists: Vec<String> = (0..self.refused.len()).map(|n| format!("refused_{n}")).collect();
        let is_one = |name: &String| format!(" OR id IN {}", ids_of(name));
        let is_refused: String = lists.iter().map(is_one).collect();
        let refused = match refused {
            None => String::new(),
            Some(true) => format!("AND (false{is_refused})"),
            Some(false) => format!("AND NOT (false{is_refused})"),
        };
        let since = (self.now - within).unix_timestamp_nanos() / 1_000;
        let ask = self
            .feed
            .server
            .ask(format!(
                "SELECT id FROM analytics_claim
                 WHERE build = {{has:Int64}} AND is_event AND noted_at > fromUnixTimestamp64Micro({{since:Int64}})
                   AND id NOT IN (SELECT id FROM analytics_claim WHERE build = {{lacks:Int64}} AND is_event) {refused}
                 LIMIT {{max:Int64}}"
            ))
            .param("has", has)
            .param("lacks", lacks)
            .param("since", i64::try_from(since).unwrap_or_default())
            .param("max", max)
            .long();
        let ask = lists
            .iter()
            .zip(&self.refused)
            .fold(ask, |ask, (name, ids)| ask.param(name, ids));
        let found: Vec<u128> = ask.rows().await?;
        Ok(found.into_iter().map(Uuid::from_u128).collect())
    }
}

/// A block that holds a build, or lets it go.
struct Mark {
    build: i64,
    row: EventRow,
}

#[async_trait]
impl Batch for Mark {
    type Row = EventRow;

    async fn rows(&mut self, _: &ClickHouse, block: u64, writer: Uuid) -> Result<Vec<EventRow>, StoreError> {
        Ok(vec![EventRow {
            build: self.build,
            block,
            writer,
            ..self.row.clone()
        }])
    }

    fn passes_hold(&self) -> bool {
        true
    }
}
