//! Bulk loads of payments.

use axum::Json;
use axum::extract::State;
use emporium_service_kit::bulk::{self, BulkLoad, BulkSummary, Stored, check_rules, micros, moment};
use emporium_service_kit::validate::filled_line;
use emporium_service_kit::{Money, Problem};
use garde::Validate;
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::charges::{chargeable, refundable};
use crate::payments::Payments;
use crate::store::{Staged, StagedCharge, StagedRefund};

/// A record of `POST /bulk/payments`. Identity is the saga of a charge and the id of a refund; what is there already stays
/// as it is.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(tag = "record", rename_all = "lowercase")]
pub enum BulkPayment {
    /// A charge that succeeded.
    Charge {
        /// The saga, which is the order's id.
        #[garde(skip)]
        saga_id: Uuid,
        /// The order.
        #[garde(skip)]
        order_id: Uuid,
        /// The customer; null for guests.
        #[garde(skip)]
        customer_id: Option<Uuid>,
        /// How much.
        #[garde(custom(chargeable))]
        amount: Money,
        /// When, from 1970 to 2099; also the event's time.
        #[serde(with = "time::serde::rfc3339")]
        #[garde(custom(moment))]
        at: OffsetDateTime,
    },
    /// Money that was given back.
    Refund {
        /// The refund.
        #[garde(skip)]
        refund_id: Uuid,
        /// The order; when it is null, unknown, or has less left than this, the refund is booked as unmatched.
        #[garde(skip)]
        order_id: Option<Uuid>,
        /// How much.
        #[garde(custom(refundable))]
        amount: Money,
        /// When, from 1970 to 2099; also the event's time.
        #[serde(with = "time::serde::rfc3339")]
        #[garde(custom(moment))]
        at: OffsetDateTime,
        /// Why, 1 to 200 characters.
        #[garde(length(chars, max = 200), custom(filled_line))]
        reason: String,
    },
}

/// Loads payments of the past, streamed.
#[utoipa::path(post, path = "/bulk/payments", request_body(content = BulkPayment, content_type = "application/x-ndjson"),
    responses((status = 200, body = BulkSummary)))]
pub async fn bulk_payments(
    State(payments): State<Payments>,
    body: axum::body::Body,
) -> Result<Json<BulkSummary>, Problem> {
    bulk::load(&payments, body).await.map(Json)
}

impl BulkLoad for Payments {
    type Checked = Staged;

    fn read(&self, line: &[u8]) -> Result<Staged, String> {
        let record: BulkPayment = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        check_rules(&record)?;
        Ok(staged(record))
    }

    async fn store(&self, chunk: Vec<(u64, Staged)>) -> Result<Stored, Problem> {
        let records = chunk.into_iter().map(|(_, record)| record).collect();
        let loaded = self.store.load(records).await?;
        Ok(Stored {
            loaded,
            rejected: Vec::new(),
        })
    }
}

/// The record in its normal form.
fn staged(record: BulkPayment) -> Staged {
    match record {
        BulkPayment::Charge {
            saga_id,
            order_id,
            customer_id,
            amount,
            at,
        } => Staged::Charge(StagedCharge {
            saga_id,
            order_id,
            customer_id,
            amount,
            at: micros(at),
        }),
        BulkPayment::Refund {
            refund_id,
            order_id,
            amount,
            at,
            reason,
        } => Staged::Refund(StagedRefund {
            refund_id,
            order_id,
            amount,
            at: micros(at),
            reason: reason.trim().to_owned(),
        }),
    }
}
