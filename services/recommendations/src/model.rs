//! What shelves are made of.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// The longest shelf.
pub const LIMIT_MAX: u32 = 50;
/// Products of a cart.
pub const CART_MAX: usize = 100;

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

/// A product on a shelf.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Suggestion {
    /// The product.
    pub product_id: Uuid,
    /// What it is ranked by. Comparable within a shelf and a `reason` only.
    pub score: f64,
    /// Why it is there.
    pub reason: Reason,
    /// With `bought-together`: the product that adds most to its score.
    pub because: Option<Uuid>,
    /// With `bought-together`: in how many of the baskets that were looked at it is with one of the products it was found by.
    pub together: Option<u32>,
    /// With `bought-before`: how many of the customer's orders have it.
    pub times: Option<u32>,
}

/// Which goods are suggested to a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Only goods that the customer never bought.
    #[default]
    New,
    /// All goods: what the next basket may hold.
    All,
}

/// Suggestions, best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Shelf {
    /// The suggestions; fewer than asked for when there are no more.
    pub items: Vec<Suggestion>,
    /// Everything that was published before this moment is in it; null while that is not known. A shelf from the cache is of
    /// the moment it was made.
    #[serde(with = "time::serde::rfc3339::option")]
    pub as_of: Option<OffsetDateTime>,
}
