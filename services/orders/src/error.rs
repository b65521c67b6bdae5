//! What can go wrong, and the HTTP status it becomes.

use axum::response::{IntoResponse, Response};
use emporium_service_kit::client::CallError;
use emporium_service_kit::{Money, Problem, StoreError};
use uuid::Uuid;

/// An error of the orders service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 400: a checkout without the header could not be repeated safely.
    #[error("Send an Idempotency-Key header, so that repeating the request cannot order twice.")]
    KeyMissing,
    /// 403: an administrator blocked the customer.
    #[error("This customer may not order.")]
    UserBlocked,
    /// 404: users knows no such user.
    #[error("There is no such customer.")]
    UnknownCustomer,
    /// 404: it is not in the customer's address book; somebody else's is unknown, too.
    #[error("There is no such address in the customer's address book.")]
    UnknownAddress,
    /// 404: there is no such order, or it is another customer's.
    #[error("There is no such order.")]
    UnknownOrder,
    /// 409: the total is another one than the customer saw.
    #[error("The total is {0} now.")]
    PricesMoved(Money),
    /// 409: the cart holds products that are not sold any more.
    #[error("Some products of the cart are not sold any more.")]
    ProductUnavailable(Vec<Uuid>),
    /// 409: the same request is being worked on.
    #[error("This request is being worked on; ask again in a moment.")]
    RequestInProgress,
    /// 409: another checkout of this customer is being worked on, or has bought this very cart.
    #[error("Another checkout of this customer is being worked on, or has bought this cart.")]
    CheckoutInProgress,
    /// 422: there is nothing to order.
    #[error("The cart is empty.")]
    CartEmpty,
    /// 422: the key belongs to a request with another body.
    #[error("This Idempotency-Key was used for another request.")]
    KeyReused,
    /// 422: nothing to pay, more than a shop can take, or several currencies.
    #[error("The total of this cart cannot be charged: {0}.")]
    TotalNotAcceptable(&'static str),
    /// 503: the services that a checkout asks did not answer in time. Nothing was ordered.
    #[error("The services needed to place an order take too long just now; nothing was ordered.")]
    TookTooLong,
    /// Another service's: 503 when it is away, else what it said.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The store's own: 503 when it is away, else 500.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// 500: something of ours cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// True when this is a decision about the request, to be replayed for its key. Everything else says "not now", and the
    /// same request may come again under the same key.
    pub fn is_decision(&self) -> bool {
        matches!(
            self,
            Self::UserBlocked
                | Self::UnknownCustomer
                | Self::UnknownAddress
                | Self::PricesMoved(_)
                | Self::ProductUnavailable(_)
                | Self::CartEmpty
                | Self::TotalNotAcceptable(_)
        )
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
            Error::KeyMissing => Self::bad_request("idempotency-key-missing", text),
            Error::UserBlocked => Self::forbidden("user-blocked", text),
            Error::UnknownCustomer | Error::UnknownAddress | Error::UnknownOrder => Self::not_found(text),
            Error::PricesMoved(total) => Self::conflict("prices-moved", text)
                .with("total", serde_json::to_value(total).unwrap_or_default()),
            Error::ProductUnavailable(ids) => Self::conflict("product-unavailable", text)
                .with("unavailable", serde_json::to_value(ids).unwrap_or_default()),
            Error::RequestInProgress => Self::conflict("request-in-progress", text).retry_after(1),
            Error::CheckoutInProgress => Self::conflict("checkout-in-progress", text).retry_after(1),
            Error::CartEmpty => Self::unprocessable("cart-empty", text),
            Error::KeyReused => Self::unprocessable("idempotency-key-reused", text),
            Error::TotalNotAcceptable(_) => Self::unprocessable("total-not-acceptable", text),
            Error::TookTooLong => Self::unavailable("service-unavailable", text),
            Error::Call(error) => error.into(),
            Error::Store(error) => error.into(),
            Error::Json(error) => {
                tracing::error!(%error, "not written as JSON");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
