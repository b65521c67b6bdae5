//! Orders' own copy of the users it needs.

use emporium_service_kit::Db;
use emporium_service_kit::Tx;
use sqlx::Postgres;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::model::CustomerCopy;
use crate::peers::User;

/// One copy.
pub async fn find(db: &Db, id: Uuid) -> Result<Option<CustomerCopy>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, name, email, active, version, last_synced_at FROM orders_customer_copy WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(db)
    .await
}

/// Brings copies up to date. `users` holds each user once; an older version never overwrites a newer one.
pub async fn store<'e>(
    executor: impl sqlx::Executor<'e, Database = Postgres>,
    users: &[User],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    if users.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO orders_customer_copy AS c (id, name, email, active, version, last_synced_at)
         SELECT id, name, email, active, version, $6
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::boolean[], $5::bigint[]) AS u (id, name, email, active, version)
         ORDER BY id
         ON CONFLICT (id) DO UPDATE
         SET name = excluded.name, email = excluded.email, active = excluded.active, version = excluded.version,
             last_synced_at = excluded.last_synced_at
         WHERE c.version <= excluded.version",
    )
    .bind(users.iter().map(|u| u.id).collect::<Vec<_>>())
    .bind(users.iter().map(|u| u.name.as_str()).collect::<Vec<_>>())
    .bind(users.iter().map(|u| u.email.as_str()).collect::<Vec<_>>())
    .bind(users.iter().map(|u| u.active).collect::<Vec<_>>())
    .bind(users.iter().map(|u| u.version).collect::<Vec<_>>())
    .bind(now)
    .execute(executor)
    .await?;
    Ok(())
}

/// Empties the copy; a customer who is needed before the rebuild has come by is asked for at the users service.
pub async fn forget_all(tx: &mut Tx) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM orders_customer_copy")
        .execute(tx)
        .await?;
    Ok(())
}
