//! Asking a server whether it is there, and waiting until it is.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::kind::Store;

mod bolt;
mod http;
mod mongodb;

/// One question may take this long.
const QUESTION_LIMIT: Duration = Duration::from_secs(3);

/// What a server tells of itself.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its version.
    pub(crate) version: String,
    /// Its process id, as it sees it; Redis only.
    pub(crate) process: Option<u32>,
}

/// Asks once. The error shows no URL, since that may hold a password.
pub(crate) async fn ask(store: Store, url: &str) -> Result<Answer, String> {
    let question = async {
        match store {
            Store::Redis => ask_redis(url).await.map_err(|error| error.to_string()),
            Store::RedisCluster => ask_cluster(url).await,
            Store::Elasticsearch => http::elasticsearch(url).await,
            Store::ClickHouse => http::clickhouse(url).await,
            Store::Prometheus => http::prometheus(url).await,
            Store::Neo4j => bolt::neo4j(url).await,
            Store::MongoDb => mongodb::ask(url).await,
        }
    };
    timeout(QUESTION_LIMIT, question)
        .await
        .unwrap_or_else(|_| Err("it does not answer in time".to_owned()))
}

/// Asks until the server answers, for at most `limit`, or until `given_up` tells why that is pointless.
pub(crate) async fn wait(
    store: Store,
    url: &str,
    limit: Duration,
    mut given_up: impl FnMut() -> Option<String>,
) -> Result<Answer, String> {
    let end = Instant::now() + limit;
    loop {
        let answer = ask(store, url).await;
        if let Some(why) = given_up() {
            return Err(why);
        }
        match answer {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() >= end => {
                return Err(format!("it is not ready after {} s: {error}", limit.as_secs()));
            }
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// One connection to a Redis server.
pub(crate) async fn redis_connection(url: &str) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
    redis::Client::open(url)?.get_multiplexed_async_connection().await
}

async fn ask_redis(url: &str) -> redis::RedisResult<Answer> {
    let mut connection = redis_connection(url).await?;
    // Answers with an error while the server still reads its file.
    let () = redis::cmd("PING").query_async(&mut connection).await?;
    let info: String = redis::cmd("INFO")
        .arg("server")
        .query_async(&mut connection)
        .await?;
    let field = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.trim().to_owned())
    };
    // Valkey calls itself Redis 7.2.4 for old clients' sake.
    let version = field("valkey_version").map(|version| format!("Valkey {version}"));
    Ok(Answer {
        version: version.or_else(|| field("redis_version")).unwrap_or_default(),
        process: field("process_id").and_then(|id| id.parse().ok()),
    })
}

async fn ask_cluster(url: &str) -> Result<Answer, String> {
    let answer = ask_redis(url).await.map_err(|error| error.to_string())?;
    let info = cluster_info(url).await.map_err(|error| error.to_string())?;
    if info.contains("cluster_state:ok") {
        Ok(answer)
    } else {
        Err("the cluster is not ok".to_owned())
    }
}

/// `CLUSTER INFO` of one node.
pub(crate) async fn cluster_info(url: &str) -> redis::RedisResult<String> {
    let mut connection = redis_connection(url).await?;
    redis::cmd("CLUSTER")
        .arg("INFO")
        .query_async(&mut connection)
        .await
}
