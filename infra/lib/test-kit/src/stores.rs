//! Real stores for tests: Redis, a Redis Cluster, Elasticsearch.
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

pub use kind::{Durability, RedisSettings, SharedStore, Source, Store};
pub use not_run::{NOT_RUN_VARIABLE, NotRun};
pub use own::OwnStore;

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
    let password = Some(password.to_owned());
    own(Spec::Elasticsearch { password }).await
}

async fn shared(store: Store, cell: &'static Shared) -> Option<SharedStore> {
    match cell.get_or_init(|| start::shared(store)).await {
        Ok((shared, _)) => Some(shared.clone()),
        Err(reason) => {
            not_run::note(store, reason);
            None
        }
    }
}

async fn own(spec: Spec) -> Option<OwnStore> {
    let store = spec.store();
    match OwnStore::start(spec).await {
        Ok(own) => Some(own),
        Err(reason) => {
            not_run::note(store, &reason);
            None
        }
    }
}
