//! What a server says of itself: `INFO`, and the one setting that `INFO` does not tell.

use std::collections::HashMap;
use std::fmt;

use ::redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use ::redis::{Cmd, RedisError, Value, cmd, from_redis_value};

use super::{Connection, Redis};
use crate::StoreError;

/// The fields of `INFO`, <https://redis.io/docs/latest/commands/info/>.
#[derive(Debug, Clone, Default)]
pub struct Info(HashMap<String, String>);

impl Info {
    /// Reads `name:value` lines; titles of sections are left out.
    pub fn parse(text: &str) -> Self {
        let fields = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        Self(
            fields
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// A field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A field that is a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    /// Whether this is a node of a cluster.
    pub fn is_cluster(&self) -> bool {
        self.get("cluster_enabled") == Some("1")
    }

    /// Whether this follows another server.
    pub fn is_replica(&self) -> bool {
        self.get("role") == Some("slave")
    }

    /// `Redis 8.2.3`, or `Valkey 9.1.0`, which for its clients' sake calls itself a Redis 7.2 as well.
    pub fn product(&self) -> String {
        match self.get("valkey_version") {
            Some(version) => format!("Valkey {version}"),
            None => format!(
                "Redis {}",
                self.get("redis_version").unwrap_or("of no known version")
            ),
        }
    }

    /// The version of Redis whose commands the server has.
    pub fn version_major(&self) -> Option<u32> {
        self.get("redis_version")?.split('.').next()?.parse().ok()
    }

    /// Whether keys may vanish when memory is full.
    pub fn evicts(&self) -> bool {
        let policy = self.get("maxmemory_policy").unwrap_or("noeviction");
        policy != "noeviction" && self.number("maxmemory").unwrap_or(0) > 0
    }
}

/// What an acknowledged write survives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: it is in memory only, or in a snapshot by chance.
    None,
    /// The process's end, and with `always` also the machine's. The text is `appendfsync`.
    AppendOnly(String),
    /// There is an append-only file; who connects may not ask how it is written.
    Hidden,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("memory only"),
            Self::AppendOnly(fsync) => write!(f, "appendonly=yes, appendfsync={fsync}"),
            Self::Hidden => f.write_str("appendonly=yes"),
        }
    }
}

/// Something that a server may promise about acknowledged writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// They are there after the server's process ended.
    SurvivesRestart,
    /// They are there after the machine lost its power.
    SurvivesPowerLoss,
    /// They are there after a replica has taken over.
    SurvivesFailover,
    /// None of them is thrown out when memory is full.
    KeepsWhenFull,
}

/// What becomes of acknowledged writes on this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promises {
    /// What they survive.
    pub durability: Durability,
    /// Whether keys may vanish when memory is full.
    pub evicts: bool,
    /// Whether replicas follow, asynchronously: one that takes over may lack the last writes.
    pub replicated: bool,
}

impl Promises {
    /// What a server with this durability promises, by what else it says of itself.
    pub fn of(durability: Durability, info: &Info) -> Self {
        Self {
            durability,
            evicts: info.evicts(),
            replicated: info.number("connected_slaves").unwrap_or(0) > 0,
        }
    }

    /// Whether they are there after the server's process ended.
    pub fn survive_restart(&self) -> bool {
        self.durability != Durability::None
    }

    /// Whether they are there after the machine lost its power. A server that does not tell does not promise.
    pub fn survive_power_loss(&self) -> bool {
        matches!(&self.durability, Durability::AppendOnly(fsync) if fsync == "always")
    }

    /// Those that this server does not give: what a store on it lacks.
    pub fn lacking(&self) -> impl Iterator<Item = Promise> {
        let given = [
            (self.survive_restart(), Promise::SurvivesRestart),
            (self.survive_power_loss(), Promise::SurvivesPowerLoss),
            (!self.replicated, Promise::SurvivesFailover),
            (!self.evicts, Promise::KeepsWhenFull),
        ];
        given
            .into_iter()
            .filter_map(|(given, promise)| (!given).then_some(promise))
    }
}

impl Redis {
    /// What becomes of acknowledged writes, by the settings that the server has now.
    pub async fn promises(&self) -> Result<Promises, StoreError> {
        let info = self.info().await?;
        Ok(Promises::of(self.durability(&info).await, &info))
    }

    /// `INFO` of the server; of a cluster, of one of its masters.
    pub async fn info(&self) -> Result<Info, StoreError> {
        let text: String = self.one_node("INFO", &cmd("INFO")).await?;
        Ok(Info::parse(&text))
    }

    /// What an acknowledged write survives, given what the server says of itself.
    pub async fn durability(&self, info: &Info) -> Durability {
        if info.get("aof_enabled") != Some("1") {
            return Durability::None;
        }
        let ask = cmd("CONFIG").arg("GET").arg("appendfsync").to_owned();
        let answer: Result<Vec<String>, _> = self.one_node("CONFIG GET", &ask).await;
        match answer.ok().and_then(|pair| pair.into_iter().nth(1)) {
            Some(fsync) => Durability::AppendOnly(fsync),
            // Managed servers keep CONFIG to themselves.
            None => Durability::Hidden,
        }
    }

    /// A command that is about a server and not about keys.
    async fn one_node<T: ::redis::FromRedisValue>(
        &self,
        operation: &'static str,
        command: &Cmd,
    ) -> Result<T, StoreError> {
        let Connection::Cluster(cluster) = &self.connection else {
            return self.command(operation, command).await;
        };
        self.observed(operation, operation, || async {
            let one = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
            let value: Value = cluster.clone().route_command(command.clone(), one).await?;
            from_redis_value(value).map_err(RedisError::from)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read() {
        let info = Info::parse(
            "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.0\r\n\r\n# Memory\r\nmaxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n",
        );
        assert_eq!(
            (info.version_major(), info.product().as_str()),
            (Some(7), "Valkey 9.1.0")
        );
        assert!(info.evicts() && !info.is_cluster());
        let other = Info::parse(
            "redis_version:8.2.3\r\ncluster_enabled:1\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru",
        );
        assert_eq!(other.product(), "Redis 8.2.3");
        assert!(other.is_cluster() && !other.evicts());
    }

    #[test]
    fn what_is_lacking_follows_from_the_servers_settings() {
        use Promise::{KeepsWhenFull, SurvivesFailover, SurvivesPowerLoss, SurvivesRestart};
        let lacking = |durability: &Durability, info: &Info| -> Vec<Promise> {
            Promises::of(durability.clone(), info).lacking().collect()
        };
        let append = |fsync: &str| Durability::AppendOnly(fsync.to_owned());
        let (plain, replicated) = (
            Info::parse("connected_slaves:0"),
            Info::parse("connected_slaves:2"),
        );
        let evicting = Info::parse("maxmemory:9\r\nmaxmemory_policy:volatile-ttl");
        assert_eq!(lacking(&append("always"), &plain), []);
        assert_eq!(lacking(&append("everysec"), &plain), [SurvivesPowerLoss]);
        assert_eq!(lacking(&Durability::Hidden, &plain), [SurvivesPowerLoss]);
        assert_eq!(
            lacking(&Durability::None, &plain),
            [SurvivesRestart, SurvivesPowerLoss]
        );
        assert_eq!(lacking(&append("always"), &replicated), [SurvivesFailover]);
        assert_eq!(lacking(&append("always"), &evicting), [KeepsWhenFull]);
    }
}
