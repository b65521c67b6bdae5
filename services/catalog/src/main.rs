//! Runs the catalog service alone.

use std::process::ExitCode;

use emporium_service_kit::{ServiceName, config};

fn main() -> ExitCode {
    config::main(ServiceName::Catalog, emporium_catalog::build)
}
