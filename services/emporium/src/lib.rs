//! Emporium in one process: an embedded PostgreSQL, every service with its own database and role, the gateway with its
//! storefront. The `emporium` program is a thin command line over this library; the end-to-end tests use it as well.

pub mod admin;
pub mod cli;
pub mod data_dir;
pub mod error;
pub mod evaluate;
pub mod keys;
pub mod load;
pub mod moving;
pub mod operator;
pub mod projections;
pub mod provision;
pub mod rebuild;
pub mod reconcile;
pub mod run;
pub mod running;
pub mod serve;
pub mod shop;
pub mod status;
pub mod stores;
pub mod terminal;
mod twofold;
mod watch;

pub use error::Error;
