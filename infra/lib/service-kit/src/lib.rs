//! What every Emporium service shares and no service owns.
//!
//! A service crate offers one function, `build(&Environment) -> Result<Service, StartError>`; this crate turns the
//! result into a running server ([`serve::start`]) with everything the platform promises at each service's edge:
//! service tokens and per-route allow-lists ([`auth`], [`api`]), problem+json ([`problem`]), limits on bodies, time and
//! concurrency, `/health/*`, `/metrics` and `/openapi.json`, W3C trace context ([`trace`]) and graceful shutdown.
//!
//! Every call to PostgreSQL goes through [`db::Db`] and [`db::Tx`], to Redis through [`redis::Redis`], to any other store
//! through [`observe::observed`]: each is observed once. Which store a service uses is a setting ([`stores`]).

pub mod api;
pub mod auth;
pub mod bulk;
pub mod client;
pub mod clock;
pub mod config;
pub mod contract;
pub mod days;
pub mod db;
pub mod environment;
pub mod extract;
pub mod ids;
pub mod metrics;
pub mod money;
pub mod observe;
pub mod page;
pub mod problem;
pub mod reaper;
pub mod redis;
pub mod report;
pub mod serve;
pub mod signals;
pub mod store;
pub mod stores;
pub mod telemetry;
pub mod trace;
pub mod validate;

pub use api::Api;
pub use auth::{Caller, ServiceName};
pub use clock::Clock;
pub use db::{Db, Tx};
pub use environment::{Environment, Service, StartError};
pub use money::{Currency, Money};
pub use page::{Page, PageQuery};
pub use problem::Problem;
pub use redis::Redis;
pub use report::{Inspect, Lack, StoreReport};
pub use store::{StoreError, StoreSetting};
pub use stores::StoreUrls;

/// Re-exported so that every service links the same versions.
pub use {garde, utoipa, utoipa_axum};
