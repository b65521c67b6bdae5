//! Monitoring on every store that can be had. `benches/README.md` says how to read it.

use std::process::ExitCode;

use emporium_benches::stores::{monitoring, stage};
use emporium_test_kit::stores::Store;

fn main() -> ExitCode {
    stage::bench(
        "monitoring",
        stage::Wanted::Server(Store::Prometheus),
        monitoring::workloads,
    )
}
