//! What can go wrong, and the HTTP status it becomes.

use axum::response::{IntoResponse, Response};
use emporium_service_kit::{Currency, Problem, StoreError};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::search::SearchError;

/// A product of which there is not enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Shortage {
    /// The product.
    pub product_id: Uuid,
    /// Units asked for.
    pub requested: i64,
    /// Units there are; 0 for unknown and archived products.
    pub available: i64,
}

/// An error of the catalog service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 404: there is no such product.
    #[error("There is no such product.")]
    UnknownProduct,
    /// 404: nobody reserved anything under this id.
    #[error("There is no such reservation.")]
    UnknownReservation,
    /// 409 `sku-taken`: another product has it.
    #[error("Another product has this SKU.")]
    SkuTaken,
    /// 409 `product-archived`: it is kept as it was for the orders that refer to it.
    #[error("An archived product is not changed any more.")]
    ProductArchived,
    /// 409 `stock-negative`: more would be gone than is available.
    #[error("Only {available} are available.")]
    StockNegative {
        /// Units available.
        available: i64,
    },
    /// 409 `out-of-stock`: nothing was reserved.
    #[error("There is not enough of some products.")]
    OutOfStock(Vec<Shortage>),
    /// 409 `reservation-released`: it was given back before, so a late request must not hold stock again.
    #[error("The reservation was released.")]
    ReservationReleased,
    /// 409 `reservation-gone`: it is not held any more.
    #[error("The reservation is not held any more.")]
    ReservationGone,
    /// 409 `reservation-committed`: the stock has left.
    #[error("The reservation was committed.")]
    ReservationCommitted,
    /// 409 `reservation-differs`: the same id with other lines.
    #[error("There is a reservation with this id and other lines.")]
    ReservationDiffers,
    /// 422 `idempotency-key-reused`: the same key with another change.
    #[error("This Idempotency-Key was used for another change.")]
    KeyReused,
    /// 422 `invalid`: a field that only the service can judge.
    #[error("{message}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// 500: an event or an attribute that cannot be written as JSON, which no input leads to.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// 400 `bad-cursor` or the store's own.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The store's own: 503 when it is away, else 500.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    /// A price in a currency that is not the shop's.
    pub fn currency(shop: Currency) -> Self {
        Self::Invalid {
            field: "price.currency",
            message: format!("must be {shop}, the shop's currency"),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::UnknownProduct | Error::UnknownReservation => Self::not_found(text),
            Error::SkuTaken => Self::conflict("sku-taken", text),
            Error::ProductArchived => Self::conflict("product-archived", text),
            Error::StockNegative { available } => {
                Self::conflict("stock-negative", text).with("available", available)
            }
            Error::OutOfStock(shortages) => Self::conflict("out-of-stock", text)
                .with("unavailable", serde_json::to_value(shortages).unwrap_or_default()),
            Error::ReservationReleased => Self::conflict("reservation-released", text),
            Error::ReservationGone => Self::conflict("reservation-gone", text),
            Error::ReservationCommitted => Self::conflict("reservation-committed", text),
            Error::ReservationDiffers => Self::conflict("reservation-differs", text),
            Error::KeyReused => Self::unprocessable("idempotency-key-reused", text),
            Error::Invalid { field, message } => Self::invalid([(field.to_owned(), message)]),
            Error::Json(error) => {
                tracing::error!(%error, "not written as JSON");
                Self::internal()
            }
            Error::Search(SearchError::BadCursor) => Self::bad_request("bad-cursor", text),
            Error::Search(SearchError::Store(error)) | Error::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
