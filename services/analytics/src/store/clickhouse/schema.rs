//! Tables and views, brought up to date.

use clickhouse::Row;
use emporium_service_kit::StoreError;
use serde::Serialize;

use super::client::ClickHouse;

/// In their order, from version 1 on. Every statement may be repeated: whoever dies in the middle is followed by somebody who
/// begins that version again, and two that start at once do the same.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_tables.sql"),
    include_str!("migrations/0002_activity.sql"),
    include_str!("migrations/0003_moving.sql"),
];

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS analytics_migration (version Int64, applied_at DateTime DEFAULT now())
    ENGINE = MergeTree ORDER BY version SETTINGS non_replicated_deduplication_window = 10000";

#[derive(Row, Serialize)]
struct Migration {
    version: i64,
}

/// Applies what is missing. Gives the version of tables that are newer than this program.
pub(super) async fn migrate(server: &ClickHouse) -> Result<Option<i64>, StoreError> {
    server.ask(TABLE).long().run("CREATE").await?;
    let applied: i64 = server
        .ask("SELECT max(version) FROM analytics_migration")
        .one()
        .await?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if applied > known {
        return Ok(Some(applied));
    }
    for (version, text) in (1..).zip(MIGRATIONS) {
        if version <= applied {
            continue;
        }
        for statement in statements(text) {
            server.ask(statement).long().run("CREATE").await?;
        }
        let rows = [Migration { version }];
        let token = format!("migration/{version}");
        server.insert("analytics_migration", &rows, &token).await?;
    }
    Ok(None)
}

/// A server takes one statement a request.
fn statements(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    text.split(";\n")
        .map(|statement| statement.trim().to_owned())
        .filter(|statement| !statement.is_empty())
        .collect()
}
