//! `POST /customers/{id}/orders`: claim the key, look before leaping, place the order, wait for its end, keep the answer.
//!
//! What counts as the first answer of a key, to be replayed for 24 hours: an order (201 or 202), and every decision about
//! the request itself (403, 404, 409 `prices-moved` and `product-unavailable`, 422 `cart-empty` and
//! `total-not-acceptable`). Who changed something and wants to try again uses a new key. What only says "not now" (5xx,
//! 409 `request-in-progress` and `checkout-in-progress`) is no answer: the key is free again and the same request may come
//! again. Requests that cannot be read (400, 413, 415, 422 `invalid`) never reach the key.

mod answer;
mod prepare;

use std::sync::Arc;

use emporium_event_bus::Outbox;
use emporium_service_kit::trace::TraceContext;
use emporium_service_kit::{Clock, Db, Problem, ids};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use answer::FirstAnswer;

use crate::config::{Config, span};
use crate::error::Error;
use crate::model::CheckoutRequest;
use crate::peers::Peers;
use crate::saga::Driver;
use crate::saga::state::{Saga, Step};
use crate::saga::waiters::Waiters;
use crate::store::create::{self, Draft, Start};
use crate::store::idempotency::{self, Claim, Wanted};

/// How long looking up customer, addresses, cart and prices may take in all, waiting for a free place included.
const PREPARE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(8);
/// How long others wait for the answer of a request that has not placed its order yet; longer than preparing may take.
const CLAIM_LEASE: Duration = Duration::seconds(10);
/// How long others wait beyond the time in which a request with an order wants to answer.
const ANSWER_MARGIN: Duration = Duration::seconds(3);
/// How often a key is claimed again that vanishes while it is looked at.
const CLAIM_ATTEMPTS: usize = 3;

/// Places orders.
#[derive(Clone)]
pub struct Checkout(Arc<Inner>);

struct Inner {
    db: Db,
    outbox: Outbox,
    clock: Clock,
    config: Config,
    peers: Peers,
    driver: Driver,
    waiters: Waiters,
    preparing: Semaphore,
    stop: CancellationToken,
}

/// What a checkout works with.
pub struct Parts {
    /// The private database.
    pub db: Db,
    /// For `order.placed`.
    pub outbox: Outbox,
    /// Where time comes from.
    pub clock: Clock,
    /// The service's settings.
    pub config: Config,
    /// Other services.
    pub peers: Peers,
    /// Drives the sagas.
    pub driver: Driver,
    /// Who waits for orders.
    pub waiters: Waiters,
    /// Told when the service stops.
    pub stop: CancellationToken,
}

impl Checkout {
    /// Places orders with these.
    pub fn new(parts: Parts) -> Self {
        let places = usize::from(parts.config.sagas_max);
        Self(Arc::new(Inner {
            db: parts.db,
            outbox: parts.outbox,
            clock: parts.clock,
            config: parts.config,
            peers: parts.peers,
            driver: parts.driver,
            waiters: parts.waiters,
            preparing: Semaphore::new(places),
            stop: parts.stop,
        }))
    }

    /// Answers a checkout request. The work goes on when the client goes away: its order and its answer are there when it
    /// asks again under the same key.
    pub async fn answer(
        &self,
        customer_id: Uuid,
        key: String,
        request: CheckoutRequest,
    ) -> Result<FirstAnswer, Error> {
        let inner = self.0.clone();
        let trace = TraceContext::current().unwrap_or_else(TraceContext::root);
        let work = async move { inner.answer(customer_id, &key, request).await };
        tokio::spawn(trace.scope(work)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a checkout panicked");
            Err(Error::TookTooLong)
        })
    }
}

/// What a key turned out to be.
enum Held {
    Ours(Claim),
    Answered(FirstAnswer),
}

impl Inner {
    async fn answer(
        &self,
        customer_id: Uuid,
        key: &str,
        request: CheckoutRequest,
    ) -> Result<FirstAnswer, Error> {
        let print = fingerprint(&request)?;
        let claim = match self.hold(customer_id, key, &print).await? {
            Held::Ours(claim) => claim,
            Held::Answered(answer) => return Ok(answer),
        };
        if let Some(order_id) = claim.order_id {
            // Somebody placed the order and did not live to answer.
            return self.finish(&claim, order_id).await;
        }
        match self.place(&claim, request).await {
            Ok(order_id) => self.finish(&claim, order_id).await,
            Err(error) if error.is_decision() => self.refuse(&claim, error).await,
            Err(error) => {
                if let Err(cause) = idempotency::release(&self.db, &claim).await {
                    tracing::info!(error = %cause, "key left to its lease");
                }
                Err(error)
            }
        }
    }

    /// Claims the key, or finds its answer.
    async fn hold(&self, customer_id: Uuid, key: &str, print: &[u8]) -> Result<Held, Error> {
        for _ in 0..CLAIM_ATTEMPTS {
            let now = self.clock.now();
            let wanted = Wanted {
                customer_id,
                key,
                fingerprint: print,
                now,
                until: now + CLAIM_LEASE,
            };
            if let Some(claim) = idempotency::claim(&self.db, &wanted).await? {
                return Ok(Held::Ours(claim));
            }
            if let Some(used) = idempotency::find(&self.db, customer_id, key).await? {
                return self.used(customer_id, key, print, used).await.map(Held::Answered);
            }
            // Given back between the two statements.
        }
        Err(Error::RequestInProgress)
    }

    /// Looks before leaping, and places the order; gives its id.
    async fn place(&self, claim: &Claim, request: CheckoutRequest) -> Result<Uuid, Error> {
        let prepared = tokio::time::timeout(PREPARE_TIMEOUT, async {
            // The semaphore is never closed.
            let _place = self.preparing.acquire().await.ok();
            prepare::prepare(&self.peers, claim.customer_id, request).await
        });
        let prepared = prepared.await.map_err(|_| Error::TookTooLong)??;
        let draft = prepared.draft(ids::new(&self.clock), claim.customer_id);
        let now = self.clock.now();
        let start = Start {
            placed_at: now,
            deadline: now + span(self.config.saga_deadline_ms),
            worker: self.driver.worker(),
            leased_until: self.driver.lease_until(now),
            answer_until: now + span(self.config.answer_wait_ms) + ANSWER_MARGIN,
        };
        create::place(&self.db, &self.outbox, &self.clock, claim, &draft, &start).await?;
        let id = draft.id;
        self.driver.spawn(begin(draft, &start));
        Ok(id)
    }

    /// Keeps a refusal as the key's answer.
    async fn refuse(&self, claim: &Claim, error: Error) -> Result<FirstAnswer, Error> {
        let problem = Problem::from(error);
        let body = serde_json::to_vec(&problem.document())?;
        let (customer_id, key) = (claim.customer_id, &claim.key);
        let status = problem.status.as_u16();
        idempotency::answer(&self.db, customer_id, key, Some(claim.token), status, &body)
            .await?
            .map(|kept| FirstAnswer::kept(customer_id, kept))
            .ok_or(Error::RequestInProgress)
    }
}

/// The saga of an order that was just placed by this worker.
fn begin(draft: Draft, start: &Start) -> Saga {
    Saga {
        order_id: draft.id,
        customer_id: draft.customer_id,
        step: Step::Reserve,
        claim: 1,
        attempts: 0,
        placed_at: start.placed_at,
        deadline: start.deadline,
        open: false,
        owed: Vec::new(),
        payment_token: Some(draft.payment_token),
        total: draft.total,
        points: draft.points,
        lines: draft
            .lines
            .into_iter()
            .map(|line| (line.product_id, line.quantity))
            .collect(),
        traceparent: None,
    }
}

/// The SHA-256 of the request as we read it, so that spaces and the order of members do not matter.
fn fingerprint(request: &CheckoutRequest) -> Result<Vec<u8>, serde_json::Error> {
    Ok(Sha256::digest(serde_json::to_vec(request)?).to_vec())
}

/// When the wait for an order ends that is not over by then.
fn end_of_wait(config: &Config) -> tokio::time::Instant {
    tokio::time::Instant::now() + config.answer_wait()
}

/// Forgets keys that are a day old, and measures how far sagas are, four times a minute until told to stop.
pub async fn housekeeping(
    db: Db,
    clock: Clock,
    driver: Driver,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    const EVERY: std::time::Duration = std::time::Duration::from_secs(15);
    while !stop.is_cancelled() {
        let now: OffsetDateTime = clock.now();
        while idempotency::reap(&db, now).await? > 0 && !stop.is_cancelled() {}
        driver.measure_steps().await?;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    Ok(())
}
