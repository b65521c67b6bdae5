//! What the runner `test-stores` tells the tests below it: one file a store, written when it is decided whether the store
//! can be had and from where.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::kind::{SharedStore, Store};

/// The environment variable with the folder of these files.
pub(crate) const STATE_VARIABLE: &str = "EMPORIUM_TEST_STATE";

/// A download and a slow start.
const LIMIT: Duration = Duration::from_mins(20);

/// A store, or why it cannot be had.
pub(crate) type Decision = Result<SharedStore, String>;

/// The runner's folder, if there is a runner.
pub(crate) fn folder() -> Option<PathBuf> {
    std::env::var_os(STATE_VARIABLE)
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
}

/// Waits until the runner has decided.
pub(crate) async fn decision(folder: &Path, store: Store) -> Decision {
    let file = path(folder, store);
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        if let Ok(text) = std::fs::read_to_string(&file) {
            return serde_json::from_str(&text)
                .unwrap_or_else(|error| Err(format!("{}: {error}", file.display())));
        }
        if !folder.is_dir() {
            return Err("the runner that starts it has ended".to_owned());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(format!(
        "the runner has not started it after {} min",
        LIMIT.as_secs() / 60
    ))
}

/// Writes the decision; nobody sees half of it.
pub(crate) fn decide(folder: &Path, store: Store, decision: &Decision) -> std::io::Result<()> {
    let half = folder.join(format!("{store}.half"));
    std::fs::write(&half, serde_json::to_string(decision)?)?;
    std::fs::rename(half, path(folder, store))
}

fn path(folder: &Path, store: Store) -> PathBuf {
    folder.join(format!("{store}.json"))
}
