//! Waiting for an order's end, and the answer that is kept for its key.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::{Claim, Inner, end_of_wait};
use crate::error::Error;
use crate::store::idempotency::{self, Kept, Used};
use crate::store::progress::{self, Progress};

/// How often the database is asked for an order's progress while nobody in this process tells of any.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long an ended order is waited for that still owes something, so that the usual answer tells of a cleared cart.
const SETTLE_WAIT: Duration = Duration::from_secs(1);

/// The answer that a key has, byte by byte.
#[derive(Debug)]
pub struct FirstAnswer {
    customer_id: Uuid,
    kept: Kept,
}

impl FirstAnswer {
    pub(super) fn kept(customer_id: Uuid, kept: Kept) -> Self {
        Self { customer_id, kept }
    }
}

impl IntoResponse for FirstAnswer {
    fn into_response(self) -> Response {
        let status = u16::try_from(self.kept.status)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = if status.is_success() {
            "application/json"
        } else {
            "application/problem+json"
        };
        let mut response = (status, Body::from(self.kept.body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Some(id) = self.kept.order_id {
            let address = format!("/customers/{}/orders/{id}", self.customer_id);
            if let Ok(address) = HeaderValue::try_from(address) {
                headers.insert(header::LOCATION, address);
            }
        }
        response
    }
}

impl Inner {
    /// The answer of a key that somebody used before.
    pub(super) async fn used(
        &self,
        customer_id: Uuid,
        key: &str,
        print: &[u8],
        used: Used,
    ) -> Result<FirstAnswer, Error> {
        if used.fingerprint != print {
            return Err(Error::KeyReused);
        }
        if let (Some(status), Some(body)) = (used.status, used.body) {
            let order_id = used.order_id;
            let kept = Kept {
                status,
                body,
                order_id,
            };
            return Ok(FirstAnswer::kept(customer_id, kept));
        }
        match used.order_id {
            // Its worker may be dead or just about to answer: whoever is first keeps the answer, both give the same.
            Some(order_id) if used.order_status.is_some_and(crate::model::Status::ended) => {
                self.keep(customer_id, key, order_id).await
            }
            _ => Err(Error::RequestInProgress),
        }
    }

    /// Waits for the order's end and answers.
    pub(super) async fn finish(&self, claim: &Claim, order_id: Uuid) -> Result<FirstAnswer, Error> {
        self.wait(order_id).await?;
        self.keep(claim.customer_id, &claim.key, order_id).await
    }

    /// Makes the answer from the order as it is now, and keeps it unless there is one.
    async fn keep(&self, customer_id: Uuid, key: &str, order_id: Uuid) -> Result<FirstAnswer, Error> {
        let order = crate::store::find(&self.db, order_id)
            .await?
            .ok_or(Error::UnknownOrder)?;
        let status = if order.status.ended() {
            StatusCode::CREATED
        } else {
            StatusCode::ACCEPTED
        };
        let body = serde_json::to_vec(&order)?;
        let kept = idempotency::answer(&self.db, customer_id, key, None, status.as_u16(), &body).await?;
        // A key that was forgotten meanwhile keeps nothing; the answer is right all the same.
        let kept = kept.unwrap_or_else(|| Kept {
            status: i16::try_from(status.as_u16()).unwrap_or(500),
            body,
            order_id: Some(order_id),
        });
        Ok(FirstAnswer::kept(customer_id, kept))
    }

    /// Returns when the order ended and owes nothing, when it waits for a later payment, or when it is time to answer.
    async fn wait(&self, order_id: Uuid) -> Result<(), Error> {
        let place = self.waiters.enter(order_id);
        let mut until = end_of_wait(&self.config);
        let mut ended = false;
        loop {
            let found = progress::progress(&self.db, order_id).await?;
            let Some(Progress { status, open, done }) = found else {
                return Ok(());
            };
            if done || open {
                return Ok(());
            }
            if status.ended() && !ended {
                ended = true;
                until = until.min(tokio::time::Instant::now() + SETTLE_WAIT);
            }
            tokio::select! {
                () = place.news() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = tokio::time::sleep_until(until) => return Ok(()),
                () = self.stop.cancelled() => return Ok(()),
            }
        }
    }
}
