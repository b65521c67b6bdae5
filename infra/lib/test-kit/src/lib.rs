//! Real servers for tests: one PostgreSQL a test process, a clone of a migrated template database a test, services on
//! free ports with real service tokens.
//!
//! This crate is for tests only, so it panics instead of returning errors: a test that cannot have its server has failed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

pub mod contract;
mod events;
mod fed;
mod history;
pub mod http;
pub mod moving;
mod own_postgres;
mod own_server;
pub mod postgres;
pub mod projection;
pub mod schemas;
mod sequences;
pub mod service;
pub mod stores;

pub use events::event;
pub use fed::Fed;
pub use history::Owners;
pub use http::{Caller, Reply};
pub use own_postgres::OwnPostgres;
pub use own_server::{Own, OwnServer};
pub use postgres::{TestDatabase, TestPostgres, connect};
pub use sequences::{check_sequences, sequences};
pub use service::{Keys, TestService};

/// Asks `condition` until it gives a value, for at most `seconds`; panics with `what` when it never does. The way to wait
/// for something that happens elsewhere, instead of sleeping and hoping.
pub async fn eventually<T>(what: &str, seconds: u64, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(
            std::time::Instant::now() < end,
            "did not happen within {seconds} s: {what}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// A seed for everything random in a test: `EMPORIUM_TEST_SEED` when set, else a new one; printed, so that a failure can
/// be repeated.
pub fn seed() -> u64 {
    let seed = std::env::var("EMPORIUM_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(rand::random);
    println!("EMPORIUM_TEST_SEED={seed}");
    seed
}
