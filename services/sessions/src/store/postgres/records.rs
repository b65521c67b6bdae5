//! What the database keeps, to be moved: listed by primary keys, first sessions, then accounts, attempts, and the note.

use std::collections::BTreeMap;

use async_trait::async_trait;
use emporium_moving::{Copied, Keys, Record};
use emporium_service_kit::{Clock, Db, StoreError};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{PENDING_MAX, Row};
use crate::store::Spans;
use crate::store::record::{Account, Entry, RecordKey};
use crate::token::{Hash, Partition, TokenHash};

/// The records of a database.
pub struct PostgresRecords {
    db: Db,
    clock: Clock,
    spans: Spans,
}

const SESSION_KEYS: &str = "
    SELECT token_hash, user_id FROM sessions_session
    WHERE token_hash > $1 AND expires_at > $2 ORDER BY token_hash LIMIT $3";
/// Most users were never told of: they have a row since they logged in.
const ACCOUNT_KEYS: &str = "
    SELECT user_id FROM sessions_account
    WHERE user_id > $1 AND version > 0 AND coalesce(forgotten_at > $2, true) ORDER BY user_id LIMIT $3";
const ATTEMPT_KEYS: &str = "
    SELECT email_hash FROM sessions_attempt
    WHERE email_hash > $1 AND expires_at > $2 ORDER BY email_hash LIMIT $3";
/// By token, or all of a user.
const SESSIONS: &str = "
    SELECT token_hash, user_id, role, began_at, expires_at, ends_at, blocked FROM sessions_session
    WHERE (token_hash = ANY ($1) OR user_id = ANY ($2)) AND expires_at > $3";
const ACCOUNTS: &str = "
    SELECT user_id, version, blocked, forgotten_at FROM sessions_account WHERE user_id = ANY ($1) AND version > 0";
const ATTEMPTS: &str =
    "SELECT email_hash, failed_at, pending_at FROM sessions_attempt WHERE email_hash = ANY ($1)";
const KEEP_SESSIONS: &str = "DELETE FROM sessions_session WHERE user_id = $1 AND token_hash <> ALL ($2)";
const PUT_SESSION: &str = "
    INSERT INTO sessions_session (token_hash, user_id, role, began_at, expires_at, ends_at, blocked)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (token_hash) DO UPDATE SET user_id = excluded.user_id, role = excluded.role,
        began_at = excluded.began_at, expires_at = excluded.expires_at, ends_at = excluded.ends_at,
        blocked = excluded.blocked";
const PUT_ACCOUNT: &str = "
    INSERT INTO sessions_account (user_id, version, blocked, forgotten_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (user_id) DO UPDATE SET version = excluded.version, blocked = excluded.blocked,
        forgotten_at = excluded.forgotten_at";
/// `expires_at` is what the reaper goes by.
const PUT_FAILED: &str = "
    INSERT INTO sessions_attempt AS a (email_hash, failed_at, pending_at, expires_at) VALUES ($1, $2, '{}', $3)
    ON CONFLICT (email_hash) DO UPDATE SET failed_at = excluded.failed_at,
        expires_at = greatest(a.expires_at, excluded.expires_at)";
const PUT_PENDING: &str = "
    INSERT INTO sessions_attempt AS a (email_hash, failed_at, pending_at, expires_at) VALUES ($1, '{}', $2, $3)
    ON CONFLICT (email_hash) DO UPDATE SET pending_at = excluded.pending_at,
        expires_at = greatest(a.expires_at, excluded.expires_at)";
const PUT_NOTE: &str = "
    INSERT INTO sessions_rebuild (note) VALUES ($1) ON CONFLICT (singleton) DO UPDATE SET note = excluded.note";

/// Keys by table.
#[derive(Default)]
struct Wanted {
    /// Of whom all sessions.
    users: Vec<Uuid>,
    tokens: Vec<[u8; 32]>,
    accounts: Vec<Uuid>,
    failed: Vec<[u8; 32]>,
    pending: Vec<[u8; 32]>,
    note: bool,
}

impl Wanted {
    fn read(keys: &[String]) -> Result<Self, StoreError> {
        let mut wanted = Self::default();
        for key in keys {
            match RecordKey::read(key)? {
                RecordKey::User(id) => wanted.users.push(id),
                RecordKey::Session(token) => wanted.tokens.push(token.hash.0),
                RecordKey::Account(id) => wanted.accounts.push(id),
                RecordKey::Failed(email) => wanted.failed.push(email.0),
                RecordKey::Pending(email) => wanted.pending.push(email.0),
                RecordKey::Note => wanted.note = true,
            }
        }
        Ok(wanted)
    }
}

/// Every token names its user's partition.
fn token(hash: [u8; 32], user_id: Uuid) -> TokenHash {
    TokenHash {
        partition: Partition::of(user_id),
        hash: Hash(hash),
    }
}

#[derive(sqlx::FromRow)]
struct SessionRow {
    token_hash: [u8; 32],
    #[sqlx(flatten)]
    row: Row,
}

type AccountRow = (Uuid, i64, bool, Option<OffsetDateTime>);
type AttemptRow = ([u8; 32], Vec<OffsetDateTime>, Vec<OffsetDateTime>);

impl PostgresRecords {
    /// Of the tables that [`PostgresSessions::open`](super::PostgresSessions::open) has made.
    pub fn new(db: Db, clock: Clock, spans: Spans) -> Self {
        Self { db, clock, spans }
    }

    /// A page of one table, with what the next page begins after, unless this is the last one.
    async fn page(
        &self,
        after: RecordKey,
        max: usize,
    ) -> Result<(Vec<RecordKey>, Option<RecordKey>), StoreError> {
        let (now, limit) = (self.clock.now(), i64::try_from(max).unwrap_or(i64::MAX));
        let (keys, next_table): (Vec<RecordKey>, _) = match after {
            RecordKey::Session(after) => {
                let rows: Vec<([u8; 32], Uuid)> = sqlx::query_as(SESSION_KEYS)
                    .bind(after.hash.0)
                    .bind(now)
                    .bind(limit)
                    .fetch_all(&self.db)
                    .await?;
                let key = |(hash, user)| RecordKey::Session(token(hash, user));
                (rows.into_iter().map(key).collect(), Some(FIRST_ACCOUNT))
            }
            RecordKey::Account(after) => {
                let rows: Vec<Uuid> = sqlx::query_scalar(ACCOUNT_KEYS)
                    .bind(after)
                    .bind(now)
                    .bind(limit)
                    .fetch_all(&self.db)
                    .await?;
                (
                    rows.into_iter().map(RecordKey::Account).collect(),
                    Some(FIRST_ATTEMPT),
                )
            }
            RecordKey::Failed(after) => {
                let rows: Vec<[u8; 32]> = sqlx::query_scalar(ATTEMPT_KEYS)
                    .bind(after.0)
                    .bind(now)
                    .bind(limit)
                    .fetch_all(&self.db)
                    .await?;
                let key = |hash| RecordKey::Failed(Hash(hash));
                (rows.into_iter().map(key).collect(), Some(RecordKey::Note))
            }
            _ => return Ok((vec![RecordKey::Note], None)),
        };
        let next = match keys.last() {
            Some(last) if keys.len() >= max => Some(*last),
            _ => next_table,
        };
        Ok((keys, next))
    }

    async fn sessions(&self, wanted: &Wanted, now: OffsetDateTime) -> Result<Vec<Entry>, StoreError> {
        let mut of_users: BTreeMap<Uuid, Vec<Hash>> =
            wanted.users.iter().map(|user| (*user, Vec::new())).collect();
        let rows: Vec<SessionRow> = sqlx::query_as(SESSIONS)
            .bind(&wanted.tokens)
            .bind(&wanted.users)
            .bind(now)
            .fetch_all(&self.db)
            .await?;
        let mut sessions = Vec::with_capacity(rows.len());
        for SessionRow { token_hash, row } in rows {
            if let Some(hashes) = of_users.get_mut(&row.user_id) {
                hashes.push(Hash(token_hash));
            }
            let token = token(token_hash, row.user_id);
            sessions.push(Entry::Session(row.session(token)));
        }
        let users = of_users
            .into_iter()
            .map(|(user, hashes)| Entry::User(user, hashes));
        Ok(users.chain(sessions).collect())
    }

    async fn accounts(&self, wanted: &Wanted) -> Result<Vec<Entry>, StoreError> {
        let rows: Vec<AccountRow> = sqlx::query_as(ACCOUNTS)
            .bind(&wanted.accounts)
            .fetch_all(&self.db)
            .await?;
        let entry = |(user_id, version, blocked, forgotten_at)| {
            let account = Account {
                version,
                blocked,
                forgotten_at,
            };
            Entry::Account(user_id, account)
        };
        Ok(rows.into_iter().map(entry).collect())
    }

    async fn attempts(&self, wanted: &Wanted) -> Result<Vec<Entry>, StoreError> {
        let both = [wanted.failed.as_slice(), &wanted.pending].concat();
        let rows: Vec<AttemptRow> = sqlx::query_as(ATTEMPTS).bind(both).fetch_all(&self.db).await?;
        let mut entries = Vec::with_capacity(rows.len() * 2);
        for (email, failed_at, pending_at) in rows {
            if wanted.failed.contains(&email) {
                entries.push(Entry::Failed(Hash(email), failed_at));
            }
            if wanted.pending.contains(&email) {
                entries.push(Entry::Pending(Hash(email), pending_at));
            }
        }
        Ok(entries)
    }

    async fn note(&self, wanted: &Wanted) -> Result<Option<Entry>, StoreError> {
        if !wanted.note {
            return Ok(None);
        }
        Ok(super::news::note(&self.db).await?.map(Entry::Note))
    }
}

/// What the parts of a listing begin after. No hash is all zero, nor any user's id.
const FIRST_SESSION: RecordKey = RecordKey::Session(TokenHash {
    partition: Partition(0),
    hash: Hash([0; 32]),
});
const FIRST_ACCOUNT: RecordKey = RecordKey::Account(Uuid::nil());
const FIRST_ATTEMPT: RecordKey = RecordKey::Failed(Hash([0; 32]));

/// The statement that puts an entry, with what it is given.
fn put(entry: &Entry, spans: Spans) -> sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments> {
    let last = |times: &[OffsetDateTime]| times.iter().copied().max();
    match entry {
        Entry::User(user, hashes) => {
            let hashes: Vec<[u8; 32]> = hashes.iter().map(|hash| hash.0).collect();
            sqlx::query(KEEP_SESSIONS).bind(user).bind(hashes)
        }
        Entry::Session(session) => sqlx::query(PUT_SESSION)
            .bind(session.token.hash.0)
            .bind(session.user_id)
            .bind(session.role)
            .bind(session.began_at)
            .bind(session.expires_at)
            .bind(session.ends_at)
            .bind(session.blocked),
        Entry::Account(user, account) => sqlx::query(PUT_ACCOUNT)
            .bind(user)
            .bind(account.version)
            .bind(account.blocked)
            .bind(account.forgotten_at),
        Entry::Failed(email, times) => sqlx::query(PUT_FAILED)
            .bind(email.0)
            .bind(times)
            .bind(last(times).map(|at| at + spans.window)),
        Entry::Pending(email, times) => sqlx::query(PUT_PENDING)
            .bind(email.0)
            .bind(times)
            .bind(last(times).map(|at| at + PENDING_MAX)),
        Entry::Note(text) => sqlx::query(PUT_NOTE).bind(text),
    }
}

#[async_trait]
impl Copied for PostgresRecords {
    async fn keys(&self, after: Option<&str>, max: usize) -> Result<Keys, StoreError> {
        let after = after.map_or(Ok(FIRST_SESSION), RecordKey::read)?;
        let (keys, next) = self.page(after, max).await?;
        let both = keys.into_iter().flat_map(|key| {
            let pending = match key {
                RecordKey::Failed(email) => Some(RecordKey::Pending(email)),
                _ => None,
            };
            [Some(key), pending]
        });
        Ok(Keys {
            keys: both.flatten().map(RecordKey::text).collect(),
            next: next.map(RecordKey::text),
        })
    }

    async fn read(&self, keys: &[String]) -> Result<Vec<Record>, StoreError> {
        let (wanted, now) = (Wanted::read(keys)?, self.clock.now());
        let mut entries = Vec::with_capacity(keys.len());
        if !wanted.tokens.is_empty() || !wanted.users.is_empty() {
            entries.extend(self.sessions(&wanted, now).await?);
        }
        if !wanted.accounts.is_empty() {
            entries.extend(self.accounts(&wanted).await?);
        }
        if !wanted.failed.is_empty() || !wanted.pending.is_empty() {
            entries.extend(self.attempts(&wanted).await?);
        }
        entries.extend(self.note(&wanted).await?);
        let records = entries
            .into_iter()
            .map(|entry| entry.record(now, self.spans.window));
        records.filter_map(Result::transpose).collect()
    }

    async fn put(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut entries = BTreeMap::new();
        for record in records {
            entries.insert(RecordKey::read(&record.key)?, Entry::of(record)?);
        }
        let mut tx = self.db.begin().await?;
        // In the order of keys, so what is to be ended comes first.
        for entry in entries.values() {
            put(entry, self.spans).execute(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        let wanted = Wanted::read(keys)?;
        let mut tx = self.db.begin().await?;
        sqlx::query("DELETE FROM sessions_session WHERE token_hash = ANY ($1) OR user_id = ANY ($2)")
            .bind(&wanted.tokens)
            .bind(&wanted.users)
            .execute(&mut tx)
            .await?;
        // The row also keeps the number of the last revocation.
        sqlx::query("UPDATE sessions_account SET version = 0, blocked = false WHERE user_id = ANY ($1)")
            .bind(&wanted.accounts)
            .execute(&mut tx)
            .await?;
        sqlx::query("UPDATE sessions_attempt SET failed_at = '{}' WHERE email_hash = ANY ($1)")
            .bind(&wanted.failed)
            .execute(&mut tx)
            .await?;
        sqlx::query("UPDATE sessions_attempt SET pending_at = '{}' WHERE email_hash = ANY ($1)")
            .bind(&wanted.pending)
            .execute(&mut tx)
            .await?;
        sqlx::query("DELETE FROM sessions_rebuild WHERE $1")
            .bind(wanted.note)
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The sequence goes on.
    async fn clear(&self) -> Result<(), StoreError> {
        sqlx::query("TRUNCATE sessions_session, sessions_account, sessions_attempt, sessions_rebuild")
            .execute(&self.db)
            .await?;
        Ok(())
    }
}
