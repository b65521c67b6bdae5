//! One database and one role for each service, and a role for each at the event bus: no service can read another's data.

use std::fmt;

use emporium_embedded_postgres::Server;
use emporium_event_bus::bus::postgres as bus;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Db, ServiceName};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, Connection};

use crate::Error;
use crate::keys::Keys;

const BUS: &str = "emporium_bus";
const BUS_MEMBER: &str = "emporium_bus_member";
/// Connections a role may have: its pool and some for people.
const CONNECTIONS_MAX: u32 = 40;

/// The services that own a database.
pub const OWNERS: [ServiceName; 6] = [
    ServiceName::Users,
    ServiceName::Sessions,
    ServiceName::Catalog,
    ServiceName::Carts,
    ServiceName::Orders,
    ServiceName::Payments,
];

/// The database (and the role that owns it) of a service.
pub fn database_of(service: ServiceName) -> String {
    format!("emporium_{service}")
}

/// The role by which a service uses the event bus.
pub fn bus_role_of(service: ServiceName) -> String {
    format!("emporium_{service}_bus")
}

/// All roles with a password.
pub fn roles() -> Vec<String> {
    let mut roles = vec![BUS.to_owned()];
    for service in OWNERS {
        roles.push(database_of(service));
        roles.push(bus_role_of(service));
    }
    roles
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
    pub fn options(&self, role: &str, database: &str) -> PgConnectOptions {
        self.with_password(role, self.keys.password(role), database)
    }

    /// The URL by which `role` reaches the event bus, over TCP.
    pub fn bus_url(&self, service: ServiceName) -> String {
        let role = bus_role_of(service);
        self.url(&role, BUS)
    }

    /// The URL by which `role` reaches `database`, over TCP.
    pub fn url(&self, role: &str, database: &str) -> String {
        let (port, password) = (self.server.port(), self.keys.password(role));
        format!("postgres://{role}:{password}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    fn superuser(&self, database: &str) -> PgConnectOptions {
        self.with_password(self.server.superuser(), self.server.password(), database)
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

/// Makes what is missing: roles, databases, the bus's tables and grants. `keys_are_new` sets every password anew.
pub async fn provision(target: &Target<'_>, keys_are_new: bool) -> Result<(), Error> {
    let mut admin = PgConnection::connect_with(&target.superuser("postgres")).await?;
    let roles_there: Vec<String> = sqlx::query_scalar("SELECT rolname::text FROM pg_roles").fetch_all(&mut admin).await?;
    for role in roles() {
        if roles_there.contains(&role) && !keys_are_new {
            continue;
        }
        let verb = if roles_there.contains(&role) { "ALTER" } else { "CREATE" };
        // Role names are constants and passwords hexadecimal, so nothing here can be injected.
        let password = target.keys.password(&role);
        run(
            &mut admin,
            format!(
                "{verb} ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION
                 CONNECTION LIMIT {CONNECTIONS_MAX} PASSWORD '{password}'"
            ),
        )
        .await?;
    }
    if !roles_there.iter().any(|role| role == BUS_MEMBER) {
        run(&mut admin, format!("CREATE ROLE {BUS_MEMBER} NOLOGIN")).await?;
    }
    create_databases(&mut admin).await?;
    admin.close().await?;
    prepare_bus(target).await
}

async fn create_databases(admin: &mut PgConnection) -> Result<(), Error> {
    let there: Vec<String> = sqlx::query_scalar("SELECT datname::text FROM pg_database").fetch_all(&mut *admin).await?;
    run(admin, "REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC".to_owned()).await?;
    let names = OWNERS.into_iter().map(database_of).chain([BUS.to_owned()]);
    for name in names.filter(|name| !there.contains(name)) {
        run(admin, format!("CREATE DATABASE {name} OWNER {name}")).await?;
        run(admin, format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC")).await?;
    }
    Ok(())
}

/// The bus belongs to its own role; the services get just what a member of it needs.
async fn prepare_bus(target: &Target<'_>) -> Result<(), Error> {
    let owner = Db::connect(target.options(BUS, BUS), 1, Metrics::new(ServiceName::Operator));
    bus::migrate(&owner).await?;
    owner.pool().close().await;
    let mut admin = PgConnection::connect_with(&target.superuser(BUS)).await?;
    let members = OWNERS.into_iter().map(bus_role_of).collect::<Vec<_>>().join(", ");
    run(
        &mut admin,
        format!(
            "GRANT {BUS_MEMBER} TO {members};
             GRANT CONNECT ON DATABASE {BUS} TO {BUS_MEMBER};
             GRANT SELECT, INSERT ON bus_log TO {BUS_MEMBER};
             GRANT SELECT, UPDATE ON bus_head TO {BUS_MEMBER};
             GRANT SELECT, INSERT, UPDATE ON bus_group, bus_dead_letter TO {BUS_MEMBER}"
        ),
    )
    .await?;
    admin.close().await?;
    Ok(())
}

async fn run(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(|_| ())
}
