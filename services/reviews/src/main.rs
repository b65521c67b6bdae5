//! Runs the reviews service alone.

use std::process::ExitCode;

use emporium_service_kit::{ServiceName, config};

fn main() -> ExitCode {
    config::main(ServiceName::Reviews, emporium_reviews::build)
}
