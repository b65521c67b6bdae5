//! Runs the analytics service alone.

use std::process::ExitCode;

use emporium_service_kit::{ServiceName, config};

fn main() -> ExitCode {
    config::main(ServiceName::Analytics, emporium_analytics::build)
}
