//! Each service's database role is refused at every other database, and can do nothing to the server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use emporium_tests::{OWNERS, Options, ShopProcess};
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, Executor};

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");

#[tokio::test]
async fn a_role_sees_its_own_database_and_no_other() {
    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    for owner in OWNERS {
        let own: PgConnectOptions = shop.database_url(owner).parse().unwrap();
        let mut connection = PgConnection::connect_with(&own)
            .await
            .expect("its own database lets it in");
        let others = OWNERS
            .iter()
            .filter(|other| **other != owner)
            .map(|other| format!("emporium_{other}"));
        for database in others.chain(["emporium_bus", "postgres", "template1"].map(str::to_owned)) {
            let refused = PgConnection::connect_with(&own.clone().database(&database))
                .await
                .unwrap_err();
            let code = refused
                .as_database_error()
                .and_then(sqlx::error::DatabaseError::code)
                .unwrap()
                .to_string();
            assert_eq!(code, "42501", "{owner} at {database}: {refused}");
        }
        for statement in [
            "CREATE ROLE intruder".to_owned(),
            "CREATE DATABASE intruder".to_owned(),
            format!("ALTER ROLE emporium_{owner} SUPERUSER"),
            "COPY (SELECT 1) TO PROGRAM 'true'".to_owned(),
            "SELECT pg_read_file('postgresql.conf')".to_owned(),
            "SET ROLE postgres".to_owned(),
        ] {
            let refused = connection.execute(AssertSqlSafe(statement.clone())).await;
            assert!(refused.is_err(), "{owner} may {statement}");
        }
        let wrong = PgConnection::connect_with(&own.password("wrong")).await;
        assert!(wrong.is_err(), "{owner} gets in with a wrong password");
    }
}

/// How a role connects to the bus, with the password of `keys.json`.
fn at_the_bus(shop: &ShopProcess, service: &str) -> PgConnectOptions {
    let keys: Value = serde_json::from_slice(&std::fs::read(shop.path().join("keys.json")).unwrap()).unwrap();
    let role = format!("emporium_{service}_bus");
    let password = keys["passwords"][&role].as_str().unwrap().to_owned();
    let options: PgConnectOptions = shop.database_url("orders").parse().unwrap();
    options
        .username(&role)
        .password(&password)
        .database("emporium_bus")
}

fn append(source: &str) -> String {
    format!(
        "WITH head AS (UPDATE bus_head SET position = position + 1 RETURNING position)
         INSERT INTO bus_log (position, id, source, type, subject, version, time, data)
         SELECT position, gen_random_uuid(), '{source}', 'test.v1', 'x', 1, now(), '{{}}' FROM head
         ON CONFLICT (id) DO NOTHING"
    )
}

/// Runs a statement and takes it back; gives how many rows it touched, or the error's code.
async fn attempt(options: &PgConnectOptions, sql: &str) -> Result<u64, String> {
    let mut connection = PgConnection::connect_with(options).await.unwrap();
    let mut tx = connection.begin().await.unwrap();
    let done = tx.execute(AssertSqlSafe(sql.to_owned())).await;
    done.map(|done| done.rows_affected()).map_err(|error| {
        error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .map_or(error.to_string(), |code| code.to_string())
    })
}

#[tokio::test]
async fn nobody_speaks_for_another_service_on_the_bus() {
    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let refused = Err("42501".to_owned());
    for publisher in ["users", "catalog", "orders", "payments", "reviews"] {
        let role = at_the_bus(&shop, publisher);
        for source in ["users", "catalog", "orders", "payments", "reviews", "sessions"] {
            let wanted = if source == publisher {
                Ok(1)
            } else {
                refused.clone()
            };
            assert_eq!(
                attempt(&role, &append(&format!("/{source}"))).await,
                wanted,
                "{publisher} as {source}"
            );
        }
        assert_eq!(
            attempt(&role, "DELETE FROM bus_log").await,
            refused,
            "{publisher}"
        );
        assert_eq!(
            attempt(&role, "UPDATE bus_log SET source = source").await,
            refused,
            "{publisher}"
        );
        assert_eq!(
            attempt(&role, "CREATE TABLE mine ()").await,
            refused,
            "{publisher}"
        );
    }
    for reader in ["sessions", "recommendations", "analytics"] {
        assert_eq!(
            attempt(&at_the_bus(&shop, reader), &append(&format!("/{reader}"))).await,
            refused,
            "{reader} publishes nothing"
        );
    }
    let letter = |group: &str| {
        format!(
            "INSERT INTO bus_dead_letter (group_name, event_id, event, error, attempts)
             VALUES ('{group}', gen_random_uuid(), '{{}}', '', 1)"
        )
    };
    let groups = [
        "sessions",
        "catalog",
        "orders",
        "recommendations",
        "reviews.ratings",
        "analytics",
    ];
    for consumer in groups {
        // A group's service is the part of its name before the dot.
        let service = consumer.split('.').next().unwrap();
        let role = at_the_bus(&shop, service);
        for group in groups {
            let (own, moved) = (
                group == consumer,
                format!("UPDATE bus_group SET position = position WHERE name = '{group}'"),
            );
            assert_eq!(
                attempt(&role, &moved).await,
                Ok(u64::from(own)),
                "{consumer} moves {group}"
            );
            let wanted = if own { Ok(1) } else { refused.clone() };
            assert_eq!(
                attempt(&role, &letter(group)).await,
                wanted,
                "{consumer} fills {group}'s dead letters"
            );
        }
        let new = attempt(
            &role,
            "INSERT INTO bus_group (name, position) VALUES ('another', 0)",
        )
        .await;
        assert_eq!(new, refused, "{consumer} makes a group");
    }
    for publisher in ["users", "payments"] {
        let role = at_the_bus(&shop, publisher);
        for table in ["bus_group", "bus_dead_letter"] {
            assert_eq!(
                attempt(&role, &format!("SELECT FROM {table}")).await,
                refused,
                "{publisher} looks into {table}"
            );
        }
        assert_eq!(
            attempt(&role, "SELECT data FROM bus_log").await,
            refused,
            "{publisher} reads events"
        );
    }
}

#[tokio::test]
async fn every_start_closes_the_databases_again() {
    let mut shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let orders: PgConnectOptions = shop.database_url("orders").parse().unwrap();
    let mut owner = PgConnection::connect_with(&orders).await.unwrap();
    // As after a crash between the making of the database and the taking away of everybody's right to connect.
    owner
        .execute("GRANT ALL ON DATABASE emporium_orders TO PUBLIC")
        .await
        .unwrap();
    owner.close().await.unwrap();
    let stranger = |shop: &ShopProcess| {
        let options: PgConnectOptions = shop.database_url("carts").parse().unwrap();
        options.database("emporium_orders")
    };
    PgConnection::connect_with(&stranger(&shop))
        .await
        .expect("the database is open now")
        .close()
        .await
        .unwrap();
    shop.kill();
    shop.start_again(PROGRAM, &Options::default()).await;
    let refused = PgConnection::connect_with(&stranger(&shop)).await.unwrap_err();
    assert_eq!(
        refused.as_database_error().unwrap().code().unwrap(),
        "42501",
        "{refused}"
    );
}
