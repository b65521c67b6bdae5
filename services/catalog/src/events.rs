//! Events that the service owns. Source `/catalog`, subject the product's id, version the product's.

use emporium_event_bus::EventData;
use emporium_service_kit::Money;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::model::{AttributeValue, Status};

/// The whole state of a product.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[expect(missing_docs, reason = "as in the product")]
pub struct ProductState {
    pub id: Uuid,
    pub sku: String,
    pub name: String,
    pub description: String,
    /// The category's slug.
    pub category: String,
    pub brand: Option<String>,
    pub price: Money,
    pub in_stock: bool,
    /// Units available.
    pub stock: i64,
    /// Units in the warehouse.
    pub on_hand: i64,
    /// Units of them that are kept for orders.
    pub reserved: i64,
    #[schema(value_type = std::collections::BTreeMap<String, AttributeValue>)]
    pub attributes: Box<RawValue>,
    pub source: String,
    pub status: Status,
    pub popularity: i64,
    pub version: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// A product is new.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProductCreated(pub ProductState);

/// A product's own fields changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProductUpdated(pub ProductState);

/// A product is not sold any more.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProductArchived(pub ProductState);

/// Units came, went, or were reserved or given back.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StockChanged {
    /// The product.
    pub product_id: Uuid,
    /// Units in the warehouse.
    pub on_hand: i64,
    /// Units of them that are kept for orders.
    pub reserved: i64,
    /// The difference.
    pub available: i64,
    /// `reserved`, `committed`, `released`, `expired`, or what the person said who changed it (`adjusted` if nothing).
    pub reason: String,
    /// The order's saga, when it is one's doing.
    pub reference: Option<Uuid>,
    /// The product's version.
    pub version: i64,
}

/// An imported change of stock: history only, nothing on hand moved.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StockAdjusted {
    /// The adjustment.
    pub adjustment_id: Uuid,
    /// The product.
    pub product_id: Uuid,
    /// Units that came or, negative, went.
    pub delta: i64,
    /// Why.
    pub reason: String,
    /// What it is called where it came from.
    pub reference: Option<String>,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The product's version.
    pub version: i64,
}

/// More units of a product were sold, or counting anew gave another number. One event stands for all orders that were counted
/// together.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PopularityChanged {
    /// The product.
    pub product_id: Uuid,
    /// Units sold in all.
    pub popularity: i64,
    /// The product's version.
    pub version: i64,
}

impl EventData for ProductCreated {
    const TYPE: &'static str = "product.created.v1";
}
impl EventData for ProductUpdated {
    const TYPE: &'static str = "product.updated.v1";
}
impl EventData for ProductArchived {
    const TYPE: &'static str = "product.archived.v1";
}
impl EventData for StockChanged {
    const TYPE: &'static str = "stock.changed.v1";
}
impl EventData for PopularityChanged {
    const TYPE: &'static str = "popularity.changed.v1";
}
impl EventData for StockAdjusted {
    const TYPE: &'static str = "stock.adjusted.v1";
}

/// The id of the event that an imported record causes: a UUIDv7 of the record's time whose random bits come from the
/// record's id, so that the same record always gives the same event.
pub fn imported_id(kind: &str, record: Uuid, at: OffsetDateTime) -> Uuid {
    let digest = Sha256::digest(format!("{kind}/{record}").as_bytes());
    let mut bits = [0; 10];
    bits.copy_from_slice(&digest[..10]);
    let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bits).into_uuid()
}
