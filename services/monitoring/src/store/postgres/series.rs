//! Numbers of series: given when a series is first seen, bounded, with the day it was last seen on.

use std::collections::{HashMap, HashSet};

use emporium_service_kit::{StoreError, Tx};
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::memory::{Known, Memory};
use super::notes::about;
use crate::model::{SERVICE, Scrape, Series};

/// A series that is new, or was not seen today yet, and when it was seen.
pub(super) type Fresh = (Uuid, Series, OffsetDateTime);

/// Series of a round that were not known, or not as seen today.
#[derive(Default)]
pub struct Numbered {
    /// By fingerprint.
    pub new: HashMap<Uuid, Known>,
    /// How many were refused, by service.
    pub refused: HashMap<String, u64>,
}

/// Gives numbers to series that are new, as long as there are fewer than `series_max`, and notes the day once a day.
pub async fn number(
    tx: &mut Tx,
    memory: &Memory,
    scrapes: &[Scrape],
    series_max: usize,
) -> Result<Numbered, StoreError> {
    let mut numbered = Numbered::default();
    let mut fresh: Vec<Fresh> = Vec::new();
    let mut room = series_max.saturating_sub(memory.series.len());
    let mut asked: HashSet<Uuid> = HashSet::new();
    for scrape in scrapes {
        for reading in scrape.readings.iter().flatten() {
            let fingerprint = reading.series.fingerprint();
            let is_known = memory.series.get(&fingerprint);
            let is_today = is_known.is_some_and(|known| known.seen_on >= scrape.at.date());
            if is_today || !asked.insert(fingerprint) {
                continue;
            }
            if is_known.is_none() {
                if room == 0 {
                    *numbered.refused.entry(scrape.target.clone()).or_default() += 1;
                    continue;
                }
                room -= 1;
            }
            fresh.push((fingerprint, reading.series.clone(), scrape.at));
        }
        // What is noted about the scrape itself always has room: a few series a service.
        for reading in about(scrape, 0) {
            let fingerprint = reading.series.fingerprint();
            let is_today = memory
                .series
                .get(&fingerprint)
                .is_some_and(|known| known.seen_on >= scrape.at.date());
            if !is_today && asked.insert(fingerprint) {
                fresh.push((fingerprint, reading.series, scrape.at));
            }
        }
    }
    numbered.new = write_series(tx, &fresh).await?;
    Ok(numbered)
}

/// Gives numbers to series, those that they have if they have any.
pub(super) async fn write_series(tx: &mut Tx, fresh: &[Fresh]) -> Result<HashMap<Uuid, Known>, StoreError> {
    if fresh.is_empty() {
        return Ok(HashMap::new());
    }
    let column = |read: fn(&Series) -> &str| -> Vec<String> {
        fresh
            .iter()
            .map(|(_, series, _)| read(series).to_owned())
            .collect()
    };
    let bounds = |series: &Series| {
        let bounds: Vec<String> = series.bounds.iter().map(ToString::to_string).collect();
        (!bounds.is_empty()).then(|| format!("{{{}}}", bounds.join(",")))
    };
    let rows: Vec<(Uuid, i32, time::Date)> = sqlx::query_as(
        "INSERT INTO monitoring_series AS s (fingerprint, metric, kind, target, labels, bounds, seen_on)
         SELECT fingerprint, metric, kind, target, labels, bounds::float8[], seen_on
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::text[], $7::date[])
            AS new (fingerprint, metric, kind, target, labels, bounds, seen_on)
         ON CONFLICT (fingerprint) DO UPDATE SET seen_on = greatest(s.seen_on, excluded.seen_on)
         RETURNING fingerprint, id, seen_on",
    )
    .bind(
        fresh
            .iter()
            .map(|(fingerprint, ..)| *fingerprint)
            .collect::<Vec<_>>(),
    )
    .bind(column(|series| &series.metric))
    .bind(column(|series| series.kind.as_str()))
    .bind(column(|series| {
        series.labels.get(SERVICE).map_or("", String::as_str)
    }))
    .bind(
        fresh
            .iter()
            .map(|(_, series, _)| Json(&series.labels))
            .collect::<Vec<_>>(),
    )
    .bind(
        fresh
            .iter()
            .map(|(_, series, _)| bounds(series))
            .collect::<Vec<_>>(),
    )
    .bind(fresh.iter().map(|(.., at)| at.date()).collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(fingerprint, id, seen_on)| (fingerprint, Known { id, seen_on }))
        .collect())
}
