//! What is noted of users, compared with their history: reading and correcting it.

use emporium_service_kit::{Db, StoreError};
use uuid::Uuid;

use super::MARK_SESSIONS;
use crate::store::{Correction, Standing};

/// In the order of ids, as above: the update after it may take them in any.
const LOCK_ACCOUNTS: &str =
    "SELECT FROM sessions_account WHERE user_id = ANY ($1) ORDER BY user_id FOR UPDATE";

const CORRECT: &str = "
    UPDATE sessions_account AS a SET version = wrong.right_version, blocked = wrong.right_blocked, forgotten_at = NULL,
        revocation = CASE WHEN wrong.right_blocked THEN greatest(a.revocation, nextval('sessions_revocation'))
            ELSE a.revocation END
    FROM unnest($1::uuid[], $2::bigint[], $3::boolean[], $4::bigint[], $5::boolean[])
        AS wrong (user_id, version, blocked, right_version, right_blocked)
    WHERE (a.user_id, a.version, a.blocked) = (wrong.user_id, wrong.version, wrong.blocked)
    RETURNING a.user_id, a.blocked";

/// What is noted of these users.
pub async fn standings(db: &Db, user_ids: &[Uuid]) -> Result<Vec<Standing>, StoreError> {
    let rows: Vec<(Uuid, i64, bool)> = sqlx::query_as(
        "SELECT user_id, coalesce(version, 0), coalesce(blocked, false)
         FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (user_id, n) LEFT JOIN sessions_account USING (user_id)
         ORDER BY n",
    )
    .bind(user_ids)
    .fetch_all(db)
    .await?;
    let standing = |(user_id, version, blocked)| Standing {
        user_id,
        version,
        blocked,
    };
    Ok(rows.into_iter().map(standing).collect())
}

/// Corrects what is noted, as long as it is what was found.
pub async fn correct(db: &Db, corrections: &[Correction]) -> Result<u64, StoreError> {
    let found = |field: fn(&Correction) -> Standing| corrections.iter().map(field);
    let users: Vec<Uuid> = found(|wrong| wrong.found).map(|found| found.user_id).collect();
    let mut tx = db.begin().await?;
    sqlx::query(LOCK_ACCOUNTS).bind(&users).execute(&mut tx).await?;
    let corrected: Vec<(Uuid, bool)> = sqlx::query_as(CORRECT)
        .bind(users)
        .bind(
            found(|wrong| wrong.found)
                .map(|found| found.version)
                .collect::<Vec<_>>(),
        )
        .bind(
            found(|wrong| wrong.found)
                .map(|found| found.blocked)
                .collect::<Vec<_>>(),
        )
        .bind(
            found(|wrong| wrong.right)
                .map(|right| right.version)
                .collect::<Vec<_>>(),
        )
        .bind(
            found(|wrong| wrong.right)
                .map(|right| right.blocked)
                .collect::<Vec<_>>(),
        )
        .fetch_all(&mut tx)
        .await?;
    let (users, blocked): (Vec<Uuid>, Vec<bool>) = corrected.into_iter().unzip();
    let count = users.len();
    sqlx::query(MARK_SESSIONS)
        .bind(users)
        .bind(blocked)
        .execute(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

/// The note.
pub async fn note(db: &Db) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar("SELECT note FROM sessions_rebuild")
        .fetch_optional(db)
        .await?)
}

/// Another note in its place.
pub async fn swap_note(db: &Db, before: Option<&str>, after: &str) -> Result<bool, StoreError> {
    let sql = match before {
        Some(_) => "UPDATE sessions_rebuild SET note = $1 WHERE note = $2",
        None => "INSERT INTO sessions_rebuild (note) SELECT $1 WHERE $2::text IS NULL ON CONFLICT DO NOTHING",
    };
    let done = sqlx::query(sql).bind(after).bind(before).execute(db).await?;
    Ok(done.rows_affected() > 0)
}
