//! The `emporium` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    emporium::cli::main()
}
