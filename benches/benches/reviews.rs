//! Reviews on every store that can be had. `benches/README.md` says how to read it.

use std::process::ExitCode;

use emporium_benches::stores::{reviews, stage};
use emporium_test_kit::stores::Store;

fn main() -> ExitCode {
    stage::bench(
        "reviews",
        stage::Wanted::Server(Store::MongoDb),
        reviews::workloads,
    )
}
