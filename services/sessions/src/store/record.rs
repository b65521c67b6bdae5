//! What the store keeps, as it is moved to another one: the same text from every store.
//!
//! | key | says | expires |
//! |---|---|---|
//! | `session:<partition>:<hash of the token>` | user, role, login, expiry, end, mark | with the session |
//! | `account:<user>` | version and mark of the last news | when the store forgets it, if it does |
//! | `failed:<hash of the address>` | when logins failed | when the last of them does not count any more |
//! | `pending:<hash of the address>` | when logins were admitted that are under way | likewise |
//! | `note:rebuild` | how comparing blocks with the users' history stands | never |
//! | `user:<user>` | which sessions the user has | never |
//!
//! The last one is only ever a mark in the journal: who begins a session, or ends or marks all of a user's, cannot tell which ones
//! that changes. To read it is to read the user's sessions, too; to put it is to end all others there. It is not listed, so it
//! is not compared either: sessions are, one by one.
//!
//! Times of attempts are not left out one by one as they grow old, but all at once with the last of them. Otherwise two stores that
//! are read one after the other would differ all the time.
//!
//! Numbers of revocations are not moved. They order a login and a revocation in one store, and a login that took its number in
//! another one does not begin ([`super::Opening`]).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use emporium_moving::Record;
use emporium_service_kit::StoreError;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::PENDING_MAX;
use crate::model::{Role, Session};
use crate::token::{Hash, Partition, TokenHash};

/// What identifies a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordKey {
    /// All sessions of a user; first, so that what is to be ended is ended before anything is put.
    User(Uuid),
    /// A session.
    Session(TokenHash),
    /// What is noted of a user.
    Account(Uuid),
    /// Failures of an address.
    Failed(Hash),
    /// Attempts of an address that are under way.
    Pending(Hash),
    /// The note.
    Note,
}

impl RecordKey {
    /// As in the table above.
    pub fn text(self) -> String {
        match self {
            Self::User(id) => format!("user:{id}"),
            Self::Session(token) => format!("session:{:04x}:{}", token.partition.0, hash_text(token.hash)),
            Self::Account(id) => format!("account:{id}"),
            Self::Failed(email) => format!("failed:{}", hash_text(email)),
            Self::Pending(email) => format!("pending:{}", hash_text(email)),
            Self::Note => "note:rebuild".to_owned(),
        }
    }

    /// From its text.
    pub fn read(text: &str) -> Result<Self, StoreError> {
        let mut parts = text.split(':');
        let mut next = || parts.next().unwrap_or_default();
        let (kind, first, second) = (next(), next(), next());
        let id = || Uuid::try_parse(first).ok();
        let key = match kind {
            "user" => id().map(Self::User),
            "session" => token_of(first, second).map(Self::Session),
            "account" => id().map(Self::Account),
            "failed" => hash_of(first).map(Self::Failed),
            "pending" => hash_of(first).map(Self::Pending),
            "note" => Some(Self::Note),
            _ => None,
        };
        key.ok_or_else(|| failed(format!("{text:?} names no record of sessions")))
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Failed(error.into())
}

fn hash_text(hash: Hash) -> String {
    URL_SAFE_NO_PAD.encode(hash.0)
}

/// A SHA-256 of its base64url.
pub fn hash_of(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    match URL_SAFE_NO_PAD.decode_slice(text, &mut hash) {
        Ok(32) => Some(Hash(hash)),
        _ => None,
    }
}

/// A token's hash of its partition, four hexadecimal digits, and its base64url.
pub fn token_of(partition: &str, hash: &str) -> Option<TokenHash> {
    Some(TokenHash {
        partition: Partition(u16::from_str_radix(partition, 16).ok()?),
        hash: hash_of(hash)?,
    })
}

/// What is noted of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Of the last news; positive.
    pub version: i64,
    /// As of that.
    pub blocked: bool,
    /// When the store forgets it, if it does.
    pub forgotten_at: Option<OffsetDateTime>,
}

/// What a record says, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The user has these sessions and no others.
    User(Uuid, Vec<Hash>),
    Session(Session),
    Account(Uuid, Account),
    /// In any order.
    Failed(Hash, Vec<OffsetDateTime>),
    /// In any order.
    Pending(Hash, Vec<OffsetDateTime>),
    Note(String),
}

/// Times are whole microseconds: what both stores keep.
#[derive(Serialize, Deserialize)]
struct SessionText {
    user_id: Uuid,
    role: Role,
    #[serde(with = "time::serde::timestamp::microseconds")]
    began_at: OffsetDateTime,
    #[serde(with = "time::serde::timestamp::microseconds")]
    expires_at: OffsetDateTime,
    #[serde(with = "time::serde::timestamp::microseconds")]
    ends_at: OffsetDateTime,
    blocked: bool,
}

#[derive(Serialize, Deserialize)]
struct AccountText {
    version: i64,
    blocked: bool,
}

impl Entry {
    fn key(&self) -> RecordKey {
        match self {
            Self::User(id, _) => RecordKey::User(*id),
            Self::Session(session) => RecordKey::Session(session.token),
            Self::Account(id, _) => RecordKey::Account(*id),
            Self::Failed(email, _) => RecordKey::Failed(*email),
            Self::Pending(email, _) => RecordKey::Pending(*email),
            Self::Note(_) => RecordKey::Note,
        }
    }

    /// When it counts no more; failures count for `window`.
    fn expires_at(&self, window: Duration) -> Option<OffsetDateTime> {
        match self {
            Self::User(..) | Self::Note(_) => None,
            Self::Session(session) => Some(session.expires_at),
            Self::Account(_, account) => account.forgotten_at,
            Self::Failed(_, times) => Some(last(times) + window),
            Self::Pending(_, times) => Some(last(times) + PENDING_MAX),
        }
    }

    fn content(self) -> Result<String, serde_json::Error> {
        match self {
            Self::User(_, mut hashes) => {
                hashes.sort_unstable();
                serde_json::to_string(&hashes.into_iter().map(hash_text).collect::<Vec<_>>())
            }
            Self::Session(session) => serde_json::to_string(&SessionText {
                user_id: session.user_id,
                role: session.role,
                began_at: session.began_at,
                expires_at: session.expires_at,
                ends_at: session.ends_at,
                blocked: session.blocked,
            }),
            Self::Account(_, Account { version, blocked, .. }) => {
                serde_json::to_string(&AccountText { version, blocked })
            }
            Self::Failed(_, times) | Self::Pending(_, times) => {
                let mut micros: Vec<i64> = times.into_iter().map(micros).collect();
                micros.sort_unstable();
                serde_json::to_string(&micros)
            }
            Self::Note(text) => Ok(text),
        }
    }

    /// The record, unless it has expired; failures count for `window`.
    pub fn record(self, now: OffsetDateTime, window: Duration) -> Result<Option<Record>, StoreError> {
        let expires_at = self.expires_at(window);
        if expires_at.is_some_and(|at| at <= now) {
            return Ok(None);
        }
        let key = self.key().text();
        let content = self.content().map_err(failed)?;
        Ok(Some(Record {
            key,
            content,
            expires_at,
        }))
    }

    /// What a record says.
    pub fn of(record: &Record) -> Result<Self, StoreError> {
        let text = record.content.as_str();
        Ok(match RecordKey::read(&record.key)? {
            RecordKey::User(id) => {
                let hashes: Vec<String> = serde_json::from_str(text).map_err(failed)?;
                let hashes = hashes.iter().map(|hash| hash_of(hash));
                let hashes: Option<Vec<Hash>> = hashes.collect();
                Self::User(id, hashes.ok_or_else(|| failed("no hash of a token"))?)
            }
            RecordKey::Session(token) => {
                let said: SessionText = serde_json::from_str(text).map_err(failed)?;
                Self::Session(Session {
                    token,
                    user_id: said.user_id,
                    role: said.role,
                    began_at: said.began_at,
                    expires_at: said.expires_at,
                    ends_at: said.ends_at,
                    blocked: said.blocked,
                })
            }
            RecordKey::Account(id) => {
                let said: AccountText = serde_json::from_str(text).map_err(failed)?;
                let account = Account {
                    version: said.version,
                    blocked: said.blocked,
                    forgotten_at: record.expires_at,
                };
                Self::Account(id, account)
            }
            RecordKey::Failed(email) => Self::Failed(email, times(text)?),
            RecordKey::Pending(email) => Self::Pending(email, times(text)?),
            RecordKey::Note => Self::Note(record.content.clone()),
        })
    }
}

/// Where there are none, they have expired.
fn last(times: &[OffsetDateTime]) -> OffsetDateTime {
    times.iter().copied().max().unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

fn times(text: &str) -> Result<Vec<OffsetDateTime>, StoreError> {
    let micros: Vec<i64> = serde_json::from_str(text).map_err(failed)?;
    let time = |micros| OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).map_err(failed);
    micros.into_iter().map(time).collect()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::token;

    #[test]
    fn a_record_comes_back_from_its_text() {
        let (user, at) = (Uuid::from_u128(7), datetime!(2030-01-02 03:04:05.000006 UTC));
        let (window, email) = (Duration::minutes(5), Hash::of_email("ann@example.org"));
        let session = Session {
            token: token::generate(user).1,
            user_id: user,
            role: Role::Admin,
            began_at: at,
            expires_at: at + window,
            ends_at: at + window * 2,
            blocked: true,
        };
        let account = |forgotten_at| {
            let account = Account {
                version: 3,
                blocked: true,
                forgotten_at,
            };
            Entry::Account(user, account)
        };
        for (entry, expires_at) in [
            (Entry::User(user, vec![email]), None),
            (Entry::User(user, Vec::new()), None),
            (Entry::Session(session), Some(at + window)),
            (account(None), None),
            (account(Some(at + window)), Some(at + window)),
            (Entry::Failed(email, vec![at - window, at]), Some(at + window)),
            (Entry::Pending(email, vec![at, at]), Some(at + PENDING_MAX)),
            (Entry::Note("any {text:\n".to_owned()), None),
        ] {
            let record = entry.clone().record(at, window).unwrap().unwrap();
            assert_eq!(Entry::of(&record).unwrap(), entry);
            assert_eq!(RecordKey::read(&record.key).unwrap(), entry.key());
            assert_eq!(record.expires_at, expires_at);
            if let Some(expiry) = expires_at {
                assert_eq!(entry.record(expiry, window).unwrap(), None);
            }
        }
        assert_eq!(Entry::Failed(email, Vec::new()).record(at, window).unwrap(), None);
        for bad in [
            "",
            "user:x",
            "session:00g0:x",
            "session:0000:x",
            "failed:A",
            "x:y",
        ] {
            assert!(RecordKey::read(bad).is_err(), "{bad}");
        }
    }
}
