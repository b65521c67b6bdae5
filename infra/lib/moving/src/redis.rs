//! Standing and journal in Redis: two hashes of one slot, so that it works on a cluster too.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `<namespace>:{moving}:standing` | hash | `version`, `text` |
//! | `<namespace>:{moving}:journal` | hash | a field a key that was written to: how many times |

use std::collections::HashMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use emporium_service_kit::redis::{Invocation, NamedScript};
use emporium_service_kit::{Redis, StoreError};

use crate::register::{Journal, Kept, Mark, Register};

/// Sent twice after a lost connection, the second one finds the text it has set itself, which counts as done.
static SWAP: LazyLock<NamedScript> = LazyLock::new(|| {
    NamedScript::new(
        "standing_swap",
        "local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
         if version == tonumber(ARGV[1]) + 1 and redis.call('HGET', KEYS[1], 'text') == ARGV[2] then return 1 end
         if version ~= tonumber(ARGV[1]) then return 0 end
         redis.call('HSET', KEYS[1], 'version', version + 1, 'text', ARGV[2])
         return 1",
    )
});
/// Marking twice only makes a key be copied once more.
static NOTE: LazyLock<NamedScript> = LazyLock::new(|| {
    NamedScript::new(
        "journal_note",
        "for _, key in ipairs(ARGV) do redis.call('HINCRBY', KEYS[1], key, 1) end",
    )
});
static FORGET: LazyLock<NamedScript> = LazyLock::new(|| {
    NamedScript::new(
        "journal_forget",
        "for i = 1, #ARGV, 2 do
           if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
         end",
    )
});

/// Standing and journal below a namespace.
#[derive(Clone)]
pub struct RedisMoving {
    redis: Redis,
    standing: String,
    journal: String,
}

impl RedisMoving {
    /// Below this namespace.
    pub fn new(redis: Redis, namespace: &str) -> Self {
        Self {
            redis,
            standing: format!("{namespace}:{{moving}}:standing"),
            journal: format!("{namespace}:{{moving}}:journal"),
        }
    }

    /// What the names of its keys begin with, for whoever lists keys.
    pub fn is_own(key: &str) -> bool {
        key.contains(":{moving}:")
    }
}

#[async_trait]
impl Register for RedisMoving {
    async fn load(&self) -> Result<Kept, StoreError> {
        let mut command = redis::cmd("HMGET");
        command.arg(&self.standing).arg(&["version", "text"]);
        let (version, text): (Option<i64>, Option<String>) = self.redis.command("HMGET", &command).await?;
        Ok(Kept {
            version: version.unwrap_or(0),
            text,
        })
    }

    async fn swap(&self, version: i64, text: &str) -> Result<bool, StoreError> {
        let run = Invocation::of(&SWAP)
            .key(&self.standing)
            .arg(version)
            .arg(text.to_owned());
        self.redis.run(&run).await
    }
}

#[async_trait]
impl Journal for RedisMoving {
    async fn note(&self, keys: &[String]) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.redis
            .run(&Invocation::of(&NOTE).key(&self.journal).arg(keys.to_vec()))
            .await
    }

    async fn noted(&self, max: usize) -> Result<Vec<Mark>, StoreError> {
        let (mut cursor, mut marks) = (0u64, HashMap::new());
        loop {
            let mut command = redis::cmd("HSCAN");
            command.arg(&self.journal).arg(cursor).arg("COUNT").arg(max);
            let (next, some): (u64, Vec<(String, i64)>) = self.redis.command("HSCAN", &command).await?;
            marks.extend(some);
            if next == 0 || marks.len() >= max {
                break;
            }
            cursor = next;
        }
        Ok(marks
            .into_iter()
            .map(|(key, times)| Mark { key, times })
            .collect())
    }

    async fn forget(&self, marks: &[Mark]) -> Result<(), StoreError> {
        if marks.is_empty() {
            return Ok(());
        }
        let arguments: Vec<String> = marks
            .iter()
            .flat_map(|mark| [mark.key.clone(), mark.times.to_string()])
            .collect();
        self.redis
            .run(&Invocation::of(&FORGET).key(&self.journal).arg(arguments))
            .await
    }

    async fn count(&self) -> Result<i64, StoreError> {
        let mut command = redis::cmd("HLEN");
        command.arg(&self.journal);
        self.redis.command("HLEN", &command).await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        let mut command = redis::cmd("UNLINK");
        command.arg(&self.journal);
        self.redis.command("UNLINK", &command).await
    }
}
