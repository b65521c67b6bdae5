//! What a run needs before it can measure: a filled shop, customers who are signed in, stock that lasts, and a copy of every
//! database for the floor.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use emporium_embedded_postgres::{Server, Settings};
use emporium_sessions::token::{TokenHash, generate};
use rand::seq::IndexedRandom;
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, Connection};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::http::Api;
use crate::process::{Shop, cluster};

/// As many connections as the shop allows its server.
pub const SERVER_CONNECTIONS: u16 = 150;
/// Products that orders are about; they get stock that no run exhausts.
const ORDERED_PRODUCTS: usize = 1_000;
const STOCK_ADDED: u64 = 500_000;
const QUERIES: usize = 400;
const CART_CUSTOMERS: usize = 64;

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Customer {
    /// The session's token.
    pub token: String,
    /// Where their orders go.
    pub address_id: Uuid,
}

/// What requests are made of.
#[derive(Debug)]
pub struct Material {
    /// All active products, the most sold first.
    pub products: Vec<Uuid>,
    /// The first of them, with stock.
    pub ordered: Vec<Uuid>,
    /// Search texts of one or two words that occur in products' names, percent-encoded.
    pub queries: Vec<String>,
    /// Customers who put things into their carts.
    pub cart_customers: Vec<Customer>,
    /// Customers who order; others, so that an ordered cart holds what was put in for the order.
    pub customers: Vec<Customer>,
}

/// Asks the shop's databases for what there is, signs `customers` customers in and fills up the stock.
pub fn prepare(runtime: &Runtime, shop: &Shop, customers: usize) -> anyhow::Result<Material> {
    let products: Vec<Uuid> = runtime.block_on(async {
        let mut catalog = connect(shop, "catalog").await?;
        sqlx::query_scalar(
            "SELECT p.id FROM catalog_product p JOIN catalog_stock s ON s.product_id = p.id
             WHERE NOT s.archived ORDER BY s.popularity DESC, p.id",
        )
        .fetch_all(&mut catalog)
        .await
        .context("listing the products")
    })?;
    let ordered = products[..products.len().min(ORDERED_PRODUCTS)].to_vec();
    add_stock(shop, &ordered)?;
    let queries = runtime.block_on(queries(shop))?;
    let mut cart_customers = runtime.block_on(sign_in(shop, customers + CART_CUSTOMERS))?;
    let customers = cart_customers.split_off(cart_customers.len().min(CART_CUSTOMERS));
    if products.is_empty() || queries.is_empty() || customers.is_empty() {
        bail!("the shop has no products, words or customers to measure with");
    }
    Ok(Material {
        products,
        ordered,
        queries,
        cart_customers,
        customers,
    })
}

/// A connection to one owner's database.
async fn connect(shop: &Shop, owner: &str) -> anyhow::Result<PgConnection> {
    let url = shop
        .databases
        .get(owner)
        .ok_or_else(|| anyhow!("running.json has no database of {owner}"))?;
    PgConnection::connect(url)
        .await
        .with_context(|| format!("connecting to the database of {owner}"))
}

fn add_stock(shop: &Shop, products: &[Uuid]) -> anyhow::Result<()> {
    let mut api = administrator(shop)?;
    let body = format!(r#"{{"delta":{STOCK_ADDED}}}"#);
    for product in products {
        api.call(&format!("POST /api/admin/products/{product}/stock"), &body)?;
    }
    Ok(())
}

/// Signs in as the administrator.
pub fn administrator(shop: &Shop) -> anyhow::Result<Api> {
    let text = std::fs::read_to_string(shop.dir().join("admin.json")).context("reading admin.json")?;
    let credentials: Value = serde_json::from_str(&text)?;
    let mut api = Api::open(shop.gateway()?)?;
    let session = api.call("POST /api/sessions", &credentials.to_string())?;
    api.sign_in_with(session["token"].as_str().ok_or_else(|| anyhow!("no token"))?);
    Ok(api)
}

/// Words from the names of random products.
async fn queries(shop: &Shop) -> anyhow::Result<Vec<String>> {
    let mut catalog = connect(shop, "catalog").await?;
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM catalog_product ORDER BY md5(sku) LIMIT $1")
            .bind(i64::try_from(QUERIES)?)
            .fetch_all(&mut catalog)
            .await?;
    let words = |name: &str| -> Vec<String> {
        let words = name
            .split(|c: char| !c.is_ascii_alphabetic())
            .filter(|word| word.len() > 3);
        words.map(str::to_ascii_lowercase).collect()
    };
    let mut rng = rand::rng();
    let texts = names.iter().enumerate().filter_map(|(at, name)| {
        let chosen: Vec<String> = words(name)
            .choose_multiple(&mut rng, 1 + at % 2)
            .cloned()
            .collect();
        (!chosen.is_empty()).then(|| chosen.join("+"))
    });
    Ok(texts.collect())
}

/// Gives generated customers sessions. They have no password to sign in with, and thousands of password hashes would take
/// minutes; the rows are what signing in leaves behind. They expire an hour later than that, so that no expiry slides (a
/// write, once a minute and session) while the floor's does not.
async fn sign_in(shop: &Shop, count: usize) -> anyhow::Result<Vec<Customer>> {
    let mut users = connect(shop, "users").await?;
    let found: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "SELECT u.id, a.id FROM users_account u JOIN users_address a ON a.user_id = u.id AND a.is_default
         WHERE u.active AND u.role = 'customer' AND u.origin = 'generated' ORDER BY u.id LIMIT $1",
    )
    .bind(i64::try_from(count)?)
    .fetch_all(&mut users)
    .await
    .context("finding customers")?;
    let tokens: Vec<(String, TokenHash)> = found.iter().map(|(user, _)| generate(*user)).collect();
    let hashes: Vec<Vec<u8>> = tokens.iter().map(|(_, token)| token.hash.0.to_vec()).collect();
    let ids: Vec<Uuid> = found.iter().map(|(user, _)| *user).collect();
    let mut sessions = connect(shop, "sessions").await?;
    sqlx::query(
        "INSERT INTO sessions_session (token_hash, user_id, role, began_at, expires_at, ends_at)
         SELECT hash, id, 'customer', now(), now() + interval '25 hours', now() + interval '30 days'
         FROM unnest($1::bytea[], $2::uuid[]) AS s (hash, id)",
    )
    .bind(hashes)
    .bind(ids)
    .execute(&mut sessions)
    .await
    .context("signing customers in")?;
    let customers = found.into_iter().zip(tokens);
    Ok(customers
        .map(|((_, address_id), (token, _))| Customer { token, address_id })
        .collect())
}

/// The superuser's access to a shop's database server.
#[derive(Clone)]
pub struct Superuser {
    options: PgConnectOptions,
}

impl Superuser {
    /// Connects to a database.
    pub async fn connect(&self, database: &str) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect_with(&self.options.clone().database(database)).await?)
    }
}

fn superuser(server: &Server) -> Superuser {
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(server.port())
        .username(server.superuser())
        .password(server.password())
        .ssl_mode(PgSslMode::Disable);
    Superuser { options }
}

/// The name of the floor's copy of an owner's database.
pub fn copy_of(owner: &str) -> String {
    format!("floor_{owner}")
}

/// Starts the database server of a stopped shop alone, has it count statements from its next start on when `profile`, and copies every owner's database for the floor. Copies, because the
/// shop would publish and consume the events that the floor writes, at the floor's expense.
pub fn copy_databases(
    runtime: &Runtime,
    dir: &Path,
    owners: &BTreeMap<String, String>,
    profile: bool,
) -> anyhow::Result<()> {
    let settings = Settings {
        max_connections: SERVER_CONNECTIONS,
        ..Settings::new(cluster(dir))
    };
    let server = Server::start(&settings, |_| ())?;
    let superuser = superuser(&server);
    runtime.block_on(async {
        for owner in owners.keys() {
            let (database, copy) = (format!("emporium_{owner}"), copy_of(owner));
            // What the autovacuum of a shop that has run for a while would have done.
            execute(
                &mut superuser.connect(&database).await?,
                "VACUUM (ANALYZE)".to_owned(),
            )
            .await?;
            let mut admin = superuser.connect("postgres").await?;
            let create =
                format!("CREATE DATABASE {copy} TEMPLATE {database} OWNER {database} STRATEGY file_copy");
            execute(&mut admin, create).await?;
        }
        let mut admin = superuser.connect("postgres").await?;
        if profile {
            for setting in [
                "shared_preload_libraries = 'pg_stat_statements'",
                "pg_stat_statements.track_planning = on",
            ] {
                execute(&mut admin, format!("ALTER SYSTEM SET {setting}")).await?;
            }
        }
        execute(&mut admin, "CHECKPOINT".to_owned()).await
    })?;
    runtime.block_on(server.stop_async())?;
    Ok(())
}

/// The superuser's access to a running shop's database server.
pub fn superuser_of(shop: &Shop) -> anyhow::Result<Superuser> {
    let folder = cluster(shop.dir());
    let running = Server::running(&folder).ok_or_else(|| anyhow!("the database server does not run"))?;
    let password = std::fs::read_to_string(folder.join("superuser.secret"))?;
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(running.port)
        .username("postgres")
        .password(&password)
        .ssl_mode(PgSslMode::Disable);
    Ok(Superuser { options })
}

/// Runs a statement made of constants and names.
pub async fn execute(connection: &mut PgConnection, sql: String) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// The shop does some work in the background after its start; measurements begin when that is over.
pub const START_PAUSE: Duration = Duration::from_secs(1);
