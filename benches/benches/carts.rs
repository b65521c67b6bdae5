//! Cart updates on every store that can be had. `benches/README.md` says how to read it.

use std::process::ExitCode;

use emporium_benches::stores::{carts, stage};
use emporium_test_kit::stores::Durability;

fn main() -> ExitCode {
    stage::bench(
        "carts",
        stage::Wanted::Redis(Durability::Everysec),
        carts::workloads,
    )
}
