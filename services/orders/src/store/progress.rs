//! How far sagas have come.

use emporium_service_kit::Db;
use sqlx::FromRow;
use uuid::Uuid;

use crate::model::Status;

/// How far a saga has come: the order's status, whether it waits for a later payment, whether nothing is left to do.
#[derive(Debug, FromRow)]
pub struct Progress {
    /// The order's status.
    pub status: Status,
    /// The provider will call back.
    pub open: bool,
    /// Nothing is left to do.
    pub done: bool,
}

/// How far an order has come.
pub async fn progress(db: &Db, id: Uuid) -> Result<Option<Progress>, sqlx::Error> {
    sqlx::query_as(
        "SELECT o.status, s.open AND s.step = 'await' AS open, s.step = 'done' AS done
         FROM orders_order AS o JOIN orders_saga AS s ON s.order_id = o.id WHERE o.id = $1",
    )
    .bind(id)
    .fetch_optional(db)
    .await
}

/// How many sagas are at each step, those left out that are over.
pub async fn count_by_step(db: &Db) -> Result<Vec<(String, i64)>, sqlx::Error> {
    sqlx::query_as("SELECT step, count(*) FROM orders_saga WHERE step <> 'done' GROUP BY step")
        .fetch_all(db)
        .await
}
