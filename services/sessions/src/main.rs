//! Runs the sessions service alone.

use std::process::ExitCode;

use emporium_service_kit::{ServiceName, config};

fn main() -> ExitCode {
    config::main(ServiceName::Sessions, emporium_sessions::build)
}
