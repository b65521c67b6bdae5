//! Comparing two builds at one moment: first without holding anybody up; where effects come all the time, they wait.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use emporium_event_bus::projection::{
    COMPARED, Comparison, Digest, Digester, EventDifferences, PUBLISHED_WITHIN, RowText, differences,
};
use emporium_service_kit::StoreError;
use time::OffsetDateTime;
use uuid::Uuid;

use super::client::Tx;
use super::content::{Table, read};
use super::moments::Moments;
use super::rows::{IdRow, at, ids};
use super::{control, statements as cypher};

/// How long both may be read; the server's own limit of a transaction is longer.
pub(super) const COMPARE_TIMEOUT: Duration = Duration::from_mins(4);
/// How often it is tried before effects wait.
const OPTIMISTIC_TRIES: usize = 2;

/// What is compared.
pub(super) struct Pair {
    pub live: i64,
    pub built: i64,
    /// Events that were put aside.
    pub refused: Vec<Uuid>,
    pub now: OffsetDateTime,
}

/// The comparison; `None` while the live build lacks what the other one has had for a moment only.
pub(super) async fn compare(moments: &Moments, pair: Arc<Pair>) -> Result<Option<Comparison>, StoreError> {
    for _ in 0..OPTIMISTIC_TRIES {
        let before = moments.mark().await?;
        let comparison = compare_once(moments, pair.clone(), false).await?;
        if moments.mark().await? == before {
            return Ok(comparison);
        }
    }
    compare_once(moments, pair, true).await
}

async fn compare_once(
    moments: &Moments,
    pair: Arc<Pair>,
    held: bool,
) -> Result<Option<Comparison>, StoreError> {
    let name = moments.name.clone();
    moments
        .client
        .transaction(COMPARE_TIMEOUT, move |tx| {
            Box::pin(async move {
                if held {
                    // Effects hold it until they are visible; so none is under way.
                    control::locked_state(tx, &name).await?;
                }
                pair.compare(tx).await
            })
        })
        .await
}

impl Pair {
    async fn compare(&self, tx: &mut Tx) -> Result<Option<Comparison>, StoreError> {
        let (live, built) = (self.live, self.built);
        let waited_for = self
            .lacking(tx, [built, live], PUBLISHED_WITHIN, Some(false), 1)
            .await?;
        if !waited_for.is_empty() {
            return Ok(None);
        }
        let old = digests(tx, live).await?;
        let new = digests(tx, built).await?;
        let mut comparison = Comparison::of(old, new, self.events(tx).await?);
        if let Some(max) = comparison.lines_wanted() {
            comparison.add_lines(self.lines(tx, max).await?);
        }
        Ok(Some(comparison))
    }

    /// Events that differ.
    async fn events(&self, tx: &mut Tx) -> Result<Vec<String>, StoreError> {
        let (live, built, shown) = (self.live, self.built, EventDifferences::SHOWN);
        let differences = EventDifferences {
            live_only: self.lacking(tx, [live, built], COMPARED, None, shown).await?,
            built_only: self
                .lacking(tx, [built, live], COMPARED, Some(false), shown)
                .await?,
            refused: self
                .lacking(tx, [built, live], COMPARED, Some(true), shown)
                .await?,
        };
        Ok(differences.lines())
    }

    /// Events of the first build that the second one lacks; only those that were refused, or only others, or all.
    async fn lacking(
        &self,
        tx: &mut Tx,
        [has, lacks]: [i64; 2],
        within: Duration,
        refused: Option<bool>,
        max: i64,
    ) -> Result<Vec<Uuid>, StoreError> {
        let these: &[Uuid] = if refused.is_some() { &self.refused } else { &[] };
        let parameters = [
            ("has", has.into()),
            ("lacks", lacks.into()),
            ("since", at(self.now - within).into()),
            ("these", ids(these.iter().copied())),
            ("among", refused.unwrap_or(false).into()),
            ("max", max.into()),
        ];
        let rows: Vec<IdRow> = tx.rows(&cypher::LACKING, parameters).await?;
        Ok(rows.into_iter().map(|row| row.id.0).collect())
    }

    /// Rows that differ, a line each, at most `max`.
    async fn lines(&self, tx: &mut Tx, max: usize) -> Result<Vec<String>, StoreError> {
        let mut lines = Vec::new();
        for table in Table::ALL {
            let left = max - lines.len();
            let (old, new) = self.differing(tx, table).await?;
            lines.extend(differences(table.name(), table.key(), &old, &new, left));
        }
        Ok(lines)
    }

    /// Rows of a table that only one build has. Of all others no more than a hash is kept.
    async fn differing(&self, tx: &mut Tx, table: Table) -> Result<(Vec<RowText>, Vec<RowText>), StoreError> {
        let hasher = RandomState::new();
        let hash = |row: &RowText| hasher.hash_one(row.as_str());
        let (mut old, mut new) = (HashSet::new(), HashSet::new());
        read(tx, self.live, table, &mut |row| {
            old.insert(hash(&row));
        })
        .await?;
        read(tx, self.built, table, &mut |row| {
            new.insert(hash(&row));
        })
        .await?;
        let (mut old_only, mut new_only) = (Vec::new(), Vec::new());
        read(tx, self.live, table, &mut |row| {
            if !new.contains(&hash(&row)) {
                old_only.push(row);
            }
        })
        .await?;
        read(tx, self.built, table, &mut |row| {
            if !old.contains(&hash(&row)) {
                new_only.push(row);
            }
        })
        .await?;
        Ok((old_only, new_only))
    }
}

/// The digests of a build's tables.
pub(super) async fn digests(tx: &mut Tx, build: i64) -> Result<Vec<Digest>, StoreError> {
    let mut digests = Vec::new();
    for table in Table::ALL {
        let mut digester = Digester::default();
        read(tx, build, table, &mut |row| digester.add(row.as_str())).await?;
        digests.push(digester.finish(table.name()));
    }
    Ok(digests)
}
