//! Bulk loads of payments.
#![allow(clippy::trivially_copy_pass_by_ref)] // garde hands values and context to rules by reference

use axum::Json;
use axum::extract::State;
use emporium_service_kit::bulk::{BulkSummary, Records};
use emporium_service_kit::validate::filled_line;
use emporium_service_kit::{Money, Problem};
use garde::Validate;
use serde::Deserialize;
use time::{OffsetDateTime, UtcOffset};
use utoipa::ToSchema;
use uuid::Uuid;

use super::charges::{chargeable, refundable};
use crate::payments::Payments;
use crate::store::{StagedCharge, StagedRefund};

/// Records a transaction.
const CHUNK_RECORDS: usize = 2_000;
/// After the last second that a record may name: `2100-01-01T00:00:00Z`.
const TIME_END_S: i64 = 4_102_444_800;

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
    let mut records = Records::<BulkPayment>::new(body);
    let mut summary = BulkSummary::default();
    loop {
        let chunk = records.chunk(CHUNK_RECORDS, &mut summary).await?;
        if chunk.is_empty() {
            return Ok(Json(summary));
        }
        let (charges, refunds) = sorted(chunk, &mut summary);
        payments.store.load(charges, refunds, &mut summary).await?;
    }
}

/// The acceptable records of a chunk, charges and refunds apart: a refund finds its charge whichever came first.
fn sorted(
    chunk: Vec<(u64, BulkPayment)>,
    summary: &mut BulkSummary,
) -> (Vec<StagedCharge>, Vec<StagedRefund>) {
    let (mut charges, mut refunds) = (Vec::with_capacity(chunk.len()), Vec::new());
    for (line, record) in chunk {
        if let Err(report) = record.validate() {
            summary.reject(line, report.to_string().trim().replace('\n', "; "));
            continue;
        }
        match record {
            BulkPayment::Charge {
                saga_id,
                order_id,
                customer_id,
                amount,
                at,
            } => charges.push(StagedCharge {
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
            } => refunds.push(StagedRefund {
                refund_id,
                order_id,
                amount,
                at: micros(at),
                reason: reason.trim().to_owned(),
            }),
        }
    }
    (charges, refunds)
}

fn moment(at: &OffsetDateTime, _: &()) -> garde::Result {
    if (0..TIME_END_S).contains(&at.unix_timestamp()) {
        return Ok(());
    }
    Err(garde::Error::new("must be a time from 1970 to 2099"))
}

/// In UTC and whole microseconds, which is what the database keeps.
fn micros(at: OffsetDateTime) -> OffsetDateTime {
    let at = at.to_offset(UtcOffset::UTC);
    at.replace_nanosecond(at.nanosecond() / 1_000 * 1_000)
        .unwrap_or(at)
}
