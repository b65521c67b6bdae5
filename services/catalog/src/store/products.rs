//! Products: reading, creating, changing, archiving.

use std::collections::HashMap;

use emporium_event_bus::event::NewEvent;
use emporium_service_kit::{Currency, Money, StoreError, Tx, ids};
use serde_json::value::RawValue;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, FromRow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, inventory};
use crate::error::Error;
use crate::events::{ProductArchived, ProductCreated, ProductState, ProductUpdated};
use crate::model::{self, Attributes, NewProduct, Product, ProductPatch, Status};
use crate::search::{Document, IndexChange};

/// A product as it is kept.
#[derive(Debug, Clone, FromRow)]
pub struct Row {
    id: Uuid,
    sku: String,
    name: String,
    description: String,
    category: String,
    category_name: String,
    brand: Option<String>,
    price: i64,
    currency: String,
    attributes: Json<Box<RawValue>>,
    source: String,
    created_at: OffsetDateTime,
    on_hand: i64,
    reserved: i64,
    popularity: i64,
    archived: bool,
    version: i64,
    updated_at: OffsetDateTime,
}

const SELECT: &str =
    "SELECT p.id, p.sku, p.name, p.description, p.category, c.name AS category_name, p.brand,
    p.price, p.currency, p.attributes, p.source, p.created_at,
    s.on_hand, s.reserved, s.popularity, s.archived, s.version, s.updated_at
  FROM catalog_product AS p
  JOIN catalog_stock AS s ON s.product_id = p.id
  JOIN catalog_category AS c ON c.slug = p.category";

impl Row {
    fn price(&self) -> Money {
        // Only the shop's currency was ever let in, so this reads what was written.
        Money::new(self.price, self.currency.parse().unwrap_or(Currency::GBP))
    }

    fn status(&self) -> Status {
        if self.archived {
            Status::Archived
        } else {
            Status::Active
        }
    }

    fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }

    /// As it is shown.
    pub fn into_product(self) -> Product {
        Product {
            price: self.price(),
            in_stock: self.available() > 0,
            stock: self.available(),
            status: self.status(),
            id: self.id,
            sku: self.sku,
            name: self.name,
            description: self.description,
            category: self.category,
            category_name: self.category_name,
            brand: self.brand,
            attributes: self.attributes.0,
            source: self.source,
            popularity: self.popularity,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
            highlights: None,
        }
    }

    /// As events tell it.
    pub fn state(&self) -> ProductState {
        ProductState {
            id: self.id,
            sku: self.sku.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            category: self.category.clone(),
            brand: self.brand.clone(),
            price: self.price(),
            in_stock: self.available() > 0,
            stock: self.available(),
            on_hand: self.on_hand,
            reserved: self.reserved,
            attributes: self.attributes.0.clone(),
            source: self.source.clone(),
            status: self.status(),
            popularity: self.popularity,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    /// What makes a search index agree with it.
    fn index_change(&self) -> Result<IndexChange, serde_json::Error> {
        if self.archived {
            return Ok(IndexChange::Remove {
                id: self.id,
                version: self.version,
            });
        }
        Ok(IndexChange::Put(Box::new(self.document()?)))
    }

    /// As the search index sees it.
    fn document(&self) -> Result<Document, serde_json::Error> {
        Ok(Document {
            id: self.id,
            version: self.version,
            sku: self.sku.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            category: self.category.clone(),
            category_name: self.category_name.clone(),
            brand: self.brand.clone(),
            price: self.price,
            attributes: serde_json::from_str::<Attributes>(self.attributes.0.get())?,
            in_stock: self.available() > 0,
            popularity: self.popularity,
            created_at: self.created_at,
        })
    }
}

impl Store {
    /// One product, archived ones included.
    pub async fn product(&self, id: Uuid) -> Result<Product, Error> {
        let row: Option<Row> = sqlx::query_as(AssertSqlSafe(format!("{SELECT} WHERE p.id = $1")))
            .bind(id)
            .fetch_optional(&self.db)
            .await?;
        row.map(Row::into_product).ok_or(Error::UnknownProduct)
    }

    /// The products with these ids, in the same order; unknown ones are left out.
    pub async fn products(&self, ids: &[Uuid]) -> Result<Vec<Product>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(format!("{SELECT} WHERE p.id = ANY ($1)")))
            .bind(ids)
            .fetch_all(&self.db)
            .await?;
        let mut by_id: HashMap<Uuid, Row> = rows.into_iter().map(|row| (row.id, row)).collect();
        let found = ids.iter().filter_map(|id| by_id.remove(id));
        Ok(found.map(Row::into_product).collect())
    }

    /// What makes a search index agree with these products as they are now; unknown ones are left out.
    pub async fn index_changes(&self, ids: &[Uuid]) -> Result<Vec<IndexChange>, Error> {
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(format!("{SELECT} WHERE p.id = ANY ($1)")))
            .bind(ids)
            .fetch_all(&self.db)
            .await?;
        rows.iter().map(|row| Ok(row.index_change()?)).collect()
    }

    /// The listed products whose ids come after this one, in the order of ids, at most `limit`.
    pub async fn listed_after(&self, after: Uuid, limit: i64) -> Result<Vec<IndexChange>, Error> {
        let sql = format!("{SELECT} WHERE p.id > $1 AND NOT s.archived ORDER BY p.id LIMIT $2");
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(after)
            .bind(limit)
            .fetch_all(&self.db)
            .await?;
        rows.iter().map(|row| Ok(row.index_change()?)).collect()
    }

    /// How many products are listed.
    pub async fn listed(&self) -> Result<i64, Error> {
        let count = sqlx::query_scalar("SELECT count(*) FROM catalog_stock WHERE NOT archived");
        Ok(count.fetch_one(&self.db).await?)
    }

    /// Adds a product, and its category if that is new.
    pub async fn create(&self, new: &NewProduct) -> Result<Product, Error> {
        self.check_currency(&new.price)?;
        let (id, now) = (ids::new(&self.clock), self.clock.now());
        let mut tx = self.db.begin().await?;
        let category = ensure_category(&mut tx, &new.category).await?;
        let inserted = sqlx::query(
            "INSERT INTO catalog_product
               (id, sku, name, description, category, brand, price, currency, attributes, source, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'admin', $10)",
        )
        .bind(id)
        .bind(new.sku.trim())
        .bind(new.name.trim())
        .bind(&new.description)
        .bind(&category)
        .bind(new.brand.as_deref().map(str::trim))
        .bind(new.price.amount)
        .bind(new.price.currency.as_str())
        .bind(Json(&new.attributes))
        .bind(now)
        .execute(&mut tx)
        .await;
        inserted.map_err(sku_taken)?;
        sqlx::query("INSERT INTO catalog_stock (product_id, on_hand, updated_at) VALUES ($1, 0, $2)")
            .bind(id)
            .bind(now)
            .execute(&mut tx)
            .await?;
        let row = read(&mut tx, id).await?.ok_or(Error::UnknownProduct)?;
        let event = NewEvent::now(&self.clock, id, row.version, &ProductCreated(row.state()))?;
        self.finish(tx, row, event).await
    }

    /// Changes a product's own fields. A patch that changes nothing is not a change.
    pub async fn patch(&self, id: Uuid, patch: &ProductPatch) -> Result<Product, Error> {
        if let Some(price) = &patch.price {
            self.check_currency(price)?;
        }
        let mut tx = self.db.begin().await?;
        let before = lock(&mut tx, id).await?;
        if before.archived {
            return Err(Error::ProductArchived);
        }
        let category = match &patch.category {
            Some(category) => Some(ensure_category(&mut tx, category).await?),
            None => None,
        };
        let changed = update(&mut tx, id, patch, category).await.map_err(sku_taken)?;
        if !changed {
            tx.rollback().await?;
            return Ok(before.into_product());
        }
        self.bump(&mut tx, id, false).await?;
        let row = read(&mut tx, id).await?.ok_or(Error::UnknownProduct)?;
        let event = NewEvent::now(&self.clock, id, row.version, &ProductUpdated(row.state()))?;
        self.finish(tx, row, event).await
    }

    /// Takes a product off sale for good; repeating it changes nothing.
    pub async fn archive(&self, id: Uuid) -> Result<Product, Error> {
        let mut tx = self.db.begin().await?;
        let before = lock(&mut tx, id).await?;
        if before.archived {
            return Ok(before.into_product());
        }
        self.bump(&mut tx, id, true).await?;
        let row = read(&mut tx, id).await?.ok_or(Error::UnknownProduct)?;
        let event = NewEvent::now(&self.clock, id, row.version, &ProductArchived(row.state()))?;
        self.finish(tx, row, event).await
    }

    /// Writes the event and the search index, commits, and gives the product.
    async fn finish(&self, mut tx: Tx, row: Row, event: NewEvent) -> Result<Product, Error> {
        self.outbox.write(&mut tx, &[event]).await?;
        let change = row.index_change()?;
        self.search.write(&mut tx, &[change]).await?;
        tx.commit().await?;
        self.outbox.wake();
        self.search.forget_summaries();
        Ok(row.into_product())
    }

    async fn bump(&self, tx: &mut Tx, id: Uuid, archive: bool) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE catalog_stock SET version = version + 1, archived = archived OR $2, updated_at = $3
             WHERE product_id = $1",
        )
        .bind(id)
        .bind(archive)
        .bind(self.clock.now())
        .execute(tx)
        .await?;
        Ok(())
    }

    fn check_currency(&self, price: &Money) -> Result<(), Error> {
        if price.currency == self.currency {
            Ok(())
        } else {
            Err(Error::currency(self.currency))
        }
    }
}

/// Locks a product and reads it.
async fn lock(tx: &mut Tx, id: Uuid) -> Result<Row, Error> {
    if inventory::lock(tx, &[id]).await?.is_empty() {
        return Err(Error::UnknownProduct);
    }
    read(tx, id).await?.ok_or(Error::UnknownProduct)
}

async fn read(tx: &mut Tx, id: Uuid) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as(AssertSqlSafe(format!("{SELECT} WHERE p.id = $1")))
        .bind(id)
        .fetch_optional(tx)
        .await
}

/// Writes the fields that a patch gives; false when they all were like that before.
async fn update(
    tx: &mut Tx,
    id: Uuid,
    patch: &ProductPatch,
    category: Option<String>,
) -> Result<bool, sqlx::Error> {
    let clears_brand = matches!(patch.brand, Some(None));
    let brand = patch.brand.as_ref().and_then(|brand| brand.as_deref());
    let updated = sqlx::query(
        "UPDATE catalog_product AS p SET sku = n.sku, name = n.name, description = n.description,
           category = n.category, brand = n.brand, price = n.price, attributes = n.attributes
         FROM (SELECT coalesce($2, sku) AS sku, coalesce($3, name) AS name, coalesce($4, description) AS description,
                 coalesce($5, category) AS category, CASE WHEN $6 THEN NULL ELSE coalesce($7, brand) END AS brand,
                 coalesce($8, price) AS price, coalesce($9, attributes) AS attributes
               FROM catalog_product WHERE id = $1) AS n
         WHERE p.id = $1 AND (n.sku, n.name, n.description, n.category, n.brand, n.price, n.attributes)
           IS DISTINCT FROM (p.sku, p.name, p.description, p.category, p.brand, p.price, p.attributes)",
    )
    .bind(id)
    .bind(patch.sku.as_deref().map(str::trim))
    .bind(patch.name.as_deref().map(str::trim))
    .bind(patch.description.as_deref())
    .bind(category)
    .bind(clears_brand)
    .bind(brand.map(str::trim))
    .bind(patch.price.map(|price| price.amount))
    .bind(patch.attributes.as_ref().map(Json))
    .execute(tx)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Makes sure that a category exists; gives its slug.
async fn ensure_category(tx: &mut Tx, given: &str) -> Result<String, sqlx::Error> {
    let slug = model::slug(given);
    sqlx::query("INSERT INTO catalog_category (slug, name) VALUES ($1, $2) ON CONFLICT (slug) DO NOTHING")
        .bind(&slug)
        .bind(model::category_name(given))
        .execute(tx)
        .await?;
    Ok(slug)
}

fn sku_taken(error: sqlx::Error) -> Error {
    let error = StoreError::from(error);
    if error.unique() == Some("catalog_product_sku") {
        return Error::SkuTaken;
    }
    error.into()
}
