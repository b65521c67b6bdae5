//! What the server or cluster keeps, to be moved.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::redis::cmd;
use async_trait::async_trait;
use emporium_moving::{Copied, Keys, Record};
use emporium_service_kit::redis::Invocation;
use emporium_service_kit::{Clock, StoreError};
use futures::{StreamExt, TryStreamExt, stream};
use time::OffsetDateTime;
use uuid::Uuid;

use super::keys::{Kind, text};
use super::row::{FIELDS, Found, from_micros, micros, role_name};
use super::scripts::{KEEP_SESSIONS, PUT_ACCOUNT, PUT_SESSION, PUT_TIMES, READ_ACCOUNT, READ_TIMES};
use super::{PENDING_MAX, RedisSessions, forgotten_at, millis};
use crate::model::Session;
use crate::store::Spans;
use crate::store::record::{Account, Entry, RecordKey, hash_of};
use crate::token::{Hash, Partition, TokenHash};

/// Calls under way at the same time; they share a connection.
const AT_ONCE: usize = 64;

/// The records of a server or cluster.
pub struct RedisRecords {
    sessions: Arc<RedisSessions>,
    clock: Clock,
    spans: Spans,
}

impl RedisRecords {
    /// Of these sessions.
    pub fn new(sessions: Arc<RedisSessions>, clock: Clock, spans: Spans) -> Self {
        Self {
            sessions,
            clock,
            spans,
        }
    }

    async fn read_one(&self, key: RecordKey, now: OffsetDateTime) -> Result<Vec<Record>, StoreError> {
        let store = &self.sessions;
        let entries = match key {
            RecordKey::User(user_id) => self.of_user(user_id, now).await?,
            RecordKey::Session(token) => self.session(token, now).await?.into_iter().collect(),
            RecordKey::Account(user_id) => self.account(user_id).await?.into_iter().collect(),
            RecordKey::Failed(email) => {
                vec![Entry::Failed(
                    email,
                    self.times(store.keys.failures(email)).await?,
                )]
            }
            RecordKey::Pending(email) => {
                vec![Entry::Pending(
                    email,
                    self.times(store.keys.attempts(email)).await?,
                )]
            }
            RecordKey::Note => {
                let mut get = cmd("GET");
                get.arg(store.keys.note());
                let note: Option<String> = store.redis.command("GET", &get).await?;
                note.map(Entry::Note).into_iter().collect()
            }
        };
        let records = entries
            .into_iter()
            .map(|entry| entry.record(now, self.spans.window));
        records.filter_map(Result::transpose).collect()
    }

    async fn session(&self, token: TokenHash, now: OffsetDateTime) -> Result<Option<Entry>, StoreError> {
        let mut fields = cmd("HMGET");
        fields.arg(self.sessions.keys.session(token)).arg(&FIELDS);
        let Found(found) = self.sessions.redis.command("HMGET", &fields).await?;
        let session = found.map(|row| row.session(token));
        Ok(session
            .filter(|session| session.expires_at > now)
            .map(Entry::Session))
    }

    /// One after the other: many users are read at once. Who changes one in between has marked it afterwards.
    async fn of_user(&self, user_id: Uuid, now: OffsetDateTime) -> Result<Vec<Entry>, StoreError> {
        let mut range = cmd("ZRANGE");
        range.arg(self.sessions.keys.logins(user_id)).arg(0).arg(-1);
        let hashes: Vec<String> = self.sessions.redis.command("ZRANGE", &range).await?;
        let (mut live, mut entries) = (Vec::new(), Vec::new());
        for hash in hashes.iter().filter_map(|hash| hash_of(hash)) {
            let partition = Partition::of(user_id);
            if let Some(session) = self.session(TokenHash { partition, hash }, now).await? {
                live.push(hash);
                entries.push(session);
            }
        }
        entries.push(Entry::User(user_id, live));
        Ok(entries)
    }

    async fn account(&self, user_id: Uuid) -> Result<Option<Entry>, StoreError> {
        let run = Invocation::of(&READ_ACCOUNT).key(self.sessions.keys.account(user_id));
        let (version, blocked, forgotten_at): (i64, u8, i64) = self.sessions.redis.run(&run).await?;
        // One that was only logged out everywhere was told nothing of.
        if version == 0 {
            return Ok(None);
        }
        let account = Account {
            version,
            blocked: blocked == 1,
            forgotten_at: from_micros(forgotten_at.saturating_mul(1_000)).filter(|_| forgotten_at >= 0),
        };
        Ok(Some(Entry::Account(user_id, account)))
    }

    async fn times(&self, key: String) -> Result<Vec<OffsetDateTime>, StoreError> {
        let times: Vec<i64> = self
            .sessions
            .redis
            .run(&Invocation::of(&READ_TIMES).key(key))
            .await?;
        Ok(times.into_iter().filter_map(from_micros).collect())
    }

    async fn put_one(&self, entry: Entry) -> Result<(), StoreError> {
        let keys = &self.sessions.keys;
        match entry {
            Entry::User(user_id, hashes) => self.keep_sessions(user_id, &hashes).await,
            Entry::Session(session) => self.put_session(&session).await,
            Entry::Account(user_id, account) => {
                let until = account.forgotten_at.map(|at| (micros(at) / 1_000).to_string());
                let run = Invocation::of(&PUT_ACCOUNT)
                    .key(keys.account(user_id))
                    .arg(account.version)
                    .arg(i64::from(account.blocked))
                    .arg(until.unwrap_or_default())
                    .arg(millis(self.sessions.remembered));
                self.sessions.redis.run(&run).await
            }
            Entry::Failed(email, times) => {
                let until = times.iter().max().map(|last| *last + self.spans.window);
                self.put_times(keys.failures(email), &times, until).await
            }
            Entry::Pending(email, times) => {
                let until = times.iter().max().map(|last| *last + PENDING_MAX);
                self.put_times(keys.attempts(email), &times, until).await
            }
            Entry::Note(note) => {
                let mut set = cmd("SET");
                set.arg(keys.note()).arg(note);
                self.sessions.redis.command("SET", &set).await
            }
        }
    }

    async fn keep_sessions(&self, user_id: Uuid, hashes: &[Hash]) -> Result<(), StoreError> {
        let keys = &self.sessions.keys;
        let run = Invocation::of(&KEEP_SESSIONS)
            .key(keys.logins(user_id))
            .arg(keys.session_prefix(Partition::of(user_id)))
            .arg(hashes.iter().map(|hash| text(*hash)).collect::<Vec<_>>());
        self.sessions.redis.run(&run).await
    }

    async fn put_session(&self, session: &Session) -> Result<(), StoreError> {
        let keys = &self.sessions.keys;
        let run = Invocation::of(&PUT_SESSION)
            .key(keys.session(session.token))
            .key(keys.logins(session.user_id))
            .arg(text(session.token.hash))
            .arg(session.user_id.hyphenated().to_string())
            .arg(role_name(session.role))
            .arg(micros(session.began_at))
            .arg(micros(session.expires_at))
            .arg(micros(session.ends_at))
            .arg(i64::from(session.blocked))
            .arg(forgotten_at(session.expires_at))
            .arg(forgotten_at(session.ends_at));
        self.sessions.redis.run(&run).await
    }

    async fn put_times(
        &self,
        key: String,
        times: &[OffsetDateTime],
        until: Option<OffsetDateTime>,
    ) -> Result<(), StoreError> {
        let Some(until) = until else { return Ok(()) };
        let run = Invocation::of(&PUT_TIMES)
            .key(key)
            .arg(forgotten_at(until))
            .arg(times.iter().map(|at| micros(*at)).collect::<Vec<_>>());
        self.sessions.redis.run(&run).await
    }

    async fn remove_one(&self, key: RecordKey) -> Result<(), StoreError> {
        let keys = &self.sessions.keys;
        match key {
            RecordKey::User(user_id) => self.keep_sessions(user_id, &[]).await,
            // What names it in the user's set goes when that is full, as after a log-out.
            RecordKey::Session(token) => self.unlink(keys.session(token)).await,
            RecordKey::Account(user_id) => self.unlink(keys.account(user_id)).await,
            RecordKey::Failed(email) => self.unlink(keys.failures(email)).await,
            RecordKey::Pending(email) => self.unlink(keys.attempts(email)).await,
            RecordKey::Note => self.unlink(keys.note()).await,
        }
    }

    async fn unlink(&self, key: String) -> Result<(), StoreError> {
        let mut unlink = cmd("UNLINK");
        unlink.arg(key);
        self.sessions.redis.command("UNLINK", &unlink).await
    }
}

fn read_keys(keys: &[String]) -> Result<Vec<RecordKey>, StoreError> {
    keys.iter().map(|key| RecordKey::read(key)).collect()
}

#[async_trait]
impl Copied for RedisRecords {
    async fn keys(&self, after: Option<&str>, max: usize) -> Result<Keys, StoreError> {
        let store = &self.sessions;
        let page = store.redis.scan(&store.keys.pattern(), after, max).await?;
        let records = page.keys.iter().filter_map(|key| match store.keys.kind(key) {
            Some(Kind::Record(record)) => Some(record.text()),
            _ => None,
        });
        Ok(Keys {
            keys: records.collect(),
            next: page.next,
        })
    }

    async fn read(&self, keys: &[String]) -> Result<Vec<Record>, StoreError> {
        let now = self.clock.now();
        let read: Vec<Vec<Record>> = stream::iter(read_keys(keys)?)
            .map(|key| self.read_one(key, now))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(read.into_iter().flatten().collect())
    }

    async fn put(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut users = Vec::new();
        let mut others = BTreeMap::new();
        for record in records {
            match Entry::of(record)? {
                user @ Entry::User(..) => users.push(user),
                other => {
                    others.insert(RecordKey::read(&record.key)?, other);
                }
            }
        }
        // What is to be ended is ended before anything is put.
        for entries in [users, others.into_values().collect()] {
            stream::iter(entries)
                .map(|entry| self.put_one(entry))
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
        }
        Ok(())
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        stream::iter(read_keys(keys)?)
            .map(|key| self.remove_one(key))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    /// The last stamp too: whoever opens this store again does not take the stamps that were given before. The record of the move
    /// stays.
    async fn clear(&self) -> Result<(), StoreError> {
        let store = &self.sessions;
        let mut after = None;
        loop {
            let page = store
                .redis
                .scan(&store.keys.pattern(), after.as_deref(), 1_000)
                .await?;
            let own = page.keys.into_iter().filter(|key| store.keys.kind(key).is_some());
            stream::iter(own)
                .map(|key| self.unlink(key))
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }
}
