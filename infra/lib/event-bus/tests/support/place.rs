//! Where a bus of a test is: a database, or keys of a name of its own.

use std::sync::Arc;

use emporium_event_bus::Bus;
use emporium_event_bus::bus::postgres::PostgresBus;
use emporium_event_bus::bus::redis::RedisBus;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Db, Redis, ServiceName};
use emporium_test_kit::{TestDatabase, connect, service, stores};
use uuid::Uuid;

/// A bus with nothing on it, to be opened any number of times.
pub enum Place {
    Postgres(TestDatabase),
    Redis { url: String, namespace: String },
}

impl Place {
    pub async fn postgres() -> Self {
        Self::Postgres(service::bus_database().await)
    }

    /// On a server that others use, too.
    pub fn redis_at(url: &str) -> Self {
        Self::Redis {
            url: url.to_owned(),
            namespace: format!("test-{}", Uuid::new_v4().simple()),
        }
    }

    pub fn url(&self) -> &str {
        match self {
            Self::Postgres(database) => &database.url,
            Self::Redis { url, .. } => url,
        }
    }

    /// Opens it, as another process would.
    pub async fn bus(&self) -> Arc<dyn Bus> {
        let metrics = Metrics::new(ServiceName::Users);
        match self {
            Self::Postgres(database) => Arc::new(PostgresBus::connect(&database.url, metrics).await.unwrap()),
            Self::Redis { url, namespace } => {
                Arc::new(RedisBus::connect(url, namespace, metrics).await.unwrap())
            }
        }
    }
}

impl Place {
    /// What makes the bus new again, over and over.
    pub async fn cleaner(&self) -> Cleaner {
        match self {
            Self::Postgres(database) => Cleaner::Postgres(connect(&database.url, ServiceName::Users, 1)),
            Self::Redis { url, namespace } => {
                let mut delete = redis::cmd("DEL");
                for key in ["stream", "ids", "meta", "groups", "members"] {
                    delete.arg(format!("{{{namespace}}}:{key}"));
                }
                let metrics = Metrics::new(ServiceName::Users);
                Cleaner::Redis(Redis::connect(url, metrics).await.unwrap(), delete)
            }
        }
    }
}

pub enum Cleaner {
    Postgres(Db),
    Redis(Redis, redis::Cmd),
}

impl Cleaner {
    pub async fn clean(&self) {
        match self {
            Self::Postgres(db) => {
                let sql = "DELETE FROM bus_log; DELETE FROM bus_group; UPDATE bus_head SET position = 0";
                sqlx::raw_sql(sql).execute(db).await.unwrap();
            }
            Self::Redis(redis, delete) => {
                let _: i64 = redis.command("DEL", delete).await.unwrap();
            }
        }
    }
}

/// One function an adapter; `None` where its store cannot be had, which is noted.
pub async fn postgres() -> Option<Place> {
    Some(Place::postgres().await)
}

pub async fn redis() -> Option<Place> {
    Some(Place::redis_at(&stores::redis().await?.url))
}

pub async fn redis_cluster() -> Option<Place> {
    Some(Place::redis_at(&stores::redis_cluster().await?.url))
}
