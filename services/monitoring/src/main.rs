//! Runs the monitoring service alone.

use std::process::ExitCode;

use emporium_service_kit::{ServiceName, config};

fn main() -> ExitCode {
    config::main(ServiceName::Monitoring, emporium_monitoring::build)
}
