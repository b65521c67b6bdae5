//! One embedded PostgreSQL a test process, and databases cloned from templates.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use emporium_embedded_postgres::{Server, Settings};
use emporium_service_kit::config::database_options;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Db, ServiceName};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};
use tokio::sync::{Mutex, OnceCell};

static SERVER: OnceCell<TestPostgres> = OnceCell::const_new();
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// The server of this test process. It ends with the process; its folder is swept by the next one.
pub struct TestPostgres {
    server: Server,
    templates: Mutex<HashMap<String, String>>,
}

/// A database of its own for one test.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    /// Connection URL, as the database's owner.
    pub url: String,
    /// Its name.
    pub name: String,
}

impl TestPostgres {
    /// The process's server, started at the first call.
    pub async fn get() -> &'static Self {
        SERVER
            .get_or_init(|| async {
                let root = new_root();
                // Tests that promise durability start a server of their own; here speed matters.
                let settings = Settings {
                    max_connections: 400,
                    ..Settings::new(root)
                }
                .with("fsync", "off")
                .with("full_page_writes", "off")
                .with("synchronous_commit", "off");
                let server = Server::start_async(settings, |_| {})
                    .await
                    .expect("embedded PostgreSQL starts");
                Self {
                    server,
                    templates: Mutex::default(),
                }
            })
            .await
    }

    /// An empty database.
    pub async fn empty_database(&self) -> TestDatabase {
        let name = format!("test_{}", COUNTER.fetch_add(1, Ordering::SeqCst));
        self.admin(&format!("CREATE DATABASE {name}")).await;
        TestDatabase {
            url: self.url(&name),
            name,
        }
    }

    /// A clone of the template `key`, which `prepare` fills at the first call (migrations, mostly).
    pub async fn database(&self, key: &str, prepare: impl AsyncFnOnce(&TestDatabase)) -> TestDatabase {
        let mut templates = self.templates.lock().await;
        if !templates.contains_key(key) {
            let template = self.empty_database().await;
            prepare(&template).await;
            let name = &template.name;
            self.admin(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
                .await;
            self.admin(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            ))
            .await;
            templates.insert(key.to_owned(), template.name);
        }
        let name = format!("test_{}", COUNTER.fetch_add(1, Ordering::SeqCst));
        self.admin(&format!(
            "CREATE DATABASE {name} TEMPLATE {} STRATEGY file_copy",
            templates[key]
        ))
        .await;
        TestDatabase {
            url: self.url(&name),
            name,
        }
    }

    /// Connection URL of a database, as the superuser.
    pub fn url(&self, database: &str) -> String {
        let (port, password) = (self.server.port(), self.server.password());
        format!(
            "postgres://{}:{password}@127.0.0.1:{port}/{database}?sslmode=disable",
            self.server.superuser()
        )
    }

    async fn admin(&self, sql: &str) {
        let options: PgConnectOptions = self.url("postgres").parse().unwrap();
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }
}

/// A service's pool of at most so many connections to a test's database.
pub fn connect(url: &str, service: ServiceName, connections_max: u32) -> Db {
    Db::connect(
        database_options(url).unwrap(),
        connections_max,
        Metrics::new(service),
    )
}

/// Rows that the tables whose names fit the regular expression have given since they were made, by scans and by indices. `db` has
/// to have one connection, and be the only one that reads: a connection tells its counts when it likes, or when it is asked.
pub async fn rows_read(db: &Db, tables: &str) -> i64 {
    for sql in [
        "SELECT pg_stat_force_next_flush()",
        "SELECT pg_stat_clear_snapshot()",
    ] {
        sqlx::query(sql).execute(db).await.unwrap();
    }
    sqlx::query_scalar(
        "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables WHERE relname ~ $1",
    )
    .bind(tables)
    .fetch_one(db)
    .await
    .unwrap()
}

/// A folder named after this process, where an unprivileged server can live. Folders of processes that are gone are
/// removed on the way.
pub(crate) fn new_root() -> PathBuf {
    static SWEPT: Once = Once::new();
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let base = std::env::temp_dir().join("emporium-tests");
    let mine = base.join(std::process::id().to_string());
    SWEPT.call_once(|| {
        std::fs::create_dir_all(&base).unwrap();
        sweep(&base);
        // Of a process that had the same id.
        let _ = std::fs::remove_dir_all(&mine);
    });
    let root = mine.join(NUMBER.fetch_add(1, Ordering::SeqCst).to_string());
    std::fs::create_dir_all(&root).unwrap();
    root
}

fn sweep(base: &Path) {
    for entry in std::fs::read_dir(base).unwrap().flatten() {
        let alive = entry
            .file_name()
            .to_string_lossy()
            .parse::<u32>()
            .is_ok_and(|pid| Path::new("/proc").join(pid.to_string()).exists());
        if !alive {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
