//! What the end-to-end tests share: the real program as a process of its own, and customers who use it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

pub mod apart;
pub mod away;
pub mod browser;
pub mod customer;
pub mod ends;
pub mod gift_shop;
pub mod process;
pub mod stores;

pub use apart::Apart;
pub use away::{DatabaseAway, TablesLocked};
pub use customer::{Admin, Customer};
pub use process::{Options, ShopProcess};
pub use stores::Polyglot;

/// The services that own a database.
pub const OWNERS: [&str; 10] = [
    "users",
    "sessions",
    "catalog",
    "carts",
    "orders",
    "payments",
    "recommendations",
    "reviews",
    "analytics",
    "monitoring",
];

/// The workspace's root folder.
pub fn workspace() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

/// The folder with the real data sets: `EMPORIUM_DATASETS`, else `../shared/data` beside the project. `None` (said
/// aloud) when it is not there.
pub fn datasets() -> Option<std::path::PathBuf> {
    let given = std::env::var_os("EMPORIUM_DATASETS").map(std::path::PathBuf::from);
    let folder = given.unwrap_or_else(|| workspace().join("../shared/data"));
    if folder.join("online-retail").is_dir() {
        return Some(folder);
    }
    println!("LEFT OUT: the real data sets are not here; set EMPORIUM_DATASETS to their folder");
    None
}
