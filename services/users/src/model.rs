//! The shapes that the service speaks and keeps.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::types::Json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Role {
    /// Buys.
    Customer,
    /// Looks after the shop.
    Admin,
}

/// Where an account comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Origin {
    /// A person signed up.
    Registered,
    /// Sample data.
    Generated,
    /// A real data set.
    Imported,
}

impl Origin {
    /// As in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Generated => "generated",
            Self::Imported => "imported",
        }
    }
}

/// A user account.
#[derive(Debug, Clone, Serialize, sqlx::FromRow, ToSchema)]
pub struct User {
    /// The account's id.
    pub id: Uuid,
    /// Lower case; unique.
    pub email: String,
    /// As the user wants to be called.
    pub name: String,
    /// What the account may do.
    pub role: Role,
    /// False when an administrator blocked the account.
    pub active: bool,
    /// Loyalty points of confirmed orders.
    pub points: i64,
    /// Loyalty points of orders that are under way.
    pub pending_points: i64,
    /// A JSON object of the user's own, at most 8 KiB.
    #[schema(value_type = Object)]
    pub preferences: Json<Map<String, Value>>,
    /// Where the account comes from.
    pub origin: Origin,
    /// True when the name is made up, because the data set has none.
    pub name_invented: bool,
    /// Grows by one with every change and every event.
    pub version: i64,
    /// When the account was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// An entry of an address book. Exactly one of a user's addresses is the default, as long as there is any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow, ToSchema)]
pub struct Address {
    /// The address's id.
    pub id: Uuid,
    /// House and street.
    pub street: String,
    /// Town or city.
    pub city: String,
    /// Postal code.
    pub postal_code: String,
    /// ISO 3166 alpha-2 code.
    #[schema(example = "GB")]
    pub country: String,
    /// True for the address that is offered first.
    pub is_default: bool,
}

/// The text of an address, checked and normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub street: String,
    pub city: String,
    pub postal_code: String,
    pub country: String,
}

/// How far the points of a checkout have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum PointsState {
    /// The order is under way.
    Pending,
    /// The order is confirmed; they count.
    Confirmed,
    /// The order was cancelled; they do not count and never will.
    Cancelled,
}

/// The loyalty points of one checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow, ToSchema)]
pub struct Points {
    /// The checkout's saga, which is the order's id.
    pub saga_id: Uuid,
    /// Whose they are; null when the saga was cancelled before its points arrived.
    pub user_id: Option<Uuid>,
    /// How many.
    #[allow(clippy::struct_field_names)] // the contract's word
    pub points: i64,
    /// How far they have come.
    pub state: PointsState,
}
