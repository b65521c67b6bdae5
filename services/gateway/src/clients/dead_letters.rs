//! What consumers of events could not apply: every consuming service serves its own.

use emporium_service_kit::client::{CallError, Client};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{Items, READ_TIMEOUT};

/// Client of every service that consumes events.
#[derive(Clone)]
pub struct DeadLetters {
    sessions: Client,
    catalog: Client,
    orders: Client,
}

/// A service that consumes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Consumer {
    /// Ends the sessions of blocked users.
    Sessions,
    /// Counts what sells.
    Catalog,
    /// Keeps its copy of users, waits for payments.
    Orders,
}

/// An event that was put aside.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadLetter {
    /// For replaying it.
    pub id: i64,
    /// The CloudEvent.
    pub event: Value,
    /// What went wrong the last time.
    pub error: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was put aside.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// When it was replayed, if it was.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub replayed_at: Option<OffsetDateTime>,
}

impl DeadLetters {
    pub(super) fn new(sessions: Client, catalog: Client, orders: Client) -> Self {
        Self {
            sessions,
            catalog,
            orders,
        }
    }

    fn of(&self, consumer: Consumer) -> &Client {
        match consumer {
            Consumer::Sessions => &self.sessions,
            Consumer::Catalog => &self.catalog,
            Consumer::Orders => &self.orders,
        }
    }

    /// Up to `limit` dead letters after the id `after`, oldest first.
    pub async fn list(
        &self,
        consumer: Consumer,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, CallError> {
        let query = [("after", after), ("limit", i64::from(limit))];
        let call = self.of(consumer).get("/dead-letters").query(&query);
        call.timeout(READ_TIMEOUT)
            .send::<Items<DeadLetter>>()
            .await
            .map(|list| list.items)
    }

    /// Applies one again. Problems: 404, 409 `still-rejected` with the reason.
    pub async fn replay(&self, consumer: Consumer, id: i64) -> Result<DeadLetter, CallError> {
        let path = format!("/dead-letters/{id}/replay");
        self.of(consumer).post(path).idempotent().send().await
    }
}
