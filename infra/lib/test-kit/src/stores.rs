//! Real stores for tests: Redis, a Redis Cluster, Elasticsearch, Neo4j, ClickHouse, MongoDB, Prometheus.
//!
//! ```no_run
//! # async fn example() {
//! use emporium_test_kit::stores::{self, Durability};
//!
//! // Shared by the whole run: keep to keys or indices of a name of your own.
//! let Some(redis) = stores::redis().await else { return };
//! // This test's own, to torment.
//! let Some(own) = stores::own_redis(Durability::Always).await else { return };
//! own.kill().await;
//! own.restart().await;
//! # let _ = redis;
//! # }
//! ```
//!
//! Where they come from, the first that has them: a URL in the environment ([`Store::url_variable`]; not for a test's own
//! servers), Docker, the scripts of `infra/stores`. `None` says that the store cannot be had here: that is noted as *not
//! run*, and the runner `test-stores` lists it at the end. In CI it is a panic instead.
//!
//! Under the runner every shared server is started once a run; without it, once a test process.

mod cluster;
mod docker;
mod keeper;
mod kind;
mod not_run;
mod own;
mod ports;
mod process;
mod progress;
mod ready;
pub mod runner;
mod scripts;
mod server;
mod spec;
mod start;
mod state;

pub use kind::{Durability, PrometheusSettings, RedisSettings, SharedStore, Source, Store};
pub use not_run::{NOT_RUN_VARIABLE, NotRun};
pub use own::OwnStore;

use futures::FutureExt;
use server::Server;
use spec::Spec;
use tokio::sync::OnceCell;

/// A shared store with what keeps it alive, or why it cannot be had.
type Shared = OnceCell<Result<(SharedStore, Option<Server>), String>>;

/// The Redis that all tests share. Tests keep out of each other's way by key names.
pub async fn redis() -> Option<SharedStore> {
    static SHARED: Shared = OnceCell::const_new();
    shared(Store::Redis, &SHARED).await
}

/// The Redis Cluster of three masters that all tests share. The URL is the first node's, which names the others.
pub async fn redis_cluster() -> Option<SharedStore> {
    static SHARED: Shared = OnceCell::const_new();
    shared(Store::RedisCluster, &SHARED).await
}

/// The Elasticsearch that all tests share. Tests keep out of each other's way by index names.
pub async fn elasticsearch() -> Option<SharedStore> {
    static SHARED: Shared = OnceCell::const_new();
    shared(Store::Elasticsearch, &SHARED).await
}

/// The Neo4j that all tests share. Tests keep out of each other's way by names: Community has one database.
pub async fn neo4j() -> Option<SharedStore> {
    static SHARED: Shared = OnceCell::const_new();
    shared(Store::Neo4j, &SHARED).await
}

/// The ClickHouse that all tests share. Tests keep out of each other's way by databases.
pub async fn clickhouse() -> Option<SharedStore> {
    static SHARED: Shared = OnceCell::const_new();
    shared(Store::ClickHouse, &SHARED).await
}

/// The MongoDB that all tests share. Tests keep out of each other's way by databases.
pub async fn mongodb() -> Option<SharedStore> {
    static SHARED: Shared = OnceCell::const_new();
    shared(Store::MongoDb, &SHARED).await
}

/// A Redis of this test's own.
pub async fn own_redis(durability: Durability) -> Option<OwnStore> {
    own_redis_with(RedisSettings {
        durability,
        ..RedisSettings::default()
    })
    .await
}

/// A Redis of this test's own, with passwords.
pub async fn own_redis_with(settings: RedisSettings) -> Option<OwnStore> {
    own(Spec::Redis {
        settings,
        cluster: false,
    })
    .await
}

/// A Redis Cluster of three masters of this test's own, which is paused, killed and started again as a whole.
pub async fn own_redis_cluster() -> Option<OwnStore> {
    own(Spec::plain(Store::RedisCluster)).await
}

/// An Elasticsearch of this test's own, without security.
pub async fn own_elasticsearch() -> Option<OwnStore> {
    own(Spec::plain(Store::Elasticsearch)).await
}

/// An Elasticsearch of this test's own, whose user `elastic` has this password.
pub async fn own_elasticsearch_with(password: &str) -> Option<OwnStore> {
    own(Spec::with_password(Store::Elasticsearch, password)).await
}

/// A Neo4j of this test's own, with a password: the one in its URL.
pub async fn own_neo4j() -> Option<OwnStore> {
    own(Spec::plain(Store::Neo4j)).await
}

/// A ClickHouse of this test's own, without a password.
pub async fn own_clickhouse() -> Option<OwnStore> {
    own(Spec::plain(Store::ClickHouse)).await
}

/// A ClickHouse of this test's own, whose user `default` has this password.
pub async fn own_clickhouse_with(password: &str) -> Option<OwnStore> {
    own(Spec::with_password(Store::ClickHouse, password)).await
}

/// A MongoDB of this test's own, without access control.
pub async fn own_mongodb() -> Option<OwnStore> {
    own(Spec::plain(Store::MongoDb)).await
}

/// A MongoDB of this test's own, where everybody has to be `admin` with this password.
pub async fn own_mongodb_with(password: &str) -> Option<OwnStore> {
    own(Spec::with_password(Store::MongoDb, password)).await
}

/// A Prometheus of this test's own.
pub async fn own_prometheus(settings: PrometheusSettings) -> Option<OwnStore> {
    let server = own(Spec::Prometheus(settings)).await?;
    // `increase(… anchored)`, which the adapter counts by, is of 3.16.
    if release(&server.version) < Some((3, 16)) {
        let reason = format!("{} is older than 3.16", server.version);
        not_run::note(Store::Prometheus, &reason);
        return None;
    }
    Some(server)
}

/// The first two numbers of a version.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

async fn shared(store: Store, cell: &'static Shared) -> Option<SharedStore> {
    match cell.get_or_init(|| start::shared(store).boxed()).await {
        Ok((shared, _)) => Some(shared.clone()),
        Err(reason) => {
            not_run::note(store, reason);
            None
        }
    }
}

async fn own(spec: Spec) -> Option<OwnStore> {
    let store = spec.store();
    // Boxed, as below: the compiler gives up on how deep the futures of all these clients are, seen from a test.
    match OwnStore::start(spec).boxed().await {
        Ok(own) => Some(own),
        Err(reason) => {
            not_run::note(store, &reason);
            None
        }
    }
}
