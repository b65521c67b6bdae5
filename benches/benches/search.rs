//! Search on every index that can be had. `benches/README.md` says how to read it.

use std::process::ExitCode;

use emporium_benches::stores::{search, stage};

fn main() -> ExitCode {
    stage::bench("search", stage::Wanted::Elasticsearch, search::workloads)
}
