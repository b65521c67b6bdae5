//! Runs the gateway service alone.

use std::process::ExitCode;

use emporium_service_kit::{ServiceName, config};

fn main() -> ExitCode {
    config::main(ServiceName::Gateway, emporium_gateway::build)
}
