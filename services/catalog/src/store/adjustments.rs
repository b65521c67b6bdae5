//! Imported adjustments of stock: history that is kept and told, while the units on hand stay as they are.

use std::collections::{HashMap, HashSet};

use emporium_event_bus::event::NewEvent;
use emporium_service_kit::bulk::{BulkLoad, Rejection, Stored, micros};
use emporium_service_kit::{Problem, Tx, validate};
use garde::Validate;
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::bulk::{begin_bulk, in_one_line};
use super::{Store, inventory};
use crate::error::Error;
use crate::events::{StockAdjusted, imported_id};
use crate::rules;

/// The largest imported adjustment; real books have larger ones than people make at once.
const IMPORTED_DELTA_MAX: i64 = 1_000_000_000;

/// A line of `POST /bulk/stock-adjustments`.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
pub struct AdjustmentRecord {
    #[garde(skip)]
    pub id: Uuid,
    #[garde(skip)]
    pub product_id: Uuid,
    #[garde(range(min = -IMPORTED_DELTA_MAX, max = IMPORTED_DELTA_MAX))]
    pub delta: i64,
    #[garde(length(chars, max = 200), custom(validate::line))]
    pub reason: String,
    #[serde(with = "time::serde::rfc3339")]
    #[garde(custom(rules::imported_time))]
    pub at: OffsetDateTime,
    #[serde(default)]
    #[garde(inner(length(chars, max = 200)), custom(validate::line_opt))]
    pub reference: Option<String>,
}

/// Loads adjustments into a store.
pub struct AdjustmentLoad<'a>(pub &'a Store);

impl BulkLoad for AdjustmentLoad<'_> {
    type Checked = AdjustmentRecord;

    fn read(&self, line: &[u8]) -> Result<AdjustmentRecord, String> {
        let mut record: AdjustmentRecord = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        record.validate().map_err(|report| in_one_line(&report))?;
        record.at = micros(record.at);
        Ok(record)
    }

    async fn store(&self, chunk: Vec<(u64, AdjustmentRecord)>) -> Result<Stored, Problem> {
        Ok(self.0.load_adjustments(chunk).await?)
    }
}

impl Store {
    /// Loads a chunk of checked records in one transaction.
    async fn load_adjustments(&self, mut records: Vec<(u64, AdjustmentRecord)>) -> Result<Stored, Error> {
        let mut ids = HashSet::with_capacity(records.len());
        records.retain(|(_, record)| ids.insert(record.id));
        // In the same order everywhere, so that two loads do not wait for each other.
        records.sort_by_key(|(_, record)| record.id);
        let mut tx = self.db.begin().await?;
        begin_bulk(&mut tx).await?;
        let products: Vec<Uuid> = records.iter().map(|(_, record)| record.product_id).collect();
        let locked = inventory::lock(&mut tx, &products).await?;
        let mut versions: HashMap<Uuid, i64> = locked
            .iter()
            .map(|stock| (stock.product_id, stock.version))
            .collect();
        let (mut known, mut rejected) = (Vec::with_capacity(records.len()), Vec::new());
        for (line, record) in records {
            if versions.contains_key(&record.product_id) {
                known.push(record);
            } else {
                let reason = format!("there is no product {}", record.product_id);
                rejected.push(Rejection { line, reason });
            }
        }
        let fresh = insert(&mut tx, &known).await?;
        known.retain(|record| fresh.contains(&record.id));
        // Each product's adjustments get their versions in the order in which they happened.
        known.sort_by_key(|record| (record.at, record.id));
        let events = known
            .iter()
            .map(|record| adjusted(record, &mut versions))
            .collect::<Result<Vec<_>, _>>()?;
        let before: HashMap<Uuid, i64> = locked
            .iter()
            .map(|stock| (stock.product_id, stock.version))
            .collect();
        versions.retain(|id, version| before.get(id) != Some(version));
        write_versions(&mut tx, &versions).await?;
        self.outbox.write_bulk(&mut tx, &events).await?;
        tx.commit().await?;
        self.outbox.wake();
        Ok(Stored {
            loaded: fresh.len() as u64,
            rejected,
        })
    }
}

async fn insert(tx: &mut Tx, records: &[AdjustmentRecord]) -> Result<HashSet<Uuid>, sqlx::Error> {
    let fresh: Vec<Uuid> = sqlx::query_scalar(
        "INSERT INTO catalog_stock_adjustment (id, product_id, delta, reason, reference, at)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[])
         ON CONFLICT (id) DO NOTHING RETURNING id",
    )
    .bind(records.iter().map(|record| record.id).collect::<Vec<_>>())
    .bind(records.iter().map(|record| record.product_id).collect::<Vec<_>>())
    .bind(records.iter().map(|record| record.delta).collect::<Vec<_>>())
    .bind(
        records
            .iter()
            .map(|record| record.reason.as_str())
            .collect::<Vec<_>>(),
    )
    .bind(
        records
            .iter()
            .map(|record| record.reference.as_deref())
            .collect::<Vec<_>>(),
    )
    .bind(records.iter().map(|record| record.at).collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    Ok(fresh.into_iter().collect())
}

async fn write_versions(tx: &mut Tx, versions: &HashMap<Uuid, i64>) -> Result<(), sqlx::Error> {
    if versions.is_empty() {
        return Ok(());
    }
    let (ids, versions): (Vec<Uuid>, Vec<i64>) = versions.iter().unzip();
    sqlx::query(
        "UPDATE catalog_stock AS s SET version = n.version
         FROM unnest($1::uuid[], $2::bigint[]) AS n (id, version) WHERE s.product_id = n.id",
    )
    .bind(ids)
    .bind(versions)
    .execute(tx)
    .await?;
    Ok(())
}

fn adjusted(
    record: &AdjustmentRecord,
    versions: &mut HashMap<Uuid, i64>,
) -> Result<NewEvent, serde_json::Error> {
    let version = versions.entry(record.product_id).or_default();
    *version += 1;
    let data = StockAdjusted {
        adjustment_id: record.id,
        product_id: record.product_id,
        delta: record.delta,
        reason: record.reason.clone(),
        reference: record.reference.clone(),
        at: record.at,
        version: *version,
    };
    let id = imported_id("stock.adjusted.v1", record.id, record.at);
    NewEvent::at(id, record.at, record.product_id, *version, &data)
}
