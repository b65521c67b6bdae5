//! Loading many products: `COPY` into a temporary table, one `INSERT … SELECT`, then stock, search index and events, in
//! transactions of some thousands.

use std::collections::{BTreeMap, HashMap, HashSet};

use emporium_event_bus::event::NewEvent;
use emporium_service_kit::bulk::{BulkLoad, CopyRows, Rejection, Stored, micros};
use emporium_service_kit::db::BULK_STATEMENT_TIMEOUT;
use emporium_service_kit::{Money, Problem, Tx, validate};
use garde::Validate;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Store;
use crate::error::Error;
use crate::events::{ProductCreated, ProductState, imported_id};
use crate::model::{self, Attributes, ON_HAND_MAX, Status};
use crate::rules;
use crate::search::{Document, IndexChange};

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

/// Loads products into a store.
pub struct ProductLoad<'a>(pub &'a Store);

impl BulkLoad for ProductLoad<'_> {
    type Checked = ProductRecord;

    fn read(&self, line: &[u8]) -> Result<ProductRecord, String> {
        let mut record: ProductRecord = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        record.validate().map_err(|report| in_one_line(&report))?;
        if record.price.currency != self.0.currency {
            return Err(Error::currency(self.0.currency).to_string());
        }
        record.clean();
        Ok(record)
    }

    async fn store(&self, chunk: Vec<(u64, ProductRecord)>) -> Result<Stored, Problem> {
        Ok(self.0.load_products(chunk).await?)
    }
}

impl Store {
    /// Loads a chunk of checked records in one transaction.
    pub async fn load_products(&self, mut records: Vec<(u64, ProductRecord)>) -> Result<Stored, Error> {
        let mut ids = HashSet::with_capacity(records.len());
        records.retain(|(_, record)| ids.insert(record.id));
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
        let rejected = of_other_products(&mut tx, &others).await?;
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
        self.moved(!new.is_empty());
        Ok(Stored {
            loaded: new.len() as u64,
            rejected,
        })
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
        self.created_at = micros(self.created_at);
    }
}

fn trim(text: &mut String) {
    if text.trim().len() != text.len() {
        *text = text.trim().to_owned();
    }
}

/// Bulk loads may take long, and go one chunk after the other: two of them would wait for each other's keys in a circle.
pub async fn begin_bulk(tx: &mut Tx) -> Result<(), sqlx::Error> {
    tx.allow(BULK_STATEMENT_TIMEOUT).await?;
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

/// A record that was not inserted is there already, or its SKU is another product's: the latter are told.
async fn of_other_products(
    tx: &mut Tx,
    records: &[(u64, ProductRecord)],
) -> Result<Vec<Rejection>, sqlx::Error> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = records.iter().map(|(_, record)| record.id).collect();
    let there: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM catalog_product WHERE id = ANY ($1)")
        .bind(ids)
        .fetch_all(tx)
        .await?;
    let there: HashSet<Uuid> = there.into_iter().collect();
    let others = records.iter().filter(|(_, record)| !there.contains(&record.id));
    Ok(others
        .map(|(line, record)| Rejection {
            line: *line,
            reason: format!("sku {} belongs to another product", record.sku),
        })
        .collect())
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
