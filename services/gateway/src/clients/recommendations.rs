//! The recommendations service: shelves of goods, each with the reason why something is on it.

use emporium_service_kit::client::{CallError, Client};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::READ_TIMEOUT;

/// Client of the recommendations service.
#[derive(Clone)]
pub struct Recommendations(Client);

/// Suggestions, best first.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct Shelf {
    /// Fewer than asked for when there are no more.
    pub items: Vec<Suggestion>,
    /// Everything that was published before this moment is in it; null while that is not known.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
}

/// A product on a shelf.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct Suggestion {
    /// The product.
    pub product_id: Uuid,
    /// Why it is there.
    pub reason: Reason,
    /// With `bought-together`: the product that adds most to its score.
    #[serde(default)]
    pub because: Option<Uuid>,
    /// With `bought-together`: in how many orders it is with one of the products it was found by.
    #[serde(default)]
    pub together: Option<u32>,
    /// With `bought-before`: how many of the customer's orders have it.
    #[serde(default)]
    pub times: Option<u32>,
}

/// Why something is on a shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It is bought with what `because` names.
    BoughtTogether,
    /// The customer bought it before.
    BoughtBefore,
    /// Many buy it these days.
    Popular,
}

impl Recommendations {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    /// What customers who bought this product bought in the same orders.
    pub async fn also_bought(&self, product: Uuid, limit: u32) -> Result<Shelf, CallError> {
        self.shelf(format!("/products/{product}/also-bought"), limit)
            .await
    }

    /// What was bought together with this product more often than once.
    pub async fn bought_together(&self, product: Uuid, limit: u32) -> Result<Shelf, CallError> {
        self.shelf(format!("/products/{product}/bought-together"), limit)
            .await
    }

    /// What a customer may want, filled up with what is popular.
    pub async fn for_you(&self, customer: Uuid, limit: u32) -> Result<Shelf, CallError> {
        self.shelf(format!("/customers/{customer}/for-you"), limit).await
    }

    /// What a customer may want again.
    pub async fn buy_again(&self, customer: Uuid, limit: u32) -> Result<Shelf, CallError> {
        self.shelf(format!("/customers/{customer}/buy-again"), limit)
            .await
    }

    async fn shelf(&self, path: String, limit: u32) -> Result<Shelf, CallError> {
        let call = self.0.get(path).query(&[("limit", limit)]);
        call.timeout(READ_TIMEOUT).send().await
    }
}
