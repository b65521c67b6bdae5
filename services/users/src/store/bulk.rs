//! Bulk loads: a chunk of accounts in one transaction.

use std::collections::{HashMap, HashSet};

use emporium_service_kit::Tx;
use emporium_service_kit::bulk::{CopyRows, Rejection, Stored};
use emporium_service_kit::db::BULK_STATEMENT_TIMEOUT;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Store;
use crate::error::Error;
use crate::events::{self, UserRegistered};
use crate::model::{Origin, Place, Role};

/// A checked record.
pub struct StagedUser {
    /// Its line in the stream.
    pub line: u64,
    pub id: Uuid,
    pub email: String,
    pub name: String,
    pub origin: Origin,
    pub name_invented: bool,
    pub created_at: OffsetDateTime,
    /// A JSON object.
    pub preferences: String,
    pub points: i64,
    pub addresses: Vec<StagedAddress>,
    pub password_hash: Option<String>,
}

/// A checked address of a record.
pub struct StagedAddress {
    pub id: Uuid,
    pub place: Place,
    pub is_default: bool,
}

impl Store {
    /// Which of the accounts are there already.
    pub async fn known(&self, ids: &[Uuid]) -> Result<HashSet<Uuid>, Error> {
        let known: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM users_account WHERE id = ANY($1)")
            .bind(ids)
            .fetch_all(&self.db)
            .await?;
        Ok(known.into_iter().collect())
    }

    /// Loads a chunk: all that is new and acceptable, in one transaction.
    pub async fn load(&self, users: Vec<StagedUser>) -> Result<Stored, Error> {
        let mut rejected = Vec::new();
        let mut tx = self.db.begin().await?;
        // A chunk is bounded, but on a busy machine it may well take longer than a request's statement.
        tx.allow(BULK_STATEMENT_TIMEOUT).await?;
        let users = refuse_taken_addresses(&mut tx, users, &mut rejected).await?;
        let inserted = insert_accounts(&mut tx, &users).await?;
        let known = self.known_in(&mut tx, &users, &inserted).await?;
        for user in users.iter().filter(|user| !inserted.contains(&user.id)) {
            if !known.contains(&user.id) {
                rejected.push(refusal(user, "the e-mail address belongs to another account"));
            }
        }
        let new: Vec<&StagedUser> = users.iter().filter(|user| inserted.contains(&user.id)).collect();
        copy_addresses(&mut tx, &new).await?;
        let events = new
            .iter()
            .map(|user| events::registered_then(&user.state(), user.created_at))
            .collect::<Result<Vec<_>, _>>()?;
        self.outbox.write_bulk(&mut tx, &events).await?;
        self.commit(tx).await?;
        Ok(Stored {
            loaded: new.len() as u64,
            rejected,
        })
    }

    async fn known_in(
        &self,
        tx: &mut Tx,
        users: &[StagedUser],
        inserted: &HashSet<Uuid>,
    ) -> Result<HashSet<Uuid>, Error> {
        let ids: Vec<Uuid> = users
            .iter()
            .map(|user| user.id)
            .filter(|id| !inserted.contains(id))
            .collect();
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let known: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM users_account WHERE id = ANY($1)")
            .bind(ids)
            .fetch_all(tx)
            .await?;
        Ok(known.into_iter().collect())
    }
}

impl StagedUser {
    fn state(&self) -> UserRegistered {
        UserRegistered {
            id: self.id,
            email: self.email.clone(),
            name: self.name.clone(),
            role: Role::Customer,
            active: true,
            origin: self.origin,
            version: 1,
        }
    }
}

fn refusal(user: &StagedUser, reason: &str) -> Rejection {
    Rejection {
        line: user.line,
        reason: reason.to_owned(),
    }
}

/// Address ids identify too: a record whose address is in another account, or in another record of the chunk, is refused.
async fn refuse_taken_addresses(
    tx: &mut Tx,
    users: Vec<StagedUser>,
    rejected: &mut Vec<Rejection>,
) -> Result<Vec<StagedUser>, Error> {
    let ids: Vec<Uuid> = users
        .iter()
        .flat_map(|user| &user.addresses)
        .map(|address| address.id)
        .collect();
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as("SELECT id, user_id FROM users_address WHERE id = ANY($1)")
        .bind(ids)
        .fetch_all(tx)
        .await?;
    let mut owners: HashMap<Uuid, Uuid> = rows.into_iter().collect();
    Ok(users
        .into_iter()
        .filter(|user| {
            let free =
                |address: &StagedAddress| owners.get(&address.id).is_none_or(|owner| *owner == user.id);
            if user.addresses.iter().all(free) {
                owners.extend(user.addresses.iter().map(|address| (address.id, user.id)));
                return true;
            }
            rejected.push(refusal(user, "an address id belongs to another account"));
            false
        })
        .collect())
}

/// Inserts the accounts whose id and e-mail address are both new; gives their ids.
async fn insert_accounts(tx: &mut Tx, users: &[StagedUser]) -> Result<HashSet<Uuid>, Error> {
    let stage = "CREATE TEMPORARY TABLE users_staged (n bigint, id uuid, email text, name text, origin text,
        name_invented boolean, created_at timestamptz, preferences json, points bigint, password_hash text)
        ON COMMIT DROP";
    sqlx::query(stage).execute(&mut *tx).await?;
    let mut rows = CopyRows::default();
    for user in users {
        rows.plain(user.line)
            .plain(user.id)
            .text(&user.email)
            .text(&user.name)
            .plain(user.origin.as_str())
            .plain(user.name_invented)
            .time(user.created_at)
            .text(&user.preferences)
            .plain(user.points)
            .text_opt(user.password_hash.as_deref())
            .end_row();
    }
    tx.copy_in("COPY users_staged FROM STDIN", rows.as_bytes())
        .await?;
    let insert =
        "INSERT INTO users_account (id, email, name, role, points, preferences, origin, name_invented,
            password_hash, created_at, updated_at)
        SELECT id, email, name, 'customer', points, preferences, origin, name_invented, password_hash,
            created_at, created_at
        FROM users_staged ORDER BY n
        ON CONFLICT DO NOTHING RETURNING id";
    let inserted: Vec<Uuid> = sqlx::query_scalar(insert).persistent(false).fetch_all(tx).await?;
    Ok(inserted.into_iter().collect())
}

async fn copy_addresses(tx: &mut Tx, users: &[&StagedUser]) -> Result<(), Error> {
    let mut rows = CopyRows::default();
    for user in users {
        for StagedAddress {
            id,
            place,
            is_default,
        } in &user.addresses
        {
            rows.plain(id)
                .plain(user.id)
                .text(&place.street)
                .text(&place.city)
                .text(&place.postal_code)
                .plain(&place.country)
                .plain(is_default)
                .time(user.created_at)
                .time(user.created_at)
                .end_row();
        }
    }
    if !rows.is_empty() {
        let sql =
            "COPY users_address (id, user_id, street, city, postal_code, country, is_default, created_at,
            updated_at) FROM STDIN";
        tx.copy_in(sql, rows.as_bytes()).await?;
    }
    Ok(())
}
