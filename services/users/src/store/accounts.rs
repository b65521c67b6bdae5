//! Accounts.

use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, user_columns};
use crate::error::Error;
use crate::events;
use crate::model::{Role, User};
use crate::preferences;
use emporium_service_kit::{Tx, ids};

/// An account about to be made.
pub struct NewAccount {
    pub email: String,
    pub name: String,
    pub role: Role,
    pub password_hash: String,
}

/// What signing in needs.
#[derive(sqlx::FromRow)]
pub struct Login {
    pub user_id: Uuid,
    pub role: Role,
    pub active: bool,
    pub password_hash: Option<String>,
}

/// The place of an account in the administrators' list.
pub type UserPosition = (OffsetDateTime, Uuid);

impl Store {
    /// One account.
    pub async fn find(&self, id: Uuid) -> Result<Option<User>, Error> {
        let sql = concat!("SELECT ", user_columns!(), " FROM users_account WHERE id = $1");
        Ok(sqlx::query_as(sql).bind(id).fetch_optional(&self.db).await?)
    }

    /// Those of the accounts that exist.
    pub async fn find_many(&self, ids: &[Uuid]) -> Result<Vec<User>, Error> {
        let sql = concat!(
            "SELECT ",
            user_columns!(),
            " FROM users_account WHERE id = ANY($1)"
        );
        Ok(sqlx::query_as(sql).bind(ids).fetch_all(&self.db).await?)
    }

    /// Up to `limit` accounts before `position`, newest first.
    pub async fn newest(&self, before: UserPosition, limit: i64) -> Result<Vec<User>, Error> {
        let sql = concat!(
            "SELECT ",
            user_columns!(),
            " FROM users_account WHERE (created_at, id) < ($1, $2) ORDER BY created_at DESC, id DESC LIMIT $3"
        );
        Ok(sqlx::query_as(sql)
            .bind(before.0)
            .bind(before.1)
            .bind(limit)
            .fetch_all(&self.db)
            .await?)
    }

    /// The same among those whose e-mail address begins with `text`, or whose name has words that begin with its words.
    pub async fn search(&self, text: &str, before: UserPosition, limit: i64) -> Result<Vec<User>, Error> {
        let sql = concat!(
            "SELECT ",
            user_columns!(),
            " FROM users_account
             WHERE (created_at, id) < ($1, $2)
               AND (to_tsvector('simple', name) @@ to_tsquery('simple', $4)
                    OR (email >= $5 AND email < $5 || chr(1114111)))
             ORDER BY created_at DESC, id DESC LIMIT $3"
        );
        Ok(sqlx::query_as(sql)
            .bind(before.0)
            .bind(before.1)
            .bind(limit)
            .bind(words_query(text))
            .bind(text.to_lowercase())
            .fetch_all(&self.db)
            .await?)
    }

    /// What signing in with an e-mail address needs.
    pub async fn login(&self, email: &str) -> Result<Option<Login>, Error> {
        let sql = "SELECT id AS user_id, role, active, password_hash FROM users_account WHERE email = $1";
        Ok(sqlx::query_as(sql).bind(email).fetch_optional(&self.db).await?)
    }

    /// Makes an account that somebody signed up for.
    pub async fn register(&self, new: &NewAccount) -> Result<User, Error> {
        let sql = concat!(
            "INSERT INTO users_account (id, email, name, role, origin, password_hash, created_at, updated_at)
             VALUES ($1, $2, $3, $4, 'registered', $5, $6, $6) ON CONFLICT (email) DO NOTHING RETURNING ",
            user_columns!()
        );
        let mut tx = self.db.begin().await?;
        let user: User = sqlx::query_as(sql)
            .bind(ids::new(&self.clock))
            .bind(&new.email)
            .bind(&new.name)
            .bind(new.role)
            .bind(&new.password_hash)
            .bind(self.clock.now())
            .fetch_optional(&mut tx)
            .await?
            .ok_or(Error::EmailTaken)?;
        self.outbox
            .write(&mut tx, &[events::registered(&self.clock, &user)?])
            .await?;
        self.commit(tx).await?;
        Ok(user)
    }

    /// Gives an account another password.
    pub async fn set_password(&self, id: Uuid, password_hash: &str) -> Result<User, Error> {
        let mut tx = self.db.begin().await?;
        Self::lock(&mut tx, id).await?;
        sqlx::query("UPDATE users_account SET password_hash = $2 WHERE id = $1")
            .bind(id)
            .bind(password_hash)
            .execute(&mut tx)
            .await?;
        self.finish_update(tx, id).await
    }

    /// Changes name and preferences; what stays the same makes no event.
    pub async fn patch(
        &self,
        id: Uuid,
        name: Option<String>,
        patch: Option<Map<String, Value>>,
    ) -> Result<User, Error> {
        let mut tx = self.db.begin().await?;
        let user = Self::lock(&mut tx, id).await?;
        let name = name.unwrap_or_else(|| user.name.clone());
        let merged = match patch {
            Some(patch) => preferences::patched(&user.preferences, patch)?,
            None => user.preferences.0.clone(),
        };
        if name == user.name && merged == user.preferences.0 {
            return Ok(user);
        }
        sqlx::query("UPDATE users_account SET name = $2, preferences = $3::json WHERE id = $1")
            .bind(id)
            .bind(name)
            .bind(serde_json::to_string(&merged)?)
            .execute(&mut tx)
            .await?;
        self.finish_update(tx, id).await
    }

    /// Blocks or unblocks an account; the last active administrator cannot be blocked.
    pub async fn set_active(&self, id: Uuid, active: bool) -> Result<User, Error> {
        let mut tx = self.db.begin().await?;
        let administrators = if active {
            Vec::new()
        } else {
            lock_administrators(&mut tx, id).await?
        };
        let user = Self::lock(&mut tx, id).await?;
        if user.active == active {
            return Ok(user);
        }
        if administrators == [id] {
            return Err(Error::LastAdministrator);
        }
        sqlx::query("UPDATE users_account SET active = $2 WHERE id = $1")
            .bind(id)
            .bind(active)
            .execute(&mut tx)
            .await?;
        self.finish_update(tx, id).await
    }

    async fn finish_update(&self, mut tx: Tx, id: Uuid) -> Result<User, Error> {
        let sql = concat!(
            "UPDATE users_account SET version = version + 1, updated_at = $2 WHERE id = $1 RETURNING ",
            user_columns!()
        );
        let user: User = sqlx::query_as(sql)
            .bind(id)
            .bind(self.clock.now())
            .fetch_one(&mut tx)
            .await?;
        self.outbox
            .write(&mut tx, &[events::updated(&self.clock, &user)?])
            .await?;
        self.commit(tx).await?;
        Ok(user)
    }
}

/// Locks all active administrators when `id` is an administrator, and nobody else, and gives who they are. Whoever blocks
/// another administrator at the same time waits here, and then counts anew: a row that was changed meanwhile is looked at
/// again under its lock. All are locked before `id` itself, in the order of ids, so that two blocks cannot wait for each other.
async fn lock_administrators(tx: &mut Tx, id: Uuid) -> Result<Vec<Uuid>, Error> {
    let sql = "SELECT id FROM users_account
        WHERE role = 'admin' AND active AND EXISTS (SELECT FROM users_account WHERE id = $1 AND role = 'admin')
        ORDER BY id FOR NO KEY UPDATE";
    Ok(sqlx::query_scalar(sql).bind(id).fetch_all(tx).await?)
}

/// `ann smi` as the text search query `ann:* & smi:*`; none when there is no word in it. Only letters and digits get into
/// it, so nothing needs quoting.
fn words_query(text: &str) -> Option<String> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| format!("{word}:*"))
        .collect();
    (!words.is_empty()).then(|| words.join(" & "))
}
