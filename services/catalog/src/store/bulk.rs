//! Loading many products: `COPY` into a temporary table, one `INSERT … SELECT`, then stock, search index and events, in
//! transactions of some thousands.

use std::collections::{BTreeMap, HashMap, HashSet};

use emporium_event_bus::event::NewEvent;
use emporium_service_kit::bulk::{BulkSummary, CopyRows};
use emporium_service_kit::{Money, Tx, validate};
use garde::Validate;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::{OffsetDateTime, UtcOffset};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Store;
use crate::error::Error;
use crate::events::{ProductCreated, ProductState, imported_id};
use crate::model::{self, Attributes, ON_HAND_MAX, Status};
use crate::rules;
use crate::search::{Document, IndexChange};

/// Records in a transaction.
pub const CHUNK: usize = 2_000;
/// A line of `POST /bulk/products`. A `popularity` in it is ignored: the catalog counts units sold from
/// `order.confirmed.v1`, and the orders of seeds and imports come that way, too; taking both would count them twice.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
pub struct ProductRecord {
    #[garde(skip)]
    pub id: Uuid,
    #[garde(length(chars, min = 1, max = 64), custom(validate::filled_line))]
    pub sku: String,
    #[garde(length(chars, min = 1, max = 300), custom(validate::filled_line))]
    pub name: String,
    #[serde(default)]
    #[garde(length(chars, max = 5_000), custom(validate::text))]
    pub description: String,
    #[garde(custom(rules::category))]
    pub category: String,
    #[garde(length(chars, min = 1, max = 100), custom(validate::filled_line))]
    pub category_name: String,
    #[serde(default)]
    #[garde(inner(length(chars, max = 100)), custom(validate::filled_line_opt))]
    pub brand: Option<String>,
    #[garde(custom(rules::price))]
    pub price: Money,
    #[serde(default)]
    #[garde(custom(rules::attributes))]
    #[schema(value_type = std::collections::BTreeMap<String, model::AttributeValue>)]
    pub attributes: Attributes,
    #[garde(custom(rules::known_source))]
    pub source: String,
    #[garde(range(min = 0, max = ON_HAND_MAX))]
    pub stock: i64,
    #[serde(with = "time::serde::rfc3339")]
    #[garde(custom(rules::imported_time))]
    pub created_at: OffsetDateTime,
}

/// A report of garde's in one line.
pub fn in_one_line(report: &garde::Report) -> String {
    let errors = report
        .iter()
        .map(|(path, error)| format!("{path} {}", error.message()));
    errors.collect::<Vec<_>>().join("; ")
}

const INCOMING: &str = "CREATE TEMPORARY TABLE IF NOT EXISTS catalog_product_incoming (
    id uuid, sku text, name text, description text, category text, brand text, price bigint, currency text,
    attributes jsonb, source text, created_at timestamptz, stock bigint
) ON COMMIT DELETE ROWS";

/// Rows whose id or SKU is there already are left out; which of the two it was is told apart afterwards.
const INSERT: &str = "WITH fresh AS (
    INSERT INTO catalog_product
      (id, sku, name, description, category, brand, price, currency, attributes, source, created_at)
    SELECT id, sku, name, description, category, brand, price, currency, attributes, source, created_at
    FROM catalog_product_incoming
    ON CONFLICT DO NOTHING RETURNING id
  ), stocked AS (
    INSERT INTO catalog_stock (product_id, on_hand, updated_at)
    SELECT i.id, i.stock, i.created_at FROM catalog_product_incoming AS i JOIN fresh USING (id)
  )
  SELECT id FROM fresh";

impl Store {
    /// Loads a chunk of records in one transaction and notes in the summary what became of them.
    pub async fn load_products(
        &self,
        records: Vec<(u64, ProductRecord)>,
        summary: &mut BulkSummary,
    ) -> Result<(), Error> {
        let records = self.acceptable(records, summary);
        if records.is_empty() {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        begin_bulk(&mut tx).await?;
        let categories = ensure_categories(&mut tx, &records).await?;
        sqlx::query(INCOMING).execute(&mut tx).await?;
        tx.copy_in(
            "COPY catalog_product_incoming FROM STDIN",
            copy_rows(&records).as_bytes(),
        )
        .await?;
        let fresh: Vec<Uuid> = sqlx::query_scalar(INSERT).fetch_all(&mut tx).await?;
        let fresh: HashSet<Uuid> = fresh.into_iter().collect();
        let (new, others): (Vec<_>, Vec<_>) = records
            .into_iter()
            .partition(|(_, record)| fresh.contains(&record.id));
        tell_apart(&mut tx, &others, summary).await?;
        let mut events = Vec::with_capacity(new.len());
        let mut changes = Vec::with_capacity(new.len());
        for (_, record) in &new {
            events.push(created(record)?);
            let name = categories.get(&record.category).unwrap_or(&record.category_name);
            changes.push(IndexChange::Put(Box::new(document(record, name))));
        }
        self.search.write(&mut tx, &changes).await?;
        // Last, because it holds the lock on the outbox's head until the commit.
        self.outbox.write_bulk(&mut tx, &events).await?;
        tx.commit().await?;
        summary.loaded += new.len() as u64;
        self.moved(!new.is_empty());
        Ok(())
    }

    /// The records that may be loaded, cleaned; the others go into the summary.
    fn acceptable(
        &self,
        records: Vec<(u64, ProductRecord)>,
        summary: &mut BulkSummary,
    ) -> Vec<(u64, ProductRecord)> {
        let mut ids = HashSet::with_capacity(records.len());
        let mut acceptable = Vec::with_capacity(records.len());
        for (line, mut record) in records {
            if let Err(report) = record.validate() {
                summary.reject(line, in_one_line(&report));
            } else if record.price.currency != self.currency {
                summary.reject(line, Error::currency(self.currency).to_string());
            } else if ids.insert(record.id) {
                record.clean();
                acceptable.push((line, record));
            } else {
                summary.unchanged += 1;
            }
        }
        acceptable
    }
}

impl ProductRecord {
    /// As a request's fields are: trimmed, the category as a slug, the time as it is kept.
    fn clean(&mut self) {
        for text in [&mut self.sku, &mut self.name, &mut self.category_name] {
            trim(text);
        }
        self.brand.as_mut().map(trim).unwrap_or_default();
        self.category = model::slug(&self.category);
        self.created_at = self
            .created_at
            .to_offset(UtcOffset::UTC)
            .truncate_to_microsecond();
    }
}

fn trim(text: &mut String) {
    if text.trim().len() != text.len() {
        *text = text.trim().to_owned();
    }
}

/// Bulk loads may take long, and go one chunk after the other: two of them would wait for each other's keys in a circle.
pub async fn begin_bulk(tx: &mut Tx) -> Result<(), sqlx::Error> {
    sqlx::query("SET LOCAL statement_timeout = 0")
        .execute(&mut *tx)
        .await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('catalog bulk load', 0))")
        .execute(tx)
        .await?;
    Ok(())
}

/// Makes sure that the records' categories exist; gives the names that count.
async fn ensure_categories(
    tx: &mut Tx,
    records: &[(u64, ProductRecord)],
) -> Result<HashMap<String, String>, sqlx::Error> {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for (_, record) in records {
        names.entry(&record.category).or_insert(&record.category_name);
    }
    let (slugs, names): (Vec<&str>, Vec<&str>) = names.into_iter().unzip();
    sqlx::query(
        "INSERT INTO catalog_category (slug, name) SELECT * FROM unnest($1::text[], $2::text[])
         ON CONFLICT (slug) DO NOTHING",
    )
    .bind(&slugs)
    .bind(names)
    .execute(&mut *tx)
    .await?;
    let names: Vec<(String, String)> =
        sqlx::query_as("SELECT slug, name FROM catalog_category WHERE slug = ANY ($1)")
            .bind(slugs)
            .fetch_all(tx)
            .await?;
    Ok(names.into_iter().collect())
}

fn copy_rows(records: &[(u64, ProductRecord)]) -> CopyRows {
    let mut rows = CopyRows::default();
    for (_, record) in records {
        rows.plain(record.id)
            .text(&record.sku)
            .text(&record.name)
            .text(&record.description)
            .text(&record.category)
            .text_opt(record.brand.as_deref())
            .plain(record.price.amount)
            .plain(record.price.currency)
            .json(&record.attributes)
            .plain(&record.source)
            .time(record.created_at)
            .plain(record.stock)
            .end_row();
    }
    rows
}

/// A record that was not inserted is there already, or its SKU is another product's.
async fn tell_apart(
    tx: &mut Tx,
    records: &[(u64, ProductRecord)],
    summary: &mut BulkSummary,
) -> Result<(), sqlx::Error> {
    if records.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = records.iter().map(|(_, record)| record.id).collect();
    let there: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM catalog_product WHERE id = ANY ($1)")
        .bind(ids)
        .fetch_all(tx)
        .await?;
    let there: HashSet<Uuid> = there.into_iter().collect();
    for (line, record) in records {
        if there.contains(&record.id) {
            summary.unchanged += 1;
        } else {
            summary.reject(*line, format!("sku {} belongs to another product", record.sku));
        }
    }
    Ok(())
}

fn created(record: &ProductRecord) -> Result<NewEvent, serde_json::Error> {
    let state = ProductState {
        id: record.id,
        sku: record.sku.clone(),
        name: record.name.clone(),
        description: record.description.clone(),
        category: record.category.clone(),
        brand: record.brand.clone(),
        price: record.price,
        in_stock: record.stock > 0,
        stock: record.stock,
        on_hand: record.stock,
        reserved: 0,
        attributes: RawValue::from_string(serde_json::to_string(&record.attributes)?)?,
        source: record.source.clone(),
        status: Status::Active,
        popularity: 0,
        version: 1,
        created_at: record.created_at,
        updated_at: record.created_at,
    };
    let id = imported_id("product.created.v1", record.id, record.created_at);
    NewEvent::at(id, record.created_at, record.id, 1, &ProductCreated(state))
}

fn document(record: &ProductRecord, category_name: &str) -> Document {
    Document {
        id: record.id,
        version: 1,
        sku: record.sku.clone(),
        name: record.name.clone(),
        description: record.description.clone(),
        category: record.category.clone(),
        category_name: category_name.to_owned(),
        brand: record.brand.clone(),
        price: record.price.amount,
        attributes: record.attributes.clone(),
        in_stock: record.stock > 0,
        popularity: 0,
        created_at: record.created_at,
    }
}
