//! One database and one role for each service, and a role at the event bus for those who use it: no service can read
//! another's data. Every start brings all of it in line again, so that neither a crash in between, nor keys restored from a
//! backup, nor a grant made by hand leaves it half-done.

use std::fmt;

use emporium_embedded_postgres::Server;
use emporium_service_kit::ServiceName;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::Error;
use crate::keys::Keys;

mod bus;

pub use bus::{CONSUMERS, bus_role_of, uses_bus};

const BUS: &str = "emporium_bus";
/// Connections a role may have: its pool and some for people.
const CONNECTIONS_MAX: u32 = 40;

/// The services that own a database.
pub const OWNERS: [ServiceName; 10] = [
    ServiceName::Users,
    ServiceName::Sessions,
    ServiceName::Catalog,
    ServiceName::Carts,
    ServiceName::Orders,
    ServiceName::Payments,
    ServiceName::Recommendations,
    ServiceName::Reviews,
    ServiceName::Analytics,
    ServiceName::Monitoring,
];

/// The database (and the role that owns it) of a service.
pub fn database_of(service: ServiceName) -> String {
    format!("emporium_{service}")
}

/// All roles with a password.
pub fn roles() -> Vec<String> {
    let owners = OWNERS.into_iter().map(database_of);
    let members = OWNERS.into_iter().filter(|name| uses_bus(*name)).map(bus_role_of);
    owners.chain(members).chain([BUS.to_owned()]).collect()
}

/// Where a role connects to.
pub struct Target<'a> {
    server: &'a Server,
    keys: &'a Keys,
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target")
    }
}

impl<'a> Target<'a> {
    /// The embedded server with these passwords.
    pub fn new(server: &'a Server, keys: &'a Keys) -> Self {
        Self { server, keys }
    }

    /// The secrets and passwords.
    pub fn keys(&self) -> &'a Keys {
        self.keys
    }

    /// How `role` connects to `database`: by the Unix socket when there is one, which spares TCP's cost.
    pub fn options(&self, role: &str, database: &str) -> Result<PgConnectOptions, Error> {
        Ok(self.with_password(role, self.keys.password(role)?, database))
    }

    /// The URL by which a service reaches the event bus, over TCP; `None` for those that do not use it.
    pub fn bus_url(&self, service: ServiceName) -> Result<Option<String>, Error> {
        uses_bus(service)
            .then(|| self.url(&bus_role_of(service), BUS))
            .transpose()
    }

    /// The URL by which the bus's owner reaches it, over TCP.
    pub fn bus_owner_url(&self) -> Result<String, Error> {
        self.url(BUS, BUS)
    }

    /// The URL by which `role` reaches `database`, over TCP.
    pub fn url(&self, role: &str, database: &str) -> Result<String, Error> {
        let (port, password) = (self.server.port(), self.keys.password(role)?);
        Ok(format!(
            "postgres://{role}:{password}@127.0.0.1:{port}/{database}?sslmode=disable"
        ))
    }

    /// Its statements are logged nowhere, since some of them hold passwords.
    fn superuser(&self, database: &str) -> PgConnectOptions {
        self.with_password(self.server.superuser(), self.server.password(), database)
            .disable_statement_logging()
    }

    fn with_password(&self, role: &str, password: &str, database: &str) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass()
            .port(self.server.port())
            .username(role)
            .password(password)
            .database(database)
            .ssl_mode(PgSslMode::Disable);
        match self.server.socket_dir() {
            Some(folder) => options.socket(folder),
            None => options.host("127.0.0.1"),
        }
    }
}

/// Makes what is missing and brings the rest in line: roles with their passwords, databases, the bus's tables and grants.
pub async fn provision(target: &Target<'_>) -> Result<(), Error> {
    let mut admin = PgConnection::connect_with(&target.superuser("postgres")).await?;
    set_roles(&mut admin, target.keys).await?;
    create_databases(&mut admin).await?;
    admin.close().await?;
    bus::prepare(target).await
}

/// Has everything written that a stop would have to write. Whether it succeeds is nobody's business: it only saves time.
pub fn checkpoint(target: &Target<'_>) -> impl Future<Output = ()> + Send + 'static {
    let options = target.superuser("postgres");
    async move {
        if let Ok(mut admin) = PgConnection::connect_with(&options).await {
            let _ = run(&mut admin, "CHECKPOINT".to_owned()).await;
        }
    }
}

/// All in one transaction: after a crash either all passwords are those of `keys.json` or none is, and the next start sets
/// them again.
async fn set_roles(admin: &mut PgConnection, keys: &Keys) -> Result<(), Error> {
    let mut tx = admin.begin().await?;
    // Before the statements that hold passwords: not even a failing one may show them in the server's log.
    run(
        &mut tx,
        "SET LOCAL log_statement = 'none'; SET LOCAL log_min_duration_statement = -1;
         SET LOCAL log_min_error_statement = 'panic'"
            .to_owned(),
    )
    .await?;
    let there: Vec<String> = sqlx::query_scalar("SELECT rolname::text FROM pg_roles")
        .fetch_all(&mut *tx)
        .await?;
    for role in roles() {
        let verb = if there.contains(&role) { "ALTER" } else { "CREATE" };
        // Role names are constants and passwords are hexadecimal, so nothing here can be injected.
        let password = keys.password(&role)?;
        let sql = format!(
            "{verb} ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION
             CONNECTION LIMIT {CONNECTIONS_MAX} PASSWORD '{password}'"
        );
        run(&mut tx, sql).await?;
    }
    Ok(tx.commit().await?)
}

/// The right to connect is taken from everybody at every start: a crash right after `CREATE DATABASE` must not leave the
/// new one open.
async fn create_databases(admin: &mut PgConnection) -> Result<(), Error> {
    let there: Vec<String> = sqlx::query_scalar("SELECT datname::text FROM pg_database")
        .fetch_all(&mut *admin)
        .await?;
    let names: Vec<String> = OWNERS
        .into_iter()
        .map(database_of)
        .chain([BUS.to_owned()])
        .collect();
    for name in names.iter().filter(|name| !there.contains(name)) {
        run(admin, format!("CREATE DATABASE {name} OWNER {name}")).await?;
    }
    let all = names.join(", ");
    let sql = format!("REVOKE ALL ON DATABASE postgres, template1, {all} FROM PUBLIC");
    Ok(run(admin, sql).await?)
}

async fn run(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .map(|_| ())
}
