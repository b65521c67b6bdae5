//! The bus on Redis Streams: one stream, whose entries have the ids `<position>-0`, and a consumer group of the stream for
//! each group. `docs/src/stores/redis-streams.md` tells the model, ADR 10 why it is so.
//!
//! Every verb is one Lua script, so it happens as a whole or not at all. Scripts are repeatable, since the kit sends a call
//! again when its connection was lost: a claim gives first what the member has already, an event that is there is not
//! appended again, and what is acknowledged stays so.
//!
//! | key | type | what |
//! |---|---|---|
//! | `{ns}:stream` | stream | the events: `type`, `at` (when it was appended, ms), `event` (CloudEvent in JSON) |
//! | `{ns}:ids` | sorted set | ids of the events in the stream, by position; trimmed with it |
//! | `{ns}:meta` | hash | `id` of the bus, `head` (last position), `trimmed`, `largest` (bytes of the largest event), `letters` |
//! | `{ns}:groups` | hash | `state:<group>`, `sources:<group>`; `paused:<group>` if so; while it is built `builder:<group>`, `expires:<group>` |
//! | `{ns}:members` | sorted set | who holds entries of a group, by the end of the lease (ms) |
//! | `{ns}:letters:<group>` | hash | dead letters; `…:order` has their ids, `…:replayed` when they were replayed |

use std::time::Duration;

use async_trait::async_trait;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::redis::{ConnectError, Invocation, NamedScript};
use emporium_service_kit::report::{Server, ServerFacts};
use emporium_service_kit::{Redis, StoreError};
use uuid::Uuid;

use super::{BATCH_BYTES, Batch, Bus, BusError, Capability, DeadLetter, Delivery, Mark, Progress};
use crate::event::CloudEvent;

mod lacks;
mod letters;
mod scripts;
mod watch;

use letters::Letters;
use watch::Watch;

/// The hash tag of the shop's keys.
pub const NAMESPACE: &str = "emporium-events";
/// Entries that one claim looks at, however few of them are wanted; with [`BATCH_BYTES`] it bounds how long the server is
/// busy with it.
const LOOK: i64 = 5_000;
/// Entries that one script removes.
const TRIM_BATCH: u64 = 5_000;

/// The Redis adapter.
pub struct RedisBus {
    redis: Redis,
    keys: Keys,
    lacks: &'static [Capability],
    watch: Watch,
}

/// The names of the keys.
#[derive(Clone)]
struct Keys {
    /// Of all scripts but those about dead letters, in the order of `prelude.lua`.
    main: [String; 5],
    namespace: String,
}

impl Keys {
    fn new(namespace: &str) -> Self {
        Self {
            main: ["stream", "ids", "meta", "groups", "members"]
                .map(|name| format!("{{{namespace}}}:{name}")),
            namespace: namespace.to_owned(),
        }
    }

    fn stream(&self) -> &str {
        &self.main[0]
    }

    /// Of the scripts about the dead letters of a group.
    fn letters(&self, group: &str) -> [String; 4] {
        let letters = format!("{{{}}}:letters:{group}", self.namespace);
        let (order, replayed) = (format!("{letters}:order"), format!("{letters}:replayed"));
        [self.main[2].clone(), letters, order, replayed]
    }
}

/// What a claim answers: how many entries it passed, the last position, and the wanted events with their entries' ids.
type Claimed = (i64, i64, Vec<(String, Vec<u8>)>);

impl RedisBus {
    /// Connects. `namespace` keeps buses on one server apart; it is the hash tag of all keys.
    pub async fn connect(url: &str, namespace: &str, metrics: Metrics) -> Result<Self, BusError> {
        let refused = |error: ConnectError| BusError::unusable(&error, error.tells_remedy());
        let redis = Redis::connect(url, metrics.clone()).await.map_err(refused)?;
        let keys = Keys::new(namespace);
        // A connection of its own: reading blocks it.
        let reader = Redis::connect(url, metrics).await.map_err(refused)?;
        Ok(Self {
            lacks: lacks::of(&redis).await?,
            watch: Watch::new(reader, keys.stream()),
            redis,
            keys,
        })
    }

    fn script<'a>(&self, script: &'a NamedScript) -> Invocation<'a> {
        Invocation::of(script).key(&self.keys.main[..])
    }

    fn letters<'a>(&'a self, group: &'a str) -> Letters<'a> {
        Letters {
            redis: &self.redis,
            keys: self.keys.letters(group),
            group,
        }
    }
}

#[async_trait]
impl Bus for RedisBus {
    fn adapter(&self) -> &'static str {
        "redis"
    }

    fn lacks(&self) -> &'static [Capability] {
        self.lacks
    }

    async fn facts(&self) -> Result<ServerFacts, StoreError> {
        self.redis.facts().await
    }

    async fn publish(&self, events: &[CloudEvent], after: Option<&Mark>) -> Result<Option<Mark>, BusError> {
        let nothing = Mark {
            bus: Uuid::nil(),
            event: Uuid::nil(),
            position: 0,
        };
        let mark = after.copied().unwrap_or(nothing);
        let mut run = self
            .script(&scripts::PUBLISH)
            .arg(Uuid::new_v4().to_string())
            .arg(i64::from(after.is_some()))
            .arg(mark.bus.to_string())
            .arg(mark.event.to_string())
            .arg(mark.position);
        for event in events {
            run = run
                .arg(event.id.to_string())
                .arg(&event.kind)
                .arg(serde_json::to_vec(event)?);
        }
        let Some((bus, position)) = self.redis.run::<Option<(String, i64)>>(&run).await? else {
            return Ok(None);
        };
        let bus = bus.parse().map_err(foreign)?;
        Ok(Some(match events.last() {
            Some(last) => Mark {
                bus,
                event: last.id,
                position,
            },
            None => Mark { bus, ..mark },
        }))
    }

    async fn missed(&self, source: &str) -> Result<(), BusError> {
        Ok(self.redis.run(&self.script(&scripts::MISSED).arg(source)).await?)
    }

    async fn end(&self) -> Result<i64, BusError> {
        let ask = ::redis::cmd("HGET")
            .arg(&self.keys.main[2])
            .arg("head")
            .to_owned();
        let head: Option<i64> = self.redis.command("HGET", &ask).await?;
        Ok(head.unwrap_or(0))
    }

    async fn progress(&self, group: &str) -> Result<Option<Progress>, BusError> {
        let run = self.script(&scripts::PROGRESS).arg(group);
        let found: Option<(i64, i64, i64, u64, bool)> = self.redis.run(&run).await?;
        Ok(found.map(|(position, end, lag, waited_ms, paused)| {
            self.watch.saw(end);
            Progress {
                position,
                end,
                lag,
                waited: Duration::from_millis(waited_ms),
                paused,
            }
        }))
    }

    async fn set_paused(&self, group: &str, paused: bool) -> Result<(), BusError> {
        let run = self
            .script(&scripts::SET_PAUSED)
            .arg(group)
            .arg(i64::from(paused));
        Ok(self.redis.run(&run).await?)
    }

    async fn is_paused(&self, group: &str) -> Result<bool, BusError> {
        let ask = ::redis::cmd("HEXISTS")
            .arg(&self.keys.main[3])
            .arg(format!("paused:{group}"))
            .to_owned();
        Ok(self.redis.command("HEXISTS", &ask).await?)
    }

    async fn set_group(&self, group: &str, position: i64) -> Result<(), BusError> {
        let run = self.script(&scripts::SET_GROUP).arg(group).arg(position);
        Ok(self.redis.run(&run).await?)
    }

    async fn remove_group(&self, group: &str) -> Result<(), BusError> {
        Ok(self
            .redis
            .run(&self.script(&scripts::REMOVE_GROUP).arg(group))
            .await?)
    }

    async fn begin_rebuild(
        &self,
        group: &str,
        member: Uuid,
        lease: Duration,
        sources: &[String],
    ) -> Result<Option<i64>, BusError> {
        let run = self.held(&scripts::BEGIN, group, member).arg(millis(lease));
        // A line each, with a line's end before the first one too, so that a whole name is found.
        let sources = sources.iter().fold("\n".to_owned(), |all, one| all + one + "\n");
        Ok(self.redis.run(&run.arg(sources)).await?)
    }

    async fn finish_rebuild(&self, group: &str, member: Uuid) -> Result<(), BusError> {
        self.if_held(group, self.held(&scripts::FINISH, group, member))
            .await
    }

    async fn renew(&self, group: &str, member: Uuid, lease: Duration) -> Result<(), BusError> {
        self.if_held(
            group,
            self.held(&scripts::RENEW, group, member).arg(millis(lease)),
        )
        .await
    }

    async fn claim(
        &self,
        group: &str,
        member: Uuid,
        kinds: &[&str],
        max: i64,
        lease: Duration,
    ) -> Result<Option<Batch>, BusError> {
        let run = self
            .held(&scripts::CLAIM, group, member)
            .arg(millis(lease))
            .arg(max)
            .arg(BATCH_BYTES)
            .arg(LOOK)
            .arg(kinds);
        let Some((passed, position, found)) = self.redis.run::<Option<Claimed>>(&run).await? else {
            return Ok(None);
        };
        let deliveries = found.iter().map(delivery).collect::<Result<_, _>>()?;
        Ok(Some(Batch {
            deliveries,
            position,
            passed,
        }))
    }

    async fn acknowledge(&self, group: &str, member: Uuid, batch: &Batch) -> Result<(), BusError> {
        let positions: Vec<i64> = batch.deliveries.iter().map(|taken| taken.position).collect();
        let mut run = self.held(&scripts::ACKNOWLEDGE, group, member);
        if !positions.is_empty() {
            run = run.arg(positions);
        }
        self.if_held(group, run).await
    }

    async fn release(&self, group: &str, member: Uuid) -> Result<(), BusError> {
        Ok(self
            .redis
            .run(&self.held(&scripts::RELEASE, group, member))
            .await?)
    }

    async fn dead_letter(
        &self,
        group: &str,
        event: &CloudEvent,
        error: &str,
        attempts: i32,
    ) -> Result<(), BusError> {
        self.letters(group).put(event, error, attempts).await
    }

    async fn dead_letters(&self, group: &str, after: i64, limit: i64) -> Result<Vec<DeadLetter>, BusError> {
        self.letters(group)
            .between(&format!("({after}"), "+inf", limit)
            .await
    }

    async fn waiting_letters(&self, group: &str) -> Result<i64, BusError> {
        self.letters(group).waiting().await
    }

    async fn find_dead_letter(&self, group: &str, id: i64) -> Result<Option<DeadLetter>, BusError> {
        let id = id.to_string();
        Ok(self.letters(group).between(&id, &id, 1).await?.pop())
    }

    async fn mark_replayed(&self, group: &str, id: i64) -> Result<(), BusError> {
        self.letters(group).mark_replayed(id).await
    }

    async fn wait(&self, seen: i64, timeout: Duration) {
        self.watch.wait(seen, timeout).await;
    }

    async fn trim_both(&self, age: Duration, letters: Duration) -> Result<u64, BusError> {
        for group in self.groups().await? {
            self.letters(&group).expire(letters).await?;
        }
        let run = self.script(&scripts::TRIM).arg(millis(age)).arg(TRIM_BATCH);
        let mut removed = 0;
        loop {
            let now: u64 = self.redis.run(&run).await?;
            removed += now;
            if now < TRIM_BATCH {
                return Ok(removed);
            }
        }
    }
}

impl RedisBus {
    fn held<'a>(&self, script: &'a NamedScript, group: &str, member: Uuid) -> Invocation<'a> {
        self.script(script).arg(group).arg(member.to_string())
    }

    /// Runs a script that answers 0 when the member holds the group, or what it claimed of it, no more.
    async fn if_held(&self, group: &str, run: Invocation<'_>) -> Result<(), BusError> {
        match self.redis.run::<i64>(&run).await? {
            0 => Err(BusError::LeaseLost(group.to_owned())),
            _ => Ok(()),
        }
    }

    async fn groups(&self) -> Result<Vec<String>, BusError> {
        let ask = ::redis::cmd("HKEYS").arg(&self.keys.main[3]).to_owned();
        let fields: Vec<String> = self.redis.command("HKEYS", &ask).await?;
        let groups = fields.iter().filter_map(|field| field.strip_prefix("state:"));
        Ok(groups.map(str::to_owned).collect())
    }
}

fn delivery((id, event): &(String, Vec<u8>)) -> Result<Delivery, BusError> {
    let position = id.split('-').next().unwrap_or_default();
    Ok(Delivery {
        position: position.parse().map_err(foreign)?,
        event: serde_json::from_slice(event)?,
    })
}

/// Something is there that this program did not write.
fn foreign(error: impl std::error::Error + Send + Sync + 'static) -> BusError {
    BusError::Store(StoreError::Failed(error.into()))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
