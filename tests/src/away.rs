//! A service whose database lets nobody in, or answers nobody, while the rest of the shop goes on.

use emporium_test_kit::eventually;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::process::ShopProcess;

/// A service's own database, closed: every connection is broken and no new one is let in, until [`DatabaseAway::back`].
/// The database server and everybody else's databases go on.
pub struct DatabaseAway {
    owner: PgConnection,
    database: String,
}

impl DatabaseAway {
    /// Closes the database of a service.
    pub async fn of(shop: &ShopProcess, service: &str) -> Self {
        let options: PgConnectOptions = shop.database_url(service).parse().unwrap();
        let mut away = Self {
            owner: PgConnection::connect_with(&options).await.unwrap(),
            database: options.get_database().unwrap().to_owned(),
        };
        away.limit(0).await;
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        eventually("nobody else is connected", 10, async || {
            let ended = away.owner.execute(others).await.unwrap();
            (ended.rows_affected() == 0).then_some(())
        })
        .await;
        away
    }

    /// Opens it again.
    pub async fn back(mut self) {
        self.limit(-1).await;
        self.owner.close().await.unwrap();
    }

    async fn limit(&mut self, connections: i32) {
        let sql = format!("ALTER DATABASE {} CONNECTION LIMIT {connections}", self.database);
        self.owner.execute(AssertSqlSafe(sql)).await.unwrap();
    }
}

/// A service's own tables, locked: its statements wait for ever instead of failing, until [`TablesLocked::free`].
pub struct TablesLocked(PgConnection);

impl TablesLocked {
    /// Locks every table of a service.
    pub async fn of(shop: &ShopProcess, service: &str) -> Self {
        let options: PgConnectOptions = shop.database_url(service).parse().unwrap();
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        // The service's own transactions are short; one of them may have a table before this has them all, and this one then
        // gives way and begins again.
        eventually("all tables are locked", 20, async || {
            connection.execute("BEGIN; SET LOCAL lock_timeout = '200ms'").await.unwrap();
            let all = "DO $$ DECLARE name text; BEGIN
                FOR name IN SELECT format('%I', relname) FROM pg_class
                    WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace
                LOOP EXECUTE 'LOCK TABLE ' || name || ' IN ACCESS EXCLUSIVE MODE'; END LOOP;
            END $$";
            if connection.execute(all).await.is_ok() {
                return Some(());
            }
            connection.execute("ROLLBACK").await.unwrap();
            None
        })
        .await;
        Self(connection)
    }

    /// Lets everybody go on.
    pub async fn free(mut self) {
        self.0.execute("ROLLBACK").await.unwrap();
        self.0.close().await.unwrap();
    }
}
