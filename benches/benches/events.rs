//! The event bus on every store that can be had: appending and consuming. `benches/README.md` says how to read it.

use std::process::ExitCode;

use emporium_benches::stores::{events, stage};
use emporium_test_kit::stores::Durability;

fn main() -> ExitCode {
    stage::bench(
        "events",
        stage::Wanted::Redis(Durability::Always),
        events::workloads,
    )
}
