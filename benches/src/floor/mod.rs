//! The floor: one plain axum server whose handlers send the statements that the shop's services send for the same request,
//! to copies of the same databases on the same server, and answer with the same JSON. It checks nothing that the statements
//! do not check, calls nobody, observes nothing. What it reaches is what could be reached if everything between the
//! statements cost nothing.
//!
//! A file a flow; `emporium-benches audit` compares its statements with the shop's.

mod cart;
mod checkout;
mod products;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context, anyhow};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::serve::ListenerExt;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::net::TcpListener;

use crate::prepare::copy_of;
use crate::process::{FLOOR, Program, Shop, cluster, wait_for_parent};

/// As many as a service of the shop has.
const CONNECTIONS: u32 = 8;
const SETTINGS: &str = "EMPORIUM_BENCH_FLOOR";
const LISTENING: &str = "floor listens on ";

/// What the harness tells the floor, in an environment variable, since it holds passwords.
#[derive(Serialize, Deserialize)]
struct Settings {
    databases: BTreeMap<String, String>,
    socket_dir: Option<String>,
}

/// Everything the handlers share.
struct Floor {
    users: PgPool,
    sessions: PgPool,
    catalog: PgPool,
    carts: PgPool,
    orders: PgPool,
    payments: PgPool,
    /// The catalog remembers the summary of a list for a moment, so the floor does.
    summary: Mutex<Option<(Instant, Arc<products::Summary>)>>,
}

type Shared = axum::extract::State<Arc<Floor>>;

/// Anything that goes wrong is a 500 with its text: nothing may go wrong.
struct Failed(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("{:#}", self.0)).into_response()
    }
}

/// Begins a transaction. The floor's handlers are not cancelled half-way: the load generator waits for every answer.
#[allow(clippy::disallowed_methods)]
async fn begin(pool: &PgPool) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, sqlx::Error> {
    pool.begin().await
}

/// Starts the floor on the copies of the shop's databases; gives its address.
pub fn start(shop: &Shop) -> anyhow::Result<(Program, std::net::SocketAddr)> {
    let running = emporium_embedded_postgres::Server::running(&cluster(shop.dir()));
    let socket_dir = running
        .and_then(|server| server.socket_dir)
        .map(|dir| dir.display().to_string());
    let databases = shop.databases.clone();
    let settings = serde_json::to_string(&Settings {
        databases,
        socket_dir,
    })?;
    let mut program = Program::spawn(FLOOR, &[], &[(SETTINGS, settings)])?;
    program.wait_for(LISTENING)?;
    let output = program.output();
    let line = output.lines().find_map(|line| line.strip_prefix(LISTENING));
    let address = line.ok_or_else(|| anyhow!("the floor did not say where it listens"))?;
    Ok((program, address.parse()?))
}

/// The floor's process.
pub fn main() -> ExitCode {
    std::thread::spawn(|| {
        wait_for_parent();
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let served = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(serve()));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> anyhow::Result<()> {
    let text = std::env::var(SETTINGS).context("the floor is started by the harness")?;
    let settings: Settings = serde_json::from_str(&text)?;
    let pool = |owner: &str| pool(&settings, owner);
    let floor = Floor {
        users: pool("users")?,
        sessions: pool("sessions")?,
        catalog: pool("catalog")?,
        carts: pool("carts")?,
        orders: pool("orders")?,
        payments: pool("payments")?,
        summary: Mutex::default(),
    };
    let app = Router::new()
        .route("/null", get(async || "{}"))
        .route("/api/products/{id}", get(products::detail))
        .route("/api/products", get(products::list))
        .route("/api/cart/items/{id}", put(cart::set_quantity))
        .route("/api/orders", post(checkout::place))
        .with_state(Arc::new(floor));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{LISTENING}{}", listener.local_addr()?);
    let listener = listener.tap_io(|socket| {
        let _ = socket.set_nodelay(true);
    });
    Ok(axum::serve(listener, app).await?)
}

fn pool(settings: &Settings, owner: &str) -> anyhow::Result<PgPool> {
    let url = settings
        .databases
        .get(owner)
        .ok_or_else(|| anyhow!("no database of {owner}"))?;
    let options: PgConnectOptions = url.parse()?;
    let mut options = options.database(&copy_of(owner));
    // The shop's services use the server's socket where there is one.
    if let Some(folder) = &settings.socket_dir {
        options = options.socket(folder);
    }
    Ok(PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .test_before_acquire(false)
        .connect_lazy_with(options))
}
