//! Where the database server's time goes, statement by statement (`--profile`). PostgreSQL's `pg_stat_statements` takes some
//! time itself, so figures of such a run are not to be quoted.

use sqlx::FromRow;
use tokio::runtime::Runtime;

use crate::prepare::{execute, superuser_of};
use crate::process::Shop;

const SHOWN_MAX: i64 = 40;
const SQL_CHARS_MAX: usize = 150;

#[derive(FromRow)]
struct Statement {
    database: String,
    calls: i64,
    total_ms: f64,
    planned_ms: f64,
    wal_bytes: f64,
    rows: i64,
    query: String,
}

/// Begins to count anew.
pub fn begin(runtime: &Runtime, shop: &Shop) -> anyhow::Result<()> {
    let superuser = superuser_of(shop)?;
    runtime.block_on(async {
        let mut admin = superuser.connect("postgres").await?;
        execute(
            &mut admin,
            "CREATE EXTENSION IF NOT EXISTS pg_stat_statements".to_owned(),
        )
        .await?;
        execute(&mut admin, "SELECT pg_stat_statements_reset()".to_owned()).await
    })
}

/// Prints the statements that took most time since [`begin`].
pub fn print(runtime: &Runtime, shop: &Shop) -> anyhow::Result<()> {
    let superuser = superuser_of(shop)?;
    let found: Vec<Statement> = runtime.block_on(async {
        let mut admin = superuser.connect("postgres").await?;
        let found = sqlx::query_as(
            "SELECT d.datname::text AS database, s.calls, s.total_exec_time AS total_ms, s.total_plan_time AS planned_ms,
                    s.wal_bytes::double precision AS wal_bytes, s.rows, s.query
             FROM pg_stat_statements AS s JOIN pg_database AS d ON d.oid = s.dbid
             ORDER BY s.total_exec_time + s.total_plan_time DESC LIMIT $1",
        );
        anyhow::Ok(found.bind(SHOWN_MAX).fetch_all(&mut admin).await?)
    })?;
    eprintln!("  database             calls  total ms  mean µs  plan µs  WAL bytes   rows  statement");
    for one in found {
        let query: String = one.query.split_whitespace().collect::<Vec<_>>().join(" ");
        let query: String = query.chars().take(SQL_CHARS_MAX).collect();
        #[allow(clippy::cast_precision_loss)] // to look at
        let calls = one.calls as f64;
        eprintln!(
            "  {:18} {:7}  {:8.0}  {:7.0}  {:7.0}  {:9.0}  {:5}  {query}",
            one.database,
            one.calls,
            one.total_ms + one.planned_ms,
            one.total_ms * 1e3 / calls,
            one.planned_ms * 1e3 / calls,
            one.wal_bytes / calls,
            one.rows
        );
    }
    Ok(())
}
