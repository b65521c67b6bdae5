//! Runs the users service alone.

use std::process::ExitCode;

use emporium_service_kit::{ServiceName, config};

fn main() -> ExitCode {
    config::main(ServiceName::Users, emporium_users::build)
}
