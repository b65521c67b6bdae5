//! Runs the recommendations service alone.

use std::process::ExitCode;

use emporium_service_kit::{ServiceName, config};

fn main() -> ExitCode {
    config::main(ServiceName::Recommendations, emporium_recommendations::build)
}
