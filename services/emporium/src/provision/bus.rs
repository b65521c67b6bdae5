//! Who may do what on the event bus.
//!
//! | role | log | head | its own group and dead letters |
//! |---|---|---|---|
//! | publishers | append events of their own source | take positions | – |
//! | consumers | read | read | read and write |
//!
//! Row-level security ties a row to its role: `emporium_orders_bus` appends events of `/orders` only and moves the groups
//! `orders` and `orders.…` only. The owner, `emporium_bus`, is exempt: it trims and migrates. What is left: a publisher takes positions
//! from the one head row that all share, so a broken one can leave gaps or hold up others, but cannot speak for them.

use emporium_event_bus::bus::postgres as bus;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Db, ServiceName};
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::{BUS, Target, run};
use crate::Error;

const PUBLISHERS: [ServiceName; 5] = [
    ServiceName::Users,
    ServiceName::Catalog,
    ServiceName::Orders,
    ServiceName::Payments,
    ServiceName::Reviews,
];
/// The services that consume events.
pub const CONSUMERS: [ServiceName; 6] = [
    ServiceName::Sessions,
    ServiceName::Catalog,
    ServiceName::Orders,
    ServiceName::Recommendations,
    ServiceName::Reviews,
    ServiceName::Analytics,
];

/// Whether a service publishes or consumes events.
pub fn uses_bus(service: ServiceName) -> bool {
    PUBLISHERS.contains(&service) || CONSUMERS.contains(&service)
}

/// The role by which a service uses the event bus.
pub fn bus_role_of(service: ServiceName) -> String {
    format!("emporium_{service}_bus")
}

/// The bus belongs to its own role; the services get just what they need. This process has the data folder, so nobody
/// consumes by now: leases of a killed run are void, and the groups need not wait for them to expire.
pub(super) async fn prepare(target: &Target<'_>) -> Result<(), Error> {
    let owner = Db::connect(target.options(BUS, BUS)?, 1, Metrics::new(ServiceName::Operator));
    bus::migrate(&owner).await?;
    owner.pool().close().await;
    let mut admin = PgConnection::connect_with(&target.superuser(BUS)).await?;
    let mut tx = admin.begin().await?;
    run(&mut tx, grants()).await?;
    run(&mut tx, POLICIES.to_owned()).await?;
    run(
        &mut tx,
        "UPDATE bus_group SET member = NULL, leased_until = NULL WHERE member IS NOT NULL".to_owned(),
    )
    .await?;
    tx.commit().await?;
    Ok(admin.close().await?)
}

fn grants() -> String {
    let list = |services: &[ServiceName]| {
        let roles: Vec<String> = services.iter().copied().map(bus_role_of).collect();
        roles.join(", ")
    };
    let (publishers, consumers) = (list(&PUBLISHERS), list(&CONSUMERS));
    format!(
        "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {publishers}, {consumers};
         GRANT CONNECT ON DATABASE {BUS} TO {publishers}, {consumers};
         GRANT SELECT ON bus_head TO {publishers}, {consumers};
         GRANT UPDATE ON bus_head TO {publishers};
         GRANT SELECT (id), INSERT ON bus_log TO {publishers};
         GRANT SELECT ON bus_log TO {consumers};
         GRANT SELECT, INSERT, UPDATE ON bus_group, bus_dead_letter TO {consumers}"
    )
}

/// A role's service is the middle part of its name, and a group's the part before the first dot: `orders`, `reviews.ratings`.
const POLICIES: &str = "
ALTER TABLE bus_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE bus_group ENABLE ROW LEVEL SECURITY;
ALTER TABLE bus_dead_letter ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS read_all ON bus_log;
DROP POLICY IF EXISTS append_own ON bus_log;
DROP POLICY IF EXISTS own ON bus_group;
DROP POLICY IF EXISTS own ON bus_dead_letter;
CREATE POLICY read_all ON bus_log FOR SELECT USING (true);
CREATE POLICY append_own ON bus_log FOR INSERT WITH CHECK (source = '/' || split_part(current_user, '_', 2));
CREATE POLICY own ON bus_group USING (split_part(name, '.', 1) = split_part(current_user, '_', 2));
CREATE POLICY own ON bus_dead_letter USING (split_part(group_name, '.', 1) = split_part(current_user, '_', 2))";
