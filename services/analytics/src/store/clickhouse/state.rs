//! The projection's state: a row a version, of which each is let in once.

use clickhouse::Row;
use emporium_event_bus::projection::{State, Versioned};
use emporium_service_kit::StoreError;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::client::ClickHouse;

/// After how many changes old versions are removed, and how many stay: more than anybody is behind.
const TRIMMED_EVERY: i64 = 1_000;

/// The build that is read, within a statement; 0, the first one, when no state was kept yet.
macro_rules! live {
    () => {
        "(SELECT argMax(live, version) FROM analytics_state)"
    };
}
pub(super) use live;

#[derive(Row, Serialize, Deserialize)]
struct StateRow {
    version: i64,
    #[serde(with = "clickhouse::serde::uuid")]
    writer: Uuid,
    live: i64,
    state: String,
    #[serde(with = "clickhouse::serde::time::datetime64::micros")]
    at: OffsetDateTime,
}

#[derive(Row, Deserialize)]
struct Newest {
    version: i64,
    state: String,
}

/// The state now.
pub(super) async fn load(server: &ClickHouse) -> Result<Versioned, StoreError> {
    let newest: Vec<Newest> = server
        .ask("SELECT version, state FROM analytics_state ORDER BY version DESC LIMIT 1")
        .rows()
        .await?;
    let Some(newest) = newest.into_iter().next() else {
        return Ok(Versioned {
            version: 0,
            state: State::default(),
        });
    };
    Ok(Versioned {
        version: newest.version,
        state: serde_json::from_str(&newest.state).map_err(|error| StoreError::Failed(error.into()))?,
    })
}

/// Keeps the next state if nobody was faster: of two rows of a version the server lets in one, by their token; who reads its own
/// afterwards was first.
pub(super) async fn swap(
    server: &ClickHouse,
    version: i64,
    next: &State,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let row = StateRow {
        version: version + 1,
        writer: Uuid::new_v4(),
        live: next.live().build,
        state: serde_json::to_string(next).map_err(|error| StoreError::Failed(error.into()))?,
        at: now,
    };
    let (writer, token) = (row.writer, format!("state/{}", row.version));
    let written = server.insert("analytics_state", &[row], &token).await;
    if !was_first(server, "analytics_state", version + 1, writer, written).await? {
        return Ok(false);
    }
    if version % TRIMMED_EVERY == 0 && version > 0 {
        server
            .ask("ALTER TABLE analytics_state DELETE WHERE version < {before:Int64}")
            .param("before", version + 1 - TRIMMED_EVERY)
            .run("ALTER")
            .await?;
    }
    Ok(true)
}

/// Whether the row of a version is this writer's, whose insertion ended like that.
pub(super) async fn was_first(
    server: &ClickHouse,
    table: &'static str,
    version: i64,
    writer: Uuid,
    written: Result<(), StoreError>,
) -> Result<bool, StoreError> {
    let writers: Vec<String> = server
        .ask(format!(
            "SELECT toString(writer) FROM {table} WHERE version = {{version:Int64}}"
        ))
        .param("version", version)
        .rows()
        .await?;
    match (writers.as_slice(), written) {
        ([one], _) => Ok(*one == writer.to_string()),
        // Not to be told from a change that is still under way.
        ([], Err(error)) => Err(error),
        _ => Err(torn(table)),
    }
}

/// What only a member brings about that was stopped for as long as ten thousand blocks take.
pub(super) fn torn(what: &str) -> StoreError {
    StoreError::Failed(format!("{what} was written by two at once; rebuild the projection").into())
}
