//! The listed products of the index, in the order of their ids, as they are kept: to compare with another index.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::FromRow;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::PostgresSearch;
use crate::model::Attributes;
use crate::search::{Document, Row, elasticsearch};

/// What the index has of a product in columns, and what it has only as words, from the product.
#[derive(FromRow)]
struct Kept {
    id: Uuid,
    version: i64,
    sku: String,
    name: String,
    description: String,
    category: String,
    category_name: String,
    brand: Option<String>,
    price: i64,
    attributes: Json<Attributes>,
    in_stock: bool,
    popularity: i64,
    created_at: OffsetDateTime,
    sort_name: String,
    facts: Vec<String>,
}

impl Kept {
    fn row(self) -> Row {
        let document = Document {
            id: self.id,
            version: self.version,
            sku: self.sku,
            name: self.name,
            description: self.description,
            category: self.category,
            category_name: self.category_name,
            brand: self.brand,
            price: self.price,
            attributes: self.attributes.0,
            in_stock: self.in_stock,
            popularity: self.popularity,
            created_at: self.created_at,
        };
        let mut fields: BTreeMap<String, Value> = match elasticsearch::indexed(&document) {
            Value::Object(fields) => fields.into_iter().collect(),
            _ => BTreeMap::new(),
        };
        fields.insert("sort_name".to_owned(), json!(self.sort_name));
        fields.insert("facts".to_owned(), json!(self.facts));
        Row::of(document.id, &fields)
    }
}

impl PostgresSearch {
    /// The products after `after` and up to `upto`, the first `max` of them.
    pub async fn rows(&self, after: Uuid, upto: Option<Uuid>, max: usize) -> Result<Vec<Row>, sqlx::Error> {
        let kept: Vec<Kept> = sqlx::query_as(
            "SELECT e.product_id AS id, e.version, p.sku, e.name, p.description, e.category, c.name AS category_name, e.brand,
                    e.price, p.attributes, e.in_stock, e.popularity, e.created_at, e.sort_name, t.facts
             FROM catalog_search_entry AS e
             JOIN catalog_search_text AS t USING (product_id)
             JOIN catalog_product AS p ON p.id = e.product_id
             JOIN catalog_category AS c ON c.slug = e.category
             WHERE e.product_id > $1 AND ($2::uuid IS NULL OR e.product_id <= $2) ORDER BY e.product_id LIMIT $3",
        )
        .bind(after)
        .bind(upto)
        .bind(i64::try_from(max).unwrap_or(i64::MAX))
        .fetch_all(&self.db)
        .await?;
        Ok(kept.into_iter().map(Kept::row).collect())
    }
}
