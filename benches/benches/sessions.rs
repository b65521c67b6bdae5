//! Session look-ups and logins on every store that can be had. `benches/README.md` says how to read it.

use std::process::ExitCode;

use emporium_benches::stores::{sessions, stage};
use emporium_test_kit::stores::Durability;

fn main() -> ExitCode {
    stage::bench(
        "sessions",
        stage::Wanted::Redis(Durability::Everysec),
        sessions::workloads,
    )
}
