//! The private PostgreSQL database. Tables carry the prefix `users_`, and no statement names a schema.

use emporium_service_kit::Db;
use uuid::Uuid;

use crate::model::User;

/// One account.
pub async fn find(db: &Db, id: Uuid) -> Result<Option<User>, sqlx::Error> {
    sqlx::query_as("SELECT id, email, name, created_at FROM users_account WHERE id = $1")
        .bind(id)
        .fetch_optional(db)
        .await
}
