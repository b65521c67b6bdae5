//! Charges, refunds and the provider's callback. Every request can be repeated.
#![allow(clippy::trivially_copy_pass_by_ref)] // garde hands values and context to rules by reference

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use emporium_service_kit::Money;
use emporium_service_kit::extract::{Body, Path};
use emporium_service_kit::validate::filled_line;
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::Error;
use crate::model::{AMOUNT_MAX, Charge, RefundAnswer};
use crate::payments::Payments;
use crate::provider::Outcome;
use crate::store::NewCharge;

/// A charge to make.
#[derive(Deserialize, Validate, ToSchema)]
pub struct ChargeRequest {
    /// The order.
    #[garde(skip)]
    order_id: Uuid,
    /// The customer; null for guests.
    #[garde(skip)]
    customer_id: Option<Uuid>,
    /// From nothing to ten thousand million, in major units.
    #[garde(custom(chargeable))]
    amount: Money,
    /// The customer's means of payment, as the provider's token: 1 to 64 letters, digits, `_` and `-`.
    #[garde(custom(token))]
    payment_token: String,
}

/// Money to give back.
#[derive(Deserialize, Validate, ToSchema)]
pub struct RefundRequest {
    /// Chosen by the caller; the same id is the same refund.
    #[garde(skip)]
    refund_id: Uuid,
    /// At most what was taken and not yet given back.
    #[garde(custom(refundable))]
    amount: Money,
    /// Why, 1 to 200 characters.
    #[garde(length(chars, max = 200), custom(filled_line))]
    reason: String,
}

/// How the customer finished on the provider's side.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Callback {
    /// The outcome.
    #[garde(skip)]
    outcome: Outcome,
}

/// An amount that can be charged.
pub fn chargeable(amount: &Money, _: &()) -> garde::Result {
    if (0..=AMOUNT_MAX).contains(&amount.amount) {
        return Ok(());
    }
    Err(garde::Error::new("must be from 0 to 1000000000000 minor units"))
}

/// An amount that can be given back.
pub fn refundable(amount: &Money, _: &()) -> garde::Result {
    if (1..=AMOUNT_MAX).contains(&amount.amount) {
        return Ok(());
    }
    Err(garde::Error::new("must be from 1 to 1000000000000 minor units"))
}

fn token(text: &str, _: &()) -> garde::Result {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if (1..=64).contains(&text.len()) && text.bytes().all(fine) {
        return Ok(());
    }
    Err(garde::Error::new("must be 1 to 64 letters, digits, _ and -"))
}

/// Charges a saga, once. Answers within three seconds; without the provider's answer by then the charge is pending.
#[utoipa::path(put, path = "/charges/{saga_id}", params(("saga_id" = Uuid, Path)), request_body = ChargeRequest, responses(
    (status = 200, body = Charge), (status = 409, description = "`charge-differs`, `charge-voided`"),
    (status = 422, description = "`invalid`")))]
pub async fn put_charge(
    State(payments): State<Payments>,
    Path(saga_id): Path<Uuid>,
    Body(asked): Body<ChargeRequest>,
) -> Result<Json<Charge>, Error> {
    let new = NewCharge {
        saga_id,
        order_id: asked.order_id,
        customer_id: asked.customer_id,
        amount: asked.amount,
    };
    Ok(Json(payments.charge(new, &asked.payment_token).await?))
}

/// A saga's charge; when it is pending, the provider is asked again.
#[utoipa::path(get, path = "/charges/{saga_id}", params(("saga_id" = Uuid, Path)),
    responses((status = 200, body = Charge), (status = 404, description = "`not-found`")))]
pub async fn get_charge(
    State(payments): State<Payments>,
    Path(saga_id): Path<Uuid>,
) -> Result<Json<Charge>, Error> {
    Ok(Json(payments.find(saga_id).await?))
}

/// Gives a saga's charge up: without an outcome it is voided, a success is refunded in full, and an unknown saga's charge
/// is refused when it arrives.
#[utoipa::path(post, path = "/charges/{saga_id}/void", params(("saga_id" = Uuid, Path)),
    responses((status = 200, body = Charge)))]
pub async fn void_charge(
    State(payments): State<Payments>,
    Path(saga_id): Path<Uuid>,
) -> Result<Json<Charge>, Error> {
    Ok(Json(payments.void(saga_id).await?))
}

/// Gives part of a charge back, once a refund id.
#[utoipa::path(post, path = "/charges/{saga_id}/refunds", params(("saga_id" = Uuid, Path)), request_body = RefundRequest,
    responses((status = 201, body = RefundAnswer), (status = 200, body = RefundAnswer, description = "The same again."),
    (status = 404, description = "`not-found`"), (status = 409, description = "`refund-differs`"),
    (status = 422, description = "`invalid`, `refund-exceeds-charge`, `currency-differs`")))]
pub async fn post_refund(
    State(payments): State<Payments>,
    Path(saga_id): Path<Uuid>,
    Body(asked): Body<RefundRequest>,
) -> Result<(StatusCode, Json<RefundAnswer>), Error> {
    let (charge, new) = payments
        .refund(saga_id, asked.refund_id, asked.amount, asked.reason.trim())
        .await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((
        status,
        Json(RefundAnswer {
            refund_id: asked.refund_id,
            amount: asked.amount,
            charge,
        }),
    ))
}

/// The simulated provider's callback, once the customer has finished there. It changes open charges only, and the first
/// outcome stands.
#[utoipa::path(post, path = "/provider/callbacks/{saga_id}", params(("saga_id" = Uuid, Path)), request_body = Callback,
    responses((status = 200, body = Charge), (status = 404, description = "`not-found`")))]
pub async fn provider_callback(
    State(payments): State<Payments>,
    Path(saga_id): Path<Uuid>,
    Body(asked): Body<Callback>,
) -> Result<Json<Charge>, Error> {
    Ok(Json(payments.called_back(saga_id, asked.outcome).await?))
}
