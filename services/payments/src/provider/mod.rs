//! The simulated payment provider.
//!
//! It stands for a company on the other side of a network: it remembers every request by the caller's idempotency key
//! (the saga's id), answers now, later, twice or never, can be asked again, and tells of late outcomes unasked, until the
//! notice was taken. Its memory is a table of its own, so that it behaves the same after a restart, and its time is the
//! service's clock. No transaction spans it and the charges: everything that can go wrong with a real provider can go
//! wrong with this one. Giving money back is not simulated: the provider is taken to follow every refund.

mod tokens;

use std::sync::Arc;
use std::time::Duration;

use emporium_service_kit::{Clock, Db, Money};
use sqlx::FromRow;
use time::OffsetDateTime;
use tokio::sync::Notify;
use uuid::Uuid;

pub use tokens::{LATE, SLOW, SLOW_NOTICE};

/// After how long the provider repeats what nobody took.
pub const REPEAT: Duration = Duration::from_secs(30);

/// The columns of a [`Request`].
macro_rules! request_columns {
    () => {
        "saga_id, reference, open, outcome, reason, settles_at"
    };
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Outcome {
    /// The money is taken.
    Succeeded,
    /// It is not.
    Declined,
}

/// What the provider says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How it ended; none when the customer has to finish on the provider's side.
    pub outcome: Option<Outcome>,
    /// Why it was declined.
    pub reason: Option<String>,
    /// The provider's name for it.
    pub reference: String,
}

/// The provider.
#[derive(Clone)]
pub struct Provider {
    db: Db,
    clock: Clock,
    notices: Arc<Notify>,
}

#[derive(FromRow)]
struct Request {
    saga_id: Uuid,
    reference: String,
    open: bool,
    outcome: Option<Outcome>,
    reason: Option<String>,
    settles_at: Option<OffsetDateTime>,
}

impl Request {
    /// What can be said of it at `now`; nothing while the provider is silent.
    fn answer(self, now: OffsetDateTime) -> Option<Answer> {
        let settled = self.settles_at.is_some_and(|at| at <= now);
        (settled || self.open).then(|| Answer {
            outcome: self.outcome.filter(|_| settled),
            reason: self.reason.filter(|_| settled),
            reference: self.reference,
        })
    }
}

impl Provider {
    /// The provider whose memory is in `db`.
    pub fn new(db: Db, clock: Clock) -> Self {
        Self {
            db,
            clock,
            notices: Arc::default(),
        }
    }

    /// Asks for money and waits at most `patience` while the provider is silent; gives nothing then. The same key again is
    /// the same request, whatever else is said.
    pub async fn charge(
        &self,
        key: Uuid,
        token: &str,
        amount: Money,
        patience: Duration,
    ) -> Result<Option<Answer>, sqlx::Error> {
        let end = tokio::time::Instant::now() + patience;
        let mut request = match self.remember(key, token, amount).await? {
            Some(new) => new,
            None => self.request(key).await?,
        };
        loop {
            let (now, settles_at) = (self.clock.now(), request.settles_at);
            if let Some(answer) = request.answer(now) {
                return Ok(Some(answer));
            }
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let until_settled = settles_at.and_then(|at| Duration::try_from(at - now).ok());
            tokio::time::sleep(until_settled.unwrap_or(left).min(left)).await;
            request = self.request(key).await?;
        }
    }

    /// What became of a request; nothing when it is unknown or the provider is silent.
    pub async fn look_up(&self, key: Uuid) -> Result<Option<Answer>, sqlx::Error> {
        let found = self.look_up_many(&[key]).await?;
        Ok(found.into_iter().next().map(|(_, answer)| answer))
    }

    /// The same for many requests; those without an answer are left out.
    pub async fn look_up_many(&self, keys: &[Uuid]) -> Result<Vec<(Uuid, Answer)>, sqlx::Error> {
        let sql = concat!(
            "SELECT ",
            request_columns!(),
            " FROM payments_provider_request WHERE saga_id = ANY($1)"
        );
        let requests: Vec<Request> = sqlx::query_as(sql).bind(keys).fetch_all(&self.db).await?;
        Ok(self.answers(requests))
    }

    /// Tells the provider that a key is not wanted any more. A key that it has not seen yet is silent from now on, and
    /// takes no money; a request that it has goes its way.
    pub async fn cancel(&self, key: Uuid) -> Result<(), sqlx::Error> {
        let sql = "INSERT INTO payments_provider_request (saga_id, token, amount, currency, reference, open, created_at)
                   VALUES ($1, 'cancelled', 0, 'GBP', '', false, $2) ON CONFLICT (saga_id) DO NOTHING";
        sqlx::query(sql)
            .bind(key)
            .bind(self.clock.now())
            .execute(&self.db)
            .await?;
        Ok(())
    }

    /// The customer finishes an open request on the provider's side. The first outcome stands; gives nothing for requests
    /// that are not of this kind. The provider tells of it again after a while, as nobody may have listened.
    pub async fn finish(&self, key: Uuid, outcome: Outcome) -> Result<Option<Answer>, sqlx::Error> {
        let now = self.clock.now();
        let sql = "UPDATE payments_provider_request
                   SET outcome = $2, settles_at = $3, notify_at = $4,
                       reason = CASE WHEN $2 = 'declined' THEN 'card-declined' END
                   WHERE saga_id = $1 AND open AND outcome IS NULL";
        sqlx::query(sql)
            .bind(key)
            .bind(outcome)
            .bind(now)
            .bind(now + REPEAT)
            .execute(&self.db)
            .await?;
        let sql = concat!(
            "SELECT ",
            request_columns!(),
            " FROM payments_provider_request WHERE saga_id = $1 AND open"
        );
        let request: Option<Request> = sqlx::query_as(sql).bind(key).fetch_optional(&self.db).await?;
        // Another callback may have settled it since this one began.
        let now = self.clock.now();
        Ok(request.and_then(|request| request.answer(now)))
    }

    /// Up to `limit` outcomes that the provider tells of now.
    pub async fn due(&self, limit: i64) -> Result<Vec<(Uuid, Answer)>, sqlx::Error> {
        let sql = concat!(
            "SELECT ",
            request_columns!(),
            " FROM payments_provider_request WHERE notify_at <= $1 ORDER BY notify_at LIMIT $2"
        );
        let requests = sqlx::query_as(sql)
            .bind(self.clock.now())
            .bind(limit)
            .fetch_all(&self.db)
            .await?;
        Ok(self.answers(requests))
    }

    /// Notices were taken; the provider does not repeat them.
    pub async fn noted(&self, keys: &[Uuid]) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE payments_provider_request SET notify_at = NULL WHERE saga_id = ANY($1)")
            .bind(keys)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    /// A notice could not be taken; the provider repeats it after a while.
    pub async fn repeat(&self, key: Uuid) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE payments_provider_request SET notify_at = $2 WHERE saga_id = $1")
            .bind(key)
            .bind(self.clock.now() + REPEAT)
            .execute(&self.db)
            .await?;
        Ok(())
    }

    /// Waits until there may be a notice, at most `pause`.
    pub async fn notice(&self, pause: Duration) {
        let _ = tokio::time::timeout(pause, self.notices.notified()).await;
    }

    /// Notes a new request; gives nothing when the key is known.
    async fn remember(&self, key: Uuid, token: &str, amount: Money) -> Result<Option<Request>, sqlx::Error> {
        let now = self.clock.now();
        let plan = tokens::plan(token, now);
        let sql = concat!(
            "INSERT INTO payments_provider_request (saga_id, token, amount, currency, reference, open, outcome,
                 reason, settles_at, notify_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (saga_id) DO NOTHING RETURNING ",
            request_columns!()
        );
        let new = sqlx::query_as(sql)
            .bind(key)
            .bind(token)
            .bind(amount.amount)
            .bind(amount.currency.as_str())
            .bind(format!("sim-{}", key.simple()))
            .bind(plan.open)
            .bind(plan.outcome)
            .bind(plan.reason)
            .bind(plan.settles_at)
            .bind(plan.notify_at)
            .bind(now)
            .fetch_optional(&self.db)
            .await?;
        if plan.notify_at.is_some_and(|at| at <= now) {
            self.notices.notify_one();
        }
        Ok(new)
    }

    async fn request(&self, key: Uuid) -> Result<Request, sqlx::Error> {
        let sql = concat!(
            "SELECT ",
            request_columns!(),
            " FROM payments_provider_request WHERE saga_id = $1"
        );
        sqlx::query_as(sql).bind(key).fetch_one(&self.db).await
    }

    fn answers(&self, requests: Vec<Request>) -> Vec<(Uuid, Answer)> {
        let now = self.clock.now();
        requests
            .into_iter()
            .filter_map(|request| Some((request.saga_id, request.answer(now)?)))
            .collect()
    }
}
