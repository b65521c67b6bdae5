//! The `emporium` program as the tests run it: the same code, with the crash points compiled in.

use std::process::ExitCode;

fn main() -> ExitCode {
    emporium::cli::main()
}
