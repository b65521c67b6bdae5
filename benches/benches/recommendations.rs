//! Recommendations on every store that can be had. `benches/README.md` says how to read it.

use std::process::ExitCode;

use emporium_benches::stores::{recommendations, stage};
use emporium_test_kit::stores::Store;

fn main() -> ExitCode {
    stage::bench(
        "recommendations",
        stage::Wanted::Server(Store::Neo4j),
        recommendations::workloads,
    )
}
